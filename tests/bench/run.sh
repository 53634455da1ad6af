#!/usr/bin/env bash
# The int8 networks against other engines, one thread, on the first core; see README.md here.
#   tests/bench/run.sh [peers.py's options] [MODEL.onnx ...]      by default the released embedder
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cache=${FACELATCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/facelatch}
venv=$cache/bench-venv
stamp=$(sha256sum tests/bench/requirements.lock | cut -c1-16)
if [ ! -e "$venv/.done-$stamp" ]; then
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/bench/requirements.lock
  touch "$venv/.done-$stamp"
fi
program=${TIME_NETWORK:-target/release/examples/time_network}
[ -n "${TIME_NETWORK:-}" ] || cargo build --locked --release --example time_network
options=(); models=()
for argument in "$@"; do
  if [[ $argument == *.onnx ]]; then models+=("$argument"); else options+=("$argument"); fi
done
[ ${#models[@]} -gt 0 ] || models=(model/release/embedder.onnx)
preload=""
if [[ " ${options[*]} " == *" avx2 "* ]]; then
  # The other engines must take this processor for one without AVX-512: they run from a copy that asks hold.c.
  held=$cache/bench-held
  if [ ! -e "$held/.done-$stamp" ]; then
    rm -rf "$held"; mkdir -p "$held"
    python3 tests/bench/hold.py "$venv" "$held/venv"
    touch "$held/.done-$stamp"
  fi
  cc -O1 -shared -fPIC -o "$held/hold.so" tests/bench/hold.c
  venv=$held/venv
  preload=$held/hold.so
fi
LD_PRELOAD=$preload OMP_NUM_THREADS=1 taskset -c "${CORE:-0}" "$venv/bin/python" tests/bench/peers.py "$program" "${options[@]}" "${models[@]}"
