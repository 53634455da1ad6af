#!/usr/bin/env bash
# Prints a folder with Debian's arm64 kernel (vmlinuz), busybox and modules/; made once, then cached.
# What that kernel lacks is built as modules from its own source package: gpio-sim, and the CFI driver that shows
# QEMU's flash chips as memory technology devices; v4l2loopback comes from Debian's dkms package.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${FACELATCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/facelatch}/system
# shellcheck source=tests/arm/debian.sh
. "$here/../arm/debian.sh"
out=$cache/kernel-$(cat "$here/kernel.sh" "$here/../arm/debian.sh" | sha256sum | cut -c1-12)
say() { echo "kernel: $*" >&2; }

fetch() {
  local image common
  debian_update
  image=$(debian_apt cache depends linux-image-arm64:arm64 | awk '/Depends: linux-image/{print $2; exit}')
  image=${image%:arm64} release=${image#linux-image-} common=${release%-arm64}-common
  say "fetching $image"
  debian_unpack "$work/target" "$image:arm64" busybox-static:arm64
  debian_unpack "$work/build" "linux-headers-$release:arm64" "linux-headers-$common" linux-kbuild-6.1:amd64 \
    linux-source-6.1 v4l2loopback-dkms
  source=$work/build/usr/src/linux-source-6.1
  tar -C "$work/build/usr/src" -xf "$source.tar.xz" --wildcards linux-source-6.1/drivers/gpio/gpio-sim.c \
    linux-source-6.1/drivers/gpio/gpiolib.h linux-source-6.1/kernel/irq/irq_sim.c \
    'linux-source-6.1/drivers/mtd/chips/*' 'linux-source-6.1/drivers/mtd/maps/physmap*'
  # The headers were made for /usr/src and /usr/lib.
  headers=$work/build/usr/src/linux-headers-$release
  sed -i "s,/usr/src/,$work/build/usr/src/,g; s,/usr/lib/linux-kbuild,$work/build/usr/lib/linux-kbuild,g" \
    "$headers/Makefile"
  ln -sfn "$work/build/usr/lib/linux-kbuild-6.1/"{scripts,tools} "$work/build/usr/src/linux-headers-$common/"
}

# Builds the modules of a folder.
build() {
  say "building $(basename "$1")"
  make -s -C "$headers" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- M="$1" modules 2>&1 |
    { grep -v 'BTF generation' || true; } >&2
  aarch64-linux-gnu-strip --strip-debug "$1"/*.ko
  cp "$1"/*.ko "$modules/extra/"
}

build_gpio_sim() {
  local folder=$work/gpio-sim
  mkdir "$folder"
  cp "$source"/drivers/gpio/{gpio-sim.c,gpiolib.h} "$source/kernel/irq/irq_sim.c" "$folder/"
  # Modules may not call irq_to_desc; what they may call does the same.
  sed -i 's/handle_simple_irq(irq_to_desc(irqnum))/generic_handle_irq(irqnum)/' "$folder/irq_sim.c"
  mv "$folder/gpio-sim.c" "$folder/simulator.c"
  cat >"$folder/Makefile" <<'EOF'
obj-m := gpio-sim.o
gpio-sim-y := simulator.o irq_sim.o
ccflags-y := -DCONFIG_IRQ_SIM=1
EOF
  build "$folder"
}

build_flash() {
  local folder=$work/flash
  mkdir "$folder"
  cp "$source"/drivers/mtd/chips/{cfi_probe.c,cfi_util.c,gen_probe.c,cfi_cmdset_0001.c,fwh_lock.h} \
    "$source"/drivers/mtd/maps/physmap-core.c "$source"/drivers/mtd/maps/physmap-*.h "$folder/"
  cat >"$folder/Makefile" <<'EOF'
obj-m := cfi_util.o cfi_probe.o gen_probe.o cfi_cmdset_0001.o physmap.o
physmap-y := physmap-core.o
switches := CFI CFI_ADV_OPTIONS CFI_NOSWAP CFI_GEOMETRY CFI_I1 CFI_I2 CFI_INTELEXT CFI_UTIL GEN_PROBE \
  MAP_BANK_WIDTH_1 MAP_BANK_WIDTH_2 MAP_BANK_WIDTH_4 PHYSMAP PHYSMAP_OF
ccflags-y := $(foreach switch,$(switches),-DCONFIG_MTD_$(switch)=1)
EOF
  build "$folder"
}

build_camera() {
  cp -r "$work"/build/usr/src/v4l2loopback-* "$work/v4l2loopback"
  build "$work/v4l2loopback"
}

make_all() {
  local release headers source modules
  mkdir -p "$cache"
  work=$(mktemp -d -p "$cache")
  trap 'rm -rf "$work"' EXIT
  fetch
  modules=$work/target/lib/modules/$release
  mkdir "$modules/extra"
  build_gpio_sim
  build_flash
  build_camera
  depmod -b "$work/target" "$release"
  mkdir "$work/out"
  mv "$work/target/boot/vmlinuz-$release" "$work/out/vmlinuz"
  mv "$work/target/bin/busybox" "$work/target/lib/modules" "$work/out/"
  rm -rf "$out"
  mv "$work/out" "$out"
}

[ -e "$out" ] || make_all
echo "$out"
