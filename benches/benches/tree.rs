//! What trees cost: 50,000 files, of which a layer changes one in a hundred.

use benches::tree;
use criterion::{Criterion, criterion_group, criterion_main};
use wythe_store::id::BodyId;
use wythe_store::tree::diff::diff;
use wythe_store::tree::encode::{content_id, decode, encode};
use wythe_store::tree::merge::merge;

const FILES: usize = 50_000;

fn trees(criterion: &mut Criterion) {
    let lower = tree(FILES, 16, BodyId::of);
    let upper = tree(FILES / 100, 17, BodyId::of);
    let merged = merge(&lower, &upper);
    let encoded = encode(&merged);
    let mut group = criterion.benchmark_group("a tree of 50,000 files");
    group.bench_function("merge", |bencher| bencher.iter(|| merge(&lower, &upper)));
    group.bench_function("diff", |bencher| bencher.iter(|| diff(&lower, &merged)));
    group.bench_function("encode", |bencher| bencher.iter(|| encode(&merged)));
    group.bench_function("decode", |bencher| bencher.iter(|| decode(&encoded).is_ok()));
    group.bench_function("content id", |bencher| bencher.iter(|| content_id(&merged)));
    group.finish();
}

criterion_group!(benches, trees);
criterion_main!(benches);
