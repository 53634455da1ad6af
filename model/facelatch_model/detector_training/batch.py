"""A batch of windows as tensors: drawn by workers, lit and answered for on the processor that trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from ..qdq import as_input
from .light import drawn_light, lit
from .windows import Window

MOST = 8
"""Faces, and parts of faces, of a window: more than a photograph of the pack (6) or a crowd (7) has. Of more, the smallest
would count as background."""
ABSENT = -1e4
"""Every number of a face that is not there: far from every cell."""


class Batch(NamedTuple):
    """`pixels` `[n, HEIGHT, WIDTH, 3]` u8, `light` `[n, COLUMNS]`, `faces` `[n, MOST, 14]` and `partial` `[n, MOST, 4]` f32."""

    pixels: torch.Tensor
    light: torch.Tensor
    faces: torch.Tensor
    partial: torch.Tensor

    @classmethod
    def of(cls, windows: Sequence[Window], rng: np.random.Generator) -> Batch:
        """The windows, each with a light of its own."""
        return cls(
            torch.from_numpy(np.stack([window.pixels for window in windows])),
            torch.from_numpy(np.stack([drawn_light(rng) for _ in windows])),
            torch.from_numpy(np.stack([filled(window.faces) for window in windows])),
            torch.from_numpy(np.stack([filled(window.partial) for window in windows])),
        )

    def on(self, device: torch.device) -> Batch:
        """The same there."""
        return Batch(*(value.to(device, non_blocking=True) for value in self))

    def pictures(self) -> torch.Tensor:
        """What the network takes, `[n, 3, HEIGHT, WIDTH]` f32."""
        return as_input(lit(self.pixels, self.light)).contiguous(memory_format=torch.channels_last)


def filled(rows: np.ndarray) -> np.ndarray:
    """`rows` `[n, k]`, the largest boxes first, filled to `[MOST, k]` with ABSENT."""
    tall = rows[:, 3] - rows[:, 1]
    found = np.full((MOST, rows.shape[1]), ABSENT, np.float32)
    found[: min(MOST, len(rows))] = rows[np.argsort(-tall, kind="stable")[:MOST]]
    return found
