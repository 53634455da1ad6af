#!/usr/bin/env bash
# Prints the environment for `cargo ... --target aarch64-unknown-linux-gnu`:  eval "$(tests/arm/toolchain.sh)"
# A rustup target that is installed is used as it is. Where there is none (and no network but Debian's), Debian's
# rustc-web with its arm64 standard library is unpacked privately: the system's own packages stay untouched.
set -euo pipefail
target=aarch64-unknown-linux-gnu
cache=${FACELATCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/facelatch}/arm-toolchain
# shellcheck source=tests/arm/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"
say() { echo "toolchain: $*" >&2; }

# The cross linker, and libclang for the V4L2 headers.
need_packages() {
  command -v aarch64-linux-gnu-gcc >/dev/null && compgen -G "/usr/lib/llvm-*/lib/libclang.so" >/dev/null && return
  say "installing the cross linker and libclang"
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends \
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross libclang-14-dev >&2
}

unpack_debian_rust() {
  local version series llvm
  debian_update
  version=$(debian_apt cache policy libstd-rust-web-dev:arm64 | awk '/Candidate:/{print $2}')
  [ -n "$version" ] && [ "$version" != "(none)" ] || { say "Debian has no libstd-rust-web-dev:arm64"; exit 1; }
  series=$(cut -d. -f1,2 <<<"$version")
  llvm=$(debian_apt cache depends "libstd-rust-web-$series:amd64=$version" | awk '/Depends: libllvm/{print $2}')
  say "unpacking rustc-web $version"
  debian_unpack "$cache/root" "rustc-web:amd64=$version" "libstd-rust-web-$series:amd64=$version" \
    "libstd-rust-web-dev:amd64=$version" "libstd-rust-web-dev:arm64=$version" "$llvm:amd64"
}

write_wrappers() {
  local program
  mkdir -p "$cache/bin"
  for program in rustc rustdoc; do
    printf '#!/bin/sh\nexport LD_LIBRARY_PATH="%s"\nexec "%s" "$@"\n' \
      "$cache/root/usr/lib/x86_64-linux-gnu" "$cache/root/usr/bin/$program" >"$cache/bin/$program"
    chmod +x "$cache/bin/$program"
  done
  "$cache/bin/rustc" --version >&2
}

need_packages
if ! rustup target list --installed 2>/dev/null | grep -qx $target; then
  if [ ! -e "$cache/.done" ]; then unpack_debian_rust; write_wrappers; touch "$cache/.done"; fi
  echo "export RUSTC=$cache/bin/rustc RUSTDOC=$cache/bin/rustdoc"
fi
cat <<EOF
export ARM_TARGET=$target
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar
EOF
