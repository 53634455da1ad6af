"""How recognition suffers as pictures get worse, through the device's own code: what the quality gate's limits are chosen by.

One picture of each pair of photographs is spoiled step by step, both go through `facelatch faces`, and four things are noted:
what the device measures then, how often no face is found, how often one person is no longer recognised at the distance
at which one in a hundred strangers is taken for somebody else on unspoiled pictures, and how often a face is taken for dead.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from .chain import Network
from .device import Device, Seen
from .device import add_arguments as add_device
from .packs import read_pack

FALSE_MATCHES = 0.01
"""Share of different people that are taken for one at the distance at which false rejects are counted."""
YAWS, PITCHES = (0, 5, 10, 15, 20, 25, 35, 60), (0, 5, 10, 15, 20, 30, 60)
"""Limits in degrees of the groups by pose, which cannot be spoiled into a photograph: it is taken as it comes."""
LEAST_PAIRS = 10
"""Pairs of a group by pose: fewer tell nothing."""
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


def pasted_over(picture: np.ndarray, outline: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """With a patch of one colour, a little noise and a soft edge; `outline` `[n, 2]` in shares of the picture's sides."""
    height, width = picture.shape[:2]
    cover = np.zeros((height, width), np.uint8)
    cv2.fillPoly(cover, [np.round(outline * [width, height]).astype(np.int32)], 255)
    share = cv2.GaussianBlur(cover, (0, 0), 1.0)[..., None].astype(np.float32) / 255
    patch = np.array(colour, np.float32) + np.random.default_rng(0).normal(0, 4, picture.shape)
    return np.clip(picture + share * (patch - picture), 0, 255).astype(np.uint8)


def masked(picture: np.ndarray, height: float) -> np.ndarray:
    """A mask from the chin (at 0.71 of LFW's photographs) up to `height` of the way to the eyes (at 0.45)."""
    top = 0.71 - 0.26 * height
    outline = np.array([[0.33, top + 0.02], [0.5, top - 0.02], [0.67, top + 0.02], [0.64, 0.66], [0.5, 0.73], [0.36, 0.66]])
    return pasted_over(picture, outline, (200, 215, 225))


def by_a_hand(picture: np.ndarray, share: float) -> np.ndarray:
    """A hand before `share` of the face (0.33 to 0.67 of LFW's photographs) from the left, of the cheek's colour."""
    side = 0.33 + 0.34 * share
    cheek = picture[round(0.55 * picture.shape[0]), round(0.6 * picture.shape[1])]
    outline = np.array([[0.25, 0.3], [side - 0.02, 0.34], [side, 0.52], [side - 0.02, 0.7], [0.25, 0.75]])
    return pasted_over(picture, outline, tuple(int(0.85 * v) for v in cheek))


def with_dark_glasses(picture: np.ndarray, height: float) -> np.ndarray:
    """Dark glasses, `height` times as high as the eyes are apart."""
    half = 0.17 * height / 2
    outline = np.array([[0.36, 0.45 - half], [0.64, 0.45 - half], [0.64, 0.45 + half], [0.36, 0.45 + half]])
    return pasted_over(picture, outline, (20, 20, 24))


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
    "cover": Series(covered, (0.1, 0.2, 0.3, 0.4, 0.5), "disagreement"),
    "mask": Series(masked, (0.2, 0.4, 0.6, 0.8), "disagreement"),
    "hand": Series(by_a_hand, (0.15, 0.3, 0.45, 0.6), "disagreement"),
    "dark glasses": Series(with_dark_glasses, (0.2, 0.4, 0.6, 0.8), "disagreement"),
}


COVERS = ("cover", "mask", "hand", "dark glasses")
"""Series that cover the face; together they tell what a disagreement of landmarks costs."""
DISAGREEMENTS = (0, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.09, 0.12, 0.2, np.inf)
"""Limits of the groups by disagreement; infinite where a second look does not find the face in both images."""


@dataclass(frozen=True)
class Point:
    """One step of one series."""

    step: float
    """What was done: a factor, pixels or a share; 0 for the group's lower limit in degrees."""
    measured: float | None
    """Median of the device's measure; None where no face is found."""
    not_found: float
    """Share of pictures in which no face is found."""
    rejected: float
    """Share of one person's pairs, of those found, that are farther apart than the distance."""
    not_alive: float
    """Share of pictures, of those found, that the liveness network takes for attacks."""
    pairs: int


Largest = dict[str, Seen]
"""The largest face, by the name of the picture."""


def look(device: Device, pictures: dict[str, np.ndarray]) -> Largest:
    """What the device sees in pictures `[h, w, 3]` u8 RGB; those whose face has no template are left out."""
    return {name: faces[0] for name, faces in device.look(pictures).items() if faces and faces[0].template is not None}


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


@dataclass(frozen=True)
class Limits:
    """Beyond what a pair is not one person, and a face not alive."""

    distance: float
    logit: float


def point(step: float, measure: str, plain: Largest, spoiled: Largest, pairs: Pairs, limits: Limits) -> Point:
    """Rejects of one person's pairs whose second picture is spoiled."""
    same = [(a, b) for a, b, is_same in pairs if is_same and a in plain]
    found = [(a, b) for a, b in same if b in spoiled]
    if not found:
        return Point(step, None, 1.0, 1.0, 1.0, len(same))
    far = [distance(plain[a].template, spoiled[b].template) > limits.distance for a, b in found]
    measured = float(np.median([abs(spoiled[b].measures[measure]) for _, b in found]))
    dead = [spoiled[b].logit < limits.logit for _, b in found]
    lost = 1 - len(found) / len(same)
    told = measured if np.isfinite(measured) else None
    return Point(step, told, lost, float(np.mean(far)), float(np.mean(dead)), len(same))


def by_pose(axis: str, degrees: tuple[int, ...], plain: Largest, pairs: Pairs, limits: Limits) -> list[Point]:
    """Rejects of unspoiled pairs by the greater turn of their two heads."""
    points = []
    for low, high in zip(degrees, degrees[1:], strict=False):
        turned = [(a, b, s) for a, b, s in pairs if s and {a, b} <= plain.keys()]
        turned = [p for p in turned if low <= max(abs(plain[p[0]].measures[axis]), abs(plain[p[1]].measures[axis])) < high]
        if len(turned) >= LEAST_PAIRS:
            points.append(point(low, axis, plain, plain, turned, limits))
    return points


def by_disagreement(looks: list[Largest], plain: Largest, pairs: Pairs, limits: Limits) -> list[Point]:
    """Rejects by how much the landmarks of the second picture disagree, over all `looks` at it, covered and not."""
    points = []
    for low, high in zip(DISAGREEMENTS, (*DISAGREEMENTS[1:], None), strict=True):
        parts = []
        for look in looks:
            within = {b: f for b, f in look.items() if f.measures["disagreement"] >= low}
            within = {b: f for b, f in within.items() if high is None or f.measures["disagreement"] < high}
            chosen = [(a, b, same) for a, b, same in pairs if same and a in plain and b in within]
            parts += [point(low, "disagreement", plain, within, chosen, limits)] if chosen else []
        if parts:
            weights = [part.pairs for part in parts]
            rejected = float(np.average([p.rejected for p in parts], weights=weights))
            dead = float(np.average([p.not_alive for p in parts], weights=weights))
            step = low if np.isfinite(low) else 2 * DISAGREEMENTS[-2]
            points.append(Point(step, step, 0.0, rejected, dead, sum(weights)))
    return points


def distance_of_false_matches(plain: Largest, pairs: Pairs) -> float:
    """The distance below which `FALSE_MATCHES` of pairs of different people lie."""
    distances = [distance(plain[a].template, plain[b].template) for a, b, s in pairs if not s and {a, b} <= plain.keys()]
    return float(np.quantile(distances, FALSE_MATCHES))


def measure(device: Device, pictures: dict[str, np.ndarray], pairs: Pairs, names: list[str]) -> dict[str, list[Point]]:
    """The series `names`, what pose costs when they are all, and what covers cost when those are among them.

    The first point of each series is the unspoiled pictures.
    """
    plain = look(device, pictures)
    least = Network(device.models, "liveness").manifest["least_score"]
    limits = Limits(distance_of_false_matches(plain, pairs), float(np.log(least / (1 - least))))
    probes = {b: pictures[b] for _, b, same in pairs if same}
    curves, covered_looks = {}, [plain]
    for name, series in ((name, SERIES[name]) for name in names):
        curves[name] = [point(0, series.measure, plain, plain, pairs, limits)]
        for step in series.steps:
            seen = look(device, {key: series.spoil(picture, step) for key, picture in probes.items()})
            curves[name].append(point(step, series.measure, plain, seen, pairs, limits))
            covered_looks += [seen] if name in COVERS else []
            print(name, curves[name][-1], flush=True)
    if set(names) == set(SERIES):
        curves["yaw"] = by_pose("yaw", YAWS, plain, pairs, limits)
        curves["pitch"] = by_pose("pitch", PITCHES, plain, pairs, limits)
    if set(COVERS) <= set(names):
        curves["disagreement"] = by_disagreement(covered_looks, plain, pairs, limits)
    return curves


UNITS = {
    "cover": "share covered from below",
    "mask": "share of the way from chin to eyes",
    "hand": "share covered from a side",
    "dark glasses": "height over the eyes' distance",
    "yaw": "degrees",
    "pitch": "degrees",
    "disagreement": "of landmarks; 0.4: not found twice",
}
"""Of the horizontal axes that are not what a device measures."""
LINES = {"rejected": ("o-", "not recognised"), "not_found": ("s--", "no face found"), "not_alive": ("^:", "not taken for living")}


def draw(curves: dict[str, list[Point]], path: Path) -> None:
    """Rejects against what the device measures, one field for each series; against the step where no measure tells it."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(14, 9))
    fields = figure.subplots(3, 5).ravel()
    for axes in fields[len(curves) :]:
        axes.set_axis_off()
    for axes, (name, all_points) in zip(fields, curves.items(), strict=False):
        points = [p for p in all_points if name in COVERS or p.measured is not None]
        for key, (style, label) in LINES.items():
            across = [p.step if name in COVERS else p.measured for p in points]
            axes.plot(across, [100 * getattr(p, key) for p in points], style, label=label, markersize=4)
        axes.set_title(name)
        axes.set_xlabel(UNITS.get(name) or SERIES[name].measure.replace("_", " "))
        axes.set_ylim(0, 100)
        if name in ("blur", "motion"):
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter(NullFormatter())
    figure.axes[0].set_ylabel("% of pictures")
    figure.axes[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `quality`."""
    parser.add_argument("--packs", type=Path, required=True, help="folder with the pack eval-lfw-photos and lfw-pairs.txt")
    add_device(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for quality.json and quality.svg")
    parser.add_argument("--most", type=int, default=300, help="pairs of each kind (default 300)")
    parser.add_argument("--series", nargs="+", choices=SERIES, default=list(SERIES), help="measure these, keep the others of OUT")


def run(arguments: argparse.Namespace) -> None:
    """Measures and draws."""
    pack = {str(row["picture"]).removesuffix(".jpg"): picture for picture, row in read_pack(arguments.packs, "eval-lfw-photos")}
    pairs = read_pairs(arguments.packs / "lfw-pairs.txt", set(pack), arguments.most)
    wanted = {name for a, b, _ in pairs for name in (a, b)}
    pictures, device = {name: pack[name] for name in wanted}, Device(arguments.program, arguments.models)
    measured = measure(device, pictures, pairs, arguments.series)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "quality.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    kept = {name: [Point(**p) for p in points] for name, points in known.items()} | measured
    order = [*SERIES, "yaw", "pitch", "disagreement"]
    curves = {name: kept[name] for name in order if name in kept}
    path.write_text(json.dumps({name: [asdict(p) for p in points] for name, points in curves.items()}, indent=1) + "\n")
    draw(curves, arguments.out / "quality.svg")
