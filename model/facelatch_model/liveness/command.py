"""`python -m facelatch_model liveness ...`: draw the pictures, train, release, compare with a teacher."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import torch

from ..chain import Chain
from . import crops, evaluate, release
from .train import Recipe, Training


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sub-commands of `liveness`."""
    commands = parser.add_subparsers(dest="step", required=True)
    draw = commands.add_parser("crops", help="draw all pictures that are learnt from: minutes, once")
    draw.add_argument("--packs", type=Path, required=True, help="folder of face packs")
    draw.add_argument("--models", type=Path, required=True, help="released networks, to find faces and to tell people apart")
    draw.add_argument("--out", type=Path, required=True)
    draw.add_argument("--most", type=int, default=2200, help="faces of each pack (default 2200)")
    draw.set_defaults(step=draw_crops)
    train = commands.add_parser("train", help="train, or go on with a run that was cut")
    release_ = commands.add_parser("release", help="int8, ONNX, manifest and metrics of a finished run")
    for command in (train, release_):
        command.add_argument("--crops", type=Path, required=True, help="what `liveness crops` has drawn")
        command.add_argument("--run", type=Path, required=True, help="folder of the run")
    train.add_argument("--held-out", nargs="*", default=[], help="subjects to measure on, never trained on (see real.npz)")
    train.add_argument("--start", default="", help="run whose weights this one begins with")
    train.add_argument("--steps", type=int, default=Recipe().steps)
    train.add_argument("--batch", type=int, default=Recipe().batch)
    train.add_argument("--seed", type=int, default=Recipe().seed)
    train.add_argument("--every", type=int, default=250, help="steps between checkpoints (default 250)")
    train.set_defaults(step=train_run)
    release_.add_argument("--out", type=Path, required=True, help="such as release/")
    release_.add_argument("--version", type=int, required=True)
    release_.set_defaults(step=release_run)
    measure_ = commands.add_parser("measure", help="measure a released network, or a MiniFASNet file, on collected pictures")
    measure_.add_argument("--packs", type=Path, required=True)
    measure_.add_argument("--models", type=Path, required=True, help="released networks")
    measure_.add_argument("--teacher", type=Path, help="a MiniFASNet file to measure instead of the released network")
    measure_.add_argument("--held-out", nargs="*", help="only these subjects (default: all)")
    measure_.add_argument("--out", type=Path, required=True, help="file for the figures (.json)")
    measure_.set_defaults(step=measure_network)


def run(arguments: argparse.Namespace) -> None:
    """Runs the chosen step on one thread: on a shared machine more are slower."""
    torch.set_num_threads(1)
    arguments.step(arguments)


def draw_crops(arguments: argparse.Namespace) -> None:
    """`liveness crops`."""
    crops.build(arguments.packs, arguments.models, arguments.out, arguments.most)


def train_run(arguments: argparse.Namespace) -> None:
    """`liveness train`."""
    chosen = {key: getattr(arguments, key) for key in ("steps", "batch", "seed", "start")}
    recipe = replace(Recipe(), held_out=tuple(arguments.held_out), **chosen)
    Training(arguments.run, arguments.crops, recipe).train(arguments.every)


def release_run(arguments: argparse.Namespace) -> None:
    """`liveness release`."""
    written = json.loads((arguments.run / "recipe.json").read_text())
    recipe = Recipe(**{**written, "held_out": tuple(written["held_out"])})
    training = Training(arguments.run, arguments.crops, recipe)
    if training.run.step < recipe.steps:
        raise SystemExit(f"{arguments.run} is at step {training.run.step} of {recipe.steps}: let `liveness train` end first")
    metrics = release.release(training, arguments.out, arguments.version)
    print(release.table(metrics["int8"]))


def measure_network(arguments: argparse.Namespace) -> None:
    """`liveness measure`."""
    chain = Chain(arguments.models)
    judge = evaluate.minifas(arguments.teacher) if arguments.teacher else evaluate.released(chain)
    found = evaluate.measure_collections(arguments.packs, chain, judge, arguments.held_out)
    figures = [asdict(item) for item in found]
    arguments.out.write_text(json.dumps(figures, indent=1) + "\n")
    print(release.table(figures))
