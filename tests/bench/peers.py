"""Times an int8 network against other engines: one thread, one run, interleaved rounds, minimum of wall times.

    tests/bench/run.sh [MODEL.onnx ...]

An engine that is not there is named and left out. With `--isa avx2` this crate and all others are held to AVX2: they
run from files that `hold` made, which take the processor for one without AVX-512.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from engines import ENGINES, Case, Round

PAINT_PERIOD = 251


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path, help="the example time_network, built with --release")
    parser.add_argument("models", type=Path, nargs="+", help="QDQ networks")
    parser.add_argument("--isa", default="", help="kernels of this crate: avx2 or avx512vnni, by default the best")
    parser.add_argument("--rounds", type=int, default=40, help="rounds of each engine")
    parser.add_argument("--only", default="", help="engines whose names contain this, and this crate")
    return parser.parse_args()


def painted(model: Path) -> np.ndarray:
    shape = [d.dim_value for d in onnx.load(model).graph.input[0].type.tensor_type.shape.dim]
    return (np.arange(np.prod(shape)) * 7 % PAINT_PERIOD).astype(np.uint8).reshape(shape)


def made(case: Case, only: str) -> dict[str, Round]:
    rounds: dict[str, Round] = {}
    for name, make in ENGINES.items():
        if only not in name and not name.startswith("facelatch"):
            continue
        try:
            rounds[name] = make(case)
            rounds[name]()
        except Exception as reason:  # whatever an engine throws, the others are measured
            rounds.pop(name, None)
            print(f"{name}: left out ({type(reason).__name__}: {str(reason).splitlines()[0]})", file=sys.stderr)
    return rounds


def compare(options: argparse.Namespace, model: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        case = Case(model, painted(model), Path(folder), options.program, options.isa)
        rounds = made(case, options.only)
        best = dict.fromkeys(rounds, float("inf"))
        for _ in range(options.rounds):
            for name, once in rounds.items():
                best[name] = min(best[name], once())
    ours = best["facelatch int8"]
    print(f"\n{model.stem}, {case.network().macs() / 1e6:.1f} MMAC, {options.isa or 'best kernels'}")
    for name, seconds in sorted(best.items(), key=lambda item: item[1]):
        print(f"{name:24} {seconds * 1e3:8.3f} ms   facelatch takes {ours / seconds:5.2f} of it")


def main() -> None:
    options = arguments()
    for model in options.models:
        compare(options, model)


if __name__ == "__main__":
    main()
