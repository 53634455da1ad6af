"""Building blocks of the small networks: dense 3x3 convolutions, which both ARM's int8 kernels and training on a CPU like."""

from __future__ import annotations

import torch
from torch import nn


def convolution(inputs: int, outputs: int, kernel: int, stride: int, padding: int | None = None) -> nn.Sequential:
    """Convolution, batch norm, ReLU; `padding` keeps the size unless it is given."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2 if padding is None else padding, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class Residual(nn.Module):
    """Two 3x3 convolutions beside an identity, `[n, channels, h, w]`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = convolution(channels, channels, 3, 1)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        """The same shape."""
        return self.relu(value + self.norm(self.second(self.first(value))))
