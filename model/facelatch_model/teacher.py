"""Teachers: embedders that the student learns from, and the 128 numbers that it is asked for.

Embeddings are computed once and kept in a cache, by the teacher's and the pictures' digests. The target of a picture is the
concatenation of the teachers' unit embeddings, reduced to its principal components, each divided by the root of its
deviation (half a whitening: weak components count more, noise is not blown up), brought to unit length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from .configuration import TeacherFile
from .metrics import normalised
from .progress import Progress

SIDE = 112
"""Height and width of what teachers see: faces aligned to the ArcFace template."""
Embed = Callable[[np.ndarray], np.ndarray]
"""Pictures `[n, 112, 112, 3]` u8 RGB to embeddings `[n, d]` f32."""


class TeacherError(ValueError):
    """A teacher that cannot be used; says what to do."""


def prepared(pictures: np.ndarray, teacher: TeacherFile) -> np.ndarray:
    """`[n, 112, 112, 3]` u8 to `[n, 3, 112, 112]` f32 as the teacher takes it."""
    scaled = (pictures.astype(np.float32) - np.float32(teacher.mean)) / np.float32(teacher.deviation)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def open_teacher(teacher: TeacherFile, threads: int = 1) -> Embed:
    """The embedder in the file, whatever its format."""
    if not teacher.path.exists():
        raise TeacherError(f"there is no teacher {teacher.path}; put an ONNX or torch embedder of 112x112 faces there")
    if teacher.path.suffix == ".onnx":
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(teacher.path), options, providers=onnxruntime.get_available_providers())
        name = session.get_inputs()[0].name
        return lambda pictures: np.asarray(session.run(None, {name: prepared(pictures, teacher)})[0])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if teacher.path.suffix == ".pt2":
        network = torch.export.load(teacher.path).module().to(device)
    else:
        network = torch.jit.load(str(teacher.path), map_location=device).eval()

    def embed(pictures: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(prepared(pictures, teacher)).to(device)).float().cpu().numpy()

    return embed


def digest_of(path: Path) -> str:
    """The first 12 digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def embeddings(teacher: TeacherFile, pictures: np.ndarray, digest: str, cache: Path, threads: int = 1) -> np.ndarray:
    """Embeddings `[n, d]` of unit length of `pictures` (`[n, h, w, 3]` u8, h and w at least 112: the middle is taken).

    `digest` names the pictures. What was computed before is read from `cache`; an interrupted run goes on at its last part.
    """
    cache.mkdir(parents=True, exist_ok=True)
    stem = f"{teacher.path.stem}-{digest_of(teacher.path)}-{digest}"
    whole = cache / f"{stem}.npy"
    if whole.exists():
        return np.load(whole)
    embed = open_teacher(teacher, threads)
    progress, parts, part_length = Progress(teacher.path.stem, len(pictures)), [], 64 * teacher.batch
    for start in range(0, len(pictures), part_length):
        part = cache / f"{stem}-{start}.part.npy"
        if not part.exists():
            taken = pictures[start : start + part_length]
            batches = [embed(middle(taken[at : at + teacher.batch])) for at in range(0, len(taken), teacher.batch)]
            save(part, normalised(np.concatenate(batches)))
        parts.append(part)
        progress.step(min(part_length, len(pictures) - start))
    result = np.concatenate([np.load(part) for part in parts])
    save(whole, result)
    for part in parts:
        part.unlink()
    return result


def save(path: Path, array: np.ndarray) -> None:
    """Writes an array so that the file is whole or not there."""
    waiting = path.with_suffix(".writing")
    with waiting.open("wb") as file:
        np.save(file, array)
    waiting.rename(path)


def middle(pictures: np.ndarray) -> np.ndarray:
    """The middle `[n, 112, 112, 3]` of pictures that have a margin."""
    top, left = (pictures.shape[1] - SIDE) // 2, (pictures.shape[2] - SIDE) // 2
    return np.ascontiguousarray(pictures[:, top : top + SIDE, left : left + SIDE])


@dataclass(frozen=True)
class Target:
    """From the teachers' concatenated embeddings `[n, d]` to what the student is asked for, `[n, k]` of unit length."""

    mean: np.ndarray
    projection: np.ndarray

    def of(self, concatenated: np.ndarray) -> np.ndarray:
        """The targets `[n, k]` f32."""
        return normalised((concatenated - self.mean) @ self.projection)

    def write(self, path: Path) -> None:
        """Keeps the target's `mean` `[d]` and `projection` `[d, k]` in an npz file."""
        np.savez(path, mean=self.mean, projection=self.projection)

    @classmethod
    def read(cls, path: Path) -> Target:
        """Reads what `write` wrote."""
        table = np.load(path)
        return cls(table["mean"], table["projection"])


def concatenated(parts: Sequence[np.ndarray]) -> np.ndarray:
    """The unit embeddings of several teachers side by side, `[n, sum of d]`."""
    return np.concatenate([normalised(part) for part in parts], axis=1)


def fit_target(embeddings_: np.ndarray, dimensions: int) -> Target:
    """The target of `dimensions` numbers from concatenated embeddings `[n, d]` of training pictures."""
    if embeddings_.shape[1] < dimensions or len(embeddings_) < dimensions:
        raise TeacherError(f"{dimensions} numbers need as many pictures and teacher outputs, not {embeddings_.shape}")
    mean = embeddings_.mean(0)
    values, vectors = np.linalg.eigh(np.cov((embeddings_ - mean).T.astype(np.float64)))
    order = np.argsort(-values)[:dimensions]
    scale = np.maximum(values[order], 1e-12) ** 0.25
    return Target(mean.astype(np.float32), (vectors[:, order] / scale).astype(np.float32))
