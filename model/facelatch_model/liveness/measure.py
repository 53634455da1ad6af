"""How well attacks are told from living faces, in the terms of ISO/IEC 30107-3.

BPCER: share of living faces (bona fide presentations) that are refused. APCER: share of attacks of one species that pass.
Scores are logits, higher for living.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

REFUSED = 0.05
"""The BPCER at which APCER is given. A choice: one of twenty frames may be lost, a visit has many."""

THUMB = 16
"""Side in pixels at which pictures are compared with each other."""


@dataclass(frozen=True)
class Result:
    """One species in one group at the threshold that refuses `REFUSED` of the living."""

    group: str
    species: str
    living: int
    attacks: int
    threshold: float
    apcer: float
    area: float
    """Area under the ROC curve."""


def threshold(living: np.ndarray, refused: float = REFUSED) -> float:
    """The greatest score below which at most `refused` of `living` `[n]` lie."""
    return float(np.sort(living)[int(np.floor(refused * len(living)))])


def passed(attacks: np.ndarray, at: float) -> float:
    """Share of `attacks` `[n]` whose score reaches `at`."""
    return float((attacks >= at).mean())


def area(living: np.ndarray, attacks: np.ndarray) -> float:
    """Area under the ROC curve: how often a living face scores above an attack; ties count half."""
    order = np.sort(attacks)
    below, upto = np.searchsorted(order, living, "left"), np.searchsorted(order, living, "right")
    return float((below + upto).mean() / (2 * len(attacks)))


def by_species(group: str, scores: np.ndarray, living: np.ndarray, species: np.ndarray) -> list[Result]:
    """Each attack species of one group against all its living faces; all `[n]`. Empty where either is missing."""
    found = []
    alive = scores[living]
    for name in sorted(set(species[~living])) if len(alive) else []:
        attacks = scores[~living & (species == name)]
        at = threshold(alive)
        found.append(Result(group, str(name), len(alive), len(attacks), at, passed(attacks, at), area(alive, attacks)))
    return found


def by_group(groups: np.ndarray, scores: np.ndarray, living: np.ndarray, species: np.ndarray) -> list[Result]:
    """`by_species` for each of `groups`; all `[n]`."""
    return [
        result
        for group in np.unique(groups)
        for result in by_species(str(group), *(column[groups == group] for column in (scores, living, species)))
    ]


def worst(results: list[Result]) -> Result:
    """The result with the highest APCER."""
    return max(results, key=lambda result: result.apcer)


def tracked(rows: dict[str, np.ndarray], scores: np.ndarray, pictures: np.ndarray, frames: int) -> np.ndarray:
    """Mean scores `[n]` of tracks of `frames` pictures, one track around each of `pictures` `[n, side, side, 3]` u8.

    The packs keep no order in time. A track is a picture and those that look most like it, of the same subject, origin and
    species, as neighbouring frames do: drawn at random, it would mix many visits and look better than a device can be.
    """
    means = np.empty(len(scores))
    keys = np.array([f"{a}|{b}|{c}" for a, b, c in zip(rows["subject"], rows["origin"], rows["species"], strict=True)])
    for key in np.unique(keys):
        mine = np.flatnonzero(keys == key)
        small = np.stack([cv2.resize(picture, (THUMB, THUMB), interpolation=cv2.INTER_AREA) for picture in pictures[mine]])
        flat = small.reshape(len(mine), -1).astype(np.float64)
        squares = (flat**2).sum(1)
        apart = squares[:, None] + squares[None] - 2 * flat @ flat.T
        means[mine] = scores[mine][np.argsort(apart, 1)[:, :frames]].mean(1)
    return means
