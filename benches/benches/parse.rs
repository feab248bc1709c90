//! From text to a syntax tree: a Dockerfile of 100 stages.

use benches::dockerfile;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wythe_dockerfile::parse::parse;

fn hundred_stages(criterion: &mut Criterion) {
    let text = dockerfile(100);
    assert!(parse(&text).first_error().is_none(), "the text is a Dockerfile");
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("100 stages", |bencher| bencher.iter(|| parse(&text)));
    group.finish();
}

criterion_group!(benches, hundred_stages);
criterion_main!(benches);
