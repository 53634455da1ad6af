#!/usr/bin/env bash
# usage: initramfs.sh KERNEL-FOLDER OUT FILE:PLACE...
# Packs board.sh with the modules that it loads; the files are copied to the disk at every start.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kernel=$1 out=$2; shift 2
release=$(basename "$kernel"/modules/*)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mkdir -p "$root"/{bin,dev,mnt,proc,put,sys,"lib/modules/$release"}
cp "$kernel/busybox" "$root/bin/"
install -m755 "$here/board.sh" "$root/init"
sources=$(mktemp -d -p "$root")
mkdir -p "$sources/lib"
ln -s "$kernel/modules" "$sources/lib/modules"
printf '%s\n' virtio_pci virtio_blk virtio_console crc32c_generic ext4 i6300esb ofpart cfi_probe cfi_cmdset_0001 \
  physmap videodev gpio-sim >"$root/modules"
for module in $(cat "$root/modules"); do
  modprobe -d "$sources" -S "$release" --show-depends "$module"
done | awk '$1 == "insmod" {print $2}' | sort -u | while read -r file; do
  install -D -m644 "$file" "$root/lib/modules/$release/${file#*/modules/"$release"/}"
done
rm -r "$sources"
cp "$kernel/modules/$release"/modules.{builtin,builtin.modinfo,order} "$root/lib/modules/$release/"
depmod -b "$root" "$release"
for file in "$@"; do install -D "${file%%:*}" "$root/put/${file#*:}"; done
(cd "$root" && find . | cpio -o -H newc --quiet --owner 0:0) >"$out"
