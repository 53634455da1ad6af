"""A training run and its folder: recipe, checkpoint, curve. What was cut goes on where it stopped.

The folder holds `recipe.json`, `checkpoint.pt` (weights, averaged weights, optimiser, step) and `curve.csv`.
"""

from __future__ import annotations

import copy
import csv
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

RISE = 100
"""Steps in which the learning rate rises. A choice."""
CLIP = 5.0
"""Greatest norm of a step's gradient. A choice."""


class Run:
    """Trains `network`; `recipe` is a dataclass with `steps`, `batch`, `learning_rate`, `weight_decay`, `average`, `seed`.

    `average` is how much of the averaged weights stays from step to step; they are what is measured and released.
    """

    def __init__(self, folder: Path, recipe: Any, network: nn.Module) -> None:
        """Begins a run, or goes on with the one in `folder` when it has the same recipe."""
        self.folder, self.recipe = folder, recipe
        self.network = network.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network)
        rates = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
        self.optimiser = torch.optim.AdamW(self.network.parameters(), **rates)
        self.step = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.resume()

    def resume(self) -> None:
        """Takes up what the folder holds."""
        path, text = self.folder / "recipe.json", json.dumps(asdict(self.recipe), indent=1)
        if path.exists() and path.read_text() != text:
            raise ValueError(f"{path} says another recipe: give this run a folder of its own")
        path.write_text(text)
        if (self.folder / "checkpoint.pt").exists():
            state = torch.load(self.folder / "checkpoint.pt", weights_only=True, map_location="cpu")
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = state["step"]

    def save(self) -> None:
        """Writes the checkpoint; a cut leaves the old one."""
        state = {"network": self.network.state_dict(), "average": self.average.state_dict(), "step": self.step}
        torch.save(state | {"optimiser": self.optimiser.state_dict()}, self.folder / "checkpoint.new")
        os.replace(self.folder / "checkpoint.new", self.folder / "checkpoint.pt")

    def rate(self) -> float:
        """Learning rate: a short rise, then a cosine to nothing."""
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, self.step / self.recipe.steps)))
        return self.recipe.learning_rate * min(1.0, (self.step + 1) / RISE) * cosine

    def generators(self) -> tuple[np.random.Generator, torch.Generator]:
        """Random numbers of this step, dropout's too: the same after a cut."""
        seed = self.recipe.seed * 1_000_003 + self.step
        torch.manual_seed(seed)
        return np.random.default_rng(seed), torch.Generator().manual_seed(seed)

    def train_step(self, loss_of: Callable[[np.random.Generator, torch.Generator], torch.Tensor]) -> float:
        """One step down the loss; returns it."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        self.network.train()
        loss = loss_of(*self.generators())
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimiser.step()
        self.step += 1
        keep = min(self.recipe.average, self.step / (self.step + 10))
        with torch.no_grad():
            for old, new in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
                if old.is_floating_point():
                    old.lerp_(new, 1 - keep)
                else:
                    old.copy_(new)
        return float(loss.detach())

    def train(
        self,
        loss_of: Callable[[np.random.Generator, torch.Generator], torch.Tensor],
        measure: Callable[[], Mapping[str, float]],
        every: int,
    ) -> None:
        """All steps that are left; every `every` steps a checkpoint and a row of the curve with what `measure` finds."""
        losses: list[float] = []
        started = time.monotonic()
        while self.step < self.recipe.steps:
            losses.append(self.train_step(loss_of))
            if self.step % every == 0 or self.step == self.recipe.steps:
                row = {"step": self.step, "pictures": self.step * self.recipe.batch, "loss": float(np.mean(losses))}
                self.note({**row, **measure()}, time.monotonic() - started)
                self.save()
                losses = []

    def note(self, row: Mapping[str, float], seconds: float) -> None:
        """Adds a row to the curve and prints it."""
        path = self.folder / "curve.csv"
        fresh = not path.exists()
        rounded = {key: round(value, 4) for key, value in row.items()}
        with path.open("a", newline="") as out:
            writer = csv.DictWriter(out, list(rounded))
            if fresh:
                writer.writeheader()
            writer.writerow(rounded)
        print(f"{seconds:6.0f} s", *(f"{key} {value}" for key, value in rounded.items()), flush=True)
