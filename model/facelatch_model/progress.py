"""How far a long piece of work is, and how long it will still take."""

from __future__ import annotations

import sys
import time

INTERVAL_S = 10.0
"""Seconds between two lines. A choice."""


class Progress:
    """Prints `what: done of total, rate, time left` at most every `INTERVAL_S` seconds."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total = what, total
        self.began = self.shown = time.monotonic()
        self.done = 0

    def step(self, count: int = 1, note: str = "") -> None:
        """`count` more are done; `note` is put behind the line when one is printed."""
        self.done += count
        now = time.monotonic()
        if now - self.shown >= INTERVAL_S:
            self.shown = now
            print(self.line(now) + (f", {note}" if note else ""), file=sys.stderr, flush=True)

    def line(self, now: float) -> str:
        """The line at the time `now` (seconds of `time.monotonic`)."""
        rate = self.done / max(now - self.began, 1e-9)
        left = (self.total - self.done) / max(rate, 1e-9)
        return f"{self.what}: {self.done} of {self.total}, {rate:.1f} a second, {duration(left)} left"


def duration(seconds: float) -> str:
    """`seconds` as people say it: `42 s`, `7 min`, `3 h 20 min`."""
    whole = max(0, round(seconds))
    if whole < 90:
        return f"{whole} s"
    if whole < 90 * 60:
        return f"{round(whole / 60)} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
