"""Spoiling of pictures: on the CPU and in batches."""

import cv2
import numpy as np
import pytest
import torch

from facelatch_model import augment, augment_batch


@pytest.fixture
def crop() -> np.ndarray:
    """A smooth picture `[120, 120, 3]` u8."""
    coarse = np.random.default_rng(1).integers(30, 220, (8, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (120, 120), interpolation=cv2.INTER_CUBIC)


def test_the_same_seed_spoils_alike_and_another_does_not(crop: np.ndarray) -> None:
    a, b, c = (augment.augment(crop, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert a.shape == (112, 112, 3) and a.dtype == np.uint8
    assert np.array_equal(a, b) and not np.array_equal(a, c)


@pytest.mark.parametrize("step", [step for step, _ in augment.STEPS], ids=lambda step: step.__name__)
def test_each_step_changes_a_face_and_keeps_its_form(crop: np.ndarray, step) -> None:  # noqa: ANN001
    face = np.ascontiguousarray(crop[4:116, 4:116])
    before = face.copy()
    spoiled = step(face, np.random.default_rng(3))
    assert spoiled.shape == face.shape and spoiled.dtype == np.uint8
    assert np.array_equal(face, before)
    assert not np.array_equal(spoiled, face)


@pytest.mark.parametrize("step", [step for step, _ in augment_batch.STEPS], ids=lambda step: step.__name__)
def test_each_step_of_a_batch_changes_it_and_keeps_its_form(crop: np.ndarray, step) -> None:  # noqa: ANN001
    torch.manual_seed(2)
    face = torch.from_numpy(crop[4:116, 4:116].copy()).permute(2, 0, 1).float()[None].repeat(5, 1, 1, 1)
    spoiled = step(face)
    assert spoiled.shape == face.shape
    assert torch.isfinite(spoiled).all() and spoiled.min() > -60 and spoiled.max() < 320
    assert ((spoiled - face).abs().amax((1, 2, 3)) > 0.5).all()


def test_a_batch_that_is_not_spoiled_only_moves_a_little(crop: np.ndarray) -> None:
    torch.manual_seed(1)
    moved = augment_batch.augment(torch.from_numpy(crop)[None].repeat(40, 1, 1, 1), strength=0.0)
    assert moved.shape == (40, 3, 112, 112)
    plain = torch.from_numpy(crop[4:116, 4:116].copy()).permute(2, 0, 1).float()
    gaps = torch.stack([torch.minimum((m - plain).abs().mean(), (m.flip(2) - plain).abs().mean()) for m in moved])
    assert gaps.mean() < 12
    mirrored = [(m.flip(2) - plain).abs().mean() < (m - plain).abs().mean() for m in moved]
    assert 8 < sum(mirrored) < 32


def test_jpeg_in_torch_loses_about_what_jpeg_loses(crop: np.ndarray) -> None:
    face = np.ascontiguousarray(crop[4:116, 4:116])
    noisy = np.clip(face + np.random.default_rng(1).normal(0, 12, face.shape), 0, 255).astype(np.uint8)
    grey = np.repeat(noisy[:, :, :1], 3, 2)
    plain = cv2.imdecode(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 47])[1], cv2.IMREAD_COLOR)
    torch.manual_seed(0)
    batch = torch.from_numpy(grey).permute(2, 0, 1).float()[None].repeat(60, 1, 1, 1)
    errors = (augment_batch.compress(batch) - batch).square().mean((1, 2, 3)).sqrt()
    expected = float(np.square(plain.astype(float) - grey).mean() ** 0.5)
    assert errors.min() < expected < errors.max()
