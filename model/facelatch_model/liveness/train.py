"""Training of the liveness network: balanced batches, one augmentation for both classes, averaged weights.

A run folder holds `recipe.json`, `checkpoint.pt` (a run that was cut goes on from there) and `curve.csv`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ..detail import penalty
from ..qdq import as_input
from ..run import Run
from . import measure
from .collected import NOBODY
from .crops import DETAIL_WEIGHT, FULL_DETAIL, SIDE, STORED
from .network import LivenessNet


@dataclass(frozen=True)
class Recipe:
    """What a run depends on beside its pictures."""

    steps: int = 3000
    batch: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    smoothing: float = 0.03
    votes: float = 0.5
    """Weight of the loss of single places beside that of their mean."""
    average: float = 0.998
    """How much of the averaged weights stays from step to step."""
    seed: int = 1
    held_out: tuple[str, ...] = ()
    """Subjects that are never trained on."""
    start: str = ""
    """Run whose weights this one begins with."""
    shares: dict[str, float] = field(
        default_factory=lambda: {
            "synthetic/living": 0.04, "synthetic/attack": 0.04,
            "drawn/living": 0.21, "webcam/living": 0.13, "nuaa/living": 0.12,
            "drawn/attack": 0.18, "redrawn/attack": 0.10, "webcam/attack": 0.10, "nuaa/attack": 0.08,
        }
    )  # fmt: skip
    """Share of each pool in a batch; half of a batch is alive."""


NOISE = torch.randn(1 << 23, generator=torch.Generator().manual_seed(0))
"""Gaussian noise to cut pieces from: drawing it anew costs as much as the network."""


class Library:
    """All parts of a folder of crops, and which rows may be trained on."""

    def __init__(self, folder: Path, held_out: tuple[str, ...]) -> None:
        names = sorted(path.stem for path in folder.glob("*.npy"))
        self.pictures = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
        self.rows = {name: dict(np.load(folder / f"{name}.npz")) for name in names}
        self.held_out = held_out
        self.pools = self.trained_pools()

    def trained_pools(self) -> dict[str, list[np.ndarray]]:
        """Rows by pool and, within it, by subject: `[n, 2]` of part and row, so that no subject outweighs another."""
        pools: dict[str, dict[str, list[tuple[int, int]]]] = {}
        for part, (name, rows) in enumerate(self.rows.items()):
            for row, (living, subject) in enumerate(zip(rows["living"], rows["subject"], strict=True)):
                if str(subject) in self.held_out or str(subject) == NOBODY:
                    continue
                kind = "living" if living else "attack"
                pools.setdefault(f"{pool_of(name, str(subject))}/{kind}", {}).setdefault(str(subject), []).append((part, row))
        return {pool: [np.array(rows) for rows in subjects.values()] for pool, subjects in pools.items()}

    def draw(self, rng: np.random.Generator, shares: dict[str, float], batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch: pictures `[batch, STORED, STORED, 3]` u8 and labels `[batch]` f32, 1 for living."""
        present = {pool: share for pool, share in shares.items() if pool in self.pools}
        pools = list(present)
        weights = np.array([balance(pool, present) for pool in pools])
        names = list(self.pictures)
        pictures, labels = np.empty((batch, STORED, STORED, 3), np.uint8), np.empty(batch, np.float32)
        for at, pool in enumerate(rng.choice(len(pools), batch, p=weights)):
            subjects = self.pools[pools[pool]]
            rows = subjects[rng.integers(len(subjects))]
            part, row = rows[rng.integers(len(rows))]
            pictures[at] = self.pictures[names[part]][row]
            labels[at] = pools[pool].endswith("/living")
        return torch.from_numpy(pictures), torch.from_numpy(labels)

    def held_out_rows(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Real pictures of the subjects that were held out, and their rows."""
        rows = self.rows["real"]
        mine = np.isin(rows["subject"], self.held_out)
        return self.pictures["real"][mine], {key: value[mine] for key, value in rows.items()}


def pool_of(part: str, subject: str) -> str:
    """Where a picture comes from."""
    if part in ("redrawn", "synthetic"):
        return part
    if not subject:
        return "drawn"
    return "nuaa" if subject.startswith("nuaa") else "webcam"


def balance(pool: str, shares: dict[str, float]) -> float:
    """Share of `pool` so that living and attacks are half each, whatever pools are missing."""
    kind = pool.rsplit("/", 1)[1]
    return 0.5 * shares[pool] / sum(share for name, share in shares.items() if name.endswith(f"/{kind}"))


def augmented(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """What a camera may do to either class: `[n, STORED, STORED, 3]` u8 to `[n, 3, SIDE, SIDE]` of (p - 128) / 128."""
    count = len(pictures)

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator)

    value = as_input(pictures)
    turn, zoom = uniform(-0.2, 0.2), uniform(0.84, 1.1) * SIDE / STORED
    flip = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    cos, sin = zoom * torch.cos(turn), zoom * torch.sin(turn)
    rows = [cos * flip, -sin, uniform(-0.07, 0.07), sin * flip, cos, uniform(-0.07, 0.07)]
    places = functional.affine_grid(torch.stack(rows, 1).reshape(count, 2, 3), [count, 3, SIDE, SIDE], align_corners=False)
    value = functional.grid_sample(value, places, padding_mode="border", align_corners=False)
    soft = functional.avg_pool2d(functional.pad(value, (1, 1, 1, 1), mode="replicate"), 3, 1)
    value = value + uniform(-0.6, 0.15, 1, 1, 1) * (soft - value)
    grey = value.mean(1, keepdim=True)
    colour = torch.where(uniform(0, 1, 1, 1, 1) < 0.1, torch.zeros(1), uniform(0.6, 1.4, 1, 1, 1))
    value = grey + colour * (value - grey)
    value = (
        (value + 1) * torch.exp(uniform(-0.12, 0.12, 3, 1, 1) + uniform(-0.35, 0.35, 1, 1, 1)) - 1 + uniform(-0.1, 0.1, 1, 1, 1)
    )
    start = int(torch.randint(len(NOISE) - value.numel(), (1,), generator=generator))
    noise = NOISE[start : start + value.numel()].view(value.shape)
    return (value + noise * uniform(0, 0.008, 1, 1, 1)).clamp(-1, 127 / 128).contiguous(memory_format=torch.channels_last)


def loss_of(network: LivenessNet, picture: torch.Tensor, label: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Loss of a batch."""
    with torch.autocast("cpu", torch.bfloat16):
        votes = network.votes(picture).float().flatten(1)
    return loss_of_votes(votes, label, recipe)


def loss_of_votes(votes: torch.Tensor, label: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Cross entropy of the mean of `votes` `[n, places]` and of each of them."""
    target = label * (1 - 2 * recipe.smoothing) + recipe.smoothing
    whole = functional.binary_cross_entropy_with_logits(votes.mean(1), target)
    single = functional.binary_cross_entropy_with_logits(votes, target[:, None].expand_as(votes))
    return whole + recipe.votes * single


def middle(pictures: np.ndarray) -> np.ndarray:
    """The network's input out of stored squares, `[n, SIDE, SIDE, 3]` u8."""
    margin = (STORED - SIDE) // 2
    return np.ascontiguousarray(pictures[:, margin : STORED - margin, margin : STORED - margin])


@torch.no_grad()
def float_scores(network: nn.Module, pictures: np.ndarray, batch: int = 256) -> np.ndarray:
    """Logits `[n]` of stored squares `[n, STORED, STORED, 3]` u8."""
    network.eval()
    found = [np.empty(0, np.float32)]
    for start in range(0, len(pictures), batch):
        value = as_input(torch.from_numpy(middle(pictures[start : start + batch])))
        found.append(network(value).flatten().numpy())
    return np.concatenate(found)


def penalties(pictures: np.ndarray) -> np.ndarray:
    """What their lack of fine detail takes from the logits of stored squares, `[n]`."""
    return np.array([penalty(picture, FULL_DETAIL, DETAIL_WEIGHT) for picture in middle(pictures)])


class Training:
    """The run of `recipe` in `folder` on the squares in `crops`."""

    def __init__(self, folder: Path, crops: Path, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        network = LivenessNet()
        if recipe.start:
            network.load_state_dict(torch.load(Path(recipe.start) / "checkpoint.pt", weights_only=True)["average"])
        self.recipe, self.library = recipe, Library(crops, recipe.held_out)
        self.run = Run(folder, recipe, network)

    def loss(self, rng: np.random.Generator, generator: torch.Generator) -> torch.Tensor:
        """Loss of one batch."""
        pictures, labels = self.library.draw(rng, self.recipe.shares, self.recipe.batch)
        return loss_of(self.run.network, augmented(pictures, generator), labels, self.recipe)

    def results(self) -> list[measure.Result]:
        """The averaged weights on the subjects that were held out, by where they come from."""
        pictures, rows = self.library.held_out_rows()
        found = float_scores(self.run.average, pictures) + penalties(pictures)
        groups = np.array([pool_of("real", str(subject)) for subject in rows["subject"]])
        return measure.by_group(groups, found, rows["living"], rows["species"])

    def figures(self) -> dict[str, float]:
        """`results` as columns of the curve."""
        row: dict[str, float] = {}
        for result in self.results():
            row[f"{result.group}_{result.species}_apcer"] = result.apcer
            row[f"{result.group}_{result.species}_area"] = result.area
        return row

    def train(self, every: int = 250) -> None:
        """All steps that are left."""
        self.run.train(self.loss, self.figures, every)
