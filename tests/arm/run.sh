#!/usr/bin/env bash
# The AArch64 kernels and networks on emulated CPUs, against x86-64: the same bits, without and with dot product.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
out=target/arm-check; mkdir -p $out

bits() { grep -ao 'bits .*' "$1" | sort; }

echo "host: kernels and networks"
cargo test --locked --no-default-features --test inference -- --nocapture --test-threads 1 >$out/host.log
bits $out/host.log

eval "$(tests/arm/toolchain.sh)"
check() { # cpu, instruction sets that must run
  export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu $1"
  export FACELATCH_EXPECT_ISAS=$2
  local log=$out/$1.log
  echo "$1: kernels and networks, which must run on $2"
  cargo test --locked --release --no-default-features --target "$ARM_TARGET" --target-dir target/arm \
    --lib -- --nocapture --test-threads 1 kernels::check >"$log"
  cargo test --locked --release --no-default-features --target "$ARM_TARGET" --target-dir target/arm \
    --test inference -- --nocapture --test-threads 1 released >>"$log"
  grep -ao 'ran: .*' "$log" | sort -u
  diff <(bits $out/host.log) <(bits "$log") || { echo "$1 computes other bits than the host"; exit 1; }
}
check cortex-a53 neon
check cortex-a76 neon,neon-dot
echo "the same bits on the host, cortex-a53 and cortex-a76"
tests/arm/count.sh
