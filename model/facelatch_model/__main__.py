"""`python -m facelatch_model COMMAND`."""

from __future__ import annotations

import argparse

from . import scene


def main() -> None:
    """Reads the command line and runs one command."""
    parser = argparse.ArgumentParser(prog="facelatch_model", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    scene_parser = commands.add_parser("scene", help="draw the bundled scene of synthetic people")
    scene.add_arguments(scene_parser)
    scene_parser.set_defaults(run=scene.run)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
