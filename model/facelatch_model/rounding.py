"""What int8 does to values and weights, as layers that torch can train through."""

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
SHRINKS = torch.linspace(0.4, 1.0, 61)
"""Shares of the observed range that calibration tries. A choice."""


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

    A value v becomes the step round(v / scale) + zero_point, saturated to -128..=127; `scale` is `exp(log_scale)`, so that
    training changes it in proportion.
    """

    def __init__(self, positive: bool) -> None:
        """`positive`: the tensor comes from a ReLU, so that its zero is the lowest step."""
        super().__init__()
        self.positive = positive
        self.watching = True
        self.seen: list[torch.Tensor] = []
        self.log_scale = nn.Parameter(torch.zeros(1))
        self.register_buffer("zero_point", torch.zeros(1, dtype=torch.int32))

    @property
    def scale(self) -> torch.Tensor:
        """What one step is worth, `[1]`."""
        return self.log_scale.exp()

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
        extremes = (min(float(values.min()), 0.0), max(float(values.max()), 1e-6))
        sample = values[torch.randperm(len(values), generator=torch.Generator().manual_seed(0))[:SAMPLES]]
        best = None
        for shrink in SHRINKS.tolist():
            scale, zero = self.range_of(extremes[0] * shrink, extremes[1] * shrink)
            rounded = torch.fake_quantize_per_tensor_affine(sample, scale, zero, LOW, HIGH)
            error = float((rounded - sample).square().mean())
            if best is None or error < best[0]:
                best = (error, scale, zero)
        assert best is not None, "at least one range is tried"
        with torch.no_grad():
            self.log_scale.fill_(math.log(best[1]))
        self.zero_point.fill_(best[2])
        self.seen, self.watching = [], False

    def range_of(self, low: float, high: float) -> tuple[float, int]:
        """Scale and zero point for values in `low..=high`, where 0 is a step of its own."""
        scale = max(high - (0.0 if self.positive else low), 1e-6) / (HIGH - LOW)
        return scale, LOW if self.positive else int(min(max(round(LOW - low / scale), LOW), HIGH))


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
        """Scale of each output channel's weights, `[outputs]`: the greatest magnitude over 127."""
        return self.layer.weight.detach().flatten(1).abs().amax(1).clamp_min(1e-9) / WEIGHT_HIGH

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
