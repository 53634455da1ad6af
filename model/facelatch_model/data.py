"""Pictures to learn from: found, aligned, and laid side by side in one array with an index.

    pack   NAME.bin + NAME.npz, aligned already             \\
    folder one folder for each person, or unknown people     >  crops.npy [n, 120, 120, 3] u8 + index.npz
    tar    WebDataset: KEY.jpg beside KEY.cls or KEY.json   /

A crop is the ArcFace template at 112x112 with `MARGIN` pixels more on each side. What cannot be used (damaged, no face) is
reported and skipped.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .configuration import Source
from .detector import TEMPLATE, Detect
from .packs import read_pack
from .people import similarity
from .progress import Progress

MARGIN, SIDE = 4, 120
ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
COLUMNS = ("person", "condition", "source", "pack")
"""What is known of a picture, each a text: '' if unknown."""
MOST_PIXELS = 2000
"""Longer sides are shrunk to this before faces are looked for. A choice: faces that matter stay large."""


class DataError(ValueError):
    """Pictures that cannot be used at all; says what to do."""


@dataclass(frozen=True)
class Item:
    """One picture `[h, w, 3]` u8 RGB before it is aligned (None: damaged), and what is known of it."""

    picture: np.ndarray | None
    person: str
    source: str
    condition: str = ""


@dataclass(frozen=True)
class Crops:
    """Aligned pictures `[n, 120, 120, 3]` u8 RGB and their columns, each `[n]` of text."""

    pictures: np.ndarray
    columns: dict[str, np.ndarray]
    digest: str
    """Names this very set of pictures."""
    folder: Path
    """Where they are on disk."""

    def labels(self) -> np.ndarray:
        """A number for each person, `[n]`; -1 where the person is unknown."""
        names = self.columns["person"]
        numbers = np.unique(names, return_inverse=True)[1]
        return np.where(names == "", -1, numbers)

    @classmethod
    def read(cls, folder: Path) -> Crops:
        """Opens what `gather` wrote; the pictures stay on disk."""
        table = np.load(folder / "index.npz", allow_pickle=False)
        columns = {name: table[name] for name in table.files if name != "digest"}
        return cls(np.load(folder / "crops.npy", mmap_mode="r"), columns, str(table["digest"]), folder)


def decode(data: bytes | np.ndarray) -> np.ndarray | None:
    """A coded picture to `[h, w, 3]` u8 RGB; None if it is damaged."""
    if len(data) == 0:
        return None
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return None if picture is None else np.ascontiguousarray(picture[:, :, ::-1])


def folder_items(folder: Path) -> Iterator[Item]:
    """Pictures below `folder`: the name of a picture's own folder is the person, except at the top."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
    if not paths:
        raise DataError(f"there are no pictures below {folder}; they end in {', '.join(ENDINGS)}")
    for path in paths:
        person = "" if path.parent == folder else f"{folder.name}/{path.parent.name}"
        yield Item(decode(path.read_bytes()), person, path.stem)


def tar_items(path: Path) -> Iterator[Item]:
    """Pictures of a WebDataset tar: files with one key follow one another; `.cls`, `.txt` or `.json` says who it is."""
    with tarfile.open(path) as archive:
        group: dict[str, bytes] = {}
        current = ""
        for member in archive:
            if not member.isfile():
                continue
            key, _, ending = member.name.rpartition("/")[2].partition(".")
            key = f"{member.name.rpartition('/')[0]}/{key}"
            if key != current and group:
                yield tar_item(current, group, path.stem)
                group = {}
            current = key
            taken = archive.extractfile(member)
            group[f".{ending.lower()}"] = taken.read() if taken else b""
        if group:
            yield tar_item(current, group, path.stem)


def tar_item(key: str, group: dict[str, bytes], archive: str) -> Item:
    """One sample of a WebDataset tar."""
    person = ""
    for ending in (".cls", ".txt", ".id"):
        person = person or group.get(ending, b"").decode(errors="replace").strip()
    if not person and ".json" in group:
        try:
            known = json.loads(group[".json"])
            person = next((str(known[k]) for k in ("person", "identity", "label", "id") if k in known), "")
        except (ValueError, TypeError):
            print(f"{archive}: the JSON of {key} is damaged; its person is unknown", file=sys.stderr)
    coded = next((group[ending] for ending in ENDINGS if ending in group), b"")
    return Item(decode(coded), f"{archive}/{person}" if person else "", key.rpartition("/")[2])


def aligned(picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The face at `landmarks` `[5, 2]`, `[120, 120, 3]`."""
    matrix = similarity(landmarks, TEMPLATE + MARGIN)
    scale = float(np.linalg.norm(matrix[0, :2]))
    if scale < 0.5:
        picture = cv2.GaussianBlur(picture, (0, 0), 0.4 / scale)
    return cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def central_face(picture: np.ndarray, detect: Detect) -> np.ndarray | None:
    """The crop of the face that is nearest to the middle for its size; None if there is no face."""
    longest = max(picture.shape[:2])
    if longest > MOST_PIXELS:
        picture = cv2.resize(picture, None, fx=MOST_PIXELS / longest, fy=MOST_PIXELS / longest, interpolation=cv2.INTER_AREA)
    faces = detect(picture)
    if not faces:
        return None
    middle = np.float32([picture.shape[1], picture.shape[0]]) / 2

    def importance(box: np.ndarray) -> float:
        return float(np.linalg.norm(box[2:] - box[:2]) - np.linalg.norm((box[:2] + box[2:]) / 2 - middle))

    return aligned(picture, max(faces, key=lambda face: importance(face.box)).landmarks)


def source_items(source: Source, detect: Detect | None) -> Iterator[Item]:
    """Aligned pictures of a source: `picture` is `[120, 120, 3]`, or None where it was skipped (which is reported)."""
    if source.kind == "pack":
        if not source.path.with_suffix(".npz").exists():
            raise DataError(f"there is no pack {source.path}.npz")
        for picture, row in read_pack(source.path.parent, source.path.name):
            missing = (SIDE - picture.shape[0]) // 2
            if missing:
                picture = cv2.copyMakeBorder(picture, *[missing] * 4, cv2.BORDER_REPLICATE)
            name = row.get("source", row.get("picture", ""))
            yield Item(picture, str(row.get("person", "")), str(name), str(row.get("condition", "")))
        return
    readers = {"folder": folder_items, "tar": tar_items}
    if source.kind not in readers:
        raise DataError(f"{source.path}: a source is a pack, a folder or a tar, not a {source.kind!r}")
    if not source.path.exists():
        raise DataError(f"there is no {source.kind} {source.path}")
    if detect is None:
        raise DataError(f"{source.path}: faces in a {source.kind} must be found first; set data.detector")
    for item in readers[source.kind](source.path):
        crop = None if item.picture is None else central_face(item.picture, detect)
        if crop is None:
            why = "is damaged" if item.picture is None else "shows no face"
            print(f"{source.path.name}: {item.person or '?'} {item.source} {why} and is skipped", file=sys.stderr)
        else:
            yield Item(crop, item.person, item.source, item.condition)


def gather(sources: tuple[Source, ...], detect: Detect | None, folder: Path, skip_people: tuple[str, ...] = ()) -> Crops:
    """Writes crops.npy and index.npz of all sources into `folder`; a finished set is opened as it is.

    People of `skip_people` are left out.
    """
    if (folder / "index.npz").exists():
        print(f"{folder}: pictures are gathered already", file=sys.stderr)
        return Crops.read(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, ...]] = []
    digest, skipped = hashlib.sha256(), set(skip_people)
    with (folder / "crops.raw").open("wb") as raw:
        for source in sources:
            progress = Progress(source.path.name, expected(source))
            for item in source_items(source, detect):
                progress.step()
                if item.person in skipped:
                    continue
                data = np.ascontiguousarray(item.picture).tobytes()
                digest.update(data)
                raw.write(data)
                rows.append((item.person, item.condition, item.source, source.path.name))
    if not rows:
        raise DataError("no usable picture was found in any source")
    with_header(folder / "crops.raw", folder / "crops.npy", len(rows))
    columns = {name: np.array(values) for name, values in zip(COLUMNS, zip(*rows, strict=True), strict=True)}
    with (folder / "index.writing").open("wb") as file:
        np.savez(file, digest=np.array(digest.hexdigest()[:12]), **columns)
    (folder / "index.writing").rename(folder / "index.npz")
    return Crops.read(folder)


def expected(source: Source) -> int:
    """About how many pictures a source has, for the estimate of time."""
    if source.kind == "pack":
        return len(np.load(source.path.with_suffix(".npz"))["offsets"]) - 1
    if source.kind == "folder":
        return sum(path.suffix.lower() in ENDINGS for path in source.path.rglob("*"))
    return max(1, source.path.stat().st_size // 30_000)


def with_header(raw: Path, path: Path, count: int) -> None:
    """Turns raw crops into an .npy file without holding them in memory."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (count, SIDE, SIDE, 3)})
    with path.open("wb") as out, raw.open("rb") as data:
        out.write(header.getvalue())
        while block := data.read(1 << 24):
            out.write(block)
    os.unlink(raw)
