"""The card of a released student, in Markdown: a template filled with measured figures alone."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, Undefined

WANTED_ACCURACY, WANTED_TAR = 0.99, 0.97
"""What a front door needs at least, on LFW: accuracy, and TAR at a FAR of 1e-3."""
RELEASED = "student int8, 128 bytes"
OPTIONAL = ("robustness", "sizes", "occlusion", "groups", "training")


def percent(value: float | Undefined, digits: int = 2) -> str:
    """A share as a percentage; a dash where it was not measured."""
    return "-" if isinstance(value, Undefined) else f"{100 * value:.{digits}f} %"


def interval(bounds: tuple[float, float]) -> str:
    """Two bounds in percentage points."""
    return f"{100 * bounds[0]:+.2f} to {100 * bounds[1]:+.2f} points"


def weaknesses(figures: dict[str, Any]) -> list[str]:
    """What the figures say against the student."""
    model = figures["verification"]["models"][RELEASED]
    points, tar = [], model["tar_of_pairs"].get("0.001", 0.0)
    if model["accuracy"] < WANTED_ACCURACY or tar < WANTED_TAR:
        points.append(
            f"**Not yet good enough for a front door**: {percent(model['accuracy'])}, and a TAR of {percent(tar)} at a FAR of "
            f"1e-3; at least {percent(WANTED_ACCURACY, 0)} and {percent(WANTED_TAR, 0)} are wanted."
        )
    missed = 1 - model["tar_of_all"].get("0.0001", 0.0)
    points.append(f"At a false accept rate of 1e-4 it misses {percent(missed, 0)} of comparisons with one template.")
    kinds = [figures.get("groups", {}).get(kind, {}) for kind in ("age", "gender", "race")]
    rated = [(row["far"], name) for kind in kinds for name, row in kind.items() if "far" in row]
    if rated:
        far, name = max(rated)
        points.append(f"Its threshold comes from LFW, which has few people of some groups: FAR {far:.1e} among {name}.")
    points.append("It was not measured on infrared pictures, nor on twins and close relatives.")
    return points


def of(version: int, figures: dict[str, Any], notes: str) -> str:
    """The whole card; `notes` is Markdown about data, teachers and terms."""
    known = {**dict.fromkeys(OPTIONAL), **figures}
    return filled("card.md.jinja", version=version, notes=notes, weaknesses=weaknesses(figures), **known)


def filled(template: str, **values: Any) -> str:
    """A template of this package, filled with `values`."""
    environment = Environment(loader=PackageLoader(__package__, "."), undefined=Undefined, keep_trailing_newline=True)
    environment.filters |= {"percent": percent, "interval": interval}
    return environment.get_template(template).render(**values)
