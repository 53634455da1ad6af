"""What the quality and extremes figures count, on faces that nobody saw."""

import numpy as np
import pytest

from facelatch_model.detector_training import extremes
from facelatch_model.device import Device, Seen
from facelatch_model.quality import Limits, Point, by_disagreement, masked, point, read_pairs


def seen(template: np.ndarray, logit: float, sharpness: float) -> Seen:
    """A face with what `point` looks at."""
    return Seen(np.zeros(4), np.zeros((5, 2)), 1.0, {"sharpness": sharpness}, logit, template)


def test_a_point_counts_lost_far_and_dead_faces_of_one_person() -> None:
    one, other = np.eye(2)
    plain = {name: seen(one, 3.0, 0.5) for name in "abcd"}
    spoiled = {"x": seen(one, 2.0, 0.2), "y": seen(other, -1.0, 0.4), "z": seen(one, -2.0, 0.6)}
    pairs = [("a", "x", True), ("b", "y", True), ("c", "z", True), ("d", "lost", True), ("a", "y", False)]
    found = point(2, "sharpness", plain, spoiled, pairs, Limits(1.0, 0.5))
    assert (found.step, found.measured, found.not_found, found.pairs) == (2, 0.4, 0.25, 4)
    assert found.rejected == pytest.approx(1 / 3) and found.not_alive == pytest.approx(2 / 3)
    assert point(9, "sharpness", plain, {}, pairs, Limits(1.0, 0.5)) == Point(9, None, 1.0, 1.0, 1.0, 4)


def test_rejects_are_told_by_how_much_landmarks_disagree() -> None:
    one, other = np.eye(2)

    def disagreeing(template: np.ndarray, disagreement: float) -> Seen:
        return Seen(np.zeros(4), np.zeros((5, 2)), 1.0, {"disagreement": disagreement}, 3.0, template)

    plain = {name: disagreeing(one, 0.01) for name in "ab"}
    clear = {"x": disagreeing(one, 0.025), "y": disagreeing(one, 0.026)}
    covered = {"x": disagreeing(other, 0.1), "y": disagreeing(other, np.inf)}
    pairs = [("a", "x", True), ("b", "y", True), ("a", "y", False)]
    found = by_disagreement([clear, covered], plain, pairs, Limits(1.0, 0.5))
    assert [(p.step, p.rejected, p.pairs) for p in found] == [(0.02, 0.0, 2), (0.09, 1.0, 1), (0.4, 1.0, 1)]


def test_a_mask_covers_the_mouth_and_leaves_the_eyes() -> None:
    picture = np.full((250, 250, 3), 90, np.uint8)
    worn = masked(picture, 0.6)
    assert worn[155, 125].min() > 150 and (worn[:120] == picture[:120]).all()


def test_only_pairs_of_known_pictures_are_read(tmp_path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("10\t300\nAda\t1\t2\nAda\t1\t3\nAda\t1\tBo\t1\n")
    known = {"Ada_0001", "Ada_0002", "Bo_0001"}
    assert read_pairs(path, known, 9) == [("Ada_0001", "Ada_0002", True), ("Ada_0001", "Bo_0001", False)]


class Blind(Device):
    """A device that sees a fixed box in every picture."""

    def look(self, pictures, grey=False):
        box = np.array([10.0, 10.0, 50.0, 50.0])
        return {name: [Seen(box, np.zeros((5, 2)), 1.0, {}, None, None)] for name in pictures}


def test_a_pasted_face_is_where_it_is_said_to_be_and_counted_when_seen_there(tmp_path) -> None:
    canvas = np.zeros((extremes.HEIGHT, extremes.WIDTH, 3), np.uint8)
    face = extremes.Example(np.full((80, 80, 3), 200, np.uint8), np.array([20.0, 20.0, 60.0, 60.0]))
    box = extremes.pasted(canvas, face, 0.5, 100.0, 40.0)
    assert box.tolist() == [110.0, 50.0, 130.0, 70.0] and canvas[40:80, 100:140].min() == 200
    device = Blind(tmp_path, tmp_path)
    shown = [(canvas, [np.array([12.0, 10.0, 52.0, 50.0])]), (canvas, [box])]
    assert extremes.count(3, shown, device) == extremes.Found(3, 2, 1, 1)


def test_a_small_face_has_the_size_that_was_asked_for() -> None:
    face = extremes.Example(np.zeros((250, 250, 3), np.uint8), np.array([60.0, 60.0, 160.0, 180.0]))
    _, [box] = extremes.sized(face, np.zeros((100, 100, 3), np.uint8), 16, np.random.default_rng(0))
    assert box[3] - box[1] == pytest.approx(32) and box.min() >= 0
