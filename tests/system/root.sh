#!/usr/bin/env bash
# Prints the path of a disk image with a small Debian for arm64: systemd, udev, dpkg, Python; made once, then cached.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${FACELATCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/facelatch}/system
# shellcheck source=tests/arm/debian.sh
. "$here/../arm/debian.sh"
out=$cache/root-$(cat "$here/root.sh" "$here/../arm/debian.sh" | sha256sum | cut -c1-12).img

# What a first boot would ask or make up, so that every run starts alike.
settle() {
  cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
  cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
  sed 's/:.*/:*:19000:0:99999:7:::/' "$root/etc/passwd" >"$root/etc/shadow"
  chmod 640 "$root/etc/shadow"
  echo frontdoor >"$root/etc/hostname"
  echo '/dev/vda / ext4 rw 0 0' >"$root/etc/fstab"
  echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
  ln -sf /lib/systemd/systemd "$root/sbin/init"
  ln -sfn /run "$root/var/run"
  mkdir -p "$root/etc/systemd/journald.conf.d" "$root/etc/systemd/system"
  printf '[Journal]\nForwardToConsole=yes\nTTYPath=/dev/ttyAMA0\nMaxLevelConsole=debug\n' \
    >"$root/etc/systemd/journald.conf.d/console.conf"
  local unit
  for unit in getty.target serial-getty@ttyAMA0.service systemd-logind.service systemd-update-utmp.service \
    systemd-networkd.service systemd-hwdb-update.service systemd-pcrphase.service systemd-random-seed.service \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer systemd-tmpfiles-clean.timer \
    dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount modprobe@.service \
    systemd-ask-password-console.path systemd-ask-password-wall.path systemd-modules-load.service \
    systemd-initctl.socket systemd-journald-audit.socket systemd-machine-id-commit.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
  done
  rm -rf "$root"/usr/share/{doc,man,locale,info} "$root"/usr/lib/udev/hwdb.d
}

make_image() {
  mkdir -p "$cache"
  work=$(mktemp -d -p "$cache")
  trap 'rm -rf "$work"' EXIT
  root=$work/root
  debian_update
  echo "root: unpacking Debian for arm64" >&2
  debian_root "$root" base-passwd usr-is-merged libc-bin perl-base dash bash coreutils diffutils grep sed systemd udev \
    kmod dpkg init-system-helpers util-linux python3.11-minimal
  settle
  mke2fs -q -t ext4 -d "$root" -L root "$work/root.img" 512M >&2
  mv "$work/root.img" "$out"
}

[ -e "$out" ] || make_image
echo "$out"
