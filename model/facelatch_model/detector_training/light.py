"""Light and camera of the windows that the detector learns from: dark, bright, grey, tinted, noisy.

What is drawn for a window is a row of numbers; a whole batch is lit at once, on the processor that trains.
"""

from __future__ import annotations

import numpy as np
import torch

COLUMNS = 7
"""A light's numbers: 1 for grey, exponent, three gains, what is added, deviation of a pixel's noise."""
DARK, DARKEST = 0.1, 0.08
"""Share of windows in little light, and the least of it."""
GREY = 0.2
"""Share of grey windows."""


def drawn_light(rng: np.random.Generator) -> np.ndarray:
    """Light and camera of one window, `[COLUMNS]` f32."""
    gain = np.exp(rng.uniform(np.log(DARKEST), 0)) if rng.random() < DARK else 1.0
    grey, exponent = float(rng.random() < GREY), np.exp(rng.normal(0, 0.35))
    # Little light comes before the exponent.
    gains = gain**exponent * np.exp(rng.normal(0, 0.25) + rng.normal(0, 0.07, 3))
    return np.float32([grey, exponent, *gains, rng.normal(0, 12), rng.exponential(3.0)])


def lit(pixels: torch.Tensor, light: torch.Tensor) -> torch.Tensor:
    """Windows `[n, h, w, 3]` u8 in their `light` `[n, COLUMNS]`, u8; the noise is of torch's own generator."""
    grey, exponent, red, green, blue, added, noise = light[:, None, None, :, None].unbind(3)
    value = pixels.float() / 255
    value = torch.lerp(value, value.mean(3, keepdim=True), grey)
    value = 255 * value**exponent * torch.cat([red, green, blue], 3) + added
    value = value + noise * torch.randn_like(value)
    return value.clamp(0, 255).to(torch.uint8)
