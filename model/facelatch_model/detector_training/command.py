"""`python -m facelatch_model detector ...`: label, train, release, measure."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import card
from ..chain import Detector
from ..detector import open_detector
from ..device import Device
from ..device import add_arguments as add_device
from ..packs import read_pack
from ..quality import read_pairs
from . import extremes, labels, measure, release, turned
from .train import Recipe, Training, Windows

NEARLY_ALL = 0.95
"""Share of faces found that the card calls enough for a size."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sub-commands of `detector`."""
    commands = parser.add_subparsers(dest="step", required=True)
    label = commands.add_parser("label", help="landmarks of aligned crops by another detector, for training")
    label.add_argument("--packs", type=Path, required=True, help="folder of the packs of crops")
    label.add_argument("--names", nargs="+", required=True, help="packs, such as faces-fairface")
    label.add_argument("--most", type=int, default=9000, help="crops of each pack (default 9000)")
    label.add_argument("--scrfd", type=Path, required=True, help="an SCRFD file with landmarks (.onnx)")
    label.add_argument("--out", type=Path, required=True, help="folder of the labelled crops")
    label.set_defaults(step=label_crops)
    train = commands.add_parser("train", help="train, or go on with a run that was cut")
    release_ = commands.add_parser("release", help="int8, ONNX, manifest and metrics of a finished run")
    for command in (train, release_):
        command.add_argument("--packs", type=Path, required=True, help="folder of the packs detect-photos and nofaces")
        command.add_argument("--labels", type=Path, help="folder of labelled crops; without it no window shows several")
        command.add_argument("--run", type=Path, required=True, help="folder of the run")
    train.add_argument("--steps", type=int, default=Recipe().steps)
    train.add_argument("--batch", type=int, default=Recipe().batch)
    train.add_argument("--seed", type=int, default=Recipe().seed)
    train.add_argument("--close", type=float, default=Recipe().close, help="share of windows of second looks (default 0.35)")
    train.add_argument("--start", default=Recipe().start, help="fp32 weights to go on from (.safetensors); else it begins anew")
    train.add_argument("--rate", type=float, default=Recipe().learning_rate, dest="learning_rate")
    train.add_argument("--device", default="cpu", help="where the network learns, such as cuda (default cpu)")
    train.add_argument("--workers", type=int, default=0, help="processes that draw windows ahead (default 0: this one draws)")
    train.add_argument("--every", type=int, default=250, help="steps between checkpoints (default 250)")
    train.set_defaults(step=train_run)
    release_.add_argument("--out", type=Path, required=True, help="such as release/")
    release_.add_argument("--version", type=int, required=True)
    release_.set_defaults(step=release_run)
    measure_ = commands.add_parser("measure", help="measure a released detector on LFW's photographs; write its card")
    measure_.add_argument("--packs", type=Path, required=True, help="folder of eval-lfw-photos, nofaces and lfw-pairs.txt")
    add_device(measure_)
    measure_.add_argument("--scrfd", type=Path, required=True, help="an SCRFD file with landmarks (.onnx)")
    measure_.add_argument("--kept", type=Path, help="file (.npz) for SCRFD's faces, read the next time")
    measure_.add_argument("--most", type=int, default=300, help="photographs that are spoiled (default 300)")
    measure_.add_argument("--turned", nargs="*", default=[], help="packs of untrained crops whose turned heads are sought")
    measure_.add_argument("--turned-most", type=int, default=1200, help="crops of each of these packs (default 1200)")
    measure_.add_argument("--out", type=Path, required=True, help="folder for detector-metrics.json and the card")
    measure_.set_defaults(step=measure_released)


def run(arguments: argparse.Namespace) -> None:
    """Runs the chosen step on one thread: on a shared machine more are slower."""
    torch.set_num_threads(1)
    arguments.step(arguments)


def label_crops(arguments: argparse.Namespace) -> None:
    """`detector label`."""
    detect = open_detector(arguments.scrfd)
    for name in arguments.names:
        found = labels.write_labelled(arguments.packs, name, arguments.most, detect, arguments.out)
        print(f"{name}: {found} faces")


def train_run(arguments: argparse.Namespace) -> None:
    """`detector train`."""
    chosen = {key: getattr(arguments, key) for key in ("steps", "batch", "seed", "close", "start", "learning_rate")}
    drawn = Windows(arguments.packs, arguments.labels, replace(Recipe(), **chosen))
    Training(arguments.run, drawn, arguments.workers, arguments.device).train(arguments.every)


def release_run(arguments: argparse.Namespace) -> None:
    """`detector release`."""
    recipe = Recipe(**json.loads((arguments.run / "recipe.json").read_text()))
    training = Training(arguments.run, Windows(arguments.packs, arguments.labels, recipe))
    if training.run.step < recipe.steps:
        raise SystemExit(f"{arguments.run} is at step {training.run.step} of {recipe.steps}: let `detector train` end first")
    print(json.dumps(release.release(training, arguments.out, arguments.version), indent=1))


def measure_released(arguments: argparse.Namespace) -> None:
    """`detector measure`."""
    path = arguments.out / "detector-metrics.json"
    metrics = json.loads(path.read_text()) if path.exists() else {}
    device = Device(arguments.program, arguments.models)
    rows = read_pack(arguments.packs, "eval-lfw-photos")
    pictures = {str(row["picture"]).removesuffix(".jpg"): picture for picture, row in rows}
    empty = {str(index): picture for index, (picture, _) in enumerate(read_pack(arguments.packs, "nofaces"))}
    metrics["version"] = Detector(arguments.models).manifest["version"]
    series = extremes.measure(extremes.examples(pictures, device, arguments.most), list(empty.values()), device)
    metrics["extremes"] = {name: [asdict(step) for step in steps] for name, steps in series.items()}
    if arguments.turned:
        metrics["turned"] = measure_turned(arguments, list(empty.values()), device)
    theirs = measure.references(pictures, arguments.scrfd, arguments.kept)
    pairs = read_pairs(arguments.packs / "lfw-pairs.txt", set(pictures), len(pictures))
    for name, grey in (("colour", False), ("grey", True)):
        metrics[name] = measure.measure(device, pictures, theirs, empty, pairs, grey)
    path.write_text(json.dumps(metrics, indent=1) + "\n")
    (arguments.out / "detector.md").write_text(card_of(metrics))


def measure_turned(arguments: argparse.Namespace, backgrounds: list[np.ndarray], device: Device) -> dict[str, Any]:
    """How many turned heads of the chosen packs are found."""
    heads = turned.heads(arguments.packs, arguments.turned, arguments.turned_most, open_detector(arguments.scrfd))
    steps = turned.measure(list(heads), backgrounds, device)
    return {"packs": arguments.turned, "steps": [asdict(step) for step in steps]}


def card_of(metrics: dict[str, Any]) -> str:
    """The card of what was measured."""
    notes = (Path(__file__).parent / "notes.md").read_text()
    sizes = metrics["extremes"]["pixels"]
    needed = next((size["step"] for size in sizes if size["found"] >= NEARLY_ALL * size["faces"]), None)
    return card.filled("detector_training/card.md.jinja", notes=notes, needed=needed, **metrics)
