"""Verification as the field measures it: folds, ROC, and what a distance means.

Embeddings are unit vectors `[n, d]` f32; distances are squared Euclidean distances, in 0..=4, as in FaceNet (Schroff et al.,
CVPR 2015). Rates are shares in 0..=1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

FOLDS = 10
"""LFW's protocol (Huang et al., 2007): the threshold of each fold comes from the nine others."""
FARS = (1e-2, 1e-3, 1e-4)
"""False accept rates at which the true accept rate is told."""
RESOLUTION = 1e-3
"""Width of a step of distance where distances are counted."""
TABLE = tuple(round(0.30 + 0.05 * step, 2) for step in range(27))
"""Distances of the released table."""
DRAWS = 60
"""Draws of people with replacement from which a bound is taken."""
BLOCK = 1024
TEMPLATE_SCALE = 320
"""Length of a 128-byte template, as on the device: a coordinate is rounded to an i8 after multiplication by this."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures: indices `first` and `second` `[m]`, and whether they show one person, `same` `[m]`.

    They stand in `FOLDS` folds of equal size, one behind the other. `person` `[n]` says who is in each picture.
    """

    first: np.ndarray
    second: np.ndarray
    same: np.ndarray
    person: np.ndarray


@dataclass(frozen=True)
class Verification:
    """How well embeddings tell people apart."""

    accuracy: float
    accuracy_error: float
    """Standard error of the mean over folds."""
    tar_of_pairs: dict[str, float]
    """TAR at each FAR that the listed different pairs can show."""
    tar_of_all: dict[str, float]
    """The same with the thresholds from all pairs of different people."""
    roc: dict[str, list[float]]
    """`far` and `tar`, thresholds from all pairs of different people."""

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded to six digits."""
        return rounded(asdict(self))


def rounded(value: Any, digits: int = 6) -> Any:
    """`value` with all its numbers rounded to so many significant digits."""
    if isinstance(value, dict):
        return {key: rounded(v, digits) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(v, digits) for v in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float | np.floating) else value


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Unit vectors `[n, d]` f32 in the directions of `vectors`."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


def templates(vectors: np.ndarray) -> np.ndarray:
    """What the device keeps of `vectors` `[n, d]`: whole coordinates in -127..=127 over `TEMPLATE_SCALE`, `[n, d]` f32."""
    scaled = TEMPLATE_SCALE * normalised(vectors).astype(np.float64)
    whole = np.sign(scaled) * np.floor(np.abs(scaled) + 0.5)
    return (np.clip(whole, -127, 127) / TEMPLATE_SCALE).astype(np.float32)


def pair_distances(embeddings: np.ndarray, pairs: Pairs) -> np.ndarray:
    """Distance of every pair, `[m]`."""
    return np.square(embeddings[pairs.first] - embeddings[pairs.second]).sum(1)


def fold_accuracy(distances: np.ndarray, same: np.ndarray) -> tuple[float, float]:
    """Mean accuracy over folds and its standard error; each fold's threshold is the best on the others."""
    thresholds = np.arange(0.0, 4.0, 0.002)
    order = distances.reshape(FOLDS, -1), same.reshape(FOLDS, -1)
    right = np.stack([correct_at(d, s, thresholds) for d, s in zip(*order, strict=True)])
    held = [int(np.delete(right, fold, 0).sum(0).argmax()) for fold in range(FOLDS)]
    accuracies = [right[fold, best] / order[0].shape[1] for fold, best in enumerate(held)]
    return float(np.mean(accuracies)), float(np.std(accuracies, ddof=1) / np.sqrt(FOLDS))


def correct_at(distances: np.ndarray, same: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Number of pairs told right at each of `thresholds` (a pair is one person where its distance is below)."""
    near = np.searchsorted(np.sort(distances[same]), thresholds)
    far = (~same).sum() - np.searchsorted(np.sort(distances[~same]), thresholds)
    return near + far


def tar_at(genuine: np.ndarray, impostor: np.ndarray, far: float) -> float | None:
    """Share of `genuine` distances below the threshold at which `far` of the `impostor` ones are; None if too few are there."""
    allowed = int(far * len(impostor))
    if allowed < 1 or not len(genuine):
        return None
    return float((genuine < np.partition(impostor, allowed)[allowed]).mean())


def different_blocks(embeddings: np.ndarray, person: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """All pairs of different people, each once, in blocks: distances and the indices of both pictures, `[k]` each."""
    for start in range(0, len(embeddings), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(embeddings)))
        distances = np.maximum(2.0 - 2.0 * embeddings[rows] @ embeddings[start:].T, 0.0)
        squares = np.square(embeddings).sum(1)
        distances += (squares[rows] - 1.0)[:, None] + (squares[start:] - 1.0)[None, :]
        columns = np.arange(start, len(embeddings))
        wanted = (columns[None, :] > rows[:, None]) & (person[rows][:, None] != person[columns][None, :])
        at_row, at_column = np.nonzero(wanted)
        yield distances[at_row, at_column], rows[at_row], columns[at_column]


def impostor_histogram(embeddings: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Number of pairs of different people in every step of `RESOLUTION` from 0 to 4, `[4 / RESOLUTION + 1]`."""
    steps = round(4.0 / RESOLUTION) + 1
    counts = np.zeros(steps, np.int64)
    for distances, _, _ in different_blocks(embeddings, person):
        counts += np.bincount(np.clip((distances / RESOLUTION).astype(np.int64), 0, steps - 1), minlength=steps)
    return counts


def verify(embeddings: np.ndarray, pairs: Pairs) -> Verification:
    """All figures of unit `embeddings` `[n, d]`."""
    distances = pair_distances(embeddings, pairs)
    genuine, impostor = distances[pairs.same], distances[~pairs.same]
    listed = {far: tar_at(genuine, impostor, far) for far in FARS}
    counts = impostor_histogram(embeddings, pairs.person)
    shares = np.cumsum(counts) / max(counts.sum(), 1)
    tar_of_step = np.searchsorted(np.sort(genuine), (np.arange(len(counts)) + 1) * RESOLUTION) / len(genuine)
    allowed = {far: int(np.searchsorted(shares, far, side="right")) - 1 for far in FARS}
    points = np.unique(np.searchsorted(shares, np.logspace(-7, 0, 141)).clip(0, len(counts) - 1))
    accuracy, error = fold_accuracy(distances, pairs.same)
    return Verification(
        accuracy=accuracy,
        accuracy_error=error,
        tar_of_pairs={f"{far:g}": tar for far, tar in listed.items() if tar is not None},
        tar_of_all={f"{far:g}": float(tar_of_step[step]) if step >= 0 else 0.0 for far, step in allowed.items()},
        roc={"far": shares[points].tolist(), "tar": tar_of_step[points].tolist()},
    )


def far_table(embeddings: np.ndarray, pairs: Pairs, seed: int = 0) -> list[dict[str, float]]:
    """What each distance of `TABLE` means: FAR over all pairs of different people, its 95 % bounds, and who is missed.

    Pairs that share a person are not independent: the bounds are the 2.5th and 97.5th percentile over `DRAWS` draws of people
    with replacement (Bolle, Ratha, Pankanti: "Error analysis of pattern recognition systems - the subsets bootstrap", 2004);
    the upper one is never below three over the number of pairs (the rule of three).
    """
    person = np.unique(pairs.person, return_inverse=True)[1]
    pictures = np.bincount(person)
    near = list(near_pairs(embeddings, person, TABLE[-1]))
    steps = np.concatenate([np.searchsorted(TABLE, distances) for distances, _, _ in near])
    left, right = (np.concatenate([block[side] for block in near]) for side in (1, 2))
    rng = np.random.default_rng(seed)
    drawn = [np.bincount(rng.integers(0, len(pictures), len(pictures)), minlength=len(pictures)) for _ in range(DRAWS)]
    rates = [rates_of(steps, left, right, weights, pictures) for weights in (np.ones(len(pictures), np.int64), *drawn)]
    low, high = np.percentile(np.stack(rates[1:]), [2.5, 97.5], axis=0)
    least = 3.0 / pair_count(np.ones(len(pictures), np.int64), pictures)
    genuine = pair_distances(embeddings, pairs)[pairs.same]
    return [
        {
            "distance": distance,
            "far": float(far),
            "far_lower_95": float(min(low_, far)),
            "far_upper_95": float(max(high_, least, far)),
            "missed": float((genuine > distance).mean()),
        }
        for distance, far, low_, high_ in zip(TABLE, rates[0], low, high, strict=True)
    ]


def near_pairs(embeddings: np.ndarray, person: np.ndarray, most: float) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pairs of different people up to the distance `most`: distances, and who is in both, in blocks."""
    for distances, rows, columns in different_blocks(embeddings, person):
        kept = distances <= most
        yield distances[kept], person[rows[kept]], person[columns[kept]]


def pair_count(weights: np.ndarray, pictures: np.ndarray) -> float:
    """Pairs of pictures of different people when person p, with `pictures[p]`, is taken `weights[p]` times."""
    taken = (weights * pictures).astype(np.float64)
    return float((taken.sum() ** 2 - np.square(taken).sum()) / 2)


def rates_of(steps: np.ndarray, left: np.ndarray, right: np.ndarray, weights: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """FAR at each distance of `TABLE` when people are taken `weights` times, `[len(TABLE)]`."""
    counts = np.bincount(steps, weights=(weights[left] * weights[right]).astype(np.float64), minlength=len(TABLE))
    return np.cumsum(counts[: len(TABLE)]) / pair_count(weights, pictures)


def threshold_for(table: Sequence[dict[str, float]], far: float) -> float | None:
    """The greatest distance of `table` whose upper bound is at most `far`; None if there is none."""
    fitting = [row["distance"] for row in table if row["far_upper_95"] <= far]
    return max(fitting) if fitting else None
