"""The detector's training on drawn faces: windows, labels, losses, a short run, its release."""

from pathlib import Path

import cv2
import numpy as np
import torch

from facelatch_model.chain import Detector
from facelatch_model.detector_training import release, windows
from facelatch_model.detector_training.loss import batch_targets, landmark_loss, loss_of, overlap_loss, targets
from facelatch_model.detector_training.network import HEIGHT, WIDTH, DetectorNet
from facelatch_model.detector_training.train import Recipe, Training
from facelatch_model.drawing import Layers
from facelatch_model.packs import write_pack

FACE = np.float32([100, 60, 160, 140, 115, 92, 145, 92, 130, 108, 118, 122, 142, 122, 0.9])


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


def test_a_cell_that_answers_says_where_the_face_is() -> None:
    face = np.float32([40, 30, 60, 56, 45, 40, 55, 40, 50, 45, 46, 50, 54, 50])
    window = windows.Window(np.zeros((HEIGHT, WIDTH, 3), np.uint8), face[None], np.float32([[100, 80, 130, 110]]))
    answers, labels = targets(window, 8)
    row, column = np.argwhere(labels == 1)[0]
    point = (np.array([column, row]) + 0.5) * 8
    box = answers[row, column, :4] * 8
    assert np.allclose([*(point - box[:2]), *(point + box[2:])], face[:4])
    assert np.allclose((answers[row, column, 4:] * 8).reshape(5, 2) + point, face[4:].reshape(5, 2))
    assert labels[11, 14] == -1, "a face that is cut off teaches nothing"
    assert (targets(window, 32)[1] != 1).all(), "a small face is not the coarse stride's"


def test_perfect_answers_cost_nothing() -> None:
    boxes = torch.tensor([[1.0, 2.0, 1.5, 0.5]])
    marks = torch.rand(1, 10)
    assert float(overlap_loss(boxes, boxes)) < 1e-5 and float(landmark_loss(marks, marks)) == 0
    assert float(overlap_loss(boxes * 2, boxes)) > 0.4


def test_a_short_run_learns_goes_on_and_is_released(tmp_path: Path) -> None:
    packs = tmp_path / "packs"
    packs.mkdir()
    faces = np.zeros((6, 6, 15), np.float32)
    faces[:, 0] = FACE
    write_pack(packs, "detect-photos", [photograph()] * 6, {"faces": faces, "count": np.ones(6, np.int64)})
    empty = [np.full((120, 160, 3), 20 * i, np.uint8) for i in range(8)]
    write_pack(packs, "nofaces", empty, {"source": np.array(["drawn"] * 8)})
    recipe = Recipe(steps=30, batch=8, average=0.8)
    training = Training(tmp_path / "run", packs, recipe)
    for _ in range(10):
        training.run.train_step(training.loss)
    training.run.save()
    training = Training(tmp_path / "run", packs, recipe)
    assert training.run.step == 10
    training.train(every=10)
    curve = (tmp_path / "run" / "curve.csv").read_text().splitlines()
    losses = [float(line.split(",")[2]) for line in curve[1:]]
    assert curve[0] == "step,pictures,loss,average_loss" and losses[-1] < losses[0]
    metrics = release.release(training, tmp_path / "release", 3, fine_tuning=1)
    assert metrics["torch_agreement"]["within_one"] > 0.999
    assert metrics["pictures_without_people"] == 2
    assert isinstance(Detector(tmp_path / "release").detect(Layers(photograph())), list)


def test_a_batch_without_faces_has_a_loss() -> None:
    window = windows.Window(np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.zeros((0, 14), np.float32), np.zeros((0, 4), np.float32))
    outputs = DetectorNet()(torch.zeros(1, 3, HEIGHT, WIDTH))
    assert np.isfinite(float(loss_of(outputs, batch_targets([window])).detach()))
