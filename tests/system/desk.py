"""The owner's computer: the host tool at the other end of the board's cable, while the board goes on."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from machine import Machine, Unexpected


@dataclass
class Desk:
    """A computer with the host tool `program`. Its key and its packages stand in `folder`."""

    program: Path
    folder: Path
    machine: Machine
    key: Path = field(init=False)
    running: "list[subprocess.Popen[str]]" = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = self.folder / "owner.key"

    def begin(self, *words: str | Path) -> "subprocess.Popen[str]":
        """Starts the tool with the owner's key."""
        command = [self.program, *words, "--key", self.key]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.running.append(process)
        return process

    def end(self, process: "subprocess.Popen[str]", within: float) -> str:
        """What a tool that was begun says at last. It has `within` seconds of the guest, which runs meanwhile."""
        name = process.args[1]
        self.machine.go_on_until(lambda: process.poll() is not None, f"facelatch {name}", within)
        said, _ = process.communicate()
        self.running.remove(process)
        if process.returncode != 0:
            raise Unexpected(f"facelatch {name}: {said.strip()}")
        return said.strip()

    def run(self, *words: str | Path, within: float = 20.0) -> str:
        """What the tool says."""
        return self.end(self.begin(*words), within)

    def at_cable(self, *words: str | Path, within: float = 20.0) -> str:
        """What the tool says that speaks to the board."""
        return self.run(*words, "--port", self.machine.cable, within=within)

    def leave(self) -> None:
        """Ends whatever still runs."""
        for process in self.running:
            process.kill()
            process.wait()
