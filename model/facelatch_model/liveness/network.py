"""The liveness network: a small dense residual network whose every place votes.

`[n, 3, 96, 96]` of (p - 128) / 128 to one logit, above 0 for a living face. 30.0 million multiply-accumulates, 0.19 million
weights. What gives a picture of a face away (grain, grid, edge, sheen) is local and may be anywhere: so each of the last map's
6x6 places gives its own logit, all of them are trained, and the answer is their mean.

Source of the votes: George and Marcel, "Deep Pixel-wise Binary Supervision for Face Presentation Attack Detection", ICB 2019.
"""

from __future__ import annotations

import torch
from torch import nn

from ..blocks import Residual, convolution


class LivenessNet(nn.Module):
    """`votes` gives a logit for every place, `forward` their mean."""

    def __init__(self, widths: tuple[int, int, int, int] = (16, 32, 64, 96), features: int = 128) -> None:
        super().__init__()
        a, b, c, d = widths
        self.body = nn.Sequential(
            convolution(3, a, 3, 2),
            convolution(a, b, 3, 2),
            Residual(b),
            convolution(b, c, 3, 2),
            Residual(c),
            convolution(c, d, 3, 2),
            convolution(d, features, 1, 1),
        )
        self.drop = nn.Dropout(0.2)
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.vote = nn.Conv2d(features, 1, 1)
        self.flatten = nn.Flatten()

    def votes(self, picture: torch.Tensor) -> torch.Tensor:
        """`[n, 3, 96, 96]` to `[n, 1, 6, 6]` logits."""
        return self.vote(self.drop(self.body(picture)))

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """`[n, 3, 96, 96]` to `[n, 1]`: the mean of the votes, for the vote of the mean is the same."""
        return self.flatten(self.vote(self.mean(self.drop(self.body(picture)))))
