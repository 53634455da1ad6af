#!/usr/bin/env python3
"""Draws the wiring picture of every board from its TOML file: boards/NAME.svg.

`boards/wiring.py` writes them, `boards/wiring.py --check` only says whether they are up to date.
"""

import argparse
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

BOARDS = Path(__file__).parent

# The pins of the headers from pin 1 on, as printed in the makers' manuals.
RASPBERRY_PI = (
    "3.3V 5V GPIO2 5V GPIO3 GND GPIO4 GPIO14 GND GPIO15 GPIO17 GPIO18 GPIO27 GND GPIO22 GPIO23 3.3V GPIO24 GPIO10 GND "
    "GPIO9 GPIO25 GPIO11 GPIO8 GND GPIO7 GPIO0 GPIO1 GPIO5 GND GPIO6 GPIO12 GPIO13 GND GPIO19 GPIO16 GPIO26 GPIO20 GND GPIO21"
)
ORANGE_PI_ZERO = "3.3V 5V PH5 5V PH4 GND PC9 PH2 GND PH3 PC6 PC11 PC5 GND PC8 PC15 3.3V PC14 PH7 GND PH8 PC7 PH6 PH9 GND PC10"
# Transmit and receive of the port that the board file names.
HEADERS = {"raspberry-pi": (RASPBERRY_PI, ("GPIO14", "GPIO15")), "orange-pi-zero": (ORANGE_PI_ZERO, ("PH2", "PH3"))}

PITCH, TOP, BOX_WIDTH, BOX_HEIGHT = 22, 70, 250, 44
LEFT_BOX, LEFT_PIN, RIGHT_PIN, RIGHT_BOX = 20, 470, 510, 710


@dataclass(frozen=True)
class Part:
    """Something that is wired to one pin."""

    line: str
    title: str
    detail: str
    colour: str


def parts(board: dict) -> list[Part]:
    """What the board file names, and the owner's cable."""
    inputs, outputs = board["inputs"], board["outputs"]
    secure = board["lock"]["wiring"] == "fail-secure"
    found = [
        (board["lock"]["line"], "strike", f"driver of strike.svg; {'current opens' if secure else 'current locks'}", "#c62828"),
        (inputs["enrol_button"], "enrol button", "to ground; inside the case", "#1565c0"),
        (inputs["exit_button"], "exit button", "to ground; 1 kΩ in line, 100 nF", "#2e7d32"),
        (inputs["door_sensor"], "door contact", "closed door closes it to ground", "#6a1b9a"),
        (inputs["tamper"], "case contact", "closed case closes it to ground", "#ad1457"),
        (outputs["green"], "green light", "LED with 330 Ω to ground", "#43a047"),
        (outputs["red"], "red light", "LED with 330 Ω to ground", "#e65100"),
        (outputs["buzzer"], "buzzer", "NPN, 1 kΩ at its base; 5 V buzzer", "#455a64"),
    ]
    keypad = board.get("access", {}).get("keypad", {})
    for side in ("rows", "columns"):
        found += [
            ({"name": line}, f"keypad, {side.removesuffix('s')} {number}", "1 kΩ in line", "#00695c")
            for number, line in enumerate(keypad.get(side, ()), start=1)
        ]
    return [Part(pin_name(line["name"]), *words) for line, *words in found if line["name"]]


def pin_name(line: str) -> str:
    """The header's word for a line: Allwinner's chips number their pins through, 32 to a bank."""
    if ":" not in line:
        return line
    bank, pin = divmod(int(line.split(":")[1]), 32)
    return f"P{chr(ord('A') + bank)}{pin}"


def text(x: float, y: float, words: str, more: str = "") -> str:
    """One line of text."""
    return f'<text x="{x:g}" y="{y:g}" {more}>{words}</text>'


def box(part: Part, pin: int, x: float, y: float) -> str:
    """A part's box."""
    return (
        f'<rect x="{x}" y="{y:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="5" fill="#fff" '
        f'stroke="{part.colour}" stroke-width="2"/>'
        + text(x + 10, y + 18, part.title, 'font-weight="bold"')
        + text(x + BOX_WIDTH - 10, y + 18, f"{part.line}, pin {pin}", 'font-size="12" text-anchor="end"')
        + text(x + 10, y + 35, part.detail, 'font-size="12"')
    )


def wire(part: Part, start: tuple[float, float], end: tuple[float, float]) -> str:
    """A wire from a pin to a box."""
    middle = (start[0] + end[0]) / 2
    return (
        f'<path d="M{start[0]:g} {start[1]:g}C{middle:g} {start[1]:g} {middle:g} {end[1]:g} {end[0]:g} {end[1]:g}" '
        f'fill="none" stroke="{part.colour}" stroke-width="2.5"/>'
    )


def header(pins: list[str], used: dict[str, str]) -> str:
    """The pin header, pin 1 at the upper left; used pins in their part's colour."""
    height = len(pins) // 2 * PITCH
    drawn = [f'<rect x="{LEFT_PIN - 14}" y="{TOP - 14}" width="68" height="{height + 6}" rx="4" fill="#263238"/>']
    for index, name in enumerate(pins):
        right, y = index % 2, TOP + index // 2 * PITCH
        x = RIGHT_PIN if right else LEFT_PIN
        power = "#90a4ae" if name == "GND" else "#ffb300" if name.endswith("V") else "#eceff1"
        drawn.append(f'<circle cx="{x}" cy="{y}" r="8" fill="{used.get(name, power)}"/>')
        colour = "#fff" if name in used else "#000"
        drawn.append(text(x, y + 3.5, str(index + 1), f'text-anchor="middle" font-size="9" fill="{colour}"'))
    return "".join(drawn)


def column(wired: list[tuple[int, Part]], right: bool, height: float) -> str:
    """The parts of one side, in the order of their pins, so that no wire crosses another."""
    drawn, free = [], height - len(wired) * BOX_HEIGHT
    gap = free / max(1, len(wired))
    for place, (index, part) in enumerate(sorted(wired, key=lambda pair: pair[0])):
        y = TOP - 14 + gap / 2 + place * (BOX_HEIGHT + gap)
        pin = (RIGHT_PIN if right else LEFT_PIN, TOP + index // 2 * PITCH)
        edge = (RIGHT_BOX if right else LEFT_BOX + BOX_WIDTH, y + BOX_HEIGHT / 2)
        drawn.append(wire(part, pin, edge) + box(part, index + 1, RIGHT_BOX if right else LEFT_BOX, y))
    return "".join(drawn)


def picture(board: dict) -> str:
    """The whole picture."""
    names, (transmit, receive) = next(header for family, header in HEADERS.items() if board["name"].startswith(family))
    pins = names.split()
    found = [
        *parts(board),
        Part(transmit, "cable's RXD", "3.3 V USB serial adapter", "#00838f"),
        Part(receive, "cable's TXD", "3.3 V USB serial adapter", "#00838f"),
    ]
    wired = [(pins.index(part.line), part) for part in found]
    height = max(len(pins) // 2 * PITCH, 7 * (BOX_HEIGHT + 12))
    grounds = ", ".join(str(index + 1) for index, name in enumerate(pins) if name == "GND")
    total = TOP + height + 44
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 980 {total:g}" width="980" height="{total:g}" '
        'font-family="sans-serif" font-size="14"><rect width="100%" height="100%" fill="#fff"/>'
        + text(20, 30, board["description"], 'font-size="19" font-weight="bold"')
        + "".join(column([pair for pair in wired if pair[0] % 2 == side], bool(side), height) for side in (0, 1))
        + header(pins, {part.line: part.colour for part in found})
        + text(20, total - 34, f"Ground of every part and of the strike's supply: any of pins {grounds}.", 'font-size="12"')
        + text(20, total - 14, "Seen from above, pin 1 at the upper left. Yellow: 3.3 V and 5 V. Grey: ground.", 'font-size="12"')
        + "</svg>\n"
    )


def main() -> None:
    """Writes or checks every picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a picture is not up to date")
    check = parser.parse_args().check
    for file in sorted(BOARDS.glob("*-pi-*.toml")):
        drawn, target = picture(tomllib.loads(file.read_text())), file.with_suffix(".svg")
        if check and (not target.exists() or target.read_text() != drawn):
            sys.exit(f"{target} is not what {file.name} says: run boards/wiring.py")
        if not check:
            target.write_text(drawn)


if __name__ == "__main__":
    main()
