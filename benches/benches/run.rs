//! What a step costs beside its command: `RUN true`, thirty times, through the program.
//!
//! Needs `cargo build --release --package wythe` and a static busybox at `/bin/busybox`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

const STEPS: usize = 30;

/// The program, which cargo puts beside the directory of the benchmarks.
fn program() -> PathBuf {
    let bench = std::env::current_exe().expect("this program has a path");
    let release = bench.parent().and_then(Path::parent).expect("it lies in a target directory");
    let program = release.join("wythe");
    assert!(program.exists(), "first: cargo build --release --package wythe");
    program
}

fn context(at: &Path) {
    fs::copy("/bin/busybox", at.join("busybox")).expect("apt-get install busybox-static");
    let runs = "RUN [\"/busybox\", \"true\"]\n".repeat(STEPS);
    let text = format!("FROM scratch\nARG NONCE\nCOPY busybox /\n{runs}");
    fs::write(at.join("Dockerfile"), text).expect("write the Dockerfile");
}

fn build(program: &Path, store: &Path, context: &Path, nonce: u32) {
    let mut command = Command::new(program);
    command.arg("--store").arg(store).args(["--progress", "quiet", "build", "--build-arg"]);
    let output = command.arg(format!("NONCE={nonce}")).arg(context).output().expect("start it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn steps(criterion: &mut Criterion) {
    let (store, at) = (tempfile::tempdir().expect("store"), tempfile::tempdir().expect("context"));
    context(at.path());
    let (program, mut nonce) = (program(), 0);
    let mut group = criterion.benchmark_group("30 steps that do nothing");
    group.sample_size(10).measurement_time(Duration::from_secs(20));
    group.bench_function("all run", |bencher| {
        bencher.iter(|| {
            nonce += 1;
            build(&program, store.path(), at.path(), nonce);
        });
    });
    group.bench_function("all known", |bencher| {
        bencher.iter(|| build(&program, store.path(), at.path(), nonce));
    });
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
