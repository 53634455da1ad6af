"""Whether a face moves as a flat picture does: what a track of landmarks tells for free, measured and not used.

Seen from afar, the points of a plane move from picture to picture by one affine map. Those of a head that turns do not: the
nose stands before the eyes. What is left after the best such map is a score, larger for living faces.
"""

from __future__ import annotations

import numpy as np

from .measure import Result, by_species

DRAWS = 60
"""Visits drawn for each subject and species."""


def unlike_a_plane(before: np.ndarray, after: np.ndarray) -> float:
    """What the best affine map from `before` to `after`, `[5, 2]` both, leaves: mean distance over the distance of the eyes."""
    flat = np.column_stack([before, np.ones(len(before))])
    best, *_ = np.linalg.lstsq(flat, after, rcond=None)
    return float(np.linalg.norm(flat @ best - after, axis=1).mean() / np.linalg.norm(after[1] - after[0]))


def most_unlike_a_plane(visit: np.ndarray) -> float:
    """The same for the two pictures of a visit, `[frames, 5, 2]`, that are least alike."""
    return max(unlike_a_plane(visit[i], visit[j]) for i in range(len(visit)) for j in range(i))


def figures(rows: dict[str, np.ndarray], landmarks: np.ndarray, frames: int) -> list[Result]:
    """APCER by species for visits of `frames` pictures of one subject; `landmarks` `[n, 5, 2]`.

    Pictures are drawn from all that there are of a subject: over a longer time, that is with more motion, than a visit has.
    """
    rng, scores, living, species = np.random.default_rng(0), [], [], []
    for subject in np.unique(rows["subject"]):
        for kind in np.unique(rows["species"]):
            mine = np.flatnonzero((rows["subject"] == subject) & (rows["species"] == kind))
            for _ in range(DRAWS if len(mine) >= frames else 0):
                scores.append(most_unlike_a_plane(landmarks[rng.choice(mine, frames, replace=False)]))
                living.append(rows["living"][mine[0]])
                species.append(kind)
    return by_species("all", np.array(scores), np.array(living, bool), np.array(species))
