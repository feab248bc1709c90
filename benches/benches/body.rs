//! Storing long bodies, which are cut into chunks: one that is new, and one that differs a little.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up is over")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tempfile::TempDir;
use wythe_store::lease::Lease;
use wythe_store::store::{OpenOptions, Store};

/// Unoptimised, as tests run this, a short one is enough to see that it works. Bodies of 8 MiB and
/// more are cut.
const LENGTH: usize = if cfg!(debug_assertions) { 9 << 20 } else { 64 << 20 };

/// Bytes that do not compress: xorshift64.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn empty() -> (TempDir, Lease) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
    let lease = store.lease().unwrap();
    (directory, lease)
}

fn chunking(criterion: &mut Criterion) {
    let bytes = noise(LENGTH);
    let mut edited = bytes.clone();
    edited.insert(LENGTH / 2, 0);
    let mut group = criterion.benchmark_group("body");
    group.sample_size(10).throughput(Throughput::Bytes(LENGTH as u64));
    group.bench_function("cut, hashed and stored", |bench| {
        bench.iter_batched_ref(
            empty,
            |(_, lease)| lease.put_body(&bytes).unwrap(),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("one byte more in its middle than a known one", |bench| {
        let known = || {
            let (directory, lease) = empty();
            lease.put_body(&bytes).unwrap();
            (directory, lease)
        };
        bench.iter_batched_ref(
            known,
            |(_, lease)| lease.put_body(&edited).unwrap(),
            BatchSize::PerIteration,
        );
    });
}

criterion_group!(benches, chunking);
criterion_main!(benches);
