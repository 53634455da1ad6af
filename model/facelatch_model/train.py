"""From a folder of pictures to a released, checked student: one command, each step resumable.

    gather -> teach -> distil -> quantise -> evaluate -> release

Every step keeps what it made in the run's folder; a step that is done is not done again, and says so.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from . import configuration, distill, evaluate, faces, int8, metrics, release, student, teacher
from .configuration import Training
from .data import Crops, gather
from .detector import Detect, open_detector
from .embedding import embed_all, of_file, of_network
from .evaluate import Subject
from .faces import Faces
from .metrics import Pairs

HEAD_PICTURES = 12_000
"""Training pictures from which heads of other sizes are solved. A choice: many times the features."""


def seed_everything(seed: int) -> None:
    """One seed for every random generator."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def device_of() -> torch.device:
    """A GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Run:
    """One training: its configuration, and what was made so far."""

    def __init__(self, config: Training) -> None:
        """Makes the run's folder and seeds everything."""
        self.config, self.folder = config, config.run
        self.folder.mkdir(parents=True, exist_ok=True)
        if config.threads:
            torch.set_num_threads(config.threads)
        seed_everything(config.seed)
        self.device = device_of()

    def detect(self) -> Detect | None:
        """The detector, if one is set."""
        return open_detector(self.config.data.detector) if self.config.data.detector else None

    def crops(self) -> Crops:
        """All training pictures, aligned."""
        skipped = self.config.data.skip_people
        return gather(self.config.data.sources, self.detect(), self.folder / "crops", skipped)

    def known(self, pictures: np.ndarray, digest: str) -> list[np.ndarray]:
        """Each teacher's embeddings of `pictures`, from the cache or computed."""
        threads = self.config.threads or 1
        cache = self.folder / "teachers"
        return [teacher.embeddings(t, pictures, digest, cache, threads) for t in self.config.teachers]

    def target(self, crops: Crops) -> tuple[teacher.Target, np.ndarray]:
        """The target, and that of every crop, `[n, 128]`."""
        both = teacher.concatenated(self.known(crops.pictures, crops.digest))
        path = self.folder / "target.npz"
        if not path.exists():
            teacher.fit_target(both, student.EMBEDDING).write(path)
        target = teacher.Target.read(path)
        return target, target.of(both)

    def measured(self) -> tuple[Faces, Pairs]:
        """LFW's faces and pairs."""
        found = faces.read_faces(self.config.evaluate.faces, self.detect())
        return found, faces.read_pairs(self.config.evaluate.pairs, found)

    def quick_measure(self) -> Callable[[nn.Module], dict[str, float]]:
        """How good a network is on LFW, in its short form."""
        found, pairs = self.measured()

        def measure(network: nn.Module) -> dict[str, float]:
            embeddings = metrics.normalised(embed_all(of_network(network), found.pictures, "measure"))
            return evaluate.accuracy_of(embeddings, pairs)

        return measure

    def weights(self, crops: Crops, targets: np.ndarray) -> Path:
        """The trained student in fp32."""
        settings, folder = self.config.distill, self.folder / "student"
        if (folder / "student.safetensors").exists():
            print(f"{folder / 'student.safetensors'}: trained already", file=sys.stderr)
            return folder / "student.safetensors"
        return distill.run(crops, targets, settings, folder, self.quick_measure(), self.config.seed, self.device)

    def quantised(self, weights: Path, crops: Crops, targets: np.ndarray) -> Path:
        """The student in int8."""
        network = student.read(weights).to(self.device)
        settings = self.config.quantise
        return int8.run(network, crops, targets, settings, self.config.distill, self.folder / "int8", self.config.seed)

    def subject(self, onnx_file: Path, weights: Path, target: teacher.Target) -> Subject:
        """What is measured."""
        network = student.read(weights).to(self.device)
        cached = {t.path.stem: self.cached_teacher(t) for t in self.config.teachers}
        return Subject(of_file(onnx_file), of_network(network), of_network(network.trunk()), cached, target)

    def cached_teacher(self, file: configuration.TeacherFile) -> Callable[[np.ndarray], np.ndarray]:
        """A teacher that keeps what it computed."""

        def embed(pictures: np.ndarray) -> np.ndarray:
            digest = hashlib.sha256(np.ascontiguousarray(pictures)).hexdigest()[:12]
            return teacher.embeddings(file, pictures, digest, self.folder / "teachers", self.config.threads or 1)

        return embed

    def evaluate(self, subject: Subject, crops: Crops) -> Path:
        """Measures all that the configuration asks for; returns the folder of figures. What is there stays."""
        folder, wanted = self.folder / "figures", self.config.evaluate
        folder.mkdir(exist_ok=True)
        found, pairs = self.measured()
        if not (folder / "distances.json").exists():
            evaluate.verification(subject, found, pairs, folder)
        if wanted.sweeps and not (folder / "robustness.json").exists():
            evaluate.robustness(subject, found, pairs, folder)
        if wanted.sweeps and not (folder / "sizes.json").exists():
            chosen = np.sort(np.random.default_rng(0).permutation(len(crops.pictures))[:HEAD_PICTURES])
            train = teacher.middle(np.stack([crops.pictures[i] for i in chosen]))
            evaluate.embedding_sizes(subject, train, found, pairs, folder)
        if wanted.occluded and not (folder / "occlusion.json").exists():
            occluded = faces.read_faces(wanted.occluded, self.detect())
            evaluate.occlusion(subject, occluded, folder, ~np.isin(occluded.person, crops.columns["person"]))
        if wanted.groups and not (folder / "groups.json").exists():
            threshold = release.figures_in(folder)["distances"]["threshold"]
            evaluate.groups(subject, faces.read_faces(wanted.groups, self.detect()), threshold or 0.0, folder)
        self.keep_log(folder)
        return folder

    def keep_log(self, folder: Path) -> None:
        """The training's log is one of the figures."""
        log = self.folder / "student" / "log.jsonl"
        if log.exists():
            text = ",\n".join(log.read_text().splitlines())
            (folder / "training.json").write_text(f"[\n{text}\n]\n")


def record(config: Training, path: Path) -> None:
    """Keeps the configuration and the state of the code beside the run."""
    shutil_text = path.read_text()
    (config.run / "configuration.toml").write_text(shutil_text)
    asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    known = subprocess.run(asked, capture_output=True, text=True, check=False)
    (config.run / "code.txt").write_text(known.stdout or "not from a git checkout\n")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `train`."""
    parser.add_argument("configuration", type=Path, help="a TOML file such as configs/embedder.toml")
    parser.add_argument("--out", type=Path, help="folder for the released files (default: release in the run's folder)")
    parser.add_argument("--until", choices=("gather", "teach", "distil", "quantise", "evaluate"), help="stop after this step")


def run(arguments: argparse.Namespace) -> None:
    """All steps, or those up to `--until`."""
    config = configuration.load(arguments.configuration)
    made = Run(config)
    record(config, arguments.configuration)
    crops = made.crops()
    if arguments.until == "gather":
        return
    target, targets = made.target(crops)
    if arguments.until == "teach":
        return
    weights = made.weights(crops, targets)
    if arguments.until == "distil":
        return
    onnx_file = made.quantised(weights, crops, targets)
    if arguments.until == "quantise":
        return
    figures = made.evaluate(made.subject(onnx_file, weights, target), crops)
    if arguments.until == "evaluate":
        return
    out = arguments.out or config.run / "release"
    release.write(config.release, onnx_file, weights, figures, out)
    print(f"released into {out}")
