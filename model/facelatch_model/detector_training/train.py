"""Training of the detector on windows of labelled photographs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader, Dataset

from ..run import Run
from . import pasted, windows
from .batch import Batch
from .labels import read_labelled
from .loss import batch_targets, loss_of
from .network import DetectorNet

CROWD = 0.1
"""Share of windows that show several small faces."""
WAITING, PATIENCE = 4, 120
"""Batches that each worker draws ahead, and the seconds after which one that brings none is an error."""
MEASURED = 4
"""Batches of which the curve tells the loss."""


@dataclass(frozen=True)
class Recipe:
    """What a run depends on beside its pictures."""

    steps: int = 40000
    batch: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    average: float = 0.9995
    seed: int = 1
    close: float = 0.35
    """Share of windows that show a second look: more of them make landmarks more exact, and leave less for small faces."""
    start: str = ""
    """Released fp32 weights to go on from; none: begin anew."""


class Windows(Dataset[Batch]):
    """The batch of every step of `recipe`: the same whoever draws it, and after a cut."""

    def __init__(self, packs: Path, labels: Path | None, recipe: Recipe) -> None:
        self.recipe = recipe
        self.photographs = windows.photographs(packs)
        self.near = [picture for picture in map(windows.near, self.photographs) if len(picture.faces)]
        self.crops = read_labelled(labels) if labels else []
        self.empty, self.held_out = windows.empty_pictures(packs)
        if not self.near:
            raise ValueError(f"{packs}: no photograph shows a face whose eyes are {windows.CLOSE_LEAST:.0f} pixels apart")
        if windows.WITHOUT + recipe.close > 1 - CROWD:
            raise ValueError(f"second looks can be {1 - CROWD - windows.WITHOUT:.2f} of the windows at most, not {recipe.close}")

    def __getitem__(self, step: int) -> Batch:
        return self.draw(np.random.default_rng(self.recipe.seed * 1_000_003 + step))

    def draw(self, rng: np.random.Generator, most: int | None = None) -> Batch:
        """A batch of windows, of `most` at most."""
        return Batch.of([self.window(rng) for _ in range(min(self.recipe.batch, most or self.recipe.batch))], rng)

    def window(self, rng: np.random.Generator) -> windows.Window:
        """A window of one of four kinds: without people, a second look, several small faces, a photograph's."""
        kind = rng.random()
        if kind < windows.WITHOUT:
            return windows.window_of(self.empty[rng.integers(len(self.empty))], rng)
        if kind < windows.WITHOUT + self.recipe.close:
            return windows.close_look(self.near[rng.integers(len(self.near))], rng)
        if self.crops and kind < windows.WITHOUT + self.recipe.close + CROWD:
            return pasted.crowd(self.crops, self.empty, rng)
        return windows.window_of(self.photographs[rng.integers(len(self.photographs))], rng, self.empty)


class Training:
    """The run of `recipe` in `folder` on the packs `detect-photos` and `nofaces`, and on crops that `labels` has landmarks of.

    `workers` other processes draw the windows (none: this one), and the network learns on `device`.
    """

    def __init__(self, folder: Path, drawn: Windows, workers: int = 0, device: str = "cpu") -> None:
        torch.manual_seed(drawn.recipe.seed)
        self.recipe, self.drawn, self.workers, self.device = drawn.recipe, drawn, workers, torch.device(device)
        network = DetectorNet()
        if self.recipe.start and not (folder / "checkpoint.pt").exists():
            network.load_state_dict(load_file(self.recipe.start))
        self.run = Run(folder, self.recipe, network.to(self.device))

    @cached_property
    def batches(self) -> Iterator[Batch]:
        """The batches of the steps that are left."""
        options = {"pin_memory": self.device.type == "cuda", "generator": torch.Generator()}
        if self.workers:
            # OpenCV's threads do not live in a fork, which would wait for them.
            cv2.setNumThreads(1)
            options |= {"prefetch_factor": WAITING, "timeout": PATIENCE, "multiprocessing_context": "fork"}
        steps = range(self.run.step, self.recipe.steps)
        return iter(DataLoader(self.drawn, batch_size=None, sampler=steps, num_workers=self.workers, **options))

    @cached_property
    def measured(self) -> list[Batch]:
        """Windows of no step of a seed above 0."""
        rng = np.random.default_rng(0)
        return [self.drawn.draw(rng) for _ in range(MEASURED)]

    def loss(self, _rng: np.random.Generator, _generator: torch.Generator) -> torch.Tensor:
        """Loss of the next batch."""
        batch = next(self.batches).on(self.device)
        with torch.autocast(self.device.type, torch.bfloat16):
            outputs = self.run.network(batch.pictures())
        return loss_of(outputs, batch_targets(batch))

    @torch.no_grad()
    def figures(self) -> dict[str, float]:
        """Loss of `measured` with the averaged weights: columns of the curve."""
        self.run.average.eval()
        losses = []
        for batch in self.measured:
            there = batch.on(self.device)
            losses.append(float(loss_of(self.run.average(there.pictures()), batch_targets(there))))
        return {"average_loss": float(np.mean(losses))}

    def train(self, every: int = 250) -> None:
        """All steps that are left."""
        self.run.train(self.loss, self.figures, every)
