"""The whole way on synthetic people: packs of nobody's faces to a released, checked embedder."""

import argparse
import json
import shutil
import tomllib
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from facelatch_model import configuration, data, embedding, metrics, packs, qdq, release, student, teacher, train
from facelatch_model.configuration import ConfigurationError, TeacherFile

TEACHER_NUMBERS = 160


def person(rng: np.random.Generator) -> np.ndarray:
    """Somebody who is a smooth pattern, `[120, 120, 3]` f32."""
    return cv2.resize(rng.normal(128, 55, (7, 7, 3)).astype(np.float32), (120, 120), interpolation=cv2.INTER_CUBIC)


def picture_of(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture of somebody: other light, a little noise, a little moved."""
    shift = np.float32([[1, 0, rng.normal(0, 1)], [0, 1, rng.normal(0, 1)]])
    moved = cv2.warpAffine(face, shift, (120, 120), borderMode=cv2.BORDER_REPLICATE)
    return np.clip(moved * rng.uniform(0.85, 1.15) + rng.normal(0, 6, moved.shape), 0, 255).astype(np.uint8)


def write_people(folder: Path, name: str, count: int, each: int, seed: int) -> list[str]:
    """A pack of `count` people with `each` pictures; returns the pictures' names (`P001_0002`)."""
    rng = np.random.default_rng(seed)
    faces = [person(rng) for _ in range(count)]
    names = [f"P{p:03d}_{i:04d}" for p in range(count) for i in range(1, each + 1)]
    pictures = [picture_of(faces[int(n[1:4])], rng) for n in names]
    who = [n[:4] if int(n[1:4]) % 4 else "" for n in names]
    packs.write_pack(folder, name, pictures, {"person": np.array(who), "picture": np.array(names)})
    return names


def write_views(folder: Path, name: str, names: list[str]) -> None:
    """The same pictures as packs with conditions, and with UTKFace's file names."""
    conditions = ["neutral" if int(n[-1]) % 2 else "masked" for n in names]
    sources = [f"{20 + int(n[1:4])}_{int(n[-1]) % 2}_{int(n[1:4]) % 5}_{n}" for n in names]
    table = np.load(folder / f"{name}.npz")
    views = {
        "occluded": {"condition": np.array(conditions), "person": np.array([n[:4] for n in names])},
        "groups": {"source": np.array(sources)},
    }
    for view, columns in views.items():
        shutil.copyfile(folder / f"{name}.bin", folder / f"{name}-{view}.bin")
        np.savez(folder / f"{name}-{view}.npz", offsets=table["offsets"], **columns)


def write_pairs(path: Path, count: int, each: int) -> None:
    """Ten folds of six pairs of one person and six of two."""
    rng, lines = np.random.default_rng(9), ["10\t6"]
    for _ in range(10):
        for _ in range(6):
            i, j = rng.choice(each, 2, replace=False) + 1
            lines.append(f"P{rng.integers(count):03d}\t{i}\t{j}")
        for _ in range(6):
            a, b = rng.choice(count, 2, replace=False)
            lines.append(f"P{a:03d}\t{rng.integers(each) + 1}\tP{b:03d}\t{rng.integers(each) + 1}")
    path.write_text("\n".join(lines) + "\n")


def write_teacher(path: Path) -> None:
    """An ONNX teacher that sees coarse colour: mean over 8x8 pixels, then a random map."""
    weight = np.random.default_rng(3).normal(size=(TEACHER_NUMBERS, 14 * 14 * 3)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["x"], ["p"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w"], ["y"], transB=1),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 112, 112])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", TEACHER_NUMBERS])
    graph = helper.make_graph(nodes, "teacher", [x], [y], [numpy_helper.from_array(weight, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


CONFIGURATION = """
run = "run"
threads = {threads}
[data]
sources = [{{ kind = "pack", path = "people" }}]
[[teachers]]
path = "teacher.onnx"
[distill]
minutes = 10
pictures = {pictures}
batch = 48
people = 6
pictures_each = 4
evaluate_minutes = 100
average = 0.9
[quantise]
calibration_pictures = 64
steps = 8
batch = 32
[evaluate]
pairs = "pairs.txt"
faces = {{ kind = "pack", path = "strangers" }}
occluded = {{ kind = "pack", path = "strangers-occluded" }}
groups = {{ kind = "pack", path = "strangers-groups" }}
[release]
version = 5
embedding_id = 6
notes = "notes.md"
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training on synthetic people: its folder."""
    root = tmp_path_factory.mktemp("training")
    write_people(root, "people", 40, 6, seed=1)
    write_views(root, "strangers", write_people(root, "strangers", 24, 5, seed=2))
    write_pairs(root / "pairs.txt", 24, 5)
    write_teacher(root / "teacher.onnx")
    (root / "notes.md").write_text("## Made from\n\nPatterns.\n")
    (root / "c.toml").write_text(CONFIGURATION.format(pictures=6000, threads=torch.get_num_threads()))
    run(root)
    return root


def run(root: Path, until: str | None = None) -> None:
    """The command, as from the command line."""
    train.run(argparse.Namespace(configuration=root / "c.toml", out=None, until=until))


def cosine_on_training_pictures(made: Path) -> float:
    """Mean cosine of what the student says of its training pictures to what it was asked for."""
    finished = train.Run(configuration.load(made / "c.toml"))
    crops = finished.crops()
    targets = finished.target(crops)[1]
    network = student.read(made / "run" / "release" / "embedder-fp32.safetensors")
    said = embedding.embed_all(embedding.of_network(network), teacher.middle(crops.pictures), "training pictures")
    return float((metrics.normalised(said) * targets).sum(1).mean())


def test_the_student_learns_and_int8_keeps_it(made: Path) -> None:
    figures = json.loads((made / "run" / "release" / "embedder-metrics.json").read_text())
    models = figures["verification"]["models"]
    assert models["teachers together"]["accuracy"] > 0.95
    assert models["student fp32"]["accuracy"] > 0.9
    assert cosine_on_training_pictures(made) > 0.4
    assert models["student int8, 128 bytes"]["accuracy"] > models["student fp32"]["accuracy"] - 0.06
    assert {row["dimensions"] for row in figures["sizes"]} <= {64, 128, 256, 512}
    assert set(figures["occlusion"]["all people"]) == {"masked", "neutral"}
    assert figures["groups"]["gender"]["male"]["pictures"] == 48
    assert any("accuracy" in row for row in figures["training"])


def test_the_release_is_whole_and_its_manifest_fits(made: Path) -> None:
    out = made / "run" / "release"
    manifest = tomllib.loads((out / "embedder.toml").read_text())
    assert (manifest["version"], manifest["embedding_id"]) == (5, 6)
    assert len(manifest["golden"]["output"]) == 128
    assert set(manifest["distance_far"][0]) == {"distance", "far", "far_upper_95"}
    rates = [row["far"] for row in manifest["distance_far"]]
    assert rates == sorted(rates)
    assert teacher.digest_of(out / "embedder.onnx") == manifest["sha256"][:12]
    assert [n for n, _, _ in qdq.output_parameters(out / "embedder.onnx")] == ["embedding"]
    assert isinstance(student.read(out / "embedder-fp32.safetensors"), student.Student)


def test_the_card_tells_the_figures(made: Path) -> None:
    out = made / "run" / "release"
    card, figures = (out / "embedder.md").read_text(), json.loads((out / "embedder-metrics.json").read_text())
    accuracy = figures["verification"]["models"]["student int8, 128 bytes"]["accuracy"]
    assert f"{100 * accuracy:.2f} %" in card
    assert "Patterns." in card and "# Embedder 5" in card
    for word in ("Masks and sunglasses", "gender female", "Embedding size", "112x112 |", "1e-4"):
        assert word in card, word
    assert "{{" not in card and "None" not in card and "nan" not in card


def test_a_finished_training_is_not_done_again(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (made / "run" / "int8" / "embedder.onnx").stat().st_mtime_ns
    run(made)
    said = capsys.readouterr().err
    assert "gathered already" in said and "trained already" in said and "quantised already" in said
    assert (made / "run" / "int8" / "embedder.onnx").stat().st_mtime_ns == before


def test_a_training_that_was_cut_goes_on(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = json.loads((made / "run" / "student" / "log.jsonl").read_text().splitlines()[-1])["seen"]
    (made / "run" / "student" / "student.safetensors").unlink()
    (made / "c.toml").write_text(CONFIGURATION.format(pictures=6100, threads=torch.get_num_threads()))
    run(made, until="distil")
    assert "going on after" in capsys.readouterr().err
    assert json.loads((made / "run" / "student" / "log.jsonl").read_text().splitlines()[-1])["seen"] > seen


def test_a_student_without_figures_is_not_released(tmp_path: Path) -> None:
    with pytest.raises(release.ReleaseError, match="evaluate the student first"):
        release.figures_in(tmp_path)


def test_embeddings_are_computed_once_and_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    write_teacher(tmp_path / "t.onnx")
    file = TeacherFile(tmp_path / "t.onnx", batch=2)
    pictures = np.random.default_rng(1).integers(0, 256, (140, 112, 112, 3), dtype=np.uint8)
    whole = teacher.embeddings(file, pictures, "abc", tmp_path / "cache")
    assert np.allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-5)
    (kept,) = (tmp_path / "cache").glob("*.npy")
    kept.rename(kept.with_name(f"{kept.stem}-0.part.npy"))
    np.save(kept.with_name(f"{kept.stem}-0.part.npy"), whole[:128] * 0 + whole[:1])
    resumed = teacher.embeddings(file, pictures, "abc", tmp_path / "cache")
    assert np.array_equal(resumed[:128], np.repeat(whole[:1], 128, 0)) and np.allclose(resumed[128:], whole[128:])
    assert np.array_equal(teacher.embeddings(file, pictures[:1], "abc", tmp_path / "cache"), resumed)


def test_a_torch_program_teaches_too(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.AvgPool2d(16), torch.nn.Flatten(), torch.nn.Linear(147, 130))
    torch.export.save(torch.export.export(network.eval(), (torch.zeros(4, 3, 112, 112),)), tmp_path / "t.pt2")
    embed = teacher.open_teacher(TeacherFile(tmp_path / "t.pt2", batch=4))
    assert embed(np.zeros((4, 112, 112, 3), np.uint8)).shape == (4, 130)
    with pytest.raises(teacher.TeacherError, match="there is no teacher"):
        teacher.open_teacher(TeacherFile(tmp_path / "none.onnx"))


def test_a_target_has_unit_length_and_refuses_too_few_numbers() -> None:
    known = np.random.default_rng(1).normal(size=(400, 160)).astype(np.float32)
    assert np.allclose(np.linalg.norm(teacher.fit_target(known, 128).of(known), axis=1), 1, atol=1e-5)
    with pytest.raises(teacher.TeacherError, match="128 numbers"):
        teacher.fit_target(known[:, :100], 128)


def test_the_student_costs_what_its_card_says() -> None:
    sums, parameters = student.cost(student.Student())
    assert round(sums / 1e6, 1) == 97.8 and round(parameters / 1e6, 2) == 0.78


def test_a_wrong_configuration_or_empty_source_stops_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        run(tmp_path)
    (tmp_path / "album").mkdir()
    with pytest.raises(data.DataError, match="no pictures below"):
        list(data.folder_items(tmp_path / "album"))
