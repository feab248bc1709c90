#!/bin/sh
# Measures this wythe beside docker, buildah and podman, on the same contexts and from the same
# local registry, and prints the table and the ratio to the best of the others, figure by figure.
#
# Needs root, a Debian machine, about 20 GB of disk, and the measuring program, which lies beside
# this project in ../shared/bench (its README says how it measures). Half an hour for one run of all.
# Usage: side_by_side.sh [OPTION OF bench.py run…]     such as -w w1,w4 or -n 5
set -eu
cd "$(dirname "$0")/.."
bench=$PWD/../shared/bench
[ -x "$bench/setup.sh" ] || { echo "there is no $bench" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "as root, please: the peers get a root file system of their own" >&2; exit 2; }

cargo build --release --locked --package wythe
BENCH_WYTHE=$(realpath "${CARGO_TARGET_DIR:-target}/release/wythe")
# w5 and w6 are commands that take their time wherever they run: a bare chroot says how much.
BENCH_PEERS=$PWD/benches/bare_chroot.json
export BENCH_WYTHE BENCH_PEERS
cd "$bench"
./setup.sh
[ $# -gt 0 ] || set -- -w w1,w2,w3,w4,w5,w6
./bench.py run -p wythe,docker,buildah,buildah-rootless,podman "$@"
./bench.py run -w w5,w6 -p wythe,bare-chroot
./bench.py table
./bench.py ratio --of wythe
