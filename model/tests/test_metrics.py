"""Verification: the fast ways count what the plain ways count."""

import numpy as np
import pytest

from facelatch_model import metrics
from facelatch_model.metrics import Pairs


def people(count: int, each: int, spread: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of `count` people with `each` pictures, `[count * each, 32]`, and who is who."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(count, 32))
    person = np.repeat(np.arange(count), each)
    return metrics.normalised(centres[person] + spread * rng.normal(size=(count * each, 32))), person


def listed(person: np.ndarray, a_fold: int, seed: int = 2) -> Pairs:
    """Ten folds of `a_fold` pairs of one person and as many of two."""
    rng = np.random.default_rng(seed)
    first, second, same = [], [], []
    for fold in range(metrics.FOLDS):
        for wanted in (True, False):
            while same.count(wanted) < (fold + 1) * a_fold:
                a, b = rng.integers(0, len(person), 2)
                if a != b and (person[a] == person[b]) == wanted:
                    first.append(a), second.append(b), same.append(wanted)
    return Pairs(np.array(first), np.array(second), np.array(same), person)


def test_people_far_apart_are_all_told_apart() -> None:
    embeddings, person = people(40, 4, 0.05)
    found = metrics.verify(embeddings, listed(person, 10))
    assert found.accuracy > 0.98
    assert found.tar_of_all["0.0001"] == 1.0


def test_noise_tells_nobody_apart() -> None:
    rng = np.random.default_rng(4)
    person = np.repeat(np.arange(40), 4)
    found = metrics.verify(metrics.normalised(rng.normal(size=(160, 32))), listed(person, 30))
    assert 0.4 < found.accuracy < 0.6
    assert found.tar_of_all["0.01"] < 0.1


def test_a_threshold_comes_from_the_other_folds() -> None:
    same = np.tile([True, False], 30)
    distances = np.where(same, 0.2, 1.0)
    distances[:6] = np.where(same[:6], 1.8, 1.9)
    accuracy, _ = metrics.fold_accuracy(distances, same)
    assert accuracy == pytest.approx((9 + 0.5) / 10)


def test_tar_at_far_counts_strictly_nearer_pairs() -> None:
    impostor = np.array([0.5, 0.7, 0.9, 1.1])
    assert metrics.tar_at(np.array([0.4, 0.6, 0.7, 0.8]), impostor, 0.25) == 0.5
    assert metrics.tar_at(np.array([0.4]), impostor, 0.1) is None
    assert metrics.tar_at(np.array([]), impostor, 0.25) is None


def test_the_histogram_counts_every_pair_of_different_people_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "BLOCK", 7)
    embeddings, person = people(9, 3, 0.4)
    plain = [
        np.square(embeddings[i] - embeddings[j]).sum()
        for i in range(len(person))
        for j in range(i + 1, len(person))
        if person[i] != person[j]
    ]
    counts = metrics.impostor_histogram(embeddings, person)
    assert counts.sum() == len(plain)
    assert abs(counts[:1001].sum() - (np.array(plain) < 1.0).sum()) <= 1


def test_the_table_grows_and_its_bounds_hold_the_rate() -> None:
    embeddings, person = people(60, 3, 0.9)
    table = metrics.far_table(embeddings, listed(person, 12))
    assert [row["distance"] for row in table] == list(metrics.TABLE)
    far = [row["far"] for row in table]
    assert far == sorted(far) and far[-1] > 0
    assert all(row["far_lower_95"] <= row["far"] <= row["far_upper_95"] for row in table)
    assert all(row["far_upper_95"] >= 3 / (60 * 59 / 2 * 9) for row in table)
    missed = [row["missed"] for row in table]
    assert missed == sorted(missed, reverse=True)


def test_the_rates_of_the_table_are_those_of_counting() -> None:
    embeddings, person = people(30, 3, 0.9)
    table = metrics.far_table(embeddings, listed(person, 6))
    square = np.square(embeddings[:, None] - embeddings[None]).sum(2)
    upper = np.triu(person[:, None] != person[None], 1)
    for row in table[::6]:
        assert row["far"] == pytest.approx((square[upper] <= row["distance"]).mean(), abs=2 / upper.sum())


def test_the_threshold_is_the_greatest_that_keeps_the_rate() -> None:
    table = [{"distance": d, "far_upper_95": f} for d, f in ((0.5, 1e-5), (0.8, 9e-4), (1.0, 1e-2))]
    assert metrics.threshold_for(table, 1e-3) == 0.8
    assert metrics.threshold_for(table, 1e-6) is None


def test_templates_round_as_the_device_does() -> None:
    made = metrics.templates(np.float32([[3, -4, 12, 84] + [0] * 124])) * 320
    assert made[0, :4].round().tolist() == [11, -15, 45, 127]


def test_numbers_are_rounded_everywhere() -> None:
    assert metrics.rounded({"a": [0.123456789, {"b": np.float64(2e-9)}], "c": 7}) == {"a": [0.123457, {"b": 2e-9}], "c": 7}
