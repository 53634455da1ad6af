"""The student: a dense residual network from 112x112 RGB to 128 numbers.

    pixels [3, 112, 112] -> 6x6 stride 4: [40, 28, 28] -> Residual
      -> stride 2: [80, 14, 14] -> Residual, Residual -> stride 2: [128, 7, 7] -> Residual
      -> 1x1: [320, 7, 7] -> global depthwise 7x7: [320] -> linear: [128]

97.8 million multiply-accumulates, 0.78 million parameters. Dense 3x3 convolutions train many times faster than depthwise
ones on a CPU and run as fast on the device, whose int8 kernels are near their peak there.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

EMBEDDING, FEATURES = 128, 320
SIDE, MAP_SIDE = 112, 7


def conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 1) -> nn.Sequential:
    """Convolution without bias and its batch normalisation."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False), nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """Two 3x3 convolutions added to their input: `[n, channels, h, w]` to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.f = nn.Sequential(conv_norm(channels, channels, 3), conv_norm(channels, channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        """`[n, channels, h, w]` to the same shape, not negative."""
        return torch.relu(x + self.f[1](torch.relu(self.f[0](x))))


def down(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 convolution of stride 2 with batch normalisation and ReLU."""
    return nn.Sequential(*conv_norm(inputs, outputs, 3, 2), nn.ReLU(inplace=True))


class GlobalDepthwise(nn.Module):
    """Each channel's own weighted sum over the map: `[n, channels, side, side]` to `[n, channels, 1, 1]`.

    A depthwise convolution as large as its map, without the cost of a general kernel's backward pass.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, 1, side, side) / side)

    def forward(self, x: Tensor) -> Tensor:
        """The sums, in f32."""
        return (x.float() * self.weight[:, 0]).sum((2, 3), keepdim=True)

    def as_convolution(self) -> nn.Conv2d:
        """The same as a plain convolution, which has an int8 form."""
        channels, _, side, _ = self.weight.shape
        conv = nn.Conv2d(channels, channels, side, groups=channels, bias=False)
        conv.weight.data.copy_(self.weight.data)
        return conv


class Student(nn.Sequential):
    """`[n, 3, 112, 112]` of (pixel - 128) / 128 to `[n, embedding]`, not normalised."""

    def __init__(self, embedding: int = EMBEDDING) -> None:
        head = nn.Sequential(
            GlobalDepthwise(FEATURES, MAP_SIDE),
            nn.BatchNorm2d(FEATURES),
            nn.Flatten(),
            nn.Linear(FEATURES, embedding, bias=False),
        )
        super().__init__(
            nn.Sequential(*conv_norm(3, 40, 6, 4), nn.ReLU(inplace=True)),
            Residual(40),
            down(40, 80),
            Residual(80),
            Residual(80),
            down(80, 128),
            Residual(128),
            nn.Sequential(*conv_norm(128, FEATURES, 1, padding=0), nn.ReLU(inplace=True)),
            head,
        )

    def trunk(self) -> nn.Sequential:
        """All but the last layer: `[n, FEATURES]`."""
        return nn.Sequential(*list(self)[:-1], *list(self[-1])[:-1])

    def last(self) -> nn.Linear:
        """The last layer, from features to the embedding."""
        return self[-1][-1]


def read(path: Path) -> Student:
    """A student with the weights of a `.safetensors` file."""
    weights = load_file(path)
    student = Student(len(weights["8.3.weight"]))
    student.load_state_dict(weights)
    return student.eval()


def write(student: Student, path: Path) -> None:
    """Writes all weights in f32."""
    save_file({name: value.detach().cpu().contiguous() for name, value in student.state_dict().items()}, path)


def cost(network: nn.Module) -> tuple[int, int]:
    """Multiply-accumulates for one picture, and parameters."""
    sums = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal sums
        if isinstance(module, nn.Conv2d):
            sums += output[0].numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear | GlobalDepthwise):
            sums += module.weight.numel()

    hooks = [module.register_forward_hook(count) for module in network.modules()]
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, SIDE, SIDE))
    for hook in hooks:
        hook.remove()
    return sums, sum(parameter.numel() for parameter in network.parameters())
