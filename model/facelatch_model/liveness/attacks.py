"""Pictures of pictures: what a camera sees of a screen, a print or a mask that shows a living face.

Every function takes and gives `[side, side, 3]` f32 RGB in 0..=255, the square around a face that the liveness network sees.
An attack is drawn from a living picture, so that both classes show the same people:

    living --first camera--> displayed --screen or paper--> held up before a background --second camera--> attack
    living -----------------------------------------------------------------------------second camera--> living

The second camera is one function for both classes: what it does tells nothing. It is in focus, as the quality gate asks of
every picture that liveness is judged by. So the fine detail that is missing was lost on the way to the screen or the
paper: that is the cue which new screens share with those that were seen.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

Picture = np.ndarray
Draw = Callable[[Picture, np.random.Generator], Picture]

LUMA = np.float32([0.299, 0.587, 0.114])
"""ITU-R BT.601-7, section 2.5.1."""


def chance(rng: np.random.Generator, share: float) -> bool:
    """True in `share` of all calls."""
    return bool(rng.random() < share)


def grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates x, y of all pixels, each `[side, side]` f32."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    return x, y


def smooth_field(side: int, rng: np.random.Generator, cells: int) -> np.ndarray:
    """A smooth random surface `[side, side]` of about -1..=1, with `cells` hills across."""
    coarse = rng.normal(0, 0.5, (cells + 1, cells + 1)).astype(np.float32)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def blurred(picture: Picture, sigma: float) -> Picture:
    """Gaussian blur of `sigma` pixels; below a quarter of a pixel it is none."""
    return picture if sigma < 0.25 else cv2.GaussianBlur(picture, (0, 0), sigma)


def compressed(picture: Picture, quality: int) -> Picture:
    """JPEG and back."""
    done, code = cv2.imencode(".jpg", np.clip(picture, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done, "a picture is encodable"
    return cv2.imdecode(code, cv2.IMREAD_COLOR).astype(np.float32)


def resampled(picture: Picture, side: int) -> Picture:
    """Drawn at `side` pixels and enlarged again: detail finer than that is gone."""
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def toned(picture: Picture, gamma: float, saturation: float, gains: np.ndarray) -> Picture:
    """Another gamma, another saturation and gains `[3]` of the colours."""
    curve = 255.0 * (np.clip(picture, 0, 255) / 255.0) ** gamma
    grey = curve @ LUMA
    return (grey[..., None] + saturation * (curve - grey[..., None])) * gains


def random_gains(rng: np.random.Generator, spread: float) -> np.ndarray:
    """Gains of red, green and blue, `[3]` f32, whose logarithms deviate by `spread`."""
    return np.exp(rng.normal(0, spread, 3)).astype(np.float32)


MOST_BLUR = 0.3
"""Blur of a camera in focus, pixels of the square. A choice: a living face of NUAA's or a laptop's camera is as soft."""
LEAST_SAMPLES = 0.72
"""Pixels of the camera over those of the square, for faces that stand further away than is best. A choice."""


def camera(picture: Picture, rng: np.random.Generator) -> Picture:
    """What a door's camera makes of any scene: light, white balance, noise, compression, and a little blur."""
    side = len(picture)
    out = blurred(picture, float(rng.uniform(0, MOST_BLUR)))
    if chance(rng, 0.15):
        out = resampled(out, int(rng.integers(int(LEAST_SAMPLES * side), side)))
    out = toned(out, float(np.exp(rng.normal(0, 0.22))), float(rng.uniform(0.6, 1.4)), random_gains(rng, 0.10))
    out = out * float(np.exp(rng.normal(0, 0.2))) + float(rng.normal(0, 8))
    if chance(rng, 0.35):
        out = out * (1 + 0.35 * smooth_field(side, rng, 1))[..., None]
    noise = rng.normal(0, rng.exponential(0.8), out.shape).astype(np.float32)
    out = out + (noise if chance(rng, 0.5) else noise[..., :1])
    if chance(rng, 0.3):
        soft = blurred(out, 1.0)
        out = out + float(rng.uniform(0.1, 0.6)) * (out - soft)
    if chance(rng, 0.12):
        out = np.repeat((np.clip(out, 0, 255) @ LUMA)[..., None], 3, axis=2)
    return compressed(out, int(rng.integers(70, 98)))


def coded(picture: Picture, side: int, quality: int) -> Picture:
    """Drawn at `side` pixels, coded with JPEG, enlarged: the blocks grow with it, as in a call over a thin line."""
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.resize(compressed(small, quality), picture.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def first_capture(picture: Picture, rng: np.random.Generator) -> Picture:
    """The picture that the attacker has: smaller, smoothed, compressed, once or twice."""
    side = len(picture)
    if chance(rng, 0.45):
        picture = resampled(picture, int(rng.integers(side // 3, side)))
    for _ in range(int(rng.choice([0, 1, 2], p=[0.2, 0.5, 0.3]))):
        picture = coded(picture, int(rng.integers(side // 4, side + 1)), int(np.exp(rng.uniform(np.log(6), np.log(80)))))
    if chance(rng, 0.4):
        reach, range_ = int(rng.choice([5, 7])), float(rng.uniform(15, 60))
        picture = cv2.bilateralFilter(np.clip(picture, 0, 255).astype(np.uint8), reach, range_, 3).astype(np.float32)
    return picture


def pixel_pattern(side: int, rng: np.random.Generator) -> np.ndarray:
    """How much of each colour a screen's cells let through where the camera samples them, `[side, side, 3]` around 1.

    The cells' pitch lies between a third of a camera pixel and four of them: the sampling itself makes the moire. A
    bend of the grid turns the beats into curves, as perspective and lens do.
    """
    x, y = grid(side)
    pitch = float(np.exp(rng.uniform(np.log(0.34), np.log(4.0))))
    turn = float(rng.normal(0, 0.12))
    bend = float(rng.uniform(0, 0.02)) * side * smooth_field(side, rng, int(rng.integers(1, 3)))
    across = (x * np.cos(turn) + y * np.sin(turn) + bend) / pitch
    down = (y * np.cos(turn) - x * np.sin(turn) + bend) / (pitch * float(rng.uniform(0.95, 1.05)))
    strength = float(rng.beta(1.2, 3.0)) * 0.6
    rows = 1 + 0.5 * strength * np.cos(2 * np.pi * down)
    columns = [1 + strength * np.cos(2 * np.pi * (across - third * float(chance(rng, 0.7)) / 3)) for third in range(3)]
    return (np.stack(columns, -1) * rows[..., None]).astype(np.float32)


SPREAD = 0.5
"""Least blur of a picture that is shown and taken again, pixels of the square: two lenses and two grids. A choice."""


def glare(side: int, rng: np.random.Generator) -> np.ndarray:
    """Light that a glossy surface adds, `[side, side, 1]` in 0..=255: a broad sheen or a lamp's reflection."""
    x, y = grid(side)
    centre, radius = rng.uniform(-0.2, 1.2, 2) * side, float(rng.uniform(0.08, 0.9)) * side
    stretch = float(np.exp(rng.normal(0, 0.6)))
    distance = ((x - centre[0]) * stretch) ** 2 + ((y - centre[1]) / stretch) ** 2
    spot = np.exp(-distance / (2 * radius**2))
    return (float(rng.uniform(15, 120)) * spot)[..., None].astype(np.float32)


def screen(picture: Picture, other: Picture, rng: np.random.Generator) -> Picture:
    """A phone, tablet or monitor that shows `picture`; `other` is what its glass may reflect.

    How much it gives itself away is drawn once for all its faults: a good screen is good in all of them.
    """
    side, poor = len(picture), float(rng.uniform(0.1, 1.0))
    out = first_capture(picture, rng)
    gains = random_gains(rng, 0.14 * poor) * np.float32([1.0, 1.0, float(np.exp(rng.normal(0.06, 0.1)))])
    out = toned(out, float(np.exp(rng.normal(0.05, 0.35 * poor))), float(np.exp(rng.normal(0.05, 0.3 * poor))), gains)
    black = float(rng.exponential(14 * poor))
    out = black * random_gains(rng, 0.15) + out * (1 - black / 255) * float(np.exp(rng.normal(0, 0.25 * poor)))
    if chance(rng, 0.65):
        out = out * (1 + poor * (pixel_pattern(side, rng) - 1))
    if chance(rng, 0.35):
        _, y = grid(side)
        wave = np.sin(2 * np.pi * (y / side * float(rng.uniform(0.5, 6)) + rng.random()))
        out = out * (1 + poor * float(rng.uniform(0.02, 0.2)) * wave)[..., None]
    if chance(rng, 0.6 * poor):
        out = out + glare(side, rng)
    if chance(rng, 0.2):
        out = out + float(rng.uniform(0.04, 0.2)) * blurred(other, 2.0)
    if chance(rng, 0.4 * poor):
        bloom = blurred(np.maximum(out - 170, 0), float(rng.uniform(2, 8)))
        out = out + float(rng.uniform(0.3, 1.2)) * bloom
    return blurred(out, SPREAD + float(rng.exponential(0.8 * poor)))


def halftone(picture: Picture, rng: np.random.Generator) -> Picture:
    """Dots of ink on a turned grid, coarser or finer than the camera's pixels."""
    x, y = grid(len(picture))
    pitch = float(np.exp(rng.uniform(np.log(0.6), np.log(4.0))))
    strength = float(np.exp(rng.uniform(np.log(1.5), np.log(40))))
    out = picture.copy()
    for channel, degrees in enumerate((15, 75, 0)):
        turn = np.radians(degrees + float(rng.normal(0, 4)))
        along, off = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        out[..., channel] += strength * np.cos(2 * np.pi * along / pitch) * np.cos(2 * np.pi * off / pitch)
    return out


def paper(picture: Picture, rng: np.random.Generator) -> Picture:
    """A print of `picture`: less contrast and colour, dots, grain, folds and bends."""
    side = len(picture)
    out = first_capture(picture, rng)
    out = toned(out, float(np.exp(rng.normal(0, 0.25))), float(rng.uniform(0.25, 1.15)), random_gains(rng, 0.10))
    ink, white = float(rng.uniform(5, 70)), float(rng.uniform(150, 250))
    out = ink + np.clip(out, 0, 255) / 255 * (white - ink)
    if chance(rng, 0.6):
        out = halftone(out, rng)
    if chance(rng, 0.4):
        stripes = np.sin(grid(side)[1] * 2 * np.pi / float(rng.uniform(1.5, 12)) + rng.random())
        out = out + float(rng.uniform(1, 7)) * stripes[..., None]
    grain = blurred(rng.normal(0, 1, (side, side, 1)).astype(np.float32), float(rng.uniform(0, 1.2)))
    out = out + float(rng.uniform(0.3, 4)) * grain.reshape(side, side, 1)
    if chance(rng, 0.6):
        out = bent(out, rng)
    if chance(rng, 0.25):
        out = out + glare(side, rng)
    return blurred(out, SPREAD + float(rng.exponential(0.5)))


def bent(picture: Picture, rng: np.random.Generator) -> Picture:
    """The sheet rolled or creased: places move, and light falls at another angle."""
    side = len(picture)
    x, y = grid(side)
    turn = float(rng.uniform(0, np.pi))
    along = ((x - side / 2) * np.cos(turn) + (y - side / 2) * np.sin(turn)) / side
    phase, waves = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.3, 1.5))
    wave = np.sin(2 * np.pi * waves * along + phase).astype(np.float32)
    shift = float(rng.uniform(0, 0.04)) * side * wave
    warped = cv2.remap(
        picture,
        x + shift * np.float32(np.cos(turn)),
        y + shift * np.float32(np.sin(turn)),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    shade = 1 + float(rng.uniform(0, 0.25)) * np.cos(2 * np.pi * waves * along + phase)
    return warped * shade[..., None].astype(np.float32)


def sheet_mask(side: int, rng: np.random.Generator) -> np.ndarray:
    """Where the screen or the sheet is, `[side, side]` u8 in 0..=1: a quadrilateral that holds the face's middle, often all."""
    reach = rng.uniform(0.36, 0.85, 4) * side
    corners = np.float32([[-reach[0], -reach[1]], [reach[2], -reach[1]], [reach[2], reach[3]], [-reach[0], reach[3]]])
    turn = float(rng.normal(0, 0.06))
    spin = np.float32([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    corners = corners @ spin.T + side / 2 + rng.normal(0, 0.015 * side, (4, 2))
    mask = np.zeros((side, side), np.uint8)
    cv2.fillConvexPoly(mask, (16 * corners).astype(np.int32), 1, cv2.LINE_8, 4)
    return mask


def held_up(shown: Picture, background: Picture, rim: np.ndarray, rng: np.random.Generator) -> Picture:
    """`shown` on a surface that ends near the face, with a rim of colour `rim` `[3]`, before `background`."""
    side = len(shown)
    mask = sheet_mask(side, rng)
    width = int(rng.integers(0, max(2, side // 9)))
    inner = cv2.erode(mask, np.ones((2 * width + 1,) * 2, np.uint8)) if width else mask
    middle = slice(int(0.25 * side), int(0.75 * side))
    inner[middle, middle] = 1
    out = np.where(mask[..., None] > 0, rim, background)
    out = np.where(inner[..., None] > 0, shown, out).astype(np.float32)
    if chance(rng, 0.35):
        skin = np.float32([190, 140, 115]) * float(rng.uniform(0.4, 1.1)) * random_gains(rng, 0.08)
        centre = (int(rng.choice([0.03, 0.97]) * side), int(rng.uniform(0.6, 1.0) * side))
        axes = (int(rng.uniform(0.05, 0.16) * side), int(rng.uniform(0.08, 0.25) * side))
        finger = np.zeros((side, side), np.float32)
        cv2.ellipse(finger, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
        finger = blurred(finger, 0.8)[..., None]
        out = out * (1 - finger) + skin * finger
    return blurred(out, 0.5)


def with_eye_holes(shown: Picture, living: Picture, eyes: np.ndarray, rng: np.random.Generator) -> Picture:
    """A mask with the eyes cut out: there the living picture is seen. `eyes` `[2, 2]` are their places (x, y)."""
    side, hole = len(shown), np.zeros(shown.shape[:2], np.float32)
    reach = float(np.linalg.norm(eyes[1] - eyes[0])) * rng.uniform([0.2, 0.11], [0.32, 0.2])
    for x, y in eyes:
        cv2.ellipse(hole, (int(x), int(y)), (max(1, int(reach[0])), max(1, int(reach[1]))), 0, 0, 360, 1.0, -1)
    hole = blurred(hole, 0.006 * side)[..., None]
    return shown * (1 - hole) + living * hole


def draw(species: str, living: Picture, other: Picture, eyes: np.ndarray, rng: np.random.Generator) -> Picture:
    """An attack of `species` ("screen", "print" or "mask") with the face of `living`, before the second camera.

    `other` is another picture, for what stands behind and for reflections; `eyes` `[2, 2]` are the eyes' places (x, y).
    """
    if species == "screen":
        shown = screen(living, other, rng)
        rim = np.float32([1, 1, 1]) * float(rng.choice([rng.uniform(5, 45), rng.uniform(200, 250)], p=[0.85, 0.15]))
    else:
        shown = paper(living, rng)
        rim = np.float32([235, 234, 230]) * float(rng.uniform(0.45, 1.05))
    if species == "mask":
        shown = with_eye_holes(shown, living, eyes, rng)
    return held_up(shown, other, rim, rng) if chance(rng, 0.5) else shown
