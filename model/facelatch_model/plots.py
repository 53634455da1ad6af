"""Curves as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402  (the backend must be chosen first)

SIZE = (7.0, 5.0)


def finished(axes: Any, path: Path, x: str, y: str) -> None:
    """Labels a drawing and writes it."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(True, which="both", alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)
    axes.figure.tight_layout()
    axes.figure.savefig(path, dpi=110)
    pyplot.close(axes.figure)


def roc(models: dict[str, dict[str, Any]], path: Path) -> None:
    """TAR against FAR, one line for each of `models` (with `roc`: `far` and `tar`)."""
    axes = pyplot.subplots(figsize=SIZE)[1]
    for name, found in models.items():
        axes.semilogx(found["roc"]["far"], found["roc"]["tar"], label=name)
    axes.set_xlim(1e-7, 1)
    finished(axes, path, "false accept rate", "true accept rate")


def det(models: dict[str, dict[str, Any]], path: Path) -> None:
    """Detection error trade-off: FRR against FAR, both logarithmic."""
    axes = pyplot.subplots(figsize=SIZE)[1]
    for name, found in models.items():
        axes.loglog(found["roc"]["far"], [max(1 - tar, 1e-4) for tar in found["roc"]["tar"]], label=name)
    axes.set_xlim(1e-7, 1)
    axes.set_ylim(1e-4, 1)
    finished(axes, path, "false accept rate", "false reject rate")


def robustness(found: dict[str, Any], path: Path) -> None:
    """Accuracy against JPEG quality and against the width of the crop."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10.0, 4.0))
    for axes, rows, key in ((left, found["jpeg"], "quality"), (right, found["pixels"], "side")):
        axes.plot([row[key] for row in rows], [100 * row["accuracy"] for row in rows], "o-")
        axes.grid(True, alpha=0.3)
        axes.set_ylabel("accuracy, %")
    left.set_xlabel("JPEG quality")
    right.set_xlabel("width of the crop, pixels")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def training(rows: Sequence[dict[str, float]], path: Path) -> None:
    """Every column of a training log against the minutes spent, one panel each."""
    names = sorted({name for row in rows for name in row} - {"minutes", "seen"})
    if not names:
        return
    figure, panels = pyplot.subplots(len(names), 1, figsize=(7.0, 2.0 * len(names)), sharex=True, squeeze=False)
    for name, axes in zip(names, panels[:, 0], strict=True):
        known = [(row["minutes"], row[name]) for row in rows if name in row]
        axes.plot(*zip(*known, strict=True), "-" if len(known) > 30 else "o-")
        axes.set_ylabel(name)
        axes.grid(True, alpha=0.3)
    panels[-1, 0].set_xlabel("minutes")
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
