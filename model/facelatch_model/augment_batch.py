"""`augment` for whole batches in torch, where the batch is: on a GPU the CPU has no part in it.

Pictures are `[n, 3, h, w]` f32 in 0..=255. Every step is drawn for each picture on its own; a step that is not drawn for a
picture leaves it as it is. Chances and strengths are those of `augment`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 112
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""JPEG's example table of quantisation for luminance (ITU-T T.81, table K.1)."""
SMALLEST, LARGEST = 24, 80


def draw(n: int, like: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """`[n, 1, 1, 1]` uniform numbers."""
    return torch.rand(n, 1, 1, 1, device=like.device) * (high - low) + low


def normal(n: int, like: Tensor, deviation: float, columns: int = 1) -> Tensor:
    """`[n, columns, 1, 1]` normal numbers."""
    return torch.randn(n, columns, 1, 1, device=like.device) * deviation


def warp(x: Tensor) -> Tensor:
    """`[n, 3, 120, 120]` to `[n, 3, 112, 112]`: mirrored half of the time, with the small errors of an alignment."""
    n, side = len(x), x.shape[-1]
    angle = normal(n, x, math.radians(2.5)).flatten()
    shrink = torch.exp(-normal(n, x, 0.03)).flatten() * SIDE / side
    mirror = torch.where(torch.rand(n, device=x.device) < 0.5, -1.0, 1.0)
    shift = torch.randn(n, 2, device=x.device) * 1.3 * 2 / side
    cos, sin = shrink * torch.cos(angle), shrink * torch.sin(angle)
    theta = torch.stack([cos * mirror, -sin * mirror, shift[:, 0], sin, cos, shift[:, 1]], 1).reshape(n, 2, 3)
    grid = functional.affine_grid(theta, [n, 3, SIDE, SIDE], align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def light(x: Tensor) -> Tensor:
    """Gamma, contrast, brightness and a colour cast."""
    n = len(x)
    curve = (x / 255).clamp(1e-4, 1) ** torch.exp(normal(n, x, 0.25))
    curve = (curve - 0.5) * torch.exp(normal(n, x, 0.15)) + 0.5 + normal(n, x, 0.06)
    return (curve * torch.exp(normal(n, x, 0.05, 3)) * 255).clamp(0, 255)


def shade(x: Tensor) -> Tensor:
    """Light from one side."""
    axis = torch.linspace(-1, 1, SIDE, device=x.device)
    angle = draw(len(x), x, 0, 2 * math.pi)
    plane = torch.cos(angle) * axis[None, None, None, :] + torch.sin(angle) * axis[None, None, :, None]
    return (x * (1 + draw(len(x), x, 0.1, 0.5) * plane)).clamp(0, 255)


def boxes(x: Tensor, low: float, high: float) -> Tensor:
    """`[n, 1, h, w]` true inside of a random rectangle with sides from `low` to `high` pixels."""
    n = len(x)
    axis = torch.arange(SIDE, device=x.device, dtype=x.dtype)
    inside = torch.ones(n, 1, SIDE, SIDE, dtype=torch.bool, device=x.device)
    for position in (axis[None, None, None, :], axis[None, None, :, None]):
        length = draw(n, x, low, high)
        start = draw(n, x) * (SIDE - length)
        inside &= (position >= start) & (position < start + length)
    return inside


def occlude(x: Tensor) -> Tensor:
    """A mask over nose and mouth, dark glasses, or something anywhere."""
    n = len(x)
    across = torch.arange(SIDE, device=x.device, dtype=x.dtype)[None, None, None, :]
    along = across.transpose(2, 3)
    top = draw(n, x, 62, 78)
    mask = (along > top) & ((across - 56).abs() < 38 - (along - 100).clamp_min(0) * 2.5)
    radius = draw(n, x, 11, 17)
    glasses = torch.zeros_like(mask)
    for eye in (38.0, 74.0):
        glasses |= ((across - eye) / (radius + 2)) ** 2 + ((along - 52) / (radius - 1)) ** 2 < 1
    glasses |= ((along - 50).abs() < 2) & (across > 38) & (across < 74)
    kind = draw(n, x)
    where = torch.where(kind < 0.35, mask, torch.where(kind < 0.6, glasses, boxes(x, 15, 50)))
    brightest = torch.where((kind >= 0.35) & (kind < 0.6), 60.0, 255.0)
    return torch.where(where, torch.rand(n, 3, 1, 1, device=x.device) * brightest, x)


def smaller(x: Tensor) -> Tensor:
    """The face as a camera sees it from afar: fewer pixels, enlarged again. One width for the batch's drawn pictures."""
    side = int(torch.randint(SMALLEST, LARGEST, (1,)))
    small = functional.interpolate(x, (side, side), mode="area")
    return functional.interpolate(small, (SIDE, SIDE), mode="bilinear")


def blur(x: Tensor) -> Tensor:
    """Out of focus, or moved along a line: a 9x9 kernel for each picture."""
    n = len(x)
    axis = torch.arange(-4, 5, device=x.device, dtype=x.dtype)
    across, along = axis[None, None, None, :], axis[None, None, :, None]
    sigma = draw(n, x, 0.5, 2.0)
    round_ = torch.exp(-(across**2 + along**2) / (2 * sigma**2))
    angle, half = draw(n, x, 0, math.pi), draw(n, x, 1, 4.5)
    on_line = across * torch.cos(angle) + along * torch.sin(angle)
    off_line = -across * torch.sin(angle) + along * torch.cos(angle)
    line = (1 - off_line.abs()).clamp_min(0) * (on_line.abs() <= half)
    kernel = torch.where(draw(n, x) < 0.5, round_, line)
    kernel = (kernel / kernel.sum((2, 3), keepdim=True)).expand(n, 3, 9, 9).reshape(3 * n, 1, 9, 9)
    padded = functional.pad(x.reshape(1, 3 * n, SIDE, SIDE), (4, 4, 4, 4), mode="reflect")
    return functional.conv2d(padded, kernel, groups=3 * n).reshape(n, 3, SIDE, SIDE)


def noise(x: Tensor) -> Tensor:
    """A dark sensor's noise."""
    return (x + torch.randn_like(x) * draw(len(x), x, 2, 14)).clamp(0, 255)


def cosines(like: Tensor) -> Tensor:
    """The orthonormal 8-point discrete cosine transform, `[8, 8]`."""
    k = torch.arange(8, device=like.device, dtype=like.dtype)
    matrix = torch.cos((2 * k[None, :] + 1) * k[:, None] * math.pi / 16) / 2
    matrix[0] /= math.sqrt(2)
    return matrix


def compress(x: Tensor) -> Tensor:
    """What JPEG of a quality from 15 to 80 loses, without the halving of colour: 8x8 cosines, rounded (ITU-T T.81)."""
    n, blocks = len(x), SIDE // 8
    quality = torch.randint(15, 80, (n, 1, 1, 1, 1, 1), device=x.device).float()
    factor = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    table = (torch.tensor(LUMINANCE, device=x.device, dtype=x.dtype)[None, None, None, :, None, :] * factor).clamp_min(1)
    dct = cosines(x)
    tiles = (x - 128).reshape(n, 3, blocks, 8, blocks, 8)
    waves = torch.einsum("ui,ncaibj,vj->ncaubv", dct, tiles, dct)
    kept = torch.round(waves / table) * table
    return (torch.einsum("ui,ncaubv,vj->ncaibj", dct, kept, dct).reshape(x.shape) + 128).clamp(0, 255)


def grey(x: Tensor) -> Tensor:
    """What an infrared or grey camera sees: one channel three times, mixed at random."""
    mix = torch._sample_dirichlet(torch.tensor([[1.5, 2.0, 1.0]], device=x.device).repeat(len(x), 1))
    return (x * mix[:, :, None, None]).sum(1, keepdim=True).expand(-1, 3, -1, -1)


Step = Callable[[Tensor], Tensor]
STEPS: tuple[tuple[Step, float], ...] = (
    (light, 0.6),
    (shade, 0.1),
    (occlude, 0.12),
    (smaller, 0.15),
    (blur, 0.12),
    (noise, 0.1),
    (compress, 0.12),
    (grey, 0.08),
)


def augment(pixels: Tensor, strength: float = 1.0) -> Tensor:
    """`[n, 120, 120, 3]` u8 RGB to `[n, 3, 112, 112]` f32 in 0..=255; each step at its own chance times `strength`."""
    x = warp(pixels.permute(0, 3, 1, 2).float())
    for step, chance in STEPS:
        chosen = torch.nonzero(torch.rand(len(x), device=x.device) < chance * strength).flatten()
        if len(chosen):
            x[chosen] = step(x[chosen])
    return x
