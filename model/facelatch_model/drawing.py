"""Drawing as the device does it, in numpy integers: halving, resizing, the similarity warp, windows of a picture.

The device's definition is `src/kernels/resample.rs` and `src/face/crop.rs`; this is the same in another language, so that
networks are trained and measured on what the device will show them. Pictures are `[height, width, 3]` u8 RGB.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

ONE = 1 << 16
"""One in 16.16 fixed point."""
HALVINGS = 4
"""How often a picture is halved at most."""
LEAST_SIDE = 40
"""Shortest side down to which a picture is halved, in pixels."""


def halve(picture: np.ndarray) -> np.ndarray:
    """The rounded mean of 2x2 pixels; an odd last row or column is left out."""
    h, w = picture.shape[0] // 2, picture.shape[1] // 2
    blocks = picture[: 2 * h, : 2 * w].reshape(h, 2, w, 2, 3).astype(np.uint16).sum((1, 3))
    return ((blocks + 2) >> 2).astype(np.uint8)


def blend(corners: list[np.ndarray], fx: np.ndarray, fy: np.ndarray) -> np.ndarray:
    """Weighted mean of four pixels (upper left, upper right, lower left, lower right); weights in 256ths."""
    a, b, c, d = (corner.astype(np.int64) for corner in corners)
    fx, fy = fx[..., None], fy[..., None]
    top, bottom = (256 - fx) * a + fx * b, (256 - fx) * c + fx * d
    return (((256 - fy) * top + fy * bottom + (1 << 15)) >> 16).astype(np.uint8)


def resize(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """Bilinear, pixel centres at half-integers."""

    def positions(source: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        centre = (2 * np.arange(target, dtype=np.int64) + 1) * source * ONE // (2 * target) - ONE // 2
        centre = np.clip(centre, 0, (source - 1) * ONE)
        first = centre // ONE
        return first, np.minimum(first + 1, source - 1), (centre % ONE) >> 8

    top, bottom, fy = positions(picture.shape[0], height)
    left, right, fx = positions(picture.shape[1], width)
    corners = [picture[y[:, None], x[None]] for y in (top, bottom) for x in (left, right)]
    return blend(corners, np.broadcast_to(fx[None], (height, width)), np.broadcast_to(fy[:, None], (height, width)))


def warp(picture: np.ndarray, rows: np.ndarray, width: int, height: int) -> np.ndarray:
    """Draws through `rows` `[2, 3]`, which takes places of the result to the picture's; black outside of it."""
    fixed = np.floor(np.float64(np.float32(rows)) * ONE + 0.5).astype(np.int64)
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    places = [row[0] * x + row[1] * y + row[2] for row in fixed]
    padded = np.pad(picture, ((2, 2), (2, 2), (0, 0)))
    left, top = (np.clip(p >> 16, -2, side) for p, side in zip(places, picture.shape[1::-1], strict=True))
    fx, fy = ((p & (ONE - 1)) >> 8 for p in places)
    corners = [padded[top + 2 + down, left + 2 + across] for down in (0, 1) for across in (0, 1)]
    return blend(corners, fx, fy)


@dataclass(frozen=True)
class Similarity:
    """x' = a x - b y + dx, y' = b x + a y + dy."""

    a: float
    b: float
    dx: float
    dy: float

    @staticmethod
    def between(source: np.ndarray, target: np.ndarray) -> Similarity:
        """Least squares without reflection, `[n, 2]` both. Source: Umeyama, PAMI 13(4), 1991."""
        p, q = np.float64(source) - np.float64(source).mean(0), np.float64(target) - np.float64(target).mean(0)
        spread = (p * p).sum()
        a, b = (p * q).sum() / spread, (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum() / spread
        x, y = np.float64(source).mean(0)
        to_x, to_y = np.float64(target).mean(0)
        return Similarity(a, b, to_x - a * x + b * y, to_y - b * x - a * y)

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Where `points` `[n, 2]` go."""
        x, y = np.float64(points).T
        return np.stack([self.a * x - self.b * y + self.dx, self.b * x + self.a * y + self.dy], -1)

    def inverse(self) -> Similarity:
        """The way back."""
        square = self.a**2 + self.b**2
        a, b = self.a / square, -self.b / square
        return Similarity(a, b, b * self.dy - a * self.dx, -b * self.dx - a * self.dy)

    def of_pixels(self) -> Similarity:
        """The same map between indices of pixels, whose middles lie half a pixel from where places are measured."""
        x, y = self.apply([[0.5, 0.5]])[0] - 0.5
        return Similarity(self.a, self.b, float(x), float(y))

    def scale(self) -> float:
        """Lengths grow by this factor."""
        return math.hypot(self.a, self.b)


@dataclass(frozen=True)
class Square:
    """A square part of a picture: its middle and its side, in pixels."""

    x: float
    y: float
    side: float

    @staticmethod
    def around(box: np.ndarray, factor: float) -> Square:
        """`factor` times the longer side of a face's `box` (`[>=4]`: x1 y1 x2 y2)."""
        longer = max(box[2] - box[0], box[3] - box[1])
        return Square(float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2, float(factor * longer))

    def places(self, points: np.ndarray, side: int) -> np.ndarray:
        """Where `points` `[n, 2]` of the picture lie when the square is drawn with `side` pixels."""
        return (points - np.float32([self.x, self.y]) + self.side / 2) * (side / self.side)


class Layers:
    """A picture and its halved copies: whatever is drawn is drawn from the one at which it shrinks by less than two."""

    def __init__(self, picture: np.ndarray) -> None:
        self.levels = [picture]
        while len(self.levels) <= HALVINGS and min(self.levels[-1].shape[:2]) // 2 >= LEAST_SIDE:
            self.levels.append(halve(self.levels[-1]))

    def level(self, shrink: float) -> int:
        """How often what shrinks by `shrink` is halved first."""
        return min(int(math.log2(shrink)) if shrink >= 2 else 0, len(self.levels) - 1)

    def all(self, width: int, height: int) -> np.ndarray:
        """The whole picture."""
        across, down = self.levels[0].shape[1] / width, self.levels[0].shape[0] / height
        return resize(self.levels[self.level(min(across, down) + 1e-3)], width, height)

    def through(self, places: Similarity, width: int, height: int) -> np.ndarray:
        """Through `places`, which takes the result's pixels to the picture's; black outside of it."""
        halvings = self.level(places.scale())
        size = 0.5**halvings
        x, y = ((offset + 0.5) * size - 0.5 for offset in (places.dx, places.dy))
        rows = [[places.a * size, -places.b * size, x], [places.b * size, places.a * size, y]]
        return warp(self.levels[halvings], np.array(rows), width, height)

    def padded(self, places: Similarity, padding: int, width: int, height: int) -> np.ndarray:
        """As `through`, but `padding` outside of the picture."""
        drawn = self.through(places, width, height)
        y, x = np.mgrid[0:height, 0:width]
        at = places.apply(np.stack([x.ravel(), y.ravel()], -1)).reshape(height, width, 2)
        limits = np.array(self.levels[0].shape[1::-1])
        drawn[~((at >= 0) & (at < limits)).all(-1)] = padding
        return drawn

    def window(self, square: Square, side: int) -> np.ndarray:
        """`square` with `side` pixels; beyond the picture its border goes on."""
        scale = square.side / side
        pixels = Similarity(scale, 0.0, square.x - square.side / 2, square.y - square.side / 2).of_pixels()
        drawn = self.through(pixels, side, side)
        halvings = self.level(scale)
        for axis, (offset, source) in enumerate(zip((pixels.dx, pixels.dy), self.levels[0].shape[1::-1], strict=True)):
            last = (source >> halvings << halvings) - 0.5 - 0.5 * (1 << halvings)
            first = 0.5 * (1 << halvings) - 0.5
            begin = min(max(math.ceil((first - offset) / scale), 0), side)
            end = min(max(math.floor((last - offset) / scale) + 1, 0), side)
            if begin < end:
                drawn = np.take(drawn, np.clip(np.arange(side), begin, end - 1), axis=1 - axis)
        return drawn
