"""What the student is asked for: the teacher's direction, its similarities, and FaceNet's triplets."""

from __future__ import annotations

import torch
from torch import Tensor

IDENTITY_MARGIN = 0.3
TEACHER_MARGIN = 0.5


def cosine(embedding: Tensor, target: Tensor) -> Tensor:
    """Mean of 1 - cosine: both `[n, d]`, of unit length."""
    return (1 - (embedding * target).sum(1)).mean()


def similarity(embedding: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of the two similarity matrices off their diagonals: `[n, d]` of unit length."""
    n = len(embedding)
    return ((embedding @ embedding.T - target @ target.T) ** 2).sum() / (n * (n - 1))


def distances(embedding: Tensor) -> Tensor:
    """Squared Euclidean distances `[n, n]` of unit vectors `[n, d]`, in 0..=4."""
    return (2 - 2 * embedding @ embedding.T).clamp_min(0)


def triplet(embedding: Tensor, target: Tensor, person: Tensor) -> Tensor:
    """FaceNet's triplet loss with semi-hard negatives found in the batch.

    Where two pictures have the same label (`person[n]`, -1 if unknown) the margin is `IDENTITY_MARGIN`. Where the label is
    unknown, the teacher's nearest neighbour in the batch is the positive, and the margin is how much farther the
    teacher sees the negative, at most `TEACHER_MARGIN`.
    """
    student, teacher = distances(embedding), distances(target)
    same = (person[:, None] == person[None, :]) & (person[:, None] >= 0)
    itself = torch.eye(len(person), dtype=torch.bool, device=person.device)
    named = same & ~itself
    by_teacher = torch.zeros_like(named)
    nearest = teacher.masked_fill(itself, 9.0).argmin(1)
    by_teacher[torch.arange(len(person), device=person.device), nearest] = True
    anchor, positive = torch.nonzero(named | (by_teacher & ~named.any(1, keepdim=True)), as_tuple=True)
    ap = student[anchor, positive][:, None]
    known = named[anchor, positive][:, None]
    gap = (teacher[anchor] - teacher[anchor, positive][:, None]).clamp(0, TEACHER_MARGIN)
    margin = torch.where(known, torch.full_like(gap, IDENTITY_MARGIN), gap)
    an = student[anchor]
    allowed = ~same[anchor] & ~itself[anchor] & (gap > 0)
    semi_hard = allowed & (an > ap) & (an < ap + margin)
    violation = (ap - an + margin).masked_fill(~semi_hard, 0)
    hardest = violation.max(1).values
    return hardest.sum() / semi_hard.any(1).sum().clamp_min(1)
