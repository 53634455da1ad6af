#!/usr/bin/env bash
# Prints the folder with cargo-deb's program, which boards/package.sh needs; built once, then cached.
set -euo pipefail
cache=${FACELATCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/facelatch}/cargo-deb
[ -x "$cache/bin/cargo-deb" ] ||
  CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --root "$cache" --version 3.8.0 cargo-deb >&2
echo "$cache/bin"
