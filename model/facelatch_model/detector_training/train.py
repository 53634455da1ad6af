"""Training of the detector on windows of labelled photographs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from ..qdq import as_input
from ..run import Run
from . import pasted, windows
from .labels import read_labelled
from .loss import batch_targets, loss_of
from .network import DetectorNet

CLOSE, CROWD = 0.3, 0.15
"""Shares of windows that show a second look, and several small faces."""
CROPS = 0.7
"""Share of second looks at aligned crops; the others are at photographs."""


@dataclass(frozen=True)
class Recipe:
    """What a run depends on beside its pictures."""

    steps: int = 13000
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    average: float = 0.999
    seed: int = 1
    start: str = ""
    """Released fp32 weights to go on from; none: begin anew."""


class Training:
    """The run of `recipe` in `folder` on the packs `detect-photos` and `nofaces`, and on crops that `labels` has landmarks of."""

    def __init__(self, folder: Path, packs: Path, labels: Path | None, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.photographs = windows.photographs(packs)
        self.crops = read_labelled(labels) if labels else []
        self.empty, self.held_out = windows.empty_pictures(packs)
        network = DetectorNet()
        if recipe.start:
            network.load_state_dict(load_file(recipe.start))
        self.run = Run(folder, recipe, network)

    def draw(self, rng: np.random.Generator) -> list[windows.Window]:
        """The windows of one batch."""
        return [self.window(rng) for _ in range(self.recipe.batch)]

    def window(self, rng: np.random.Generator) -> windows.Window:
        """A window of one of four kinds: without people, a second look, several small faces, a photograph's."""
        kind = rng.random()
        if kind < windows.WITHOUT:
            return windows.window_of(self.empty[rng.integers(len(self.empty))], rng)
        if self.crops and kind < windows.WITHOUT + CLOSE:
            pool = self.crops if rng.random() < CROPS else self.photographs
            return windows.close_look(pool[rng.integers(len(pool))], rng)
        if self.crops and kind < windows.WITHOUT + CLOSE + CROWD:
            return pasted.crowd(self.crops, self.empty, rng)
        return windows.window_of(self.photographs[rng.integers(len(self.photographs))], rng)

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
