"""Which cells answer for which face, and what their answers cost."""

from __future__ import annotations

import torch
from torch.nn import functional

from .batch import Batch
from .network import HEIGHT, STRIDES, WIDTH

SIZES = {8: (0.0, 30.0), 16: (22.0, 64.0), 32: (48.0, 1e9)}
"""Longer side of the faces that each stride answers for; they overlap, so that a size between two is seen by both."""
NEAR, SILENT = 0.9, 0.35
"""Cells whose point lies within NEAR strides of the box's middle answer; those within SILENT of its sides are left in peace."""
WEIGHTS = {"score": 2.0, "box": 1.0, "landmarks": 16.0}
LEAST_EYES = 24.0
"""Pixels that landmarks' errors are measured by where the eyes are nearer: a second look shows small faces larger."""

Wanted = dict[int, tuple[torch.Tensor, torch.Tensor]]
"""By stride: answers `[n, h, w, 14]` in strides, and labels `[n, h, w]`: 1 a face, 0 none, -1 whatever."""


def points(stride: int, device: torch.device) -> torch.Tensor:
    """Places x, y `[h, w, 2]` of a stride's cells in pixels of the window."""
    rows, columns = -(-HEIGHT // stride), -(-WIDTH // stride)
    y, x = torch.meshgrid(torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij")
    return (torch.stack([x, y], -1) + 0.5) * stride


def targets(batch: Batch, stride: int, sizes: tuple[float, float]) -> tuple[torch.Tensor, torch.Tensor]:
    """One stride's answers and labels; it answers for faces whose longer side lies within `sizes`."""
    at = points(stride, batch.faces.device)
    labels = at.new_zeros(len(batch.faces), *at.shape[:2])
    answers = at.new_zeros(*labels.shape, 14)
    for box in batch.partial[:, :, None, None].unbind(1):
        labels = torch.where(((at > box[..., :2]) & (at < box[..., 2:])).all(-1), -1.0, labels)
    for face in batch.faces[:, :, None, None].unbind(1):
        half = (face[..., 2:4] - face[..., :2]) / 2
        off = (at - (face[..., :2] + face[..., 2:4]) / 2).abs()
        labels = torch.where((off < SILENT * 2 * half).all(-1), -1.0, labels)
        side = 2 * half.amax(-1)
        near = (off <= (0.25 * half).clamp_min(NEAR * stride)).all(-1) & (side >= sizes[0]) & (side < sizes[1])
        labels = torch.where(near, 1.0, labels)
        answer = torch.cat([at - face[..., :2], face[..., 2:4] - at, face[..., 4:] - at.repeat(1, 1, 5)], -1) / stride
        answers = torch.where(near[..., None], answer, answers)
    return answers, labels


def batch_targets(batch: Batch) -> Wanted:
    """What every stride should say."""
    return {stride: targets(batch, stride, SIZES[stride]) for stride in STRIDES}


def focal(logits: torch.Tensor, labels: torch.Tensor, alpha: float = 0.3, gamma: float = 2.0) -> torch.Tensor:
    """Sum of the focal loss of all cells that have a label. Source: Lin et al., ICCV 2017, equation 5."""
    plain = functional.binary_cross_entropy_with_logits(logits, labels.clamp_min(0), reduction="none")
    right = torch.where(labels > 0, torch.sigmoid(logits), torch.sigmoid(-logits))
    weight = torch.where(labels > 0, alpha, 1 - alpha) * (labels >= 0)
    return (weight * (1 - right) ** gamma * plain).sum()


def overlap_loss(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """1 - generalised intersection over union of boxes that are distances `[..., 4]` from one point, `[...]`."""
    found = found.clamp_min(0.05)
    low, high = torch.minimum(found, wanted), torch.maximum(found, wanted)
    shared = (low[..., 0] + low[..., 2]).clamp_min(0) * (low[..., 1] + low[..., 3]).clamp_min(0)

    def area(box: torch.Tensor) -> torch.Tensor:
        return (box[..., 0] + box[..., 2]) * (box[..., 1] + box[..., 3])

    union = area(found) + area(wanted) - shared
    hull = (high[..., 0] + high[..., 2]) * (high[..., 1] + high[..., 3])
    return 1 - shared / union.clamp_min(1e-3) + (hull - union) / hull.clamp_min(1e-3)


def landmark_loss(found: torch.Tensor, wanted: torch.Tensor, stride: int) -> torch.Tensor:
    """Smooth mean distance of landmarks `[..., 10]` in strides over the distance between the eyes, `[...]`."""
    eyes = (wanted[..., 2:4] - wanted[..., 0:2]).norm(dim=-1, keepdim=True).clamp_min(LEAST_EYES / stride)
    return functional.smooth_l1_loss(found / eyes, wanted / eyes, beta=0.02, reduction="none").mean(-1)


def loss_of(outputs: dict[str, torch.Tensor], wanted: Wanted) -> torch.Tensor:
    """Loss of a batch: scores over the number of answering cells, boxes and landmarks over those cells."""
    parts, answering = [], []
    for stride, (answers, labels) in wanted.items():
        near = (labels > 0).float()
        box, marks = (outputs[f"{kind}_{stride}"].float().permute(0, 2, 3, 1) for kind in ("box", "landmarks"))
        answering.append(near.sum())
        parts.append(WEIGHTS["score"] * focal(outputs[f"score_{stride}"][:, 0].float(), labels))
        parts.append(WEIGHTS["box"] * (near * overlap_loss(box, answers[..., :4])).sum())
        parts.append(WEIGHTS["landmarks"] * (near * landmark_loss(marks, answers[..., 4:], stride)).sum())
    return torch.stack(parts).sum() / torch.stack(answering).sum().clamp_min(1)
