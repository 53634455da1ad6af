"""The system test: the packaged firmware on a whole machine, from the first start to a new model.

Prints what it saw, step by step, in the board's time; leaves the console of every start and a timeline in the
folder of the run.
"""

import argparse
import sys
import time
import tomllib
from dataclasses import fields
from pathlib import Path

from desk import Desk
from machine import Event, Machine, Parts, Unexpected
from timeline import draw

# Frames a second that the camera shows: what an emulated core keeps up with.
RATE = 5.0
# By how much longer or shorter a pulse may look.
LATE = 0.15
# facelatchd.service, WatchdogSec; and what killing and releasing take.
WATCHDOG, KILLING = 5.0, 2.0
# Most that the service may be exposed, in tenths of what systemd-analyze says: 0.6, where 10 is worst.
EXPOSURE = 6
# An embedder of other weights than the released one, which nobody is enrolled under.
OTHER_EMBEDDER = Path("tests/data/models/earlier/embedder.onnx")
# Most memory that the firmware may have held, in KiB: 40 MB.
MEMORY = 39_062


class Story:
    """What happens at the door, in order."""

    def __init__(self, machine: Machine, desk: Desk, board: Path, scene: Path) -> None:
        self.machine = machine
        self.desk = desk
        self.board = tomllib.loads(board.read_text())
        self.pulse = self.board["lock"]["pulse_ms"] / 1000
        chapters = tomllib.loads((scene / "scene.toml").read_text())["chapter"]
        self.chapters = {chapter["title"]: chapter for chapter in chapters}
        self.told: list[tuple[int, float, str]] = []
        self.history: list[list[Event]] = []
        self.started = time.monotonic()

    def tell(self, words: str) -> None:
        self.told.append((self.machine.boot, self.machine.clock, words))
        here = time.monotonic() - self.started
        print(f"{self.machine.clock:7.1f} s of the board, {here:4.0f} s here  {words}", flush=True)

    def show(self, title: str, skip: float = 0.0) -> None:
        """Begins to show a chapter of the scene, without its first `skip` seconds."""
        chapter = self.chapters[title]
        start, end = chapter["from_ms"] // 100 + round(skip * 10), chapter["to_ms"] // 100
        self.machine.tell(f"play {start} {end} {RATE}")

    def leave(self) -> None:
        """The doorway is empty for a second."""
        self.show("empty doorway")
        self.machine.wait_for(lambda event: event.kind == "shown", "the film's end", 10)

    def power_on(self) -> None:
        self.machine.power_on()
        self.machine.wait_for(lambda event: event.kind == "ready", "the stage", 120)
        self.machine.tell("plug")
        self.leave()

    def power_cut(self) -> None:
        self.machine.cut_power()
        self.history.append(list(self.machine.events))

    def expect_pulse(self, within: float, what: str) -> None:
        driven = self.machine.pin("strike", 1, within)
        released = self.machine.pin("strike", 0, self.pulse + 2)
        length = released.at - driven.at
        if abs(length - self.pulse) > LATE:
            raise Unexpected(f"{what}: the strike was driven for {length:.2f} s instead of {self.pulse} s")
        self.tell(f"{what}: strike driven for {length:.2f} s")

    def expect_refusal(self, reason: str, title: str) -> None:
        since = self.machine.clock
        self.show(title)
        self.machine.log(f"refused: {reason}", 20)
        if changes := self.machine.changes("strike", since):
            raise Unexpected(f"{title}: the strike was touched: {changes}")
        self.tell(f"{title}: refused, the strike stays released")
        self.leave()

    # The steps.

    def install(self) -> None:
        self.machine.tell("run dpkg -i /opt/stage/facelatch.deb", 240)
        self.machine.log("the door is locked and attended to", 60)
        self.tell("the package is installed, the service runs")
        self.machine.tell("run systemd-analyze verify --no-pager --man=no facelatchd.service", 120)
        analyse = f"systemd-analyze security --no-pager --threshold={EXPOSURE} facelatchd"
        exposure = self.machine.tell(f"run {analyse} >/tmp/exposed; code=$?; tail -n 1 /tmp/exposed; exit $code", 120)
        self.tell(f"systemd-analyze verify finds nothing; security: {exposure}")

    def enrol_owner(self) -> None:
        self.machine.tell("press button 200")
        self.show("owner enrols", skip=1.5)
        self.machine.log("enrolled person", 30)
        self.tell("the owner is enrolled by button")
        self.leave()

    def owner_comes_home(self) -> None:
        since = self.machine.clock
        self.show("owner comes home")
        self.expect_pulse(15, "the owner comes home")
        # The guest's clock counts instructions: a millisecond is a million of them, whatever the host does meanwhile.
        took = self.machine.logged(r"from the frame to the strike (.*)", since)
        self.tell(f"from the frame to the strike, in millions of instructions: {took}")
        self.leave()

    def strangers(self) -> None:
        self.expect_refusal("nobody enrolled has this face", "stranger")
        self.expect_refusal("not a living face", "photo of owner")

    def memory(self) -> None:
        service = "$(systemctl show --property MainPID --value facelatchd)"
        held = self.machine.tell(f"run grep VmHWM /proc/{service}/status")
        peak = int(held.split()[1])
        if peak > MEMORY:
            raise Unexpected(f"the firmware held {peak} KiB (at most {MEMORY})")
        self.tell(f"the firmware has held {peak / 1024:.1f} MiB of memory at most")

    def the_lock_is_owned(self) -> None:
        self.desk.run("keygen")
        # Shorter than a press that deletes; the lock has noticed it after a second.
        self.machine.tell("press button 4000")
        self.machine.wait_for(lambda event: event.kind == "tick", "a second", 5)
        self.machine.wait_for(lambda event: event.kind == "tick", "another second", 5)
        said = self.desk.at_cable("owner", "enrol")
        self.machine.log("the lock belongs to", 5)
        self.tell(f"owner enrol while the button is held: {said}")

    def new_models(self) -> None:
        """Over the cable: models with an embedder of other weights, while the door is served."""
        package = self.desk.folder / "other.flm"
        self.desk.run("pack", "--version", "2", "--embedder", OTHER_EMBEDDER, "--out", package, within=60)
        # As many bytes for an interrupt as the port can: an emulated one takes long.
        self.machine.tell("run echo 14 >/sys/class/tty/ttyS0/rx_trig_bytes")
        flash = self.desk.begin("flash", package, "--port", self.machine.cable)
        self.show("owner comes home")
        self.expect_pulse(15, "the owner comes home while new models arrive")
        flashed = self.desk.end(flash, 120)
        self.machine.log("package 2 is on trial, start 1", 1)
        self.machine.log("package 2 is confirmed", 1)
        self.tell(f"flash: {flashed.splitlines()[-1]}")
        self.tell(f"flash once more: {self.desk.at_cable('flash', package)}")
        self.leave()
        self.owner_comes_home()
        self.expect_refusal("nobody enrolled has this face", "stranger")

    def case_is_opened(self) -> None:
        self.machine.tell("press tamper 1500")
        self.machine.log("alarm: the case was opened", 5)
        self.machine.pin("buzzer", 1, 2)
        self.tell("the case is opened: alarm, and the buzzer sounds")
        self.leave()

    def camera_fails(self) -> None:
        self.machine.tell("mute on")
        silent = self.machine.log("camera", 15)
        self.tell(f"the camera is silent: {silent.what}")
        self.machine.tell("press exit 200")
        self.expect_pulse(2, "exit is pressed without a camera")
        self.machine.tell("unplug")
        self.tell("the camera is unplugged")
        self.machine.tell("press exit 200")
        self.expect_pulse(2, "exit is pressed again")
        self.machine.tell("mute off")
        self.machine.tell("plug")
        self.machine.log("the camera delivers frames", 20)
        self.tell("the camera is back")
        self.leave()

    def daemon_freezes(self) -> None:
        self.show("owner comes home")
        driven = self.machine.pin("strike", 1, 15)
        self.tell("the owner comes home, before the camera that came back: strike driven")
        self.machine.tell("run kill -STOP $(systemctl show --property MainPID --value facelatchd)")
        released = self.machine.pin("strike", 0, self.pulse + WATCHDOG + KILLING)
        self.machine.log("the door is locked and attended to", 60)
        length = released.at - driven.at
        self.tell(f"frozen while the strike is driven: killed by systemd, strike released after {length:.2f} s, restarted")
        self.leave()

    def power_is_cut_while_enrolling(self) -> None:
        self.machine.tell("press button 200")
        self.show("resident enrols", skip=1.3)
        gallery = self.board["flash"]["gallery"]
        self.machine.flash_write(gallery["offset"], gallery["offset"] + gallery["size"], within=60)
        self.tell("the power is cut while the resident is being written")
        self.power_cut()

    def starts_again(self) -> None:
        self.power_on()
        gallery = self.machine.log("people enrolled", 60).what
        self.machine.log("the door is locked and attended to", 60)
        if not gallery.endswith(("1 people enrolled, 0 records do not open", "2 people enrolled, 0 records do not open")):
            raise Unexpected(f"after the power cut: {gallery}")
        self.tell(f"started again: {gallery}")

    def kernel_panics(self) -> None:
        self.show("owner comes home")
        self.machine.pin("strike", 1, 15)
        self.tell("the owner comes home after the power cut: strike driven, and the kernel panics")
        self.history.append(list(self.machine.events))
        self.machine.panic()
        self.tell("the hardware watchdog resets the machine")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in (*(part.name for part in fields(Parts)), "out", "board", "scene", "tool"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, required=True)
    given = parser.parse_args()
    machine = Machine(Parts(**{part.name: getattr(given, part.name) for part in fields(Parts)}), given.out)
    desk = Desk(given.tool, given.out, machine)
    story = Story(machine, desk, given.board, given.scene)
    try:
        story.power_on()
        story.install()
        story.enrol_owner()
        story.owner_comes_home()
        story.strangers()
        story.the_lock_is_owned()
        story.new_models()
        story.memory()
        story.case_is_opened()
        story.camera_fails()
        story.daemon_freezes()
        story.power_is_cut_while_enrolling()
        story.starts_again()
        story.kernel_panics()
    except Unexpected as error:
        story.tell(f"FAILED: {error}")
        story.history.append(list(machine.events))
        sys.exit(f"the consoles are in {given.out}/boot-*.log")
    finally:
        desk.leave()
        machine.end()
        draw(story.history, story.told, given.out / "timeline.svg")
    print(f"the whole story took {time.monotonic() - story.started:.0f} s; its timeline is {given.out}/timeline.svg")


if __name__ == "__main__":
    main()
