"""Runs inside the simulated board: shows the film to its camera, works its buttons, watches its pins.

It obeys lines from the host and answers over a virtio port, one line each; every line begins with the board's
clock in milliseconds:

    pin NAME LEVEL       an output changed (looked at every 5 ms)
    shown FRAME          the film reached this frame
    tick                 a second passed
    answer NUMBER TEXT   to a command; TEXT begins with "ok" or "failed"
"""

import fcntl
import os
import select
import struct
import subprocess
import sys
import time
from pathlib import Path

PORT = "/dev/virtio-ports/stage"
CAMERA = Path("/dev/video0")
FILM = Path("/opt/stage/scene.mjpeg")
MODULE = "/opt/stage/v4l2loopback.ko"
PINS = Path("/sys/kernel/config/gpio-sim/door")
OUTPUTS = ("strike", "led-green", "led-red", "buzzer")
LOOK_EVERY = 0.005
WIDTH, HEIGHT = 320, 240

# linux/videodev2.h: _IOWR('V', 5, struct v4l2_format), V4L2_BUF_TYPE_VIDEO_OUTPUT
VIDIOC_S_FMT = 0xC0D05605
VIDEO_OUTPUT = 2


def frames_of(film: bytes) -> list[bytes]:
    """The JPEG pictures of a film, which lie one behind the other."""
    return [b"\xff\xd8\xff" + rest for rest in film.split(b"\xff\xd8\xff")[1:]]


class Camera:
    """What the doorway's camera sees; a module that plays frames into a video device."""

    def __init__(self) -> None:
        self.frames = frames_of(FILM.read_bytes())
        self.device: int | None = None
        self.reel: list[int] = [0]
        self.at = 0
        self.interval = 0.1
        self.next_frame = 0.0
        self.muted = False

    def plug(self) -> None:
        subprocess.run(["insmod", MODULE, "video_nr=0", "exclusive_caps=1", "card_label=doorway"], check=True)
        self.device = os.open(CAMERA, os.O_RDWR)
        picture = struct.pack("<II4sII", WIDTH, HEIGHT, b"MJPG", 1, 0) + struct.pack("<II", WIDTH * HEIGHT * 2, 8)
        fcntl.ioctl(self.device, VIDIOC_S_FMT, struct.pack("<I4x", VIDEO_OUTPUT) + picture.ljust(200, b"\0"))

    def unplug(self) -> bool:
        """Tries to pull the plug; the driver lets go of a camera only while nobody has it open."""
        if self.device is not None:
            os.close(self.device)
        self.device = None
        return subprocess.run(["rmmod", "v4l2loopback"], stderr=subprocess.DEVNULL).returncode == 0

    def play(self, start: int, end: int, rate: float) -> None:
        """Shows the film from frame `start` to before `end`, at `rate` frames a second; then the last again and again."""
        step = max(1, round(10 / rate))
        self.reel, self.at, self.interval = list(range(start, end, step)), 0, step / 10
        self.next_frame = time.monotonic()

    def turn(self, now: float) -> int | None:
        """Shows the next frame when it is due; its number when it is the reel's last, for the first time."""
        if self.device is None or self.muted or now < self.next_frame:
            return None
        self.next_frame = max(self.next_frame + self.interval, now)
        frame = self.reel[min(self.at, len(self.reel) - 1)]
        os.write(self.device, self.frames[frame])
        self.at += 1
        return frame if self.at == len(self.reel) else None


class Pins:
    """The lines of the simulated chip, by name."""

    def __init__(self) -> None:
        chip = (PINS / "header/chip_name").read_text().strip()
        device = (PINS / "dev_name").read_text().strip()
        self.folders = {
            (line / "name").read_text().strip(): Path(
                f"/sys/devices/platform/{device}/{chip}/sim_gpio{line.name.removeprefix('line')}"
            )
            for line in (PINS / "header").glob("line*")
        }
        self.levels = {name: os.open(self.folders[name] / "value", os.O_RDONLY) for name in OUTPUTS}
        self.last: dict[str, str] = {}
        self.pressed: dict[str, float] = {}

    def pull(self, name: str, level: str) -> None:
        (self.folders[name] / "pull").write_text(f"pull-{level}")

    def press(self, name: str, seconds: float) -> None:
        self.pull(name, "up")
        self.pressed[name] = time.monotonic() + seconds

    def release(self, now: float) -> None:
        for name in [name for name, until in self.pressed.items() if now >= until]:
            self.pull(name, "down")
            del self.pressed[name]

    def changes(self) -> list[tuple[str, str]]:
        seen = {name: os.pread(handle, 2, 0).decode().strip() for name, handle in self.levels.items()}
        changed = [(name, level) for name, level in seen.items() if self.last.get(name) != level]
        self.last = seen
        return changed


class Stage:
    """Obeys the host."""

    def __init__(self) -> None:
        self.port = os.open(PORT, os.O_RDWR | os.O_NONBLOCK)
        self.camera = Camera()
        self.pins = Pins()
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.unplugging: str | None = None
        self.pull_at = 0.0
        self.unread = b""

    def tell(self, text: str) -> None:
        line = f"{time.monotonic() * 1000:.0f} {text}\n".encode()
        while line:
            select.select([], [self.port], [])
            line = line[os.write(self.port, line) :]

    def obey(self, number: str, verb: str, rest: str) -> None:
        try:
            answer = self.act(number, verb, rest)
        except Exception as error:  # the host decides what a failure means
            answer = f"failed {error!r}"
        if answer is not None:
            self.tell(f"answer {number} {answer}")

    def act(self, number: str, verb: str, rest: str) -> str | None:
        match verb, rest.split():
            case "play", [start, end, rate]:
                self.camera.play(int(start), int(end), float(rate))
            case "mute", [state]:
                self.camera.muted = state == "on"
            case "plug", []:
                self.camera.plug()
            case "unplug", []:
                self.unplugging = number
                return None
            case "press", [name, milliseconds]:
                self.pins.press(name, int(milliseconds) / 1000)
            case "run", _:
                self.running[number] = subprocess.Popen(
                    ["/bin/sh", "-c", rest], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
                )
                return None
            case _:
                raise ValueError(f"unknown command {verb} {rest}")
        return "ok"

    def pull_plug(self, now: float) -> None:
        if self.unplugging is None or now < self.pull_at:
            return
        self.pull_at = now + 0.2
        if self.camera.unplug():
            self.tell(f"answer {self.unplugging} ok")
            self.unplugging = None

    def reap(self) -> None:
        for number, process in list(self.running.items()):
            if process.poll() is not None:
                del self.running[number]
                words = process.stdout.read().decode(errors="replace") if process.stdout else ""
                state = "ok" if process.returncode == 0 else f"failed {process.returncode}"
                self.tell(f"answer {number} {state} {words.encode('unicode_escape').decode()}")

    def listen(self) -> None:
        self.unread += os.read(self.port, 4096) or sys.exit("the host has gone")
        *lines, self.unread = self.unread.split(b"\n")
        for line in lines:
            number, verb, *rest = line.decode().split(" ", 2)
            self.obey(number, verb, rest[0] if rest else "")

    def run(self) -> None:
        self.tell("ready")
        tick = time.monotonic()
        while True:
            readable, _, _ = select.select([self.port], [], [], LOOK_EVERY)
            if readable:
                self.listen()
            for name, level in self.pins.changes():
                self.tell(f"pin {name} {level}")
            now = time.monotonic()
            self.pins.release(now)
            if (frame := self.camera.turn(now)) is not None:
                self.tell(f"shown {frame}")
            self.pull_plug(now)
            self.reap()
            if now >= tick:
                self.tell("tick")
                tick += 1


if __name__ == "__main__":
    Stage().run()
