"""The losses as properties, and the mining of triplets against the plain definition."""

import pytest
import torch
from torch.nn import functional

from facelatch_model import losses


def unit(n: int, d: int, seed: int) -> torch.Tensor:
    """Random unit vectors `[n, d]`."""
    return functional.normalize(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)))


def turned(vectors: torch.Tensor, seed: int) -> torch.Tensor:
    """The same after a random rotation."""
    d = vectors.shape[1]
    q, _ = torch.linalg.qr(torch.randn(d, d, generator=torch.Generator().manual_seed(seed)))
    return vectors @ q


@pytest.mark.parametrize("seed", range(5))
def test_what_equals_its_target_costs_nothing(seed: int) -> None:
    target = unit(12, 16, seed)
    assert losses.cosine(target, target).item() == pytest.approx(0, abs=1e-6)
    assert losses.similarity(target, target).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_a_rotation_changes_the_cosine_but_no_similarity_and_no_triplet(seed: int) -> None:
    target, embedding = unit(12, 16, seed), unit(12, 16, seed + 50)
    label = torch.tensor([0, 0, 1, 1, 2, 2, -1, -1, -1, -1, -1, -1])
    moved = turned(embedding, seed)
    assert losses.cosine(moved, target).item() != pytest.approx(losses.cosine(embedding, target).item(), abs=1e-3)
    for loss in (losses.similarity, lambda e, t: losses.triplet(e, t, label)):
        assert loss(moved, target).item() == pytest.approx(loss(embedding, target).item(), abs=1e-5)


def test_the_order_in_a_batch_does_not_matter() -> None:
    target, embedding, label = unit(10, 8, 1), unit(10, 8, 2), torch.tensor([0, 0, 0, 1, 1, -1, -1, -1, 2, 2])
    order = torch.randperm(10, generator=torch.Generator().manual_seed(3))
    a = losses.triplet(embedding, target, label)
    b = losses.triplet(embedding[order], target[order], label[order])
    assert a.item() == pytest.approx(b.item(), abs=1e-6)


def plain_triplet(embedding: torch.Tensor, target: torch.Tensor, label: torch.Tensor) -> float:
    """The definition, one triplet after another."""
    s, t = losses.distances(embedding), losses.distances(target)
    n, hardest = len(label), []
    for a in range(n):
        named = [p for p in range(n) if p != a and label[p] == label[a] >= 0]
        nearest = min((p for p in range(n) if p != a), key=lambda p: float(t[a, p]))
        for p in named or [nearest]:
            found = []
            for k in range(n):
                gap = float((t[a, k] - t[a, p]).clamp(0, losses.TEACHER_MARGIN))
                margin = losses.IDENTITY_MARGIN if named else gap
                same = k == a or (label[k] == label[a] >= 0)
                if not same and gap > 0 and s[a, p] < s[a, k] < s[a, p] + margin:
                    found.append(float(s[a, p] - s[a, k] + margin))
            if found:
                hardest.append(max(found))
    return sum(hardest) / max(len(hardest), 1)


@pytest.mark.parametrize("seed", range(8))
def test_mining_finds_the_hardest_semi_hard_negative_of_each_pair(seed: int) -> None:
    target = unit(14, 6, seed)
    embedding = functional.normalize(target + 0.5 * unit(14, 6, seed + 100))
    label = torch.tensor([0, 0, 0, 1, 1, 2, 2, -1, -1, -1, -1, -1, -1, -1])
    assert losses.triplet(embedding, target, label).item() == pytest.approx(plain_triplet(embedding, target, label), abs=1e-5)


def test_a_triplet_pulls_the_positive_nearer_and_pushes_the_negative_away() -> None:
    target = functional.normalize(torch.tensor([[1.0, 0.0, 0], [0.95, 0.1, 0], [0.0, 1.0, 0]]))
    raw = torch.tensor([[1.0, 0.3, 0], [0.5, 0.8, 0.2], [0.4, 0.9, 0]], requires_grad=True)
    label = torch.tensor([0, 0, 1])
    loss = losses.triplet(functional.normalize(raw), target, label)
    assert loss.item() > 0
    loss.backward()
    before = losses.distances(functional.normalize(raw.detach()))
    after = losses.distances(functional.normalize((raw - 0.05 * raw.grad).detach()))
    assert after[0, 1] - after[0, 2] < before[0, 1] - before[0, 2]


def test_a_batch_without_triplets_costs_nothing_and_has_a_gradient() -> None:
    embedding = unit(2, 4, 1).requires_grad_()
    loss = losses.triplet(embedding, unit(2, 4, 2), torch.tensor([0, 0]))
    loss.backward()
    assert loss.item() == 0 and torch.isfinite(embedding.grad).all()
