"""Distillation: the student learns the teachers' target by cosine, similarities and triplets.

Resumable: `last.pt` holds weights, averages, optimisers and the time spent; `log.jsonl` and `curves.png` grow while it runs.
"""

from __future__ import annotations

import copy
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from . import losses, plots, student
from .batches import Batch, endless
from .configuration import Distill
from .data import Crops
from .embedding import embed_all, of_network
from .muon import Muon
from .progress import duration
from .student import Student
from .teacher import middle

WARM_STEPS = 100
LEAST_RATE = 0.005
"""Share of the learning rate that is left at the end."""
LOG_SECONDS = 60.0
FIT_PICTURES = 6000
"""Pictures from which the last layer is solved. A choice: some ten for each of its inputs."""
FIT_LENGTH = 10.0
"""Length that embeddings begin with; only their direction is trained."""
Measure = Callable[[nn.Module], dict[str, float]]


@dataclass
class State:
    """A training in progress."""

    network: Student
    average: Student
    optimisers: list[torch.optim.Optimizer]
    step: int = 0
    seen: int = 0
    spent: float = 0.0
    log: list[dict[str, float]] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Writes a checkpoint, whole or not at all."""
        table = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            **{name: getattr(self, name) for name in ("step", "seen", "spent", "log")},
        }
        torch.save(table, path.with_suffix(".writing"))
        path.with_suffix(".writing").rename(path)

    def load(self, path: Path) -> None:
        """Goes on from a checkpoint."""
        table: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        self.network.load_state_dict(table["network"])
        self.average.load_state_dict(table["average"])
        for optimiser, known in zip(self.optimisers, table["optimisers"], strict=True):
            optimiser.load_state_dict(known)
        for name in ("step", "seen", "spent", "log"):
            setattr(self, name, table[name])


def optimisers_of(network: Student, config: Distill) -> list[torch.optim.Optimizer]:
    """Muon for dense convolutions, AdamW for all else."""
    dense = [p for p in network.parameters() if p.ndim == 4 and p.shape[1] > 1]
    rest = [p for p in network.parameters() if not (p.ndim == 4 and p.shape[1] > 1)]
    adam = torch.optim.AdamW(rest, lr=config.rate_adam, weight_decay=1e-4)
    return [Muon(dense, lr=config.rate_muon, weight_decay=0.01), adam]


def begin(crops: Crops, targets: np.ndarray, config: Distill, device: torch.device) -> State:
    """A training that has not begun: fresh weights, or those of `config.start` with a last layer for these targets."""
    network = student.read(config.start) if config.start else Student(targets.shape[1])
    if config.start:
        fit_last_layer(network, crops, targets)
    network = network.to(device, memory_format=torch.channels_last)
    return State(network, copy.deepcopy(network).eval(), optimisers_of(network, config))


@torch.no_grad()
def fit_last_layer(network: Student, crops: Crops, targets: np.ndarray) -> None:
    """Solves the last layer by least squares, since the axes of a target change with its teachers and pictures."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(targets))[:FIT_PICTURES])
    pictures = middle(np.stack([crops.pictures[i] for i in chosen]))
    features = torch.from_numpy(embed_all(of_network(network.trunk()), pictures, "last layer")).double()
    gram = features.T @ features
    gram += 1e-3 * gram.trace() / len(gram) * torch.eye(len(gram), dtype=gram.dtype)
    weight = torch.linalg.solve(gram, features.T @ torch.from_numpy(targets[chosen]).double())
    network[-1][-1] = nn.Linear(weight.shape[0], weight.shape[1], bias=False)
    network.last().weight.copy_(FIT_LENGTH * weight.T)


def loss_of(network: nn.Module, batch: Batch, config: Distill) -> tuple[torch.Tensor, dict[str, float]]:
    """The loss of one batch, and its parts."""
    pixels, target, label = batch
    half = torch.autocast(pixels.device.type, torch.bfloat16)
    with half:
        raw = network(pixels)
    embedding = functional.normalize(raw.float())
    parts = {
        "cosine": losses.cosine(embedding, target),
        "similarity": losses.similarity(embedding, target),
        "triplet": losses.triplet(embedding, target, label),
    }
    weighted = config.weight_similarity * parts["similarity"] + config.weight_triplet * parts["triplet"]
    return parts["cosine"] + weighted, {name: float(part.detach()) for name, part in parts.items()}


def done(state: State, config: Distill) -> float:
    """How much of the training is done, 0..=1."""
    of_pictures = state.seen / config.pictures if config.pictures else 0.0
    return min(max(state.spent / (60 * config.minutes), of_pictures), 1.0)


def set_rates(state: State, config: Distill) -> float:
    """Sets the learning rates: a short rise, then a cosine; returns their share of the full rate."""
    share = min(1.0, (state.step + 1) / WARM_STEPS) * max(0.5 * (1 + math.cos(math.pi * done(state, config))), LEAST_RATE)
    for optimiser, rate in zip(state.optimisers, (config.rate_muon, config.rate_adam), strict=True):
        for group in optimiser.param_groups:
            group["lr"] = rate * share
    return share


@torch.no_grad()
def update_average(state: State, decay: float) -> None:
    """Moves the averaged weights towards the network's; early averages are shorter."""
    weight = 1 - min(decay, (1 + state.step) / (10 + state.step))
    for kept, fresh in zip(state.average.state_dict().values(), state.network.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(fresh, weight)
        else:
            kept.copy_(fresh)


def train_step(state: State, batch: Batch, config: Distill) -> dict[str, float]:
    """One step of all optimisers; returns the parts of the loss."""
    state.network.train()
    loss, parts = loss_of(state.network, batch, config)
    for optimiser in state.optimisers:
        optimiser.zero_grad(set_to_none=True)
    loss.backward()
    if not torch.isfinite(loss):
        raise FloatingPointError(f"the loss is not finite after {state.seen} pictures: lower distill.rate_muon or rate_adam")
    for optimiser in state.optimisers:
        optimiser.step()
    state.step += 1
    state.seen += len(batch[0])
    update_average(state, config.average)
    return parts


def run(
    crops: Crops, targets: np.ndarray, config: Distill, folder: Path, measure: Measure, seed: int, device: torch.device
) -> Path:
    """Trains for `config.minutes` in all, going on from `folder` if it was begun; returns the released weights' file.

    `targets` `[n, d]` of unit length, one for each crop. `measure` says how good the averaged weights are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    result, checkpoint = folder / "student.safetensors", folder / "last.pt"
    if result.exists():
        print(f"{result}: trained already", file=sys.stderr)
        return result
    state = begin(crops, targets, config, device)
    if checkpoint.exists():
        state.load(checkpoint)
        print(f"going on after {duration(state.spent)} and {state.seen} pictures", file=sys.stderr)
    torch.manual_seed(seed + state.step)
    # A seed of its own for each continuation: the same order of pictures would be seen twice.
    loop(state, endless(crops, targets, config, seed + state.step, device), config, folder, measure)
    state.save(checkpoint)
    student.write(state.average, result)
    return result


def loop(state: State, batches: Iterator[Batch], config: Distill, folder: Path, measure: Measure) -> None:
    """Steps until the time is spent; logs, measures and saves on the way."""
    began = time.monotonic() - state.spent
    due = {"log": state.spent + LOG_SECONDS, "measure": state.spent, "save": state.spent + 60 * config.save_minutes}
    sums: dict[str, float] = {}
    steps, seen_at, spent_at = 0, state.seen, state.spent
    while done(state, config) < 1:
        share = set_rates(state, config)
        parts = train_step(state, next(batches), config)
        sums, steps = {name: sums.get(name, 0.0) + part for name, part in parts.items()}, steps + 1
        state.spent = time.monotonic() - began
        if state.spent >= due["log"] or done(state, config) >= 1:
            rate = (state.seen - seen_at) / (state.spent - spent_at)
            means = {name: total / steps for name, total in sums.items()}
            log(state, folder, {**means, "rate": share, "pictures_a_second": rate})
            left = duration(state.spent * (1 / max(done(state, config), 1e-6) - 1))
            print(f"distill: {state.seen} pictures, {rate:.0f} a second, {left} left, {state.log[-1]}", file=sys.stderr)
            sums, steps, seen_at, spent_at = {}, 0, state.seen, state.spent
            due["log"] = state.spent + LOG_SECONDS
        if state.spent >= due["measure"]:
            log(state, folder, measure(state.average))
            due["measure"] = state.spent + 60 * config.evaluate_minutes
        if state.spent >= due["save"]:
            state.save(folder / "last.pt")
            due["save"] = state.spent + 60 * config.save_minutes
    log(state, folder, measure(state.average))


def log(state: State, folder: Path, values: dict[str, float]) -> None:
    """Adds a row to the log and draws the curves anew."""
    row = {"minutes": round(state.spent / 60, 3), "seen": state.seen, **{k: round(v, 5) for k, v in values.items()}}
    state.log.append(row)
    (folder / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in state.log))
    plots.training(state.log, folder / "curves.png")
