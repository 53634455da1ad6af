#!/usr/bin/env bash
# Guest instructions that one inference takes, by CPU: multiply-accumulates per instruction of each released network.
# Two runs that differ only in how often the network runs; the difference is inference alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
out=target/arm-check; mkdir -p $out
eval "$(tests/arm/toolchain.sh)"
gcc -O2 -Wall -Wextra -fPIC -fvisibility=hidden -shared -o $out/counter.so tests/arm/counter.c
cargo build --quiet --locked --release --no-default-features --target "$ARM_TARGET" --target-dir target/arm --example time_network
program=target/arm/$ARM_TARGET/release/examples/time_network

total() { # cpu, model, runs
  echo "$3" | qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu "$1" -plugin "$PWD/$out/counter.so" "$program" "$2" \
    2>"$out/count.log" >/dev/null
  awk '/^total/{print $2}' "$out/count.log"
}

printf '%-11s %-10s %9s %14s %12s\n' CPU network MMAC instructions MAC/instr.
for cpu in cortex-a53 cortex-a76; do
  for network in embedder detector liveness; do
    model=model/release/$network.onnx
    once=$(total $cpu $model 1); thrice=$(total $cpu $model 3)
    mega=$(grep -o '[0-9.]* MMAC' $out/count.log | cut -d' ' -f1)
    awk -v c=$cpu -v n=$network -v m="$mega" -v i=$(((thrice - once) / 2)) \
      'BEGIN { printf "%-11s %-10s %9.1f %14d %12.2f\n", c, n, m, i, m * 1e6 / i }'
  done
done
