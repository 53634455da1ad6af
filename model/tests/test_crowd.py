"""Folders of synthetic people, and packs as folders."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from facelatch_model import crowd, unpack
from facelatch_model.packs import write_pack
from facelatch_model.people import SIZE, fit


def test_people_of_one_seed_are_drawn_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    model = fit(rng.integers(0, 255, (160, SIZE, SIZE, 3), dtype=np.uint8))
    for name in ("a", "b"):
        crowd.write(model, tmp_path / name, people=2, pictures=3, seed=5)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").glob("*/*.jpg"))
    assert [str(path) for path in files] == [f"person0{p}/{i}.jpg" for p in (1, 2) for i in (1, 2, 3)]
    assert all((tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes() for path in files)
    assert cv2.imread(str(tmp_path / "a" / files[0])).shape == (*crowd.FRAME, 3)


def test_a_pack_becomes_folders_of_its_people(tmp_path: Path) -> None:
    pictures = [np.full((8, 6, 3), value, np.uint8) for value in (10, 20, 30)]
    write_pack(tmp_path, "pack", pictures, {"person": np.array(["Anna", "", "Anna"])})
    unpack.run(argparse.Namespace(pack=tmp_path / "pack", out=tmp_path / "out"))
    written = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png"))
    assert written == ["1.png", "Anna/0.png", "Anna/2.png"]
    assert cv2.imread(str(tmp_path / "out" / "Anna" / "2.png")).max() == 30
