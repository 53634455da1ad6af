"""The simulated board in QEMU: power, pins, camera and console, as seen from a test on the host.

The guest's clock counts instructions (`-icount`): a second of the guest takes longer on a busy host, but is always
the same amount of work. Every deadline but the last resort is therefore in the guest's time.
"""

import mmap
import re
import selectors
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

# A guest that makes no progress for so long, in seconds of the host, hangs.
STUCK = 300.0
# What the stage may take for a command, in seconds of the guest.
ANSWER_WITHIN = 60.0
LOG_LINE = re.compile(rb"\[ *(\d+\.\d+)\] facelatchd\[\d+\]: (.*)")


class Unexpected(Exception):
    """Something did not come as it should."""


@dataclass(frozen=True)
class Event:
    """Something seen on the board: `kind` is "pin", "shown", "log", "tick", "ready" or "answer"."""

    at: float
    kind: str
    what: str


@dataclass(frozen=True)
class Parts:
    """What a board is made of: files on the host."""

    kernel: Path
    initramfs: Path
    device_tree: Path
    disk: Path
    flash: Path


@dataclass
class Machine:
    """One board. `folder` takes its sockets and logs, `boot` numbers its starts, `clock` is the guest's, in seconds."""

    parts: Parts
    folder: Path
    boot: int = 0
    clock: float = 0.0
    events: list[Event] = field(default_factory=list)
    seen: int = 0

    def power_on(self) -> None:
        self.boot += 1
        self.events.clear()
        self.seen = 0
        self.clock = 0.0
        self._console = (self.folder / f"boot-{self.boot}.log").open("wb")
        self._unread = {"console": b"", "stage": b""}
        self._commands = 0
        channels = {name: self._listen(name) for name in ("console", "stage")}
        errors = (self.folder / f"boot-{self.boot}.qemu").open("wb")
        self.qemu = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        self.selector = selectors.DefaultSelector()
        for name, server in channels.items():
            server.settimeout(30)
            connection, _ = server.accept()
            server.close()
            connection.setblocking(False)
            self.selector.register(connection, selectors.EVENT_READ, name)
            if name == "stage":
                self._stage = connection

    def _listen(self, name: str) -> socket.socket:
        path = self.folder / f"{name}.sock"
        path.unlink(missing_ok=True)
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen(1)
        return server

    def _command(self) -> list[str]:
        socket_of = lambda name: f"socket,id={name},path={self.folder / f'{name}.sock'}"  # noqa: E731
        drive = lambda kind, path: f"if={kind},format=raw,file={path}"  # noqa: E731
        return [
            *("qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a76", "-m", "512", "-icount", "shift=0"),
            *("-nic", "none", "-nodefaults", "-display", "none", "-no-reboot", "-kernel", str(self.parts.kernel)),
            *("-initrd", str(self.parts.initramfs), "-dtb", str(self.parts.device_tree)),
            *("-append", "console=ttyAMA0 quiet panic=0 systemd.show_status=0"),
            *("-drive", drive("virtio", self.parts.disk), "-drive", drive("pflash,index=1", self.parts.flash)),
            *("-chardev", socket_of("console"), "-serial", "chardev:console"),
            *("-chardev", "pty,id=cable", "-device", "pci-serial,chardev=cable"),
            *("-device", "virtio-serial-pci", "-chardev", socket_of("stage")),
            *("-device", "virtserialport,chardev=stage,name=stage"),
            *("-device", "i6300esb", "-action", "watchdog=reset"),
        ]

    @property
    def cable(self) -> str:
        """The host's end of the owner's cable: a terminal."""
        found = re.search(r"redirected to (\S+) \(label cable\)", (self.folder / f"boot-{self.boot}.qemu").read_text())
        if not found:
            raise Unexpected("QEMU made no terminal for the owner's cable")
        return found[1]

    def cut_power(self) -> None:
        """Nothing is flushed, nothing is told."""
        self.qemu.kill()
        self.qemu.wait()
        self._close()

    def _close(self) -> None:
        for key in list(self.selector.get_map().values()):
            self.selector.unregister(key.fileobj)
            key.fileobj.close()
        self._console.close()

    def panic(self) -> None:
        """Has the kernel panic. It would stay so for ever: only a watchdog ends the machine."""
        self._send("run echo c >/proc/sysrq-trigger")
        while self._read(STUCK):
            pass
        self.qemu.wait(timeout=30)
        self._close()

    def end(self) -> None:
        """Switches off whatever still runs."""
        if self.boot and self.qemu.poll() is None:
            self.cut_power()

    def _read(self, patience: float) -> bool:
        """Takes in what the board says; false when it has ended."""
        ready = self.selector.select(patience)
        if not ready:
            raise Unexpected(f"the board says nothing for {patience:.0f} s; it was running for {self.clock:.1f} s")
        for key, _ in ready:
            data = key.fileobj.recv(65536)
            if not data:
                return False
            *lines, self._unread[key.data] = (self._unread[key.data] + data).split(b"\n")
            for line in lines:
                (self._on_console if key.data == "console" else self._on_stage)(line.rstrip(b"\r"))
        return True

    def _on_console(self, line: bytes) -> None:
        self._console.write(line + b"\n")
        self._console.flush()
        if found := LOG_LINE.search(line):
            self.events.append(Event(float(found[1]), "log", found[2].decode(errors="replace")))

    def _on_stage(self, line: bytes) -> None:
        at, kind, *rest = line.decode().split(" ", 2)
        self.clock = int(at) / 1000
        self.events.append(Event(self.clock, kind, rest[0] if rest else ""))

    def wait_for(self, wanted: Callable[[Event], bool], words: str, within: float) -> Event:
        """The next event that is `wanted`, which must come `within` seconds of the guest."""
        until: float | None = None
        while True:
            while self.seen < len(self.events):
                event = self.events[self.seen]
                self.seen += 1
                if wanted(event):
                    return event
            until = until or self.clock + within
            if self.clock > until:
                raise Unexpected(f"{words}: not seen within {within:.0f} s")
            if not self._read(STUCK):
                raise Unexpected(f"{words}: the machine ended before")

    def go_on_until(self, over: Callable[[], bool], words: str, within: float) -> None:
        """Lets the board go on until something beside it is over, at most `within` seconds of the guest."""
        until = self.clock + within
        while not over():
            if self.clock > until:
                raise Unexpected(f"{words}: not over within {within:.0f} s")
            if not self._read(STUCK):
                raise Unexpected(f"{words}: the machine ended before")

    def log(self, pattern: str, within: float) -> Event:
        """The daemon's next log line that matches."""
        return self.wait_for(lambda e: e.kind == "log" and bool(re.search(pattern, e.what)), f"log {pattern!r}", within)

    def logged(self, pattern: str, since: float) -> str:
        """What the first group of `pattern` matched in the daemon's last such line since a moment."""
        lines = [re.search(pattern, e.what) for e in self.events if e.kind == "log" and e.at >= since]
        found = [line[1] for line in lines if line]
        if not found:
            raise Unexpected(f"log {pattern!r}: not seen")
        return found[-1]

    def pin(self, name: str, level: int, within: float) -> Event:
        """An output's next change to `level`."""
        return self.wait_for(lambda e: e.kind == "pin" and e.what == f"{name} {level}", f"{name} at {level}", within)

    def flash_write(self, start: int, end: int, within: float) -> None:
        """Waits until a byte of the flash chip changes, and returns at once: the write is still going on."""
        until = self.clock + within
        with self.parts.flash.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as chip:
            before = chip[start:end]
            while chip[start:end] == before:
                if self.clock > until:
                    raise Unexpected(f"no write to the flash within {within:.0f} s")
                if self.selector.select(0):
                    self._read(0)

    def changes(self, name: str, since: float) -> list[Event]:
        """Every change of an output since a moment."""
        return [e for e in self.events if e.kind == "pin" and e.what.split()[0] == name and e.at > since]

    def tell(self, command: str, within: float = ANSWER_WITHIN) -> str:
        """Has the stage do something; what it answers. What happens meanwhile stays to be waited for."""
        self._send(command)
        before = self.seen
        prefix = f"{self._commands} "
        answer = self.wait_for(
            lambda e: e.kind == "answer" and e.what.startswith(prefix), f"the answer to {command!r}", within
        ).what.removeprefix(prefix)
        self.seen = before
        state, _, words = answer.partition(" ")
        words = words.encode().decode("unicode_escape").strip()
        if state != "ok":
            raise Unexpected(f"{command}: {words}")
        return words

    def _send(self, command: str) -> None:
        self._commands += 1
        self._stage.setblocking(True)
        self._stage.sendall(f"{self._commands} {command}\n".encode())
        self._stage.setblocking(False)
