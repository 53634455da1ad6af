"""How much fine detail a picture has for the coarse that it has: the device's definition (`src/face/detail.rs`) in numpy.

A screen or a print shows a face through two lenses, two grids of pixels and often a codec. Each takes from the finest detail
and leaves the coarse. A living face before a camera in focus keeps both.
"""

from __future__ import annotations

import numpy as np

NARROW, WIDE = 9, 17
"""Sides of the two boxes whose difference is coarse detail, pixels: detail of the size of an eye in a square around a face."""
OUTSIDE = 8
"""Share of the square, as one over it, that is left out at each side: there is the background."""
FLOOR = 0.1
"""Added to both deviations, grey levels: in a flat picture neither says anything."""
LUMA = np.array([77, 150, 29])
"""Weights of ITU-R BT.601-7, section 2.5.1, in 256ths."""


def boxes(luma: np.ndarray, side: int, rows: slice) -> np.ndarray:
    """Sums of `luma` `[n, n]` over boxes of `side` around the pixels of `rows`, which are columns as well."""
    sums = np.pad(luma.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    reach = side // 2
    low, high = slice(rows.start - reach, rows.stop - reach), slice(rows.start + reach + 1, rows.stop + reach + 1)
    return sums[high, high] - sums[low, high] - sums[high, low] + sums[low, low]


def detail(square: np.ndarray) -> float:
    """The logarithm of the deviation of fine detail over that of coarse detail, for `[n, n, 3]` u8 RGB with n of 64 or more.

    Fine is what a [1, 2, 1] filter along rows and columns takes away; coarse is the difference of two boxes. About -0.9 for a
    living face in focus, -1.4 for most screens; noise raises it.
    """
    luma = (square.astype(np.int64) @ LUMA + 128) >> 8
    side = len(luma)
    rows = slice(side // OUTSIDE, side - side // OUTSIDE)
    across = luma[:, :-2] + 2 * luma[:, 1:-1] + luma[:, 2:]
    smooth = np.pad(across[:-2] + 2 * across[1:-1] + across[2:], 1)
    fine = (16 * luma - smooth)[rows, rows]
    coarse = WIDE**2 * boxes(luma, NARROW, rows) - NARROW**2 * boxes(luma, WIDE, rows)
    deviations = [np.sqrt((fine**2).mean()) / 16, np.sqrt((coarse**2).mean()) / (NARROW * WIDE) ** 2]
    return float(np.log(deviations[0] + FLOOR) - np.log(deviations[1] + FLOOR))


def penalty(square: np.ndarray, full: float, weight: float) -> float:
    """What a square's lack of detail takes from its logit: 0 from `full` on, `weight` for each unit below."""
    return weight * min(detail(square) - full, 0.0)
