"""What the quality and extremes figures count, on faces that nobody saw."""

import numpy as np
import pytest

from facelatch_model.detector_training import extremes, turned
from facelatch_model.device import Device, Seen
from facelatch_model.quality import LEAST_PAIRS, Limits, Point, by_disagreement, by_pose, masked, point, read_pairs


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


def test_too_few_turned_heads_tell_nothing() -> None:
    def turned_by(yaw: float) -> Seen:
        return Seen(np.zeros(4), np.zeros((5, 2)), 1.0, {"yaw": yaw}, 3.0, np.eye(2)[0])

    plain = {str(i): turned_by(20.0 if i == 0 else 1.0) for i in range(LEAST_PAIRS + 2)}
    pairs = [(str(i), str(i + 1), True) for i in range(LEAST_PAIRS + 1)]
    assert [(p.step, p.pairs) for p in by_pose("yaw", (0, 10, 30), plain, pairs, Limits(1.0, 0.5))] == [(0, LEAST_PAIRS)]


@pytest.mark.parametrize("degrees", [0, 20, -40])
def test_a_turned_head_is_as_far_turned_as_it_is(degrees: float) -> None:
    x, y = (turned.TEMPLATE - 56).T
    depth, angle, tilt = np.array([0, 0, turned.NOSE_DEPTH, 0, 0]), np.radians(degrees), np.radians(15)
    seen_x = x * np.cos(angle) + depth * np.sin(angle)
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    marks = 1.7 * np.column_stack([seen_x, y]) @ turn.T + [40, 90]
    assert turned.yaw_of(marks) == pytest.approx(degrees, abs=1.0)


def test_turned_heads_are_counted_by_how_far_they_are_turned() -> None:
    example = extremes.Example(np.zeros((60, 60, 3), np.uint8), np.array([10.0, 10, 50, 50]))
    shown = [turned.Head(example, yaw) for yaw in (2, 3, 30, 70)]
    found = turned.measure(shown, [np.zeros((240, 320, 3), np.uint8)], Blind(None, None))
    assert [(step.step, step.faces) for step in found] == [(0, 2), (15, 0), (25, 1), (35, 0), (45, 1)]


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
