//! What an unchanged build context costs: 50,000 files in 13,000 directories, on two threads.

use std::fs;
use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use wythe_builder::context::Context;
use wythe_builder::context::recall::Recall;
use wythe_builder::copy::CopySpec;
use wythe_builder::copy::select::select;
use wythe_builder::ignore::Rules;
use wythe_store::id::ContentId;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::lease::Lease;
use wythe_store::racy::Racy;
use wythe_store::scan_record::{RecordName, ScanRecord};
use wythe_store::store::{OpenOptions, Store};
use wythe_store::timestamp::Timestamp;

const PACKAGES: usize = 1000;
const DIRECTORIES: usize = 12;
const FILES: usize = 50;

/// Far enough ahead of every file's time that none counts as young.
const LATER: Timestamp = Timestamp { seconds: 1 << 40, nanos: 0 };

fn make(root: &Path) {
    for file in 0..PACKAGES * FILES {
        let (package, number) = (file / FILES, file % FILES);
        let directory =
            root.join(format!("package-{package:04}/source-{:02}", number % DIRECTORIES));
        fs::create_dir_all(&directory).expect("make a directory");
        fs::write(directory.join(format!("file-{number:02}.rs")), format!("{file}"))
            .expect("write a file");
    }
}

fn spec() -> CopySpec {
    CopySpec { sources: vec![".".into()], destination: "/o/".into(), ..CopySpec::default() }
}

fn racy() -> Racy {
    Racy::of_scan(LATER)
}

fn scan(root: &Path, lease: &Lease) -> ContentId {
    let recall = Recall::new(lease, root.as_os_str().as_encoded_bytes(), racy());
    let context = Context::open(root, Rules::default()).expect("open the context");
    let spec = spec();
    let scan = context.scan(&spec.routes().expect("routes"), &recall).expect("scan");
    recall.save().expect("save what was read");
    select(&scan.tree, &spec).expect("select").content_id()
}

fn unchanged(criterion: &mut Criterion) {
    let (root, at) = (tempfile::tempdir().expect("context"), tempfile::tempdir().expect("store"));
    make(root.path());
    let store = Store::open(at.path(), &OpenOptions::default()).expect("open the store");
    let lease = store.lease().expect("take a lease");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("start threads");
    pool.install(|| scan(root.path(), &lease));
    lease.commit(Batch::new(), Durability::Relaxed).expect("publish");
    let mut group = criterion.benchmark_group("unchanged context");
    group.sample_size(20).measurement_time(Duration::from_secs(4));
    group.bench_function("scan and content id", |bencher| {
        bencher.iter(|| pool.install(|| scan(root.path(), &lease)));
    });
    let routes = spec().routes().expect("routes");
    let context = Context::open(root.path(), Rules::default()).expect("open the context");
    let recall = || Recall::new(&lease, root.path().as_os_str().as_encoded_bytes(), racy());
    group.bench_function("load the stat cache", |bencher| bencher.iter(recall));
    let known = recall();
    group.bench_function("scan", |bencher| {
        bencher.iter(|| pool.install(|| context.scan(&routes, &known).expect("scan")));
    });
    let (name, found) = (
        RecordName { directory: [0; 16], purpose: [0; 32] },
        pool.install(|| context.scan(&routes, &known).expect("scan")),
    );
    let record = found.record.expect("a file system whose directories tell of changes");
    record.save(&lease, &name, racy(), b"").expect("save the record");
    group.bench_function("recognise", |bencher| {
        bencher.iter(|| {
            let record = ScanRecord::load(&store, &name).expect("load the record");
            assert!(context.is_unchanged(&record, &pool));
        });
    });
    group.finish();
}

criterion_group!(benches, unchanged);
criterion_main!(benches);
