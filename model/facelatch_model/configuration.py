"""What a training does, read from TOML into frozen dataclasses that refuse unknown keys."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class ConfigurationError(ValueError):
    """A configuration that cannot be used; says where and what to do."""


@dataclass(frozen=True)
class Source:
    """Where pictures come from."""

    path: Path
    """A pack (`FOLDER/NAME` of NAME.bin and NAME.npz), a folder of pictures, or a WebDataset tar."""
    kind: str = "folder"
    """`pack` (aligned already), `folder` (one folder for each person, or pictures of unknown people) or `tar`."""


@dataclass(frozen=True)
class Data:
    """Pictures to learn from."""

    sources: tuple[Source, ...]
    detector: Path | None = None
    """Manifest (`.toml`) of a released detector, or an SCRFD `.onnx`; needed for folders and tars."""
    skip_people: tuple[str, ...] = ()
    """People who are kept out of training, to measure on."""


@dataclass(frozen=True)
class TeacherFile:
    """One embedder to learn from: ONNX, or a TorchScript or exported torch program."""

    path: Path
    mean: tuple[float, ...] = (127.5,)
    """Subtracted from pixels 0..=255: one number, or one for each of red, green and blue."""
    deviation: tuple[float, ...] = (127.5,)
    """What the difference is divided by, likewise."""
    batch: int = 32
    """Pictures at once; 1 for a file whose batch is fixed."""


@dataclass(frozen=True)
class Distill:
    """How the student learns."""

    minutes: float = 90.0
    """How long at most; the learning rate falls over this time."""
    pictures: int = 0
    """How many pictures at most, and the learning rate falls over these if that is sooner; 0 leaves it to the time."""
    batch: int = 256
    people: int = 16
    """Known people in a batch, with `pictures_each` of each; the rest of the batch is drawn from all pictures."""
    pictures_each: int = 4
    rate_muon: float = 0.02
    rate_adam: float = 2e-3
    weight_similarity: float = 8.0
    weight_triplet: float = 0.3
    average: float = 0.999
    """Decay of the averaged weights, which are what is released."""
    augmentation: float = 1.0
    """How often pictures are spoiled: a factor of all chances."""
    start: Path | None = None
    """Weights to go on from (`.safetensors`)."""
    evaluate_minutes: float = 8.0
    save_minutes: float = 4.0


@dataclass(frozen=True)
class Quantise:
    """How the student becomes int8."""

    calibration_pictures: int = 512
    steps: int = 600
    batch: int = 96
    learning_rate: float = 5e-5
    weight_student: float = 1.0
    """Weight of the cosine to the fp32 student's embedding; that to the teachers' target weighs 1."""


@dataclass(frozen=True)
class Evaluate:
    """What is measured, on people who were not trained on."""

    pairs: Path
    """LFW's `pairs.txt`."""
    faces: Source
    """The pictures of the pairs: a pack, or LFW's folder."""
    occluded: Source | None = None
    """Pictures with the conditions neutral, masked and sunglasses (a pack)."""
    groups: Source | None = None
    """Pictures whose sources are UTKFace's file names: age_gender_race_date."""
    sweeps: bool = True
    """Whether accuracy against JPEG quality, pixels and embedding size is measured."""


@dataclass(frozen=True)
class Release:
    """What is released."""

    version: int
    embedding_id: int
    notes: Path | None = None
    """Markdown about data and terms for the card."""


@dataclass(frozen=True)
class Training:
    """All of it."""

    run: Path
    """Folder for everything between: crops, cached embeddings, checkpoints, curves."""
    data: Data
    teachers: tuple[TeacherFile, ...]
    evaluate: Evaluate
    release: Release
    distill: Distill = field(default_factory=Distill)
    quantise: Quantise = field(default_factory=Quantise)
    seed: int = 1
    threads: int = 0
    """CPU threads; 0 leaves it to torch. One is faster than two where anything else runs."""


def load(path: Path) -> Training:
    """Reads a training from TOML; relative paths start at the folder of the file."""
    try:
        table = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}; give a file such as configs/embedder.toml") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is no TOML: {error}") from error
    return build(Training, table, path.parent, path.name)


def build(kind: type, table: dict[str, Any], base: Path, where: str) -> Any:
    """A dataclass of `kind` from a TOML table; errors name the place, as in `embedder.toml: data.sources[0]`."""
    fields = {f.name: f for f in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(table) - set(fields))
    if unknown:
        raise ConfigurationError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(fields)}")
    values = {key: convert(hints[key], value, base, f"{where}: {key}") for key, value in table.items()}
    for name, f in fields.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ConfigurationError(f"{where}: {name} is missing")
    return kind(**values)


def convert(hint: Any, value: Any, base: Path, where: str) -> Any:
    """One TOML value as the type `hint` wants it."""
    if isinstance(hint, types.UnionType):
        hint = next(option for option in typing.get_args(hint) if option is not types.NoneType)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise ConfigurationError(f"{where} must be a table")
        return build(hint, value, base, where)  # type: ignore[arg-type]
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ConfigurationError(f"{where} must be a list")
        return tuple(convert(typing.get_args(hint)[0], v, base, f"{where}[{i}]") for i, v in enumerate(value))
    if hint is Path and isinstance(value, str):
        return base / value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise ConfigurationError(f"{where} must be {hint.__name__}, not {value!r}")
    return value
