"""The device's drawing in numpy against OpenCV, and its seams."""

import cv2
import numpy as np
import pytest

from facelatch_model.drawing import Layers, Similarity, Square, halve, resize, warp
from facelatch_model.faces import as_grey


@pytest.fixture
def picture() -> np.ndarray:
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 256, (90, 120, 3)).astype(np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def test_resizing_is_opencv_s_bilinear(picture: np.ndarray) -> None:
    for size in [(60, 45), (100, 80), (200, 100)]:
        theirs = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
        assert np.abs(resize(picture, *size).astype(int) - theirs).max() <= 2


def test_warping_is_opencv_s_with_black_outside(picture: np.ndarray) -> None:
    rows = np.float64([[0.9, -0.3, 10.2], [0.3, 0.9, -5.7]])
    theirs = cv2.warpAffine(picture, rows, (80, 70), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    ours = warp(picture, rows, 80, 70)
    assert np.abs(ours.astype(int) - theirs).mean() < 0.6
    assert (ours[0, 0] == 0).all()


def test_halving_leaves_out_an_odd_edge() -> None:
    picture = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    half = halve(picture)
    assert half.shape == (2, 3, 3)
    assert half[0, 0, 0] == (0 + 3 + 21 + 24 + 2) // 4


def test_a_similarity_is_found_again_and_undone() -> None:
    points = np.float64([[0, 0], [10, 1], [4, 7], [2, 12], [9, 11]])
    known = Similarity(1.2, -0.4, 3.0, -8.0)
    found = Similarity.between(points, known.apply(points))
    assert np.allclose([found.a, found.b, found.dx, found.dy], [1.2, -0.4, 3.0, -8.0])
    assert np.allclose(found.inverse().apply(found.apply(points)), points)


def test_a_window_at_full_size_is_a_copy_and_goes_on_at_the_border(picture: np.ndarray) -> None:
    layers = Layers(picture)
    assert (layers.window(Square(50, 40, 20), 20) == picture[30:50, 40:60]).all()
    beyond = layers.window(Square(0, 0, 40), 40)
    assert (beyond[:20, :20] == picture[0, 0]).all()
    assert (beyond[20:, 20:] == picture[:20, :20]).all()


def test_what_is_small_is_drawn_from_a_halved_copy(picture: np.ndarray) -> None:
    flat = np.zeros((400, 400, 3), np.uint8)
    flat[::2] = 200
    small = Layers(flat).window(Square(200, 200, 320), 40)
    assert (small == 100).all()


def test_a_grey_picture_has_the_device_s_luma_three_times() -> None:
    grey = as_grey(np.uint8([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]]))
    assert grey[..., 0].tolist() == [[77, 149], [29, 255]] and (grey[..., :1] == grey).all()
