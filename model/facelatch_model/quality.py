"""How recognition suffers as pictures get worse, through the device's own code: what the quality gate's limits are chosen by.

One picture of each pair of photographs is spoiled step by step, both go through `facelatch faces`, and three things are noted:
what the device measures then, how often no face is found, and how often one person is no longer recognised at the distance
at which one in a hundred strangers is taken for somebody else on unspoiled pictures.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from .packs import read_pack

FALSE_MATCHES = 0.01
"""Share of different people that are taken for one at the distance at which false rejects are counted."""
YAWS, PITCHES = (0, 5, 10, 15, 20, 25, 35, 60), (0, 5, 10, 15, 20, 30, 60)
"""Limits in degrees of the groups by pose, which cannot be spoiled into a photograph: it is taken as it comes."""
Spoil = Callable[[np.ndarray, float], np.ndarray]


def smaller(picture: np.ndarray, factor: float) -> np.ndarray:
    """Drawn `factor` times as large."""
    size = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Out of focus by `sigma` pixels."""
    return cv2.GaussianBlur(picture, (0, 0), sigma)


def moved(picture: np.ndarray, length: float) -> np.ndarray:
    """Smeared over `length` pixels along rows."""
    return cv2.blur(picture, (int(length), 1))


def gained(picture: np.ndarray, gain: float) -> np.ndarray:
    """`gain` times as bright; too much is cut off."""
    return np.clip(picture.astype(np.float32) * gain, 0, 255).astype(np.uint8)


def flattened(picture: np.ndarray, contrast: float) -> np.ndarray:
    """`contrast` times the distance from grey."""
    return np.clip(128 + (picture.astype(np.float32) - 128) * contrast, 0, 255).astype(np.uint8)


def lit_from_a_side(picture: np.ndarray, least: float) -> np.ndarray:
    """The right half `least` times as bright, with a soft change in the middle third."""
    ramp = np.clip((np.linspace(0, 1, picture.shape[1]) - 0.4) / 0.2, 0, 1)
    return (picture * (1 - (1 - least) * ramp)[None, :, None]).astype(np.uint8)


def covered(picture: np.ndarray, share: float) -> np.ndarray:
    """Grey from below up to `share` of the middle half, where LFW's faces are."""
    out, height = picture.copy(), picture.shape[0]
    out[round(height * (0.75 - 0.5 * share)) :] = 120
    return out


@dataclass(frozen=True)
class Series:
    """One way of getting worse."""

    spoil: Spoil
    steps: tuple[float, ...]
    measure: str
    """The device's measure that should notice."""


SERIES = {
    "size": Series(smaller, (0.7, 0.5, 0.38, 0.3, 0.24, 0.18), "eye_distance"),
    "blur": Series(blurred, (1, 1.5, 2, 3, 4, 6), "sharpness"),
    "motion": Series(moved, (3, 5, 9, 13, 17, 25), "sharpness"),
    "darkness": Series(gained, (0.5, 0.3, 0.2, 0.12, 0.07, 0.04), "brightness"),
    "glare": Series(gained, (1.4, 1.8, 2.4, 3.2, 5), "clipped"),
    "fog": Series(flattened, (0.6, 0.4, 0.25, 0.15, 0.08), "contrast"),
    "side light": Series(lit_from_a_side, (0.7, 0.5, 0.35, 0.2, 0.1), "side_light"),
    "cover": Series(covered, (0.1, 0.2, 0.3, 0.4, 0.5), "misfit"),
}
MEASURES = (*sorted({series.measure for series in SERIES.values()}), "yaw", "pitch")


@dataclass(frozen=True)
class Point:
    """One step of one series."""

    step: float
    """What was done: a factor, pixels or a share; 0 for the group's lower limit in degrees."""
    measured: float
    """Median of the device's measure."""
    not_found: float
    """Share of pictures in which no face is found."""
    rejected: float
    """Share of one person's pairs, of those found, that are farther apart than the distance."""
    pairs: int


Seen = dict[str, tuple[np.ndarray, dict[str, float]]]
"""Template `[128]` and measures of the largest face, by the name of the picture."""


def look(program: Path, models: Path, pictures: dict[str, np.ndarray]) -> Seen:
    """What `facelatch faces` sees in pictures `[h, w, 3]` u8 RGB."""
    with tempfile.TemporaryDirectory() as folder:
        for name, picture in pictures.items():
            cv2.imwrite(f"{folder}/{name}.bmp", picture[:, :, ::-1])
        options = ["--csv", "--templates", "--ungated", "--models", str(models)]
        told = subprocess.run([program, "faces", folder, *options], check=True, capture_output=True, text=True).stdout
    seen: Seen = {}
    for row in csv.DictReader(told.splitlines()):
        if row["face"] == "0" and row["template"]:
            measures = {key: abs(float(row[key])) for key in MEASURES}
            seen[Path(row["picture"]).stem] = (np.float64(row["template"].split()), measures)
    return seen


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Squared distance of two templates as unit vectors, 0..=4."""
    return float(((a / np.linalg.norm(a) - b / np.linalg.norm(b)) ** 2).sum())


Pairs = list[tuple[str, str, bool]]


def read_pairs(path: Path, known: set[str], most: int) -> Pairs:
    """LFW's pairs both of whose pictures are known, up to `most` of each kind."""
    pairs: Pairs = []
    for line in path.read_text().splitlines():
        words = line.split()
        if len(words) == 3:
            pair = (f"{words[0]}_{int(words[1]):04d}", f"{words[0]}_{int(words[2]):04d}", True)
        elif len(words) == 4:
            pair = (f"{words[0]}_{int(words[1]):04d}", f"{words[2]}_{int(words[3]):04d}", False)
        else:
            continue
        if pair[0] in known and pair[1] in known:
            pairs.append(pair)
    return [p for p in pairs if p[2]][:most] + [p for p in pairs if not p[2]][:most]


def point(step: float, measure: str, plain: Seen, spoiled: Seen, pairs: Pairs, at: float) -> Point:
    """Rejects of one person's pairs whose second picture is spoiled."""
    same = [(a, b) for a, b, is_same in pairs if is_same and a in plain]
    found = [(a, b) for a, b in same if b in spoiled]
    far = [distance(plain[a][0], spoiled[b][0]) > at for a, b in found]
    measured = [spoiled[b][1][measure] for _, b in found]
    median = float(np.median(measured)) if measured else float("nan")
    return Point(step, median, 1 - len(found) / max(1, len(same)), float(np.mean(far)) if far else 1.0, len(same))


def by_pose(axis: str, limits: tuple[int, ...], plain: Seen, pairs: Pairs, at: float) -> list[Point]:
    """Rejects of unspoiled pairs by the greater turn of their two heads."""
    points = []
    for low, high in zip(limits, limits[1:], strict=False):
        turned = [(a, b, s) for a, b, s in pairs if s and {a, b} <= plain.keys()]
        turned = [p for p in turned if low <= max(plain[p[0]][1][axis], plain[p[1]][1][axis]) < high]
        if turned:
            points.append(point(low, axis, plain, plain, turned, at))
    return points


def distance_of_false_matches(plain: Seen, pairs: Pairs) -> float:
    """The distance below which `FALSE_MATCHES` of pairs of different people lie."""
    distances = [distance(plain[a][0], plain[b][0]) for a, b, s in pairs if not s and {a, b} <= plain.keys()]
    return float(np.quantile(distances, FALSE_MATCHES))


def measure(program: Path, models: Path, pictures: dict[str, np.ndarray], pairs: Pairs) -> dict[str, list[Point]]:
    """All series; the first point of each is the unspoiled pictures."""
    plain = look(program, models, pictures)
    at = distance_of_false_matches(plain, pairs)
    probes = {b: pictures[b] for _, b, same in pairs if same}
    curves = {}
    for name, series in SERIES.items():
        curves[name] = [point(0, series.measure, plain, plain, pairs, at)]
        for step in series.steps:
            seen = look(program, models, {key: series.spoil(picture, step) for key, picture in probes.items()})
            curves[name].append(point(step, series.measure, plain, seen, pairs, at))
            print(name, curves[name][-1], flush=True)
    curves["yaw"] = by_pose("yaw", YAWS, plain, pairs, at)
    curves["pitch"] = by_pose("pitch", PITCHES, plain, pairs, at)
    return curves


def draw(curves: dict[str, list[Point]], path: Path) -> None:
    """Rejects against what the device measures, one field for each series."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 6))
    for axes, (name, points) in zip(figure.subplots(2, 5).ravel(), curves.items(), strict=True):
        measured = [p.measured for p in points]
        axes.plot(measured, [100 * p.rejected for p in points], "o-", label="not recognised")
        axes.plot(measured, [100 * p.not_found for p in points], "s--", label="no face found")
        axes.set_title(name)
        axes.set_xlabel(SERIES[name].measure.replace("_", " ") if name in SERIES else f"{name}, degrees")
        axes.set_ylabel("% of pictures")
        axes.set_ylim(0, 100)
        if name in ("blur", "motion"):
            axes.set_xscale("log")
        axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `quality`."""
    parser.add_argument("--packs", type=Path, required=True, help="folder with the pack eval-lfw-photos and lfw-pairs.txt")
    parser.add_argument("--program", type=Path, required=True, help="the host tool, such as target/release/facelatch")
    parser.add_argument("--models", type=Path, required=True, help="folder of the released networks")
    parser.add_argument("--out", type=Path, required=True, help="folder for quality.json and quality.png")
    parser.add_argument("--most", type=int, default=300, help="pairs of each kind (default 300)")


def run(arguments: argparse.Namespace) -> None:
    """Measures and draws."""
    pack = {str(row["picture"]).removesuffix(".jpg"): picture for picture, row in read_pack(arguments.packs, "eval-lfw-photos")}
    pairs = read_pairs(arguments.packs / "lfw-pairs.txt", set(pack), arguments.most)
    wanted = {name for a, b, _ in pairs for name in (a, b)}
    curves = measure(arguments.program, arguments.models, {name: pack[name] for name in wanted}, pairs)
    arguments.out.mkdir(parents=True, exist_ok=True)
    as_json = {name: [asdict(p) for p in points] for name, points in curves.items()}
    (arguments.out / "quality.json").write_text(json.dumps(as_json, indent=1) + "\n")
    draw(curves, arguments.out / "quality.png")
