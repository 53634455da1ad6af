"""What int8 does to values and weights, as layers that torch can train through.

All scales are powers of two. Then whatever a layer computes in f32 is a whole number of steps times a power of two, and exact
while that number is below 2^24: 518 products of the largest values, and many times as many of usual ones. So the file means
the same bits in torch, in ONNX Runtime (fused or not, in any order of its sums) and on the device. With other scales each of
them rounds sums in its own way, and one tipped step in an early layer moves half of an embedding's values by a step.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

LOW, HIGH = -128, 127
"""Range of an int8 activation."""
WEIGHT_HIGH = 127
"""Weights keep to -127..=127: -128 would not be symmetric."""
PIXEL_SCALE, PIXEL_ZERO = 1.0 / 128.0, 128
"""A u8 pixel p enters the network as (p - PIXEL_ZERO) * PIXEL_SCALE."""
SAMPLES = 1 << 18
"""Values kept of each tensor to choose its range from. A choice: enough for the 99.99th percentile."""
NARROWER = 2
"""How many times calibration tries half of the range again. A choice: a quarter is too little for any tensor seen."""


def power_of_two(scales: torch.Tensor) -> torch.Tensor:
    """The least powers of two that are not below `scales` (any shape, positive), exactly."""
    mantissa, _ = torch.frexp(scales)
    return torch.where(mantissa == 0.5, scales, scales / mantissa)


class Pixels(nn.Module):
    """The input's quantiser: pixels are integers, so it changes nothing; the range is fixed."""

    scale, zero_point = PIXEL_SCALE, PIXEL_ZERO

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """`[n, 3, height, width]` of (p - 128) / 128, unchanged."""
        return pixels


class Rounding(torch.autograd.Function):
    """round(v / scale), saturated, times scale; learns its scale.

    Gradients pass to values where nothing saturated. The scale's gradient is that of Esser et al.: "Learned Step Size
    Quantization" (ICLR 2020), equation 3, summed over the tensor.
    """

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, scale: torch.Tensor, zero_point: torch.Tensor) -> torch.Tensor:
        """`value` of any shape, `scale` and `zero_point` `[1]`."""
        rounded, inside = torch.ops.aten.fake_quantize_per_tensor_affine_cachemask(
            value, float(scale), int(zero_point), LOW, HIGH
        )
        ctx.save_for_backward(value, rounded, inside, scale)
        return rounded

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        """Gradients of value and scale."""
        value, rounded, inside, scale = ctx.saved_tensors
        passed = gradient * inside
        return passed, ((gradient * rounded).sum() - (passed * value).sum()).reshape(1) / scale, None


class Activation(nn.Module):
    """Rounds a tensor to int8 steps; before calibration it only watches.

    A value v becomes the step round(v / scale) + zero_point, saturated to -128..=127; `scale` is two to the nearest whole
    number to `exponent`, which training changes as if it were not rounded.
    """

    def __init__(self, positive: bool) -> None:
        """`positive`: the tensor comes from a ReLU, so that its zero is the lowest step."""
        super().__init__()
        self.positive = positive
        self.watching = True
        self.seen: list[torch.Tensor] = []
        self.exponent = nn.Parameter(torch.zeros(1))
        self.register_buffer("zero_point", torch.zeros(1, dtype=torch.int32))

    @property
    def scale(self) -> torch.Tensor:
        """What one step is worth, `[1]`."""
        power = math.ldexp(1.0, round(self.exponent.detach().item()))
        return power * (1 + math.log(2) * (self.exponent - self.exponent.detach()))

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        """Any shape to the same shape."""
        if self.watching:
            flat = value.detach().float().flatten()
            step = max(1, flat.numel() // 16384)
            self.seen.append(torch.cat([flat[::step], flat.amin()[None], flat.amax()[None]]).cpu())
            return value
        return Rounding.apply(value.float(), self.scale, self.zero_point)

    def settle(self) -> None:
        """Chooses the range with the least squared rounding error over what was seen, and begins to round."""
        values = torch.cat(self.seen)
        low, high = min(float(values.min()), 0.0), max(float(values.max()), 1e-6)
        sample = values[torch.randperm(len(values), generator=torch.Generator().manual_seed(0))[:SAMPLES]]
        widest = math.ceil(math.log2((high - (0.0 if self.positive else low)) / (HIGH - LOW)))
        best = None
        for exponent in range(widest - NARROWER, widest + 1):
            scale = math.ldexp(1.0, exponent)
            zero = self.zero_of(low, high, scale)
            rounded = torch.fake_quantize_per_tensor_affine(sample, scale, zero, LOW, HIGH)
            error = float((rounded - sample).square().mean())
            if best is None or error < best[0]:
                best = (error, exponent, zero)
        assert best is not None, "at least one range is tried"
        with torch.no_grad():
            self.exponent.fill_(best[1])
        self.zero_point.fill_(best[2])
        self.seen, self.watching = [], False

    def zero_of(self, low: float, high: float, scale: float) -> int:
        """The step of 0 that puts the middle of `low..=high`, or of as much of it as there are steps for, in the middle."""
        if self.positive:
            return LOW
        share = min(1.0, scale * (HIGH - LOW) / (high - low))
        middle = share * (low + high) / 2
        return min(max(round((LOW + HIGH) / 2 - middle / scale), LOW), HIGH)


class Rounded(nn.Module):
    """A convolution or dense layer with weights in symmetric int8, one scale for each output channel, and a bias in i32.

    The bias has the scale that the sums of products have: that of the weights times that of the input.
    """

    def __init__(self, layer: nn.Conv2d | nn.Linear, source: Pixels | Activation) -> None:
        """`source` is the quantiser of the layer's input."""
        super().__init__()
        if layer.bias is None:
            outputs = len(layer.weight)
            layer.bias = nn.Parameter(torch.zeros(outputs, device=layer.weight.device))
        self.layer = layer
        self.sources = (source,)
        self.active = False

    def scales(self) -> torch.Tensor:
        """Scale of each output channel's weights, `[outputs]`: the least for which the greatest fits."""
        return power_of_two(self.layer.weight.detach().flatten(1).abs().amax(1).clamp_min(1e-9) / WEIGHT_HIGH)

    def sum_scales(self) -> torch.Tensor:
        """Scale of each output channel's sums, `[outputs]`."""
        return self.scales() * torch.as_tensor(self.sources[0].scale).detach().to(self.layer.weight.device)

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        """What the layer computes, from rounded weights once calibrated."""
        layer = self.layer
        if not self.active:
            return layer(value)
        zeros = torch.zeros(len(layer.weight), dtype=torch.int32, device=layer.weight.device)
        weight = torch.fake_quantize_per_channel_affine(layer.weight, self.scales(), zeros, 0, -WEIGHT_HIGH, WEIGHT_HIGH)
        scales = self.sum_scales()
        bias = layer.bias + (torch.round(layer.bias / scales) * scales - layer.bias).detach()
        if isinstance(layer, nn.Linear):
            return functional.linear(value, weight, bias)
        return functional.conv2d(value, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)
