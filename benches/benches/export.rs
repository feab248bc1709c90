//! From a tree and bodies to what registries take: 2,000 files of 8 KiB.

use std::path::Path;
use std::time::Duration;

use benches::tree;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tempfile::TempDir;
use wythe_store::id::LayerId;
use wythe_store::layer::codec::Codec;
use wythe_store::layer::export::{export, measure};
use wythe_store::layers::LayerRecord;
use wythe_store::lease::Lease;
use wythe_store::store::{OpenOptions, Store};
use wythe_store::tree::entry::Tree;

const FILES: usize = 2_000;
const SIZE: usize = 8 << 10;

fn open(path: &Path) -> (Lease, Tree) {
    let store = Store::open(path, &OpenOptions::default()).expect("open a store");
    let lease = store.lease().expect("take a lease");
    let tree = tree(FILES, SIZE, |bytes| lease.put_body(bytes).expect("keep a body"));
    (lease, tree)
}

/// A layer of a store of its own, since what was compressed once is found again.
fn fresh() -> (TempDir, Lease, LayerRecord) {
    let directory = tempfile::tempdir().expect("a directory");
    let (lease, tree) = open(directory.path());
    let mut record = LayerRecord::new(LayerId::of(b"layer"));
    record.tree = Some(lease.put_tree(&tree).expect("keep the tree"));
    (directory, lease, record)
}

fn exports(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let (lease, tree) = open(directory.path());
    let mut group = criterion.benchmark_group("a layer of 16 MiB");
    group.throughput(Throughput::Bytes((FILES * SIZE) as u64));
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    group.bench_function("tar stream and its digest", |bencher| {
        bencher.iter(|| measure(&tree, lease.store()).expect("measure"));
    });
    for (name, codec) in [("gzip", Codec::GZIP), ("zstd", Codec::ZSTD)] {
        let compress = |(_directory, lease, mut record): (TempDir, Lease, LayerRecord)| {
            export(&lease, &mut record, codec).expect("export")
        };
        group.bench_function(name, |bencher| {
            bencher.iter_batched(fresh, compress, BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(benches, exports);
criterion_main!(benches);
