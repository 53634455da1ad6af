"""The detector's training on drawn faces: windows, labels, losses, a short run, its release."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from facelatch_model.chain import Detector
from facelatch_model.detector import Face
from facelatch_model.detector_training import alignment, labels, light, pasted, release, windows
from facelatch_model.detector_training.batch import MOST, Batch, filled
from facelatch_model.detector_training.loss import LEAST_EYES, SIZES, batch_targets, landmark_loss, loss_of, overlap_loss, targets
from facelatch_model.detector_training.network import HEIGHT, WIDTH, DetectorNet
from facelatch_model.detector_training.train import Recipe, Training, Windows
from facelatch_model.drawing import Layers
from facelatch_model.packs import write_pack

FACE = np.float32([100, 60, 160, 140, 115, 92, 145, 92, 130, 108, 118, 122, 142, 122, 0.9])

CROP = np.float32([[1, 0, -70], [0, 1, -40]])
"""From `photograph` to an aligned crop of it."""


def photograph() -> np.ndarray:
    """A drawn head where `FACE` says, `[240, 320, 3]` u8."""
    picture = np.full((240, 320, 3), (90, 110, 130), np.uint8)
    cv2.ellipse(picture, (130, 100), (30, 40), 0, 0, 360, (205, 160, 140), -1)
    for x, y in FACE[4:14].reshape(5, 2).astype(int):
        cv2.circle(picture, (int(x), int(y)), 4, (60, 40, 40), -1)
    return picture


def test_boxes_and_landmarks_move_with_the_picture() -> None:
    picture = windows.Picture(photograph(), FACE[None])
    for seed in range(12):
        window = windows.window_of(picture, np.random.default_rng(seed))
        assert window.pixels.shape == (HEIGHT, WIDTH, 3)
        for face in window.faces:
            marks = face[4:].reshape(5, 2)
            assert marks[0, 0] < marks[1, 0] or abs(marks[0, 1] - marks[1, 1]) > 1, "the left eye is on the left"
            assert (np.abs(marks.mean(0) - (face[:2] + face[2:4]) / 2) < 0.5 * (face[2:4] - face[:2])).all()


def test_a_shrunk_picture_keeps_its_places() -> None:
    picture = np.zeros((240, 320, 3), np.uint8)
    picture[100:132, 180:212] = 250
    matrix = windows.turned(0.2, 0.0, np.float64([195.5, 115.5]), np.float64([80, 60]))
    bright = windows.drawn(picture, matrix)[..., 0].astype(float) - windows.drawn(picture * 0, matrix)[..., 0]
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    middle = [float((place * bright).sum() / bright.sum()) for place in (x, y)]
    assert np.allclose(middle, [80, 60], atol=0.02), middle


def test_a_second_look_is_upright_in_the_middle_and_of_its_size() -> None:
    tilt = windows.turned(1.0, np.radians(40), np.float64([130, 100]), np.float64([130, 100]))
    tilted = np.append(windows.moved(FACE, tilt, flipped=False), 0.9).astype(np.float32)
    eyes, turns = [], []
    for seed in range(40):
        window = windows.close_look(windows.Picture(photograph(), tilted[None]), np.random.default_rng(seed))
        left, right = window.faces[0, 4:8].reshape(2, 2)
        eyes.append(np.linalg.norm(right - left))
        turns.append(abs(np.degrees(np.arctan2(*(right - left)[::-1]))))
        assert (np.abs(window.faces[0, 4:].reshape(5, 2).mean(0) - [WIDTH / 2, HEIGHT / 2]) < 14).all()
    assert abs(np.mean(eyes) / windows.CLOSE_EYES - 1) < 0.1 and max(turns) < 20


def test_pasted_faces_lie_where_they_are_said_to_lie() -> None:
    crop = np.full((120, 120, 3), 250, np.uint8)
    face = np.float32([10, 10, 110, 110, 42, 55, 78, 55, 60, 75, 45, 96, 75, 96, 1])
    empty = [windows.Picture(np.zeros((200, 300, 3), np.uint8), np.zeros((0, 15), np.float32))]
    shown = 0
    for seed in range(20):
        window = pasted.crowd([windows.Picture(crop, face[None])], empty, np.random.default_rng(seed))
        for found in window.faces:
            x, y = (found[:2] + found[2:4]) / 2
            assert 0 < x < WIDTH and 0 < y < HEIGHT and 10 < found[3] - found[1] < 42
            inside = window.pixels[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4].mean()
            assert inside > window.pixels.mean(), "a pasted face is bright, the background dark"
            shown += 1
    assert shown > 20


def test_beyond_a_photograph_lies_a_picture_without_people() -> None:
    whole = windows.turned(0.3, 0.0, np.float64([130, 100]), np.float64([80, 60]))
    behind = np.full((HEIGHT, WIDTH, 3), 37, np.uint8)
    seen = windows.drawn_onto(behind.copy(), photograph(), whole)
    assert (seen[0] == 37).all() and (seen[:, 0] == 37).all()
    assert (seen[60, 80] == windows.drawn(photograph(), whole)[60, 80]).all()


def test_a_cover_hides_a_face_from_below() -> None:
    picture, covered = windows.Picture(photograph(), FACE[None]), 0
    for seed in range(20):
        there = windows.covered(picture, np.random.default_rng(seed))
        changed = np.flatnonzero((there.pixels != picture.pixels).any((1, 2)))
        least = FACE[3] - windows.MOST_COVERED * (FACE[3] - FACE[1])
        assert not len(changed) or (changed.min() >= least - 1 and changed.max() < 2 * FACE[3] - least)
        assert (there.faces == picture.faces).all()
        covered += len(changed) > 0
    assert covered > 15
    assert (picture.pixels == photograph()).all(), "the picture itself stays"


def spot(pixels: np.ndarray) -> np.ndarray:
    """Where the only bright spot of a picture is, measured from the corner, `[2]`."""
    weight = pixels[..., 0].astype(float)
    y, x = np.mgrid[0 : pixels.shape[0], 0 : pixels.shape[1]] + 0.5
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


def test_landmarks_lie_where_the_window_shows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "PADDING", 0)
    monkeypatch.setattr(windows, "COVERED", 0)
    picture = np.zeros((240, 320, 3), np.uint8)
    picture[106:110, 128:132] = 255
    face = windows.Picture(picture, FACE[None])
    off = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        window = windows.close_look(face, rng) if seed % 2 else windows.window_of(face, rng)
        if len(window.faces):
            off += [spot(window.pixels) - window.faces[0, 8:10]]
            there = pasted.mirrored(window)
            off += [spot(there.pixels) - there.faces[0, 8:10]]
    assert len(off) > 60 and np.abs(np.mean(off, 0)).max() < 0.03 and np.abs(off).max() < 0.3


def test_a_mirrored_window_has_its_left_eye_on_the_left() -> None:
    window = windows.Window(np.zeros((HEIGHT, WIDTH, 3), np.uint8), FACE[None, :14] - 40, np.zeros((0, 4), np.float32))
    there = pasted.mirrored(window)
    assert there.faces[0, 4] < there.faces[0, 6] and there.faces[0, 0] < there.faces[0, 2]


def test_a_second_look_finds_landmarks_in_the_same_place_however_large_the_picture_is() -> None:
    folder = Path(__file__).parents[2]
    detector, picture = Detector(folder / "model" / "release"), cv2.imread(str(folder / "boards/sim/snapshot.jpg"))[:, :, ::-1]
    found = []
    for factor in (1, 2, 4):
        layers = Layers(np.ascontiguousarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)))
        face = max(detector.detect(layers), key=lambda face: face.score)
        found.append(detector.refine(layers, face).landmarks / factor)
    eyes = np.linalg.norm(found[0][1] - found[0][0])
    assert (np.abs([marks.mean(0) - found[0].mean(0) for marks in found]) < 0.006 * eyes).all()


def test_crops_are_labelled_where_another_detector_sees_them(tmp_path: Path) -> None:
    crop = np.zeros((120, 120, 3), np.uint8)
    crop[50:60, 30:40] = 255
    write_pack(tmp_path, "faces", [crop, crop * 0], {"source": np.array(["a", "b"])})

    def bright(picture: np.ndarray) -> list[Face]:
        y, x = np.nonzero(picture[..., 0] > 128)
        edges = np.float32([x.min(), y.min(), x.max() + 1, y.max() + 1]) if len(x) else None
        return [] if edges is None else [Face(edges, np.tile((edges[:2] + edges[2:]) / 2, (5, 1)), 0.5)]

    assert labels.write_labelled(tmp_path, "faces", 9, bright, tmp_path / "labels") == 1
    assert labels.write_labelled(tmp_path, "faces", 9, bright, tmp_path / "labels") == 1, "a finished file stays"
    [found] = labels.read_labelled(tmp_path / "labels")
    assert found.pixels.shape == (120, 120, 3) and np.allclose(found.faces[0, 4:6], [35, 55], atol=0.1)


def test_alignments_are_compared_on_all_pairs_of_people() -> None:
    rng = np.random.default_rng(0)
    people = rng.normal(size=(30, 16))
    names = [f"P{i:02d}_{k:04d}" for i in range(30) for k in range(3)]
    good = {name: people[int(name[1:3])] + rng.normal(0, 0.2, 16) for name in names}
    bad = {name: value + rng.normal(0, 1.5, 16) for name, value in good.items()}
    same, worse = alignment.compare(good, good), alignment.compare(bad, good)
    assert (same.same, same.different) == (90, 90 * 89 // 2 - 90) and same.interval == (0.0, 0.0)
    assert worse.balanced_accuracy < worse.reference - 0.05 and worse.interval[1] < 0
    assert same.accepted == same.reference_accepted > 0.99 > worse.accepted + 0.3


def batch_of(faces: np.ndarray, partial: np.ndarray) -> Batch:
    """One window `[0]` without a picture."""
    window = windows.Window(np.zeros((HEIGHT, WIDTH, 3), np.uint8), faces, partial)
    return Batch.of([window], np.random.default_rng(0))


def test_a_cell_that_answers_says_where_the_face_is() -> None:
    face = np.float32([40, 30, 60, 56, 45, 40, 55, 40, 50, 45, 46, 50, 54, 50])
    batch = batch_of(face[None], np.float32([[100, 80, 130, 110]]))
    answers, labels = (value[0].numpy() for value in targets(batch, 8, SIZES[8]))
    row, column = np.argwhere(labels == 1)[0]
    point = (np.array([column, row]) + 0.5) * 8
    box = answers[row, column, :4] * 8
    assert np.allclose([*(point - box[:2]), *(point + box[2:])], face[:4])
    assert np.allclose((answers[row, column, 4:] * 8).reshape(5, 2) + point, face[4:].reshape(5, 2))
    assert labels[11, 14] == -1, "a face that is cut off teaches nothing"
    assert (targets(batch, 32, SIZES[32])[1] != 1).all(), "a small face is not the coarse stride's"


def test_of_too_many_faces_the_smallest_are_left_out() -> None:
    tall = np.arange(1, MOST + 3, dtype=np.float32)
    boxes = np.stack([0 * tall, 0 * tall, tall, tall], 1)
    assert filled(boxes)[:, 3].tolist() == sorted(tall.tolist(), reverse=True)[:MOST]
    few = filled(boxes[:2])
    assert few[:2, 3].tolist() == [2, 1] and (few[2:] < -HEIGHT).all()


def test_light_is_dark_grey_and_noisy_as_it_was_drawn() -> None:
    pixels = torch.full((3, HEIGHT, WIDTH, 3), 100, dtype=torch.uint8)
    pixels[..., 0] = 160
    plain, dark, noisy = [0.0, 1, 1, 1, 1, 0, 0], [1.0, 1, 0.5, 0.5, 0.5, 3, 0], [0.0, 2, 1, 1, 1, 0, 5]
    seen = light.lit(pixels, torch.tensor([plain, dark, noisy])).float()
    assert (seen[0] == pixels[0]).all()
    assert (seen[1] == 63).all(), "grey is the mean of the colours, 120"
    assert 4.5 < float(seen[2].std((0, 1)).mean()) < 5.5
    assert torch.allclose(seen[2].mean((0, 1)), 255 * (pixels[0, 0, 0] / 255) ** 2, atol=1), "the exponent bends"
    drawn = np.stack([light.drawn_light(np.random.default_rng(seed)) for seed in range(400)])
    assert drawn.shape[1] == light.COLUMNS and abs(drawn[:, 0].mean() - light.GREY) < 0.06
    assert drawn[:, 2].min() < 0.3, "some are dark"


def test_perfect_answers_cost_nothing() -> None:
    boxes = torch.tensor([[1.0, 2.0, 1.5, 0.5]])
    marks = torch.rand(1, 10)
    assert float(overlap_loss(boxes, boxes)) < 1e-5 and float(landmark_loss(marks, marks, 8)) == 0
    assert float(overlap_loss(boxes * 2, boxes)) > 0.4


def test_landmarks_of_small_faces_are_measured_in_pixels() -> None:
    def cost(eyes: float) -> float:
        """Of landmarks a pixel beside a face's."""
        marks = torch.tensor([[0, 0, eyes, 0, eyes / 2, eyes / 2, 0, eyes, eyes, eyes]]) / 8
        return float(landmark_loss(marks + 1 / 8, marks, 8))

    assert abs(cost(LEAST_EYES / 4) / cost(LEAST_EYES / 2) - 1) < 1e-5
    assert cost(LEAST_EYES / 2) > 1.3 * cost(1.5 * LEAST_EYES)


def test_a_short_run_learns_goes_on_and_is_released(tmp_path: Path) -> None:
    packs = tmp_path / "packs"
    packs.mkdir()
    faces = np.zeros((6, 6, 15), np.float32)
    faces[:, 0] = FACE
    write_pack(packs, "detect-photos", [photograph()] * 6, {"faces": faces, "count": np.ones(6, np.int64)})
    empty = [np.full((120, 160, 3), 20 * i, np.uint8) for i in range(8)]
    write_pack(packs, "nofaces", empty, {"source": np.array(["drawn"] * 8)})
    (tmp_path / "labels").mkdir()
    crop = np.append(windows.moved(FACE, CROP, flipped=False), 0.9).astype(np.float32)
    np.savez(tmp_path / "labels" / "drawn.npz", pixels=photograph()[None, 40:160, 70:190], faces=crop[None])
    recipe = Recipe(steps=30, batch=8, average=0.8)
    training = Training(tmp_path / "run", Windows(packs, tmp_path / "labels", recipe))
    for _ in range(10):
        training.run.train_step(training.loss)
    training.run.save()
    training = Training(tmp_path / "run", Windows(packs, tmp_path / "labels", recipe), workers=1)
    assert training.run.step == 10
    training.train(every=10)
    curve = (tmp_path / "run" / "curve.csv").read_text().splitlines()
    losses = [float(line.split(",")[2]) for line in curve[1:]]
    assert curve[0] == "step,pictures,loss,average_loss" and losses[-1] < losses[0]
    metrics = release.release(training, tmp_path / "release", 3, fine_tuning=1)
    assert metrics["torch_agreement"]["within_one"] > 0.999
    going_on = replace(recipe, start=str(tmp_path / "release" / "detector-fp32.safetensors"))
    begun = Training(tmp_path / "next", Windows(packs, None, going_on)).run.network.state_dict()
    assert all(torch.equal(value, begun[name]) for name, value in training.run.average.state_dict().items())
    assert metrics["pictures_without_people"] == 2
    assert isinstance(Detector(tmp_path / "release").detect(Layers(photograph())), list)


def test_a_batch_without_faces_has_a_loss() -> None:
    batch = batch_of(np.zeros((0, 14), np.float32), np.zeros((0, 4), np.float32))
    assert np.isfinite(float(loss_of(DetectorNet()(batch.pictures()), batch_targets(batch)).detach()))


def test_every_step_has_its_own_windows_whoever_draws_them(tmp_path: Path) -> None:
    write_pack(tmp_path, "detect-photos", [photograph()] * 2, {"faces": np.tile(FACE, (2, 6, 1)), "count": np.ones(2, np.int64)})
    write_pack(tmp_path, "nofaces", [np.full((120, 160, 3), 90, np.uint8)] * 4, {"source": np.array(["drawn"] * 4)})
    drawn = Windows(tmp_path, None, Recipe(steps=9, batch=4))
    training = Training(tmp_path / "run", drawn, workers=1)
    training.run.step = 7
    cv2.setNumThreads(2)
    assert all(torch.equal(one, other) for one, other in zip(next(training.batches), drawn[7], strict=True))
    assert cv2.getNumThreads() == 1, "OpenCV's threads do not live in a fork"
    assert not torch.equal(drawn[7].pixels, drawn[8].pixels)


def test_pictures_that_cannot_teach_a_second_look_are_refused(tmp_path: Path) -> None:
    small = FACE.copy()
    small[4:14] = (small[4:14].reshape(5, 2) * 0.3).ravel()
    write_pack(tmp_path, "detect-photos", [photograph()], {"faces": np.tile(small, (1, 6, 1)), "count": np.ones(1, np.int64)})
    write_pack(tmp_path, "nofaces", [photograph()], {"source": np.array(["drawn"])})
    with pytest.raises(ValueError, match="eyes are 20 pixels apart"):
        Windows(tmp_path, None, Recipe())


def test_faces_that_are_too_small_teach_no_second_look() -> None:
    small = FACE.copy()
    small[4:14] = (small[4:14].reshape(5, 2) * 0.3).ravel()
    assert len(windows.near(windows.Picture(photograph(), np.stack([FACE, small]))).faces) == 1
