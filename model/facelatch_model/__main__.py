"""`python -m facelatch_model COMMAND`."""

from __future__ import annotations

import argparse
import importlib
import sys

COMMANDS = {
    "train": "from a folder of pictures to a released, checked embedder",
    "detector": "train and release the face detector",
    "liveness": "draw attacks, train, release and measure the liveness network",
    "quality": "how recognition suffers as pictures get worse",
    "scene": "draw the bundled scene of synthetic people",
    "crowd": "draw folders of synthetic people, to try the tools on",
    "unpack": "write the pictures of a pack as files",
}
MODULES = {"detector": "detector_training.command", "liveness": "liveness.command"}
"""Modules that are not called as their command."""


def main() -> None:
    """Reads the command line and runs one command; its module is loaded only then."""
    parser = argparse.ArgumentParser(prog="facelatch_model", description=__doc__)
    parser.add_argument("command", choices=COMMANDS, help="; ".join(f"{name}: {text}" for name, text in COMMANDS.items()))
    chosen = parser.parse_args(sys.argv[1:2])
    module = importlib.import_module(f".{MODULES.get(chosen.command, chosen.command)}", __package__)
    options = argparse.ArgumentParser(prog=f"facelatch_model {chosen.command}", description=module.__doc__.partition("\n")[0])
    module.add_arguments(options)
    try:
        module.run(options.parse_args(sys.argv[2:]))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
