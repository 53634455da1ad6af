"""What recognition loses by whose landmarks a face is aligned: measured on all pairs of the photographs.

LFW lists few pairs of these photographs, and which of them fall on which side of the threshold is chance: the same SCRFD that
sees the same photographs at half the size moves the accuracy of the listed pairs by more than what is to be shown. Among all
pairs are a thousand times as many.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STEPS = np.arange(0.0, 4.0, 0.01)
"""Distances at which pairs are counted."""
FALSE_ACCEPT_RATE = 1e-3
"""Share of two people's pairs that are taken for one where the share of one person's that are is told."""
DRAWS = 200
"""Draws of people with replacement from which the interval is taken. Source: as `metrics.far_table`."""

Templates = dict[str, np.ndarray]
"""By the name of the photograph, `Name_0001`: `[128]`."""


@dataclass(frozen=True)
class Comparison:
    """Balanced accuracy: at the best distance, the mean of the shares of one person's and of two people's pairs told right."""

    same: int
    different: int
    balanced_accuracy: float
    reference: float
    """With the other alignment."""
    interval: tuple[float, float]
    """95 % of what the difference may be, by draws of people."""
    accepted: float
    """Share of one person's pairs that are taken for one person's at FALSE_ACCEPT_RATE."""
    reference_accepted: float
    """With the other alignment."""


@dataclass(frozen=True)
class AllPairs:
    """Every pair of some photographs: who is in them, `[m]` each, and whether that is one person."""

    names: list[str]
    first: np.ndarray
    second: np.ndarray
    people: int

    @property
    def same(self) -> np.ndarray:
        """`[m]`."""
        return self.first == self.second


def all_pairs(names: list[str]) -> AllPairs:
    """The pairs of photographs that are called `Name_0001`."""
    people, who = np.unique([name.rpartition("_")[0] for name in names], return_inverse=True)
    i, j = np.triu_indices(len(names), 1)
    return AllPairs(names, who[i], who[j], len(people))


def steps_of(templates: Templates, names: list[str]) -> np.ndarray:
    """For every pair, in the order of `all_pairs`, how many of `STEPS` lie below its distance, `[m]`."""
    vectors = np.stack([templates[name] for name in names]).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    i, j = np.triu_indices(len(names), 1)
    return np.searchsorted(STEPS, (2 - 2 * vectors @ vectors.T)[i, j])


def taken(steps: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """At each of `STEPS`, the share of pairs that are nearer, with pair k counted `weights[k]` times."""
    counts = np.bincount(steps, weights, len(STEPS) + 1)
    return np.cumsum(counts)[:-1] / counts.sum()


def balanced_accuracy(steps: np.ndarray, same: np.ndarray, weights: np.ndarray) -> float:
    """At the best of `STEPS`, with pair k counted `weights[k]` times."""
    return float((taken(steps[same], weights[same]) + 1 - taken(steps[~same], weights[~same])).max() / 2)


def accepted(steps: np.ndarray, same: np.ndarray) -> float:
    """Share of one person's pairs that are nearer than a share of FALSE_ACCEPT_RATE of two people's."""
    ones = np.ones(len(steps))
    return float(np.interp(FALSE_ACCEPT_RATE, taken(steps[~same], ones[~same]), taken(steps[same], ones[same])))


def compare(ours: Templates, theirs: Templates, seed: int = 0) -> Comparison:
    """Both alignments on all pairs of the photographs that both have."""
    pairs = all_pairs(sorted(set(ours) & set(theirs)))
    steps = [steps_of(templates, pairs.names) for templates in (ours, theirs)]
    rng = np.random.default_rng(seed)

    def both(drawn: np.ndarray) -> tuple[float, float]:
        weights = drawn[pairs.first] * np.where(pairs.same, 1.0, drawn[pairs.second])
        return balanced_accuracy(steps[0], pairs.same, weights), balanced_accuracy(steps[1], pairs.same, weights)

    whole = both(np.ones(pairs.people))
    draws = [np.bincount(rng.integers(0, pairs.people, pairs.people), minlength=pairs.people) for _ in range(DRAWS)]
    differences = [np.subtract(*both(drawn.astype(np.float64))) for drawn in draws]
    low, high = np.percentile(differences, [2.5, 97.5])
    same = int(pairs.same.sum())
    shares = (accepted(one, pairs.same) for one in steps)
    return Comparison(same, len(pairs.first) - same, *whole, (float(low), float(high)), *shares)
