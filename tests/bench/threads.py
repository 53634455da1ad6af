"""What more threads gain: rounds with one and with more alternate; ratios of medians and of minima.

threads.py PROGRAM MODEL.onnx [ISA ...]      PROGRAM: the example time_network, built with --release
"""

import subprocess
import sys
from statistics import median

ROUNDS = 60
RUNS = 100


def start(program: str, model: str, isa: str, threads: int) -> subprocess.Popen:
    command = [program, model, *([isa] if isa else []), f"--threads={threads}"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)


def fastest(process: subprocess.Popen) -> float:
    """The fastest of RUNS runs, in milliseconds."""
    process.stdin.write(f"{RUNS}\n")
    process.stdin.flush()
    return int(process.stdout.readline()) * 1e-6


def main() -> None:
    program, model, *isas = sys.argv[1:]
    for isa in isas or [""]:
        processes = {threads: start(program, model, isa, threads) for threads in (1, 2)}
        times = {threads: [] for threads in processes}
        for _ in range(ROUNDS):
            for threads, process in processes.items():
                times[threads].append(fastest(process))
        for process in processes.values():
            process.kill()
        best, usual = ({threads: pick(list_) for threads, list_ in times.items()} for pick in (min, median))
        print(f"{isa or 'best kernels'}: one thread {best[1]:.3f} ms, two {best[2]:.3f} ms")
        print(f"two threads are {best[1] / best[2]:.2f} times as fast (minima), {usual[1] / usual[2]:.2f} (medians)")


if __name__ == "__main__":
    main()
