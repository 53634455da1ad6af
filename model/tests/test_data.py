"""Pictures from folders, tars and packs: found, aligned, and damaged ones skipped."""

import io
import json
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from facelatch_model import data, faces, packs
from facelatch_model.configuration import Source
from facelatch_model.detector import TEMPLATE, DetectorError, Face, open_detector

RELEASE = Path(__file__).parents[1] / "release"
SCENE = Path(__file__).parents[2] / "boards" / "sim" / "scene.mjpeg"


def marked(place: np.ndarray) -> np.ndarray:
    """A dark picture `[200, 240, 3]` with a bright dot at each of the five landmarks `place`."""
    picture = np.full((200, 240, 3), 40, np.uint8)
    for x, y in place:
        cv2.circle(picture, (round(float(x)), round(float(y))), 3, (255, 255, 255), -1)
    return picture


PLACE = np.float32([[100, 80], [140, 84], [118, 104], [102, 124], [134, 126]])


def one_face(picture: np.ndarray) -> list[Face]:
    """A detector that finds the dots of `marked`, and nothing in a picture without them."""
    if picture.max() < 200:
        return []
    return [Face(np.float32([80, 60, 160, 150]), PLACE, 0.9)]


def coded(picture: np.ndarray, ending: str = ".png") -> bytes:
    """A picture in a file's bytes."""
    return cv2.imencode(ending, picture[:, :, ::-1])[1].tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two people with one picture each, one unknown, one damaged, one without a face."""
    root = tmp_path / "album"
    for person in ("ada", "bob"):
        (root / person).mkdir(parents=True)
        (root / person / f"{person}_0001.png").write_bytes(coded(marked(PLACE)))
    (root / "unknown.png").write_bytes(coded(marked(PLACE)))
    (root / "ada" / "broken.jpg").write_bytes(b"\xff\xd8 this is no picture")
    (root / "bob" / "wall.jpg").write_bytes(coded(np.full((60, 60, 3), 90, np.uint8), ".jpg"))
    (root / "notes.txt").write_text("not a picture")
    return root


def test_a_folder_gives_aligned_crops_and_reports_what_it_skips(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crops = data.gather((Source(folder),), one_face, tmp_path / "out")
    assert crops.pictures.shape == (3, data.SIDE, data.SIDE, 3)
    assert sorted(crops.columns["person"]) == ["", "album/ada", "album/bob"]
    said = capsys.readouterr().err
    assert "broken is damaged" in said and "wall shows no face" in said
    for x, y in TEMPLATE + data.MARGIN:
        assert crops.pictures[0][round(float(y)), round(float(x))].min() > 150


def test_a_gathered_set_is_not_gathered_again(folder: Path, tmp_path: Path) -> None:
    first = data.gather((Source(folder),), one_face, tmp_path / "out")
    again = data.gather((), None, tmp_path / "out")
    assert again.digest == first.digest
    assert np.array_equal(again.pictures, first.pictures)


def test_people_who_are_skipped_are_left_out(folder: Path, tmp_path: Path) -> None:
    crops = data.gather((Source(folder),), one_face, tmp_path / "out", ("album/ada",))
    assert sorted(crops.columns["person"]) == ["", "album/bob"]


def test_labels_number_people_and_leave_the_unknown_at_minus_one(folder: Path, tmp_path: Path) -> None:
    crops = data.gather((Source(folder),), one_face, tmp_path / "out")
    labels = crops.labels()
    assert (labels == -1).tolist() == (crops.columns["person"] == "").tolist()
    assert len(set(labels[labels >= 0])) == 2


def test_a_tar_knows_its_people_by_class_or_json(tmp_path: Path) -> None:
    files = {
        "a/0001.png": coded(marked(PLACE)),
        "a/0001.cls": b"17",
        "a/0002.jpg": coded(marked(PLACE), ".jpg"),
        "a/0002.json": json.dumps({"identity": "carol"}).encode(),
        "a/0003.png": coded(marked(PLACE)),
        "a/0003.json": b"{",
        "a/0004.png": b"",
    }
    path = tmp_path / "shard-0.tar"
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    items = list(data.source_items(Source(path, "tar"), one_face))
    assert [item.person for item in items] == ["shard-0/17", "shard-0/carol", ""]


def test_a_pack_of_small_crops_gets_a_margin(tmp_path: Path) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    packs.write_pack(tmp_path, "p", [picture], {"picture": np.array(["Ada_0001"])})
    found = faces.read_faces(Source(tmp_path / "p", "pack"), None)
    assert np.array_equal(found.pictures[0], picture)
    assert found.source[0] == "Ada_0001"


@pytest.mark.parametrize(
    ("source", "word"),
    [
        (Source(Path("/nowhere"), "folder"), "there is no folder"),
        (Source(Path("/nowhere/p"), "pack"), "there is no pack"),
        (Source(Path("/nowhere"), "zip"), "a pack, a folder or a tar"),
    ],
)
def test_a_source_that_is_not_there_says_so(source: Source, word: str) -> None:
    with pytest.raises(data.DataError, match=word):
        list(data.source_items(source, one_face))


def test_a_folder_without_detector_says_what_to_set(folder: Path) -> None:
    with pytest.raises(data.DataError, match=r"set data\.detector"):
        list(data.source_items(Source(folder), None))


def test_the_released_detector_finds_the_synthetic_people_of_the_scene(tmp_path: Path) -> None:
    video, album = cv2.VideoCapture(str(SCENE)), tmp_path / "scene"
    album.mkdir()
    for index in range(120):
        read, frame = video.read()
        if read and index % 10 == 5:
            cv2.imwrite(str(album / f"{index}.png"), frame)
    items = list(data.source_items(Source(album), open_detector(RELEASE / "detector.toml")))
    assert len(items) >= 5
    eyes = [item.picture[44:66, 30:90].mean() < item.picture[70:80, 30:90].mean() + 40 for item in items]
    assert all(eyes)


def test_a_detector_that_is_not_there_says_what_to_give() -> None:
    with pytest.raises(DetectorError, match=r"release/detector\.toml"):
        open_detector(Path("none.onnx"))


def test_pairs_name_pictures_or_say_which_is_missing(tmp_path: Path) -> None:
    names = [f"Ada_{i:04d}" for i in (1, 2)] + [f"Bob_{i:04d}" for i in (1, 2)]
    found = faces.Faces(np.zeros((4, 112, 112, 3), np.uint8), np.array([""] * 4), np.array(names), np.array([""] * 4))
    path = tmp_path / "pairs.txt"
    path.write_text("10\t1\n" + "Ada\t1\t2\nAda\t1\tBob\t2\n" * 10)
    pairs = faces.read_pairs(path, found)
    assert pairs.same.tolist() == [True, False] * 10
    assert pairs.person.tolist() == ["Ada", "Ada", "Bob", "Bob"]
    path.write_text("10\t1\n" + "Ada\t1\t7\n" * 10)
    with pytest.raises(data.DataError, match="Ada_0007"):
        faces.read_pairs(path, found)


def test_groups_come_from_file_names() -> None:
    found = faces.groups_of(np.array(["25_0_2_2017.jpg", "70_1_0_x", "no name"]))
    assert found["age"]["20-29"].tolist() == [0] and found["age"]["70-120"].tolist() == [1]
    assert found["gender"]["female"].tolist() == [1] and found["race"]["Asian"].tolist() == [0]
