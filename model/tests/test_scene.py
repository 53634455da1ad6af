"""Synthetic people, the scene and packs: the same seed gives the same frames, and pictures survive."""

from pathlib import Path

import numpy as np
import pytest

from facelatch_model import packs, people, scene


@pytest.fixture(scope="module")
def model() -> people.FaceModel:
    """A face model of noise: its people look like nothing, but move like people."""
    rng = np.random.default_rng(1)
    faces = rng.integers(0, 256, (24, people.SIZE, people.SIZE, 3), dtype=np.uint8)
    return people.fit(faces)


def test_the_same_seed_gives_the_same_scene(model: people.FaceModel) -> None:
    first, second = scene.direct(model, 3), scene.direct(model, 3)
    assert len(first.frames) == len(second.frames) > 300
    assert all(np.array_equal(a, b) for a, b in zip(first.frames, second.frames, strict=True))
    assert not np.array_equal(first.frames[30], scene.direct(model, 4).frames[30])


def test_chapters_follow_one_another_and_every_expectation_is_there(model: people.FaceModel) -> None:
    script = scene.direct(model, 3)
    ends = [chapter["to_ms"] for chapter in script.chapters]
    starts = [chapter["from_ms"] for chapter in script.chapters]
    assert starts == [0, *ends[:-1]]
    assert ends[-1] == script.now()
    expected = {str(chapter["expect"]) for chapter in script.chapters}
    assert expected == {"nothing", "enrolled", "unlocked", "refused"}


def test_a_film_holds_one_jpeg_for_each_frame(model: people.FaceModel, tmp_path: Path) -> None:
    script = scene.direct(model, 3)
    script.frames = script.frames[:5]
    scene.write(script, tmp_path)
    film = (tmp_path / "scene.mjpeg").read_bytes()
    assert film.count(b"\xff\xd8\xff\xe0") == 5
    assert film.endswith(b"\xff\xd9")
    assert 'frames = "scene.mjpeg"' in (tmp_path / "scene.toml").read_text()


def test_a_person_a_moment_later_is_nearer_than_another_person(model: people.FaceModel) -> None:
    rng = np.random.default_rng(2)
    person, other = model.sample(rng), model.sample(rng)
    later = model.change(person, rng, 0.25)
    assert np.linalg.norm(later - person) < 0.5 * np.linalg.norm(other - person)


def test_similarity_recovers_a_known_transform() -> None:
    matrix = np.float32([[0.8, -0.3, 12.0], [0.3, 0.8, -7.0]])
    moved = people.LANDMARKS @ matrix[:, :2].T + matrix[:, 2]
    assert np.allclose(people.similarity(people.LANDMARKS, moved), matrix, atol=1e-3)


def test_packs_keep_pictures_and_skip_damaged_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(5)
    pictures = [rng.integers(0, 256, (9, 7, 3), dtype=np.uint8) for _ in range(3)]
    packs.write_pack(tmp_path, "p", pictures, {"person": np.array(["a", "b", "c"])})
    read = list(packs.read_pack(tmp_path, "p"))
    assert [row["person"] for _, row in read] == ["a", "b", "c"]
    assert all(np.array_equal(a, b) for (a, _), b in zip(read, pictures, strict=True))
    blob = bytearray((tmp_path / "p.bin").read_bytes())
    blob[:12] = bytes(12)
    (tmp_path / "p.bin").write_bytes(bytes(blob))
    assert len(list(packs.read_pack(tmp_path, "p"))) == 2
    assert "picture 0 is damaged" in capsys.readouterr().err
