"""Batches: who comes in them, and that both ways of making them give what the network takes."""


import numpy as np
import pytest
import torch

from facelatch_model import batches, data, packs, progress
from facelatch_model.configuration import Distill, Source

CONFIG = Distill(batch=10, people=2, pictures_each=3)


def test_each_batch_has_its_people_and_all_pictures_take_turns() -> None:
    labels = np.array([0] * 3 + [1] * 4 + [2] * 2 + [-1] * 15)
    sampler = batches.Sampler(labels, CONFIG, np.random.default_rng(1))
    seen = []
    for _ in range(6):
        index = sampler.take()
        assert len(index) == 10
        known = labels[index[4:]].reshape(2, 3)
        assert {tuple(row) for row in known} == {(0, 0, 0), (1, 1, 1)}
        assert all(len(set(row)) == 3 for row in index[4:].reshape(2, 3))
        seen += index[:4].tolist()
    assert sorted(seen) == list(range(24))


def test_without_known_people_a_batch_is_drawn_from_all() -> None:
    sampler = batches.Sampler(np.full(4, -1), CONFIG, np.random.default_rng(1))
    index = sampler.take()
    assert len(index) == 10 and set(index) == {0, 1, 2, 3}


def test_a_batch_too_small_for_its_people_is_refused() -> None:
    with pytest.raises(ValueError, match="smaller than"):
        batches.Sampler(np.repeat(np.arange(4), 4), Distill(batch=5, people=2, pictures_each=3), np.random.default_rng(1))


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> data.Crops:
    """Twelve pictures of noise, of three people."""
    folder = tmp_path_factory.mktemp("crops")
    pictures = list(np.random.default_rng(1).integers(0, 256, (12, 120, 120, 3), dtype=np.uint8))
    packs.write_pack(folder, "p", pictures, {"person": np.repeat(["a", "b", "c"], 4)})
    return data.gather((Source(folder / "p", "pack"),), None, folder / "out")


@pytest.mark.parametrize("make", [batches.on_cpu, lambda *given: batches.on_device(*given, torch.device("cpu"))])
def test_a_batch_is_what_the_network_takes(crops: data.Crops, make) -> None:  # noqa: ANN001
    targets = np.eye(12, 8, dtype=np.float32)
    pixels, target, label = next(make(crops, targets, CONFIG, 1))
    assert pixels.shape == (10, 3, 112, 112) and pixels.dtype == torch.float32
    assert pixels.is_contiguous(memory_format=torch.channels_last)
    assert pixels.min() >= -1 and pixels.max() <= 1
    assert target.shape == (10, 8) and label.shape == (10,)
    assert torch.equal(target, torch.from_numpy(targets)[target.argmax(1)]) or (target.sum(1) == 0).any()


def test_durations_are_said_as_people_say_them() -> None:
    assert [progress.duration(s) for s in (0.4, 89, 600, 12_000)] == ["0 s", "89 s", "10 min", "3 h 20 min"]


def test_progress_says_how_much_is_left(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = progress.Progress("x", 100)
    shown.step(20)
    assert "20 of 100" in shown.line(shown.began + 10.0) and "40 s left" in shown.line(shown.began + 10.0)
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)
    shown.step(5, note="loss 1")
    assert "x: 25 of 100" in (said := capsys.readouterr().err) and said.endswith(", loss 1\n")
