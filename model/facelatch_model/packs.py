"""Face packs: many small pictures in two files.

`NAME.bin` holds encoded pictures (WebP or JPEG) end to end; `NAME.npz` holds `offsets` `[n + 1]` (bytes) and
columns `[n, ...]` with what is known of each picture.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

Row = dict[str, Any]


def read_pack(folder: Path, name: str) -> Iterator[tuple[np.ndarray, Row]]:
    """Every picture `[height, width, 3]` u8 RGB with its row; damaged pictures are reported and skipped."""
    table = np.load(folder / f"{name}.npz", allow_pickle=False)
    offsets = table["offsets"]
    columns = {key: table[key] for key in table.files if key != "offsets"}
    blob = np.memmap(folder / f"{name}.bin", dtype=np.uint8, mode="r")
    for index in range(len(offsets) - 1):
        picture = cv2.imdecode(blob[offsets[index] : offsets[index + 1]], cv2.IMREAD_COLOR)
        if picture is None:
            print(f"{name}: picture {index} is damaged and skipped", file=sys.stderr)
            continue
        yield picture[:, :, ::-1].copy(), {key: column[index] for key, column in columns.items()}


def write_pack(folder: Path, name: str, pictures: list[np.ndarray], columns: dict[str, np.ndarray]) -> None:
    """Writes `pictures` (u8 RGB) as lossless WebP with their `columns`, each `[len(pictures), ...]`."""
    offsets = [0]
    with (folder / f"{name}.bin").open("wb") as out:
        for picture in pictures:
            done, coded = cv2.imencode(".webp", picture[:, :, ::-1], [cv2.IMWRITE_WEBP_QUALITY, 101])
            assert done, "a picture is encodable"
            offsets.append(offsets[-1] + out.write(coded.tobytes()))
    np.savez(folder / f"{name}.npz", offsets=np.int64(offsets), **columns)
