"""`python -m facelatch_model liveness ...`: draw the pictures, train, release, compare with a teacher."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
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
    measure_ = commands.add_parser(
        "measure", help="measure the released network beside others on collected pictures; write its card"
    )
    measure_.add_argument("--packs", type=Path, required=True)
    measure_.add_argument("--models", type=Path, required=True, help="released networks")
    measure_.add_argument("--teachers", type=Path, nargs="*", default=[], help="MiniFASNet files to measure on the same pictures")
    measure_.add_argument("--held-out", nargs="*", help="only these subjects (default: those of liveness-metrics.json in --out)")
    measure_.add_argument("--unseen", type=Path, help="run that was trained without the webcam collections, to measure on them")
    measure_.add_argument("--crops", type=Path, help="folder of crops of that run")
    measure_.add_argument("--out", type=Path, required=True, help="folder of liveness-metrics.json, for the figures and the card")
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
    training = training_of(arguments.run, arguments.crops)
    step, steps = training.run.step, training.recipe.steps
    if step < steps:
        raise SystemExit(f"{arguments.run} is at step {step} of {steps}: let `liveness train` end first")
    metrics = release.release(training, arguments.out, arguments.version)
    print(json.dumps(metrics["int8"], indent=1))


def training_of(run: Path, crops_: Path) -> Training:
    """The run in a folder, as its recipe says."""
    written = json.loads((run / "recipe.json").read_text())
    return Training(run, crops_, Recipe(**{**written, "held_out": tuple(written["held_out"])}))


def measure_network(arguments: argparse.Namespace) -> None:
    """`liveness measure`."""
    path = arguments.out / "liveness-metrics.json"
    metrics = json.loads(path.read_text()) if path.exists() else {}
    chain = Chain(arguments.models)
    held_out = arguments.held_out or metrics.get("recipe", {}).get("held_out")
    everybody = evaluate.bench(arguments.packs, chain)
    chosen = everybody.of(held_out) if held_out else everybody
    metrics["measured"] = evaluate.measure(chosen, chain, arguments.teachers)
    metrics["motion"] = everybody.motion()
    if arguments.unseen:
        metrics["without_screens"] = evaluate.by_subject(training_of(arguments.unseen, arguments.crops))
    path.write_text(json.dumps(metrics, indent=1) + "\n")
    (arguments.out / "liveness.md").write_text(release.card_of(chain.liveness.manifest, metrics))
