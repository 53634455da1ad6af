"""The bundled scene: synthetic people in front of a synthetic door, as a camera would deliver them.

Writes `scene.mjpeg` (JPEG frames end to end, `WIDTH` x `HEIGHT`, `FPS` a second) and `scene.toml` (what
happens when). The same seed gives the same frames.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from . import people

WIDTH, HEIGHT, FPS = 320, 240, 10
SEED = 29
JPEG_QUALITY = 76
NEAR = 34.0
"""Distance of the eyes in pixels of somebody who stands at the door."""
FAR = 11.0
"""The same at the end of the path."""


@dataclass(frozen=True)
class Person:
    """One synthetic person: coefficients in the face model, colour of the clothes (RGB), a name for the scene."""

    name: str
    coefficients: np.ndarray
    clothes: tuple[int, int, int]


@dataclass(frozen=True)
class Pose:
    """Where a person is in a frame: middle of the eyes (x, y) and their distance, in pixels; tilt in degrees."""

    x: float
    y: float
    eyes: float
    tilt: float = 0.0


@dataclass
class Script:
    """Frames so far, and what they show."""

    frames: list[np.ndarray] = field(default_factory=list)
    events: list[tuple[int, str]] = field(default_factory=list)
    chapters: list[dict[str, object]] = field(default_factory=list)

    def now(self) -> int:
        """Time of the next frame in milliseconds."""
        return len(self.frames) * 1000 // FPS


def doorway(rng: np.random.Generator) -> np.ndarray:
    """What the camera sees when nobody is there, `[HEIGHT, WIDTH, 3]` f32: path, hedge, evening sky."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    sky = np.float32([150, 165, 182]) - (y / HEIGHT)[..., None] * np.float32([50, 48, 40])
    picture = sky.copy()
    hedge = 92 + 9 * np.sin(x / 23) + 5 * np.sin(x / 7.3)
    leaves = cv2.GaussianBlur(rng.normal(0, 26, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 1.6)
    green = np.float32([62, 84, 54]) + leaves[..., None] * np.float32([0.8, 1.0, 0.7])
    picture = np.where((y > hedge)[..., None], green, picture)
    edge = 60 + (y - 130) * 0.55
    path = (y > 130) & (np.abs(x - 165) < edge)
    stones = np.float32([126, 120, 112]) + 8 * np.sin(y / 5 + np.sin(x / 31))[..., None]
    picture = np.where(path[..., None], stones, picture)
    frame = np.float32([92, 70, 52]) + 6 * np.sin(y / 3)[..., None]
    return np.where((x < 26)[..., None] | (x > WIDTH - 22)[..., None], frame, picture).astype(np.float32)


def head_mask() -> np.ndarray:
    """How much of a person's picture is head and neck, `[SIZE, SIZE]` f32 in 0..=1."""
    mask = np.zeros((people.SIZE, people.SIZE), np.float32)
    cv2.ellipse(mask, (96, 92), (58, 78), 0, 0, 360, 1.0, -1)
    cv2.rectangle(mask, (74, 140), (118, 186), 1.0, -1)
    return cv2.GaussianBlur(mask, (0, 0), 5)


MASK = head_mask()


def blinked(face: np.ndarray) -> np.ndarray:
    """The same picture with closed eyes: skin from below drawn over them."""
    shut = face.copy()
    for x, y in people.LANDMARKS[:2].astype(int):
        lid = face[y + 9 : y + 17, x - 11 : x + 12].mean(0, keepdims=True)
        shut[y - 4 : y + 4, x - 11 : x + 12] = (0.9 * lid).astype(np.uint8)
    return cv2.addWeighted(shut, 0.85, face, 0.15, 0)


def place(canvas: np.ndarray, picture: np.ndarray, mask: np.ndarray, pose: Pose, light: float) -> None:
    """Blends a person's picture into `canvas` so that the middle of the eyes lies at `pose`."""
    scale = pose.eyes / float(people.LANDMARKS[1, 0] - people.LANDMARKS[0, 0])
    matrix = cv2.getRotationMatrix2D((96.0, 84.0), pose.tilt, scale).astype(np.float32)
    matrix[:, 2] += np.float32([pose.x - 96.0, pose.y - 84.0])
    small = cv2.GaussianBlur(picture, (0, 0), max(0.01, 0.4 / scale)) if scale < 0.8 else picture
    warped = cv2.warpAffine(small, matrix, (WIDTH, HEIGHT)).astype(np.float32) * light
    alpha = cv2.warpAffine(mask, matrix, (WIDTH, HEIGHT))[..., None]
    canvas[:] = canvas * (1 - alpha) + warped * alpha


def body(canvas: np.ndarray, person: Person, pose: Pose, light: float) -> None:
    """Shoulders and chest below the head, softly shaded."""
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    unit = pose.eyes
    centre = (int(pose.x), int(pose.y + 4.6 * unit))
    cv2.ellipse(mask, centre, (int(2.5 * unit), int(2.1 * unit)), 0, 180, 360, 1.0, -1)
    cv2.rectangle(mask, (int(pose.x - 2.5 * unit), centre[1]), (int(pose.x + 2.5 * unit), HEIGHT), 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), 0.08 * unit)[..., None]
    x = np.arange(WIDTH, dtype=np.float32)[None, :, None]
    shade = 1.0 - 0.35 * np.abs(x - pose.x) / (2.5 * unit)
    canvas[:] = canvas * (1 - mask) + np.float32(person.clothes) * np.clip(shade, 0.4, 1) * light * mask


def draw_person(canvas: np.ndarray, model: people.FaceModel, person: Person, pose: Pose, rng: np.random.Generator) -> None:
    """A living person: expression, light and eyes change from frame to frame."""
    light = 1.0 + rng.normal(0.0, 0.015)
    rendered = model.render(model.change(person.coefficients, rng, 0.25))
    face = people.in_the_flesh(rendered, zlib.crc32(person.coefficients.tobytes()))
    if rng.random() < 0.06:
        face = blinked(face)
    body(canvas, person, pose, light)
    place(canvas, face, MASK, pose, light)


def print_of(model: people.FaceModel, person: Person, rng: np.random.Generator) -> np.ndarray:
    """A printed portrait `[SIZE, SIZE, 3]` u8: soft, of flat contrast, with screen dots and a white border."""
    face = model.render(person.coefficients).astype(np.float32)
    paper = 0.66 * face + 62 + rng.normal(0, 2, face.shape).astype(np.float32)
    y, x = np.mgrid[0 : people.SIZE, 0 : people.SIZE]
    paper += (7 * np.sin(x * 1.9 + y * 0.6) * np.sin(y * 1.9 - x * 0.6))[..., None]
    paper = cv2.resize(paper, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    paper = cv2.resize(paper, (people.SIZE, people.SIZE))
    border = np.full_like(paper, 236.0)
    border[9:-9, 14:-14] = paper[9:-9, 14:-14]
    return np.clip(border, 0, 255).astype(np.uint8)


def draw_print(canvas: np.ndarray, sheet: np.ndarray, pose: Pose) -> None:
    """The sheet held up by a hand at its lower edge, with a gloss that moves as it tilts."""
    gloss = np.linspace(0, 38, people.SIZE, dtype=np.float32)[None, :, None] * abs(np.sin(np.radians(pose.tilt * 9)))
    shiny = np.clip(sheet.astype(np.float32) + gloss, 0, 255).astype(np.uint8)
    place(canvas, shiny, np.ones((people.SIZE, people.SIZE), np.float32), pose, 1.0)
    hand = (int(pose.x + 0.2 * pose.eyes), int(pose.y + 2.75 * pose.eyes))
    cv2.ellipse(canvas, hand, (int(0.55 * pose.eyes), int(0.8 * pose.eyes)), 12, 0, 360, (172, 128, 106), -1)


def finish(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What the sensor makes of it, u8: exposure flicker and noise."""
    noisy = canvas * (1.0 + rng.normal(0, 0.004)) + rng.normal(0, 1.4, (HEIGHT, WIDTH, 1))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def standing(rng: np.random.Generator, frame: int, x: float = 160.0, eyes: float = NEAR) -> Pose:
    """Somebody who stands still, as far as people do."""
    sway = 2.0 * np.sin(frame / 7.0)
    return Pose(x + sway + rng.normal(0, 0.3), 92 + rng.normal(0, 0.3), eyes + 0.5 * np.sin(frame / 11), 1.5 * np.sin(frame / 9))


def walking(progress: float, away: bool = False) -> Pose:
    """Somebody on the path: 0 is far, 1 is at the door."""
    p = 1 - progress if away else progress
    eyes = FAR + (NEAR - FAR) * p**1.5
    return Pose(176 - 16 * p + 3 * np.sin(10 * p), 104 - 12 * p + abs(np.sin(14 * p)), eyes, 1.5 * np.sin(14 * p))


class Director:
    """Plays chapters into a [`Script`]."""

    def __init__(self, model: people.FaceModel, seed: int) -> None:
        self.model = model
        self.rng = np.random.default_rng(seed)
        self.background = doorway(self.rng)
        self.script = Script()

    def person(self, name: str, clothes: tuple[int, int, int]) -> Person:
        """A new person of nobody's face."""
        return Person(name, self.model.sample(self.rng, 0.9), clothes)

    def shoot(self, paint: Callable[[np.ndarray], None]) -> None:
        """One frame: the doorway, and what `paint` puts before it."""
        canvas = self.background.copy()
        paint(canvas)
        self.script.frames.append(finish(canvas, self.rng))

    def empty(self, seconds: float) -> None:
        """Nobody."""
        for _ in range(round(seconds * FPS)):
            self.shoot(lambda canvas: None)

    def show(self, person: Person, pose: Pose) -> None:
        """One frame of one person."""
        self.shoot(lambda canvas: draw_person(canvas, self.model, person, pose, self.rng))

    def walk(self, person: Person, seconds: float, away: bool = False) -> None:
        """Along the path to the door, or away from it."""
        count = round(seconds * FPS)
        for i in range(count):
            self.show(person, walking((i + 1) / count, away))

    def stand(self, person: Person, seconds: float) -> None:
        """At the door."""
        for i in range(round(seconds * FPS)):
            self.show(person, standing(self.rng, i))

    def press(self, milliseconds: int = 200) -> None:
        """The button, pressed from the next frame on."""
        now = self.script.now()
        self.script.events += [(now, "button_press"), (now + milliseconds, "button_release")]

    def chapter(self, title: str, who: str, expect: str, play: Callable[[], None]) -> None:
        """Plays a chapter and notes what it shows and what the lock should do."""
        start = self.script.now()
        play()
        self.script.chapters.append({"from_ms": start, "to_ms": self.script.now(), "title": title, "who": who, "expect": expect})

    def visit(self, person: Person, seconds: float) -> Callable[[], None]:
        """Comes, stands for `seconds`, goes."""

        def play() -> None:
            self.walk(person, 1.2)
            self.stand(person, seconds)
            self.walk(person, 0.8, away=True)
            self.empty(0.8)

        return play


def direct(model: people.FaceModel, seed: int = SEED) -> Script:
    """The whole scene."""
    d = Director(model, seed)
    owner, resident = d.person("owner", (58, 76, 120)), d.person("resident", (128, 60, 62))
    strangers = [d.person("stranger", (70, 70, 70)), d.person("stranger", (60, 104, 72))]
    passer, companion = d.person("passer_by", (112, 96, 60)), d.person("companion", (88, 64, 110))

    def enrol_first() -> None:
        d.walk(owner, 1.0)
        d.stand(owner, 0.5)
        d.press()
        d.stand(owner, 5.5)
        d.walk(owner, 0.8, away=True)
        d.empty(0.7)

    def enrol_second() -> None:
        d.walk(owner, 1.0)
        d.stand(owner, 0.3)
        d.press()
        d.stand(owner, 1.7)
        d.walk(owner, 0.6, away=True)
        d.walk(resident, 0.8)
        d.stand(resident, 5.5)
        d.walk(resident, 0.8, away=True)
        d.empty(0.7)

    def pass_by() -> None:
        for i in range(16):
            d.show(passer, Pose(-10 + 22 * i, 104, 13 + rng_wobble(i), 0.0))
        d.empty(0.5)

    def photo() -> None:
        sheet = print_of(model, owner, d.rng)
        for i in range(30):
            tilt = 4 * np.sin(i / 4)
            pose = Pose(150 + 6 * np.sin(i / 6), 96 + 2 * np.cos(i / 5), NEAR, tilt)
            d.shoot(lambda canvas, pose=pose: draw_print(canvas, sheet, pose))
        d.empty(1.0)

    def two() -> None:
        for i in range(22):
            left, right = standing(d.rng, i, 105.0, 26.0), standing(d.rng, i + 5, 215.0, 26.0)

            def both(canvas: np.ndarray, left: Pose = left, right: Pose = right) -> None:
                draw_person(canvas, model, strangers[1], left, d.rng)
                draw_person(canvas, model, companion, right, d.rng)

            d.shoot(both)
        d.empty(0.8)

    d.chapter("empty doorway", "nobody", "nothing", lambda: d.empty(1.0))
    d.chapter("owner enrols", "owner", "enrolled", enrol_first)
    d.chapter("owner comes home", "owner", "unlocked", d.visit(owner, 1.8))
    d.chapter("stranger", "stranger", "refused", d.visit(strangers[0], 2.0))
    d.chapter("passer-by", "passer_by", "nothing", pass_by)
    d.chapter("photo of owner", "photo", "refused", photo)
    d.chapter("resident enrols", "resident", "enrolled", enrol_second)
    d.chapter("two strangers", "two_people", "refused", two)
    d.chapter("resident returns", "resident", "unlocked", d.visit(resident, 1.8))
    d.chapter("empty doorway", "nobody", "nothing", lambda: d.empty(1.0))
    return d.script


def rng_wobble(step: int) -> float:
    """The bob of somebody who walks, in pixels."""
    return float(0.6 * np.sin(step * 1.7))


def write(script: Script, folder: Path) -> None:
    """Writes `scene.mjpeg` and `scene.toml` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "scene.mjpeg").open("wb") as out:
        for frame in script.frames:
            done, jpeg = cv2.imencode(".jpg", frame[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            assert done, "a frame is encodable"
            out.write(jpeg.tobytes())
    lines = ["# Made by `python -m facelatch_model scene`: synthetic people before a synthetic door.", ""]
    lines += ['frames = "scene.mjpeg"', f"fps = {FPS}", f"seed = {SEED}", ""]
    for at, kind in script.events:
        lines += ["[[event]]", f"at_ms = {at}", f'kind = "{kind}"', ""]
    for chapter in script.chapters:
        lines.append("[[chapter]]")
        lines += [f"{k} = {v}" if isinstance(v, int) else f'{k} = "{v}"' for k, v in chapter.items()]
        lines.append("")
    (folder / "scene.toml").write_text("\n".join(lines))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `scene`."""
    parser.add_argument("--packs", type=Path, required=True, help="folder of face packs to make the model of")
    parser.add_argument("--out", type=Path, required=True, help="folder for scene.mjpeg and scene.toml")
    parser.add_argument("--faces", type=int, default=3000, help="aligned faces in the model (default 3000)")
    parser.add_argument("--seed", type=int, default=SEED)


def run(arguments: argparse.Namespace) -> None:
    """Makes the model, plays the scene, writes it."""
    model = people.fit(people.aligned_faces(arguments.packs, arguments.faces))
    script = direct(model, arguments.seed)
    write(script, arguments.out)
    print(f"{len(script.frames)} frames, {script.now() / 1000:.1f} s in {arguments.out}")
