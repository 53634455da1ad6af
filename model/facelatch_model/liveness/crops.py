"""The pictures that the liveness network learns from: squares around faces, living and attacked, in one folder.

`build` draws everything once. A part is `NAME.npy` (`[n, STORED, STORED, 3]` u8 RGB) and `NAME.npz` with one row for each:
`living` (bool), `species`, `subject` (one person at one camera: what training and test must not share) and `origin`.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from .. import people, scene
from ..chain import Chain
from ..detail import detail
from ..drawing import Layers, Square
from ..packs import read_pack
from . import attacks, collected

SIDE = 96
"""Side of the network's input."""
FACTOR = 1.2
"""Side of the input's square over the longer side of the face's box."""
STORED = 104
"""Side of a stored square, which is larger than the input by as much: training cuts the input out of it."""
FULL_DETAIL = -0.9
"""`detail` from which on a square says nothing against life. A choice: the median of the living faces of the collections."""
DETAIL_WEIGHT = 6.0
"""What a unit of `detail` that is missing takes from the logit. A choice among 5, 6, 8 and 10 on subjects that were trained on,
kept after the figures of held-out subjects had been seen: it is not independent of them."""
ALIGNED_BOX = np.float32([60.0, 67.8, 108.7])
"""Middle and longer side of the box that SCRFD gives a face aligned in 120x120: medians over the labels of detect-photos."""
ALIGNED_EYES = np.float32([[42.29, 55.70], [77.53, 55.50]])
ALIGNED_PACKS = ("faces-fairface", "faces-fiw", "faces-utk", "faces-aaf", "faces-pins", "faces-celebwild", "faces-rof")
LEAST_FACE = 90.0
"""Longer side in pixels below which a photograph's face would have to be enlarged, and would lack detail as an attack does."""
LEAST_EYES = 36.0
"""The same for aligned pictures: distance between the eyes in the picture that they were drawn from."""
SPECIES = ("screen", "screen", "screen", "print", "print", "mask")
"""Species of the attacks that are drawn, in turn: screens are the hardest."""

MODEL_FACES = 1000
"""Photographed faces that the model of synthetic people is made of."""
PLAIN = 0.8
"""Share of the paper attacks on real people that have no holes for the eyes."""
ATTACKED = 2
"""Attacks that are drawn of each face."""


LEAST_DETAIL = -1.15
"""Least `detail` of a photograph that is drawn as a living face: what was blurred, enlarged or coded to less shows what an
attack shows. Nine of ten pictures of living faces in the collections have more."""


@dataclass
class Face:
    """A living face with room around it, `[STORED, STORED, 3]` u8, and its eyes `[2, 2]`."""

    picture: np.ndarray
    eyes: np.ndarray
    origin: str


def photographed(packs: Path) -> Iterator[Face]:
    """Faces of photographs, with what is around them."""
    for picture, row in read_pack(packs, "detect-photos"):
        for face in row["faces"][: row["count"]]:
            if max(face[2] - face[0], face[3] - face[1]) >= LEAST_FACE:
                square = Square.around(face, FACTOR * STORED / SIDE)
                eyes = square.places(face[4:8].reshape(2, 2), STORED)
                yield Face(Layers(picture).window(square, STORED), eyes, "detect-photos")


def in_focus(faces: Iterable[Face]) -> Iterator[Face]:
    """Those with at least `LEAST_DETAIL`."""
    margin = (STORED - SIDE) // 2
    return (face for face in faces if detail(face.picture[margin:-margin, margin:-margin]) >= LEAST_DETAIL)


def aligned(packs: Path, name: str) -> Iterator[Face]:
    """Faces of an aligned pack, upright and without surroundings."""
    x, y, side = ALIGNED_BOX
    square = Square(float(x), float(y), float(side) * FACTOR * STORED / SIDE)
    for picture, row in read_pack(packs, name):
        if row["eye_distance_px"] >= LEAST_EYES:
            yield Face(Layers(picture).window(square, STORED), square.places(ALIGNED_EYES, STORED), name)


class Part:
    """Rows of one part as they are drawn."""

    def __init__(self) -> None:
        self.pictures: list[np.ndarray] = []
        self.rows: list[tuple[bool, str, str, str]] = []
        self.eyes: list[np.ndarray] = []

    def add(self, picture: np.ndarray, living: bool, species: str, subject: str, origin: str) -> None:
        """Adds a picture of 0..=255 in any number type."""
        self.pictures.append(np.clip(np.rint(picture), 0, 255).astype(np.uint8))
        self.rows.append((living, species, subject, origin))

    def write(self, folder: Path, name: str) -> None:
        """Writes both files."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{name}.npy", np.stack(self.pictures))
        living, species, subject, origin = zip(*self.rows, strict=True)
        np.savez(folder / f"{name}.npz", living=living, species=species, subject=subject, origin=origin)


def draw_part(faces: list[Face], attacked: int, seed: int) -> Part:
    """Each face once as living, and `attacked` times as an attack."""
    rng, part, turn = np.random.default_rng(seed), Part(), 0
    for face in faces:
        living = face.picture.astype(np.float32)
        part.add(attacks.camera(living, rng), True, "living", "", face.origin)
        for _ in range(attacked):
            species, turn = SPECIES[turn % len(SPECIES)], turn + 1
            other = faces[rng.integers(len(faces))].picture.astype(np.float32)
            attack = attacks.draw(species, living, other, face.eyes, rng)
            part.add(attacks.camera(attack, rng), False, species, "", face.origin)
    return part


def seed_of(name: str) -> int:
    """A number that stays the same for a name."""
    return zlib.crc32(name.encode())


def collected_part(packs: Path, chain: Chain) -> Part:
    """Every picture of the collections as it is: to train on, and to measure on."""
    pictures = [item for name in collected.PACKS for item in collected.found(packs, name, chain)]
    known = collected.columns(pictures, chain)
    part = Part()
    for item, *row in zip(pictures, *(known[key] for key in ("living", "species", "subject", "origin")), strict=True):
        square = Square.around(item.face.box, FACTOR * STORED / SIDE)
        part.add(Layers(item.picture).window(square, STORED), bool(row[0]), *(str(value) for value in row[1:]))
        part.eyes.append(square.places(item.face.landmarks[:2], STORED))
    return part


def redrawn_part(real: Part, seed: int) -> Part:
    """Attacks drawn from the living faces of the collections: the same people and cameras, on other screens and papers."""
    rng, part = np.random.default_rng(seed), Part()
    living = [index for index, row in enumerate(real.rows) if row[0]]
    for index in living:
        picture = real.pictures[index].astype(np.float32)
        for species in ("screen", "print" if attacks.chance(rng, PLAIN) else "mask"):
            other = real.pictures[living[rng.integers(len(living))]].astype(np.float32)
            attack = attacks.draw(species, picture, other, real.eyes[index], rng)
            part.add(attacks.camera(attack, rng), False, species, *real.rows[index][2:])
    return part


def synthetic_part(packs: Path, seed: int, people_: int = 120, frames: int = 4) -> Part:
    """Synthetic people before the simulated door, alive and as prints: what the bundled scene is made of, from other seeds."""
    model = people.fit(people.aligned_faces(packs, MODEL_FACES))
    rng, part = np.random.default_rng(seed), Part()
    background = scene.doorway(rng)
    for _ in range(people_):
        person = scene.Person("somebody", model.sample(rng, 0.9), tuple(int(c) for c in rng.integers(50, 140, 3)))
        sheet = scene.print_of(model, person, rng)
        for _ in range(frames):
            pose = scene.Pose(*rng.uniform([120, 85], [200, 115]), float(rng.uniform(20, 38)), float(rng.normal(0, 3)))
            for living in (True, False):
                canvas = background.copy()
                if living:
                    scene.draw_person(canvas, model, person, pose, rng)
                else:
                    scene.draw_print(canvas, sheet, pose)
                picture = attacks.compressed(scene.finish(canvas, rng), scene.JPEG_QUALITY).astype(np.uint8)
                part.add(
                    Layers(picture).window(square_at(pose), STORED), living, "living" if living else "print", "", "synthetic"
                )
    return part


def square_at(pose: scene.Pose) -> Square:
    """The square around a synthetic face whose eyes are at `pose`: in the proportions of an aligned face."""
    x, y, side = ALIGNED_BOX
    scale = pose.eyes / float(ALIGNED_EYES[1, 0] - ALIGNED_EYES[0, 0])
    off = (np.float32([x, y]) - ALIGNED_EYES.mean(0)) * scale
    return Square(pose.x + float(off[0]), pose.y + float(off[1]), float(side) * scale * FACTOR * STORED / SIDE)


def build(packs: Path, models: Path, folder: Path, most: int) -> None:
    """Draws all parts into `folder`; parts that are there are kept. `most`: faces taken from each pack."""
    if not (folder / "real.npz").exists():
        real = collected_part(packs, Chain(models))
        redrawn_part(real, seed_of("redrawn")).write(folder, "redrawn")
        real.write(folder, "real")
    if not (folder / "synthetic.npz").exists():
        synthetic_part(packs, seed_of("synthetic")).write(folder, "synthetic")
    sources: dict[str, Callable[[], Iterator[Face]]] = {"detect-photos": lambda: photographed(packs)}
    sources |= {name: partial(aligned, packs, name) for name in ALIGNED_PACKS}
    for name, faces in sources.items():
        if not (folder / f"{name}.npz").exists():
            draw_part(list(itertools.islice(in_focus(faces()), most)), ATTACKED, seed_of(name)).write(folder, name)
            print(f"{name}: drawn", flush=True)
