"""Fine detail over coarse detail: what blur, codecs and noise do to it."""

import numpy as np
import pytest

from facelatch_model.detail import boxes, detail, penalty
from facelatch_model.liveness import attacks


def picture(seed: int = 0) -> np.ndarray:
    """Detail of all sizes, `[96, 96, 3]` u8."""
    rng = np.random.default_rng(seed)
    layers = [amount * attacks.smooth_field(96, rng, cells) for cells, amount in ((4, 60), (12, 40), (40, 20), (95, 12))]
    return np.clip(128 + sum(layers), 0, 255).astype(np.uint8)[..., None].repeat(3, -1)


def test_a_box_s_sum_is_that_of_its_pixels() -> None:
    luma = picture()[..., 0].astype(np.int64)
    assert boxes(luma, 9, slice(12, 84))[3, 5] == luma[11:20, 13:22].sum()


def test_blur_codecs_and_screens_take_fine_detail_and_light_does_not() -> None:
    plain = picture()
    soft = attacks.blurred(plain.astype(np.float32), 1.5).astype(np.uint8)
    coded = np.clip(attacks.coded(plain.astype(np.float32), 48, 20), 0, 255).astype(np.uint8)
    assert detail(soft) < detail(plain) - 0.5 and detail(coded) < detail(plain) - 0.2
    assert detail((0.6 * plain).astype(np.uint8)) == pytest.approx(detail(plain), abs=0.1)


def test_a_flat_picture_has_a_number_and_full_detail_costs_nothing() -> None:
    assert detail(np.full((96, 96, 3), 90, np.uint8)) == 0.0
    assert penalty(picture(), -5.0, 6.0) == 0.0
    assert penalty(picture(), 5.0, 6.0) == pytest.approx(6.0 * (detail(picture()) - 5.0))
