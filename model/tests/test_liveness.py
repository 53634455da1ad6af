"""The liveness network's training on people who do not exist: pictures, attacks, measures, a short run, its release."""

from pathlib import Path

import numpy as np
import pytest
import torch

from facelatch_model import qdq
from facelatch_model.drawing import Layers
from facelatch_model.liveness import attacks, collected, crops, evaluate, measure, motion, release
from facelatch_model.liveness.network import LivenessNet
from facelatch_model.liveness.train import Library, Recipe, Training, augmented, float_scores

EYES = np.float32([[38, 44], [66, 44]])


def living(seed: int) -> np.ndarray:
    """A smooth blob with eyes, `[STORED, STORED, 3]` u8: a face as far as these tests care."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : crops.STORED, 0 : crops.STORED].astype(np.float32)
    face = np.exp(-(((x - 52) / 34) ** 2) - ((y - 54) / 44) ** 2)
    picture = 40 + face[..., None] * (np.float32([150, 115, 95]) + rng.normal(0, 20, 3).astype(np.float32))
    for eye in EYES:
        picture[np.hypot(x - eye[0], y - eye[1]) < 4] = 30
    return np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Squares of 24 people for training and eight subjects, two of whom a test may hold out."""
    path = tmp_path_factory.mktemp("crops")
    faces = [crops.Face(living(seed), EYES, "drawn") for seed in range(24)]
    crops.draw_part(faces, 3, 1).write(path, "drawn")
    real = crops.Part()
    rng = np.random.default_rng(2)
    for subject in range(8):
        for _ in range(6):
            picture = living(100 + subject).astype(np.float32)
            real.add(attacks.camera(picture, rng), True, "living", f"person{subject}", "camera")
            real.eyes.append(EYES)
            shown = attacks.draw("screen", picture, picture, EYES, rng)
            real.add(attacks.camera(shown, rng), False, "screen", f"person{subject}", "camera")
            real.eyes.append(EYES)
    crops.redrawn_part(real, 3).write(path, "redrawn")
    real.write(path, "real")
    return path


@pytest.mark.parametrize("species", sorted(set(crops.SPECIES)))
def test_an_attack_is_another_picture_of_the_same_size(species: str) -> None:
    picture, other = living(1).astype(np.float32), living(2).astype(np.float32)
    drawn = [attacks.draw(species, picture, other, EYES, np.random.default_rng(seed)) for seed in (5, 5, 6)]
    assert drawn[0].shape == picture.shape and np.isfinite(drawn[0]).all()
    assert (drawn[0] == drawn[1]).all(), "the same seed draws the same"
    assert np.abs(drawn[0] - drawn[2]).mean() > 1 and np.abs(drawn[0] - picture).mean() > 1


def test_a_mask_shows_the_living_eyes() -> None:
    picture, paper = living(1).astype(np.float32), np.zeros((crops.STORED, crops.STORED, 3), np.float32)
    masked = attacks.with_eye_holes(paper, picture, EYES, np.random.default_rng(0))
    x, y = EYES[0].astype(int)
    assert np.abs(masked[y, x] - picture[y, x]).max() < 8
    assert masked[70, 52].max() == 0


def test_the_second_camera_treats_both_classes_alike() -> None:
    grey = np.full((crops.STORED, crops.STORED, 3), 128, np.float32)
    means = [attacks.camera(grey, np.random.default_rng(seed)).mean() for seed in range(40)]
    assert 90 < np.mean(means) < 165 and np.std(means) > 8


def test_one_person_is_one_subject_and_a_stranger_is_another() -> None:
    rng = np.random.default_rng(0)
    people = rng.normal(0, 1, (3, 128))
    vectors = np.concatenate(
        [person + rng.normal(0, 0.25, (count, 128)) for person, count in zip(people, (20, 12, 3), strict=True)]
    )
    found = collected.clusters(vectors)
    assert len(set(found[:20])) == 1 and len(set(found[20:32])) == 1 and found[0] != found[20]
    assert (found[32:] == -1).all(), "too few pictures to be anybody"
    assert len(collected.clusters(np.zeros((0, 128)))) == 0


def test_apcer_counts_what_reaches_the_threshold_that_refuses_one_of_twenty() -> None:
    alive, attack = np.arange(100) / 10.0, np.array([-1.0, 0.2, 0.5, 7.0])
    assert measure.threshold(alive) == 0.5
    result = measure.by_species(
        "all", np.append(alive, attack), np.arange(104) < 100, np.array(["living"] * 100 + ["screen"] * 4)
    )[0]
    assert (result.apcer, result.living, result.attacks) == (0.5, 100, 4)
    assert result.area == pytest.approx((1.0 + 0.975 + 0.945 + 0.295) / 4)
    assert measure.area(alive, alive) == 0.5


def test_a_track_is_of_one_person_and_of_pictures_that_look_alike() -> None:
    rows = {"subject": np.repeat(["a", "b"], 16), "origin": np.repeat("x", 32), "species": np.repeat("living", 32)}
    light = np.tile([20, 200], 16)
    pictures = np.broadcast_to(light[:, None, None, None], (32, 32, 32, 3)).astype(np.uint8)
    scores = np.where(light == 20, 0.0, 1.0) + np.repeat([0.0, 10.0], 16)
    assert np.allclose(measure.tracked(rows, scores, pictures, 8), scores)
    assert np.allclose(measure.tracked(rows, scores, pictures, 16), np.repeat([0.5, 10.5], 16))


def test_a_turning_head_moves_unlike_a_picture_that_turns() -> None:
    head = np.array([[-30, 0, 0], [30, 0, 0], [0, 30, -25], [-24, 60, -6], [24, 60, -6]], np.float64)

    def visit(depth: float, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        turns = np.radians(rng.uniform(-20, 20, 8))
        shape = head * [1, 1, depth]
        seen = np.stack([np.column_stack([shape @ [np.cos(t), 0, np.sin(t)], shape[:, 1]]) for t in turns])
        return seen + rng.normal(0, 0.3, seen.shape)

    landmarks = np.concatenate([visit(depth, seed) for depth in (1.0, 0.0) for seed in range(3)])
    living = np.repeat([True, False], 24)
    rows = {"subject": np.repeat("a", 48), "living": living, "species": np.where(living, "living", "print")}
    (result,) = motion.figures(rows, landmarks, 8)
    assert result.species == "print" and result.apcer == 0.0 and result.area > 0.99


def test_a_bench_keeps_whom_it_is_asked_for_and_loses_its_colours() -> None:
    subjects = np.repeat(["a", "b"], 4)
    shown = [evaluate.Shown(Layers(living(seed)), np.array([20.0, 14, 84, 98])) for seed in range(8)]
    rows = {
        "subject": subjects,
        "origin": np.repeat("x", 8),
        "living": np.tile([True, False], 4),
        "species": np.tile(["living", "print"], 4),
    }
    small = np.zeros((8, measure.THUMB, measure.THUMB, 3), np.uint8)
    bench = evaluate.Bench(shown, rows, np.zeros((8, 5, 2)), small, shown[:2])
    one = bench.of(["a"])
    assert [len(part) for part in (one.pictures, one.landmarks, one.small, one.photographs)] == [4, 4, 4, 2]
    assert set(one.rows["subject"]) == {"a"}
    with pytest.raises(SystemExit, match="there are a, b"):
        bench.of(["c"])
    pixels = one.grey().pictures[0].layers.levels[0]
    assert (pixels == pixels[..., :1]).all() and (one.pictures[0].layers.levels[0] != pixels).any()

    def judge(layers: Layers, _box: np.ndarray) -> float:
        return float(layers.levels[0][..., 0].mean())

    found = bench.figures(judge)
    everybody = [result["species"] for result in found["collected"][0]["results"] if result["group"] == "all"]
    assert found["photographs"] == 2 and everybody == ["print"]


def test_the_network_s_answer_is_the_mean_of_its_votes() -> None:
    network, picture = LivenessNet().eval(), torch.rand(2, 3, 96, 96) - 0.5
    assert torch.allclose(network(picture)[:, 0], network.votes(picture).mean((1, 2, 3)), atol=1e-5)


def test_half_of_every_batch_is_alive_and_nobody_who_is_held_out_is_in_it(folder: Path) -> None:
    library = Library(folder, ("person0", "person1"))
    assert not any("person0" in str(library.rows[part]["subject"]) for part in ("drawn",))
    rows = [tuple(row) for pool in library.pools.values() for subject in pool for row in subject]
    names = list(library.pictures)
    trained = {str(library.rows[names[part]]["subject"][row]) for part, row in rows}
    assert trained == {"", *(f"person{i}" for i in range(2, 8))}
    _, labels = library.draw(np.random.default_rng(0), Recipe().shares, 400)
    assert 150 < labels.sum() < 250


def test_augmentation_keeps_the_range_of_pixels() -> None:
    pictures = torch.from_numpy(np.stack([living(seed) for seed in range(8)]))
    value = augmented(pictures, torch.Generator().manual_seed(1))
    assert value.shape == (8, 3, crops.SIDE, crops.SIDE)
    assert float(value.min()) >= -1 and float(value.max()) < 1


def test_a_run_that_was_cut_goes_on_learns_and_is_released(folder: Path, tmp_path: Path) -> None:
    recipe = Recipe(steps=24, batch=32, held_out=("person0", "person1"), average=0.8)
    Training(tmp_path / "whole", folder, recipe).train(every=12)
    half = Training(tmp_path / "cut", folder, recipe)
    for _ in range(12):
        half.run.train_step(half.loss)
    half.run.save()
    resumed = Training(tmp_path / "cut", folder, recipe)
    assert resumed.run.step == 12
    resumed.train(every=12)
    whole = torch.load(tmp_path / "whole" / "checkpoint.pt", weights_only=True)
    cut = torch.load(tmp_path / "cut" / "checkpoint.pt", weights_only=True)
    assert all(torch.allclose(whole["average"][key], cut["average"][key], atol=1e-4) for key in whole["average"])
    curve = (tmp_path / "whole" / "curve.csv").read_text().splitlines()
    losses = [float(line.split(",")[2]) for line in curve[1:]]
    assert curve[0].startswith("step,pictures,loss,webcam_screen_apcer") and losses[-1] < losses[0]

    metrics = release.release(resumed, tmp_path / "release", 9, fine_tuning=2)
    assert metrics["torch_agreement"]["within_one"] == 1.0
    pictures, _ = resumed.library.held_out_rows()
    floats = float_scores(resumed.run.average, pictures)
    whole_numbers = release.file_scores(tmp_path / "release" / "liveness.onnx", pictures)
    assert np.corrcoef(floats, whole_numbers)[0, 1] > 0.9
    assert f"version = {9}" in (tmp_path / "release" / "liveness.toml").read_text()
    measured = {"collected": metrics["int8"], "photographs": 10, "refused": 2}
    manifest = {"version": 9, "full_detail": -0.9, "detail_weight": 6.0}
    card = release.card_of(manifest, metrics | {"measured": {"released": measured, "teacher x": measured}})
    assert "# Liveness 9" in card and "| screen | webcam | 12, 12 |" in card and "| 20.0 % |" in card
    assert qdq.output_parameters(tmp_path / "release" / "liveness.onnx")[0][0] == "live"


def test_another_recipe_in_the_same_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    Training(tmp_path, folder, Recipe(steps=1, batch=8))
    with pytest.raises(ValueError, match="a folder of its own"):
        Training(tmp_path, folder, Recipe(steps=2, batch=8))
