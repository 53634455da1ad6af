"""Write the pictures of a pack as files, for tools that take folders."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2

from .packs import read_pack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("pack", type=Path, help="the pack without its ending, such as PACKS/detect-photos")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")


def run(arguments: argparse.Namespace) -> None:
    """Writes `out/PERSON/NUMBER.png` where the pack says who is on a picture, else `out/NUMBER.png`."""
    count = 0
    for number, (picture, row) in enumerate(read_pack(arguments.pack.parent, arguments.pack.name)):
        person = str(row.get("person", "")).replace("/", "_")
        folder = arguments.out / person if person else arguments.out
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{number}.png"), picture[:, :, ::-1])
        count += 1
    print(f"{count} pictures are in {arguments.out}")
