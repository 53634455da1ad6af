#!/usr/bin/env bash
# Builds the Debian package of the firmware for one board and prints its path.
#   boards/package.sh raspberry-pi-4                       on the board itself
#   boards/package.sh raspberry-pi-4 aarch64-unknown-linux-gnu   on another computer, see boards/README.md
# CARGO=cross builds in a container. PROFILE=release is quicker to build, slower to load.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export BOARD=${1:?which board: $(cd boards && echo *.toml)}
target=${2:-$(rustc -vV | sed -n 's/host: //p')}
profile=${PROFILE:-device}
command -v cargo-deb >/dev/null || { echo "cargo-deb is missing: cargo install --locked cargo-deb" >&2; exit 1; }

"${CARGO:-cargo}" build --locked --profile "$profile" --no-default-features --features device,cli --bins \
  --target "$target" >&2
cargo deb --locked --no-build --no-strip --profile "$profile" --target "$target" --variant device \
  --deb-revision "1+${BOARD//-/.}" "${@:3}"
