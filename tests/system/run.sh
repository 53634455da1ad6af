#!/usr/bin/env bash
# The system test: builds the firmware's Debian package for arm64 and lets it run on a whole machine in QEMU.
# Leaves logs and a timeline in target/system. What it takes from Debian is cached in $FACELATCH_CACHE.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here=tests/system
out=$PWD/target/system
rm -rf "$out"
mkdir -p "$out"

PATH=$($here/cargo_deb.sh):$PATH

# The owner's tool for this computer, as the tests have built it; before the toolchain of the board takes its place.
cargo build --quiet --locked --bin facelatch
tool=${CARGO_TARGET_DIR:-target}/debug/facelatch
eval "$(tests/arm/toolchain.sh)"
kernel=$($here/kernel.sh)
root=$($here/root.sh)
# The same folder and profile as the other checks on ARM, which have built most of it already.
PROFILE=release CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target/arm} \
  boards/package.sh qemu-virt "$ARM_TARGET" --fast --output "$out/facelatch.deb"
dpkg-deb --fsys-tarfile "$out/facelatch.deb" | tar -xO ./usr/sbin/facelatchd >"$out/facelatchd"
aarch64-linux-gnu-strip "$out/facelatchd"
bytes=$(stat -c %s "$out/facelatchd")
echo "facelatchd, stripped: $bytes bytes"
[ "$bytes" -le 8000000 ] || { echo "facelatchd is larger than 8 MB: see boards/README.md"; exit 1; }
dpkg-deb --info "$out/facelatch.deb" | grep -E 'Package|Version|Architecture|Installed-Size|Depends'

$here/initramfs.sh "$kernel" "$out/initramfs" "$out/facelatch.deb:opt/stage/facelatch.deb" \
  $here/stage.py:opt/stage/stage.py boards/sim/scene.mjpeg:opt/stage/scene.mjpeg \
  "$(echo "$kernel"/modules/*/extra/v4l2loopback.ko):opt/stage/v4l2loopback.ko" \
  $here/stage.service:etc/systemd/system/stage.service

# The flash chip belongs to the lock from its second bank on: QEMU's first is the computer's own.
qemu-system-aarch64 -M virt,dumpdtb="$out/board.dtb" -cpu cortex-a76 -m 512 -nodefaults -display none 2>/dev/null
fdtput -p -t s "$out/board.dtb" /flash@0/partitions compatible fixed-partitions
fdtput -t x "$out/board.dtb" /flash@0/partitions '#address-cells' 1
fdtput -t x "$out/board.dtb" /flash@0/partitions '#size-cells' 1
fdtput -p -t s "$out/board.dtb" /flash@0/partitions/lock@4000000 label facelatch
fdtput -t x "$out/board.dtb" /flash@0/partitions/lock@4000000 reg 4000000 4000000

cp --sparse=always "$root" "$out/disk.img"
head -c $((64 << 20)) /dev/zero | tr '\0' '\377' >"$out/flash.img"

python3 $here/door.py --kernel "$kernel/vmlinuz" --initramfs "$out/initramfs" --device-tree "$out/board.dtb" \
  --disk "$out/disk.img" --flash "$out/flash.img" --board boards/qemu-virt.toml --scene boards/sim \
  --tool "$tool" --out "$out"
