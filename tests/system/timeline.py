"""Draws what the pins did over the board's time, one strip for each start of the machine."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Protocol

ROWS = (("strike", "#c62828"), ("led-green", "#2e7d32"), ("led-red", "#e65100"), ("buzzer", "#455a64"))
LEFT, SCALE, ROW, LINE = 90, 14, 16, 13


class Seen(Protocol):
    """An event of the board."""

    at: float
    kind: str
    what: str


def spans(events: Sequence[Seen], name: str, end: float) -> list[tuple[float, float]]:
    """From when to when an output was high."""
    found, since = [], None
    for event in events:
        if event.kind != "pin" or event.what.split()[0] != name:
            continue
        if event.what.endswith("1"):
            since = event.at
        elif since is not None:
            found.append((since, event.at))
            since = None
    return found + ([(since, end)] if since is not None else [])


def strip(number: int, events: Sequence[Seen], told: Sequence[tuple[int, float, str]], top: int) -> tuple[str, int, float]:
    """One start of the machine: its drawing, its height and its width."""
    words = [(at, text) for start, at, text in told if start == number]
    times = [event.at for event in events if event.kind == "pin"] + [at for at, _ in words]
    first, last = min(times, default=0.0), max(times, default=1.0)
    place = lambda at: LEFT + (max(at, first) - first) * SCALE  # noqa: E731
    drawn = [f'<text x="4" y="{top + 14}" class="head">start {number}: {first:.0f} s to {last:.0f} s of the board</text>']
    for row, (name, colour) in enumerate(ROWS):
        y = top + 22 + row * ROW
        drawn.append(f'<text x="4" y="{y + 11}">{name}</text><path d="M{LEFT} {y + 12}H{place(last):.0f}" stroke="#bbb"/>')
        for start, end in spans(events, name, last):
            width = max(1.0, place(end) - place(start))
            drawn.append(f'<rect x="{place(start):.1f}" y="{y + 2}" width="{width:.1f}" height="10" fill="{colour}"/>')
    below = top + 22 + len(ROWS) * ROW
    for line, (at, text) in enumerate(words):
        y = below + 14 + line * LINE
        drawn.append(f'<path d="M{place(at):.1f} {top + 22}V{y - 4}" stroke="#90a4ae" stroke-dasharray="2 3"/>')
        drawn.append(f'<text x="{place(at) + 3:.1f}" y="{y}">{escape(text)}</text>')
    return "".join(drawn), below + 30 + len(words) * LINE - top, place(last)


def draw(history: Sequence[Sequence[Seen]], told: Sequence[tuple[int, float, str]], file: Path) -> None:
    """Writes the drawing of every start as SVG."""
    drawn, top, width = [], 0, 0.0
    for number, events in enumerate(history, start=1):
        text, height, right = strip(number, events, told, top)
        drawn.append(text)
        top, width = top + height, max(width, right)
    file.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + 520:.0f}" height="{top}" '
        'font-family="sans-serif" font-size="11"><style>.head{font-weight:bold}</style>'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(drawn)}</svg>\n'
    )
