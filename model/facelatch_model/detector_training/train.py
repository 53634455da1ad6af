"""Training of the detector on windows of labelled photographs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..qdq import as_input
from ..run import Run
from . import windows
from .loss import batch_targets, loss_of
from .network import DetectorNet


@dataclass(frozen=True)
class Recipe:
    """What a run depends on beside its pictures."""

    steps: int = 13000
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    average: float = 0.999
    seed: int = 1


class Training:
    """The run of `recipe` in `folder` on the packs `detect-photos` and `nofaces`."""

    def __init__(self, folder: Path, packs: Path, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.photographs = windows.photographs(packs)
        self.empty, self.held_out = windows.empty_pictures(packs)
        self.run = Run(folder, recipe, DetectorNet())

    def draw(self, rng: np.random.Generator) -> list[windows.Window]:
        """The windows of one batch."""
        found = []
        for _ in range(self.recipe.batch):
            pool = self.empty if rng.random() < windows.WITHOUT else self.photographs
            found.append(windows.window_of(pool[rng.integers(len(pool))], rng))
        return found

    def loss(self, rng: np.random.Generator, _generator: torch.Generator) -> torch.Tensor:
        """Loss of one batch."""
        batch = self.draw(rng)
        pictures = as_input(torch.from_numpy(np.stack([window.pixels for window in batch])))
        with torch.autocast("cpu", torch.bfloat16):
            outputs = self.run.network(pictures.contiguous(memory_format=torch.channels_last))
        return loss_of(outputs, batch_targets(batch))

    @torch.no_grad()
    def figures(self) -> dict[str, float]:
        """Loss of windows that no step draws, with the averaged weights: columns of the curve."""
        self.run.average.eval()
        rng, losses = np.random.default_rng(0), []
        for _ in range(4):
            batch = self.draw(rng)
            outputs = self.run.average(as_input(torch.from_numpy(np.stack([window.pixels for window in batch]))))
            losses.append(float(loss_of(outputs, batch_targets(batch))))
        return {"average_loss": float(np.mean(losses))}

    def train(self, every: int = 250) -> None:
        """All steps that are left."""
        self.run.train(self.loss, self.figures, every)
