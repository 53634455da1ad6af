"""Makes a copy of programs and libraries that can be told which processor they run on.

    hold.py FROM TO

Few engines let one choose the instruction set, and the processor here cannot hide any. In the copy every CPUID
instruction is a trap of the same length, which hold.c answers. Files without one are hard links.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

CPUID, TRAP = b"\x0f\xa2", b"\xcc\x90"
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\t0f a2 +\tcpuid", re.MULTILINE)
# Type, offset in the file, virtual address, physical address, size in the file.
SEGMENT = re.compile(r"^ +LOAD +0x([0-9a-f]+) 0x([0-9a-f]+) 0x[0-9a-f]+ 0x([0-9a-f]+)", re.MULTILINE)


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def offsets(binary: Path) -> list[int]:
    """Where in the file its CPUID instructions lie."""
    addresses = [int(found[1], 16) for found in INSTRUCTION.finditer(output("objdump", "-d", str(binary)))]
    if not addresses:
        return []
    text = output("readelf", "-lW", str(binary))
    segments = [tuple(int(value, 16) for value in found.groups()) for found in SEGMENT.finditer(text)]
    return [
        address - virtual + offset
        for address in addresses
        for offset, virtual, size in segments
        if virtual <= address < virtual + size
    ]


def hold(binary: Path) -> int:
    """Replaces the instructions in the file (not in what it is linked with); returns how many there were."""
    places = offsets(binary)
    if places:
        code = bytearray(binary.read_bytes())
        for place in places:
            assert code[place : place + 2] == CPUID, f"{binary}: no CPUID at {place:#x}"
            code[place : place + 2] = TRAP
        mode = binary.stat().st_mode
        binary.unlink()
        binary.write_bytes(code)
        binary.chmod(mode)
    return len(places)


def is_binary(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.open("rb").read(4) == b"\x7fELF"


def main() -> None:
    source, target = map(Path, sys.argv[1:3])
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-al", str(source), str(target)], check=True)
    for path in sorted(filter(is_binary, target.rglob("*"))):
        if count := hold(path):
            print(f"{count:4} times CPUID in {path.relative_to(target)}", file=sys.stderr)


if __name__ == "__main__":
    main()
