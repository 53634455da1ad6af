"""Configurations: what is read, and what is refused with its place."""

from pathlib import Path

import pytest

from facelatch_model import configuration
from facelatch_model.configuration import ConfigurationError

WHOLE = """
run = "run"
[data]
sources = [{ path = "faces", kind = "folder" }]
[[teachers]]
path = "teacher.onnx"
deviation = [127.5]
[evaluate]
pairs = "pairs.txt"
faces = { path = "lfw", kind = "pack" }
[release]
version = 1
embedding_id = 1
"""


def read(tmp_path: Path, text: str) -> configuration.Training:
    """Reads `text` as a file."""
    path = tmp_path / "c.toml"
    path.write_text(text)
    return configuration.load(path)


def test_a_whole_file_is_read_and_paths_start_at_it(tmp_path: Path) -> None:
    config = read(tmp_path, WHOLE + "[distill]\nminutes = 5\n")
    assert config.run == tmp_path / "run"
    assert config.data.sources[0].path == tmp_path / "faces"
    assert config.distill.minutes == 5.0 and config.distill.batch == 256
    assert config.teachers[0].deviation == (127.5,)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (WHOLE + "[distill]\nminuets = 5\n", "c.toml: distill: unknown key 'minuets'"),
        (WHOLE.replace("embedding_id = 1", ""), "embedding_id is missing"),
        (WHOLE + "[quantise]\nsteps = 'many'\n", "quantise: steps must be int"),
        (WHOLE + "[quantise]\nsteps = true\n", "steps must be int"),
        (WHOLE.replace('kind = "folder"', "kind = 3"), r"data: sources\[0\]: kind must be str"),
        (WHOLE + "threads = [", "no TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(ConfigurationError, match=word):
        read(tmp_path, text)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        configuration.load(tmp_path / "none.toml")


def test_the_configurations_that_come_with_the_package_are_sound() -> None:
    found = sorted((Path(__file__).parents[1] / "configs").glob("*.toml"))
    assert found
    for path in found:
        configuration.load(path)
