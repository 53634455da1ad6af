"""Which cells answer for which face, and what their answers cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from .network import HEIGHT, STRIDES, WIDTH
from .windows import Window

SIZES = {8: (0.0, 30.0), 16: (22.0, 64.0), 32: (48.0, 1e9)}
"""Longer side of the faces that each stride answers for; they overlap, so that a size between two is seen by both."""
NEAR, SILENT = 0.9, 0.35
"""Cells whose point lies within NEAR strides of the box's middle answer; those within SILENT of its sides are left in peace."""
WEIGHTS = {"score": 1.0, "box": 1.0, "landmarks": 4.0}


def cells(stride: int) -> tuple[int, int]:
    """Rows and columns of a stride's map."""
    return -(-HEIGHT // stride), -(-WIDTH // stride)


def targets(window: Window, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers `[h, w, 14]` in strides, and labels `[h, w]`: 1 a face, 0 none, -1 whatever."""
    rows, columns = cells(stride)
    y, x = (np.mgrid[0:rows, 0:columns].astype(np.float32) + 0.5) * stride
    answers, labels = np.zeros((rows, columns, 14), np.float32), np.zeros((rows, columns), np.float32)
    low, high = SIZES[stride]
    for box in window.partial:
        labels[(x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])] = -1
    for face in window.faces:
        middle, half = (face[:2] + face[2:4]) / 2, (face[2:4] - face[:2]) / 2
        off = np.stack([x - middle[0], y - middle[1]], -1)
        labels[(np.abs(off) < SILENT * 2 * half).all(-1)] = -1
        if not low <= 2 * half.max() < high:
            continue
        near = (np.abs(off) <= np.maximum(NEAR * stride, 0.25 * half)).all(-1)
        labels[near] = 1
        at = np.stack([x[near], y[near]], -1)
        answers[near] = np.concatenate([at - face[:2], face[2:4] - at, np.tile(-at, 5) + face[4:14]], -1) / stride
    return answers, labels


def batch_targets(windows: Sequence[Window]) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    """By stride: answers `[n, h, w, 14]` and labels `[n, h, w]`."""
    found = {}
    for stride in STRIDES:
        answers, labels = zip(*(targets(window, stride) for window in windows), strict=True)
        found[stride] = torch.from_numpy(np.stack(answers)), torch.from_numpy(np.stack(labels))
    return found


def focal(logits: torch.Tensor, labels: torch.Tensor, alpha: float = 0.3, gamma: float = 2.0) -> torch.Tensor:
    """Sum of the focal loss of all cells that have a label. Source: Lin et al., ICCV 2017, equation 5."""
    known = labels >= 0
    logits, labels = logits[known], labels[known]
    plain = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    right = torch.where(labels > 0, torch.sigmoid(logits), torch.sigmoid(-logits))
    return (torch.where(labels > 0, alpha, 1 - alpha) * (1 - right) ** gamma * plain).sum()


def overlap_loss(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """1 - intersection over union of boxes that are distances `[n, 4]` from one point."""
    found = found.clamp_min(0.05)
    low, high = torch.minimum(found, wanted), torch.maximum(found, wanted)
    shared = (low[:, 0] + low[:, 2]).clamp_min(0) * (low[:, 1] + low[:, 3]).clamp_min(0)

    def area(box: torch.Tensor) -> torch.Tensor:
        return (box[:, 0] + box[:, 2]) * (box[:, 1] + box[:, 3])

    union = area(found) + area(wanted) - shared
    hull = (high[:, 0] + high[:, 2]) * (high[:, 1] + high[:, 3])
    return 1 - shared / union.clamp_min(1e-3) + (hull - union) / hull.clamp_min(1e-3)


def landmark_loss(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Smooth mean distance of landmarks `[n, 10]` over the distance between the eyes, `[n]`."""
    eyes = (wanted[:, 2:4] - wanted[:, 0:2]).norm(dim=1).clamp_min(0.3)
    return functional.smooth_l1_loss(found / eyes[:, None], wanted / eyes[:, None], beta=0.05, reduction="none").mean(1)


def loss_of(outputs: dict[str, torch.Tensor], wanted: dict[int, tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """Loss of a batch: scores over the number of answering cells, boxes and landmarks over those cells."""
    scores, boxes, marks, answering = [], [], [], 0
    for stride, (answers, labels) in wanted.items():
        near = labels > 0
        answering += int(near.sum())
        scores.append(focal(outputs[f"score_{stride}"][:, 0].float(), labels))
        box = outputs[f"box_{stride}"].float().permute(0, 2, 3, 1)[near]
        mark = outputs[f"landmarks_{stride}"].float().permute(0, 2, 3, 1)[near]
        boxes.append(overlap_loss(box, answers[near][:, :4]).sum())
        marks.append(landmark_loss(mark, answers[near][:, 4:]).sum())
    parts = {"score": sum(scores), "box": sum(boxes), "landmarks": sum(marks)}
    return torch.stack([WEIGHTS[name] * torch.as_tensor(value) for name, value in parts.items()]).sum() / max(1, answering)
