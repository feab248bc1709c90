//! Looking objects up, opening, marking and merging, in a store of a thousand packs.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up is over")]

use std::collections::HashMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tempfile::TempDir;
use wythe_store::digest::{DiffId, Digest};
use wythe_store::error::ReadError;
use wythe_store::gc::Policy;
use wythe_store::id::{BodyId, LayerId};
use wythe_store::index::{Extent, Packs, Searcher};
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::layers::LayerRecord;
use wythe_store::lease::Lease;
use wythe_store::object::{Encoding, Kind, ObjectName};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::MediaType;
use wythe_store::path::LayerPath;
use wythe_store::store::{OpenOptions, Store};
use wythe_store::sys::Disk;
use wythe_store::tree::build::TreeBuilder;
use wythe_store::tree::entry::{File, Metadata, Node, Tree};

/// How many objects. Unoptimised, as tests run this, few are enough to see that it works.
const SIZES: &[u32] = if cfg!(debug_assertions) { &[3000] } else { &[10_000, 100_000, 1_000_000] };
const N_PACKS: u32 = if cfg!(debug_assertions) { 30 } else { 1000 };

/// Files of one layer.
const FILES_PER_LAYER: u32 = 50_000;

fn id(number: u32) -> BodyId {
    BodyId::of(&number.to_le_bytes())
}

fn name(number: u32) -> ObjectName {
    ObjectName::new(Kind::Body, id(number).as_bytes())
}

/// An order in which neighbours are far apart: steps of a prime that divides no size.
fn shuffled(count: u32) -> impl Iterator<Item = u32> {
    (0..u64::from(count)).map(move |at| u32::try_from(at * 7_368_787 % u64::from(count)).unwrap())
}

/// Processor time of this thread: what others do on the machine is not in it, but for what they
/// take of its caches.
fn thread_time() -> Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(schedule.split(' ').next().unwrap().parse().unwrap())
}

/// Asks for one name after another, as often as wanted.
fn time_of(
    iterations: u64,
    names: &[ObjectName],
    mut ask: impl FnMut(&ObjectName) -> bool,
) -> Duration {
    let start = thread_time();
    for name in names.iter().cycle().take(usize::try_from(iterations).unwrap()) {
        black_box(ask(black_box(name)));
    }
    thread_time().saturating_sub(start)
}

/// Asks for as many names at once as there are, as often as wanted.
fn time_of_many(iterations: u64, names: &[ObjectName], searcher: &mut Searcher<'_>) -> Duration {
    let mut left = usize::try_from(iterations).unwrap();
    let start = thread_time();
    while 0 < left {
        let some = &names[..left.min(names.len())];
        let answer = |_: &ObjectName, is_held| {
            black_box(is_held);
            Ok::<_, ReadError>(())
        };
        searcher.holds_each(black_box(some), answer).unwrap();
        left -= some.len();
    }
    thread_time().saturating_sub(start)
}

fn open(path: &Path) -> Store {
    Store::open(path, &OpenOptions::default()).unwrap()
}

fn packs_of(path: &Path) -> Packs {
    Packs::new(Arc::new(Disk::open(path).unwrap()))
}

/// An image of so many files, which as many commits as there are packs have stored.
fn filled(count: u32) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for pack in 0..N_PACKS {
        let lease = store.lease().unwrap();
        let per_pack = count / N_PACKS;
        for number in pack * per_pack..(pack + 1) * per_pack {
            let bytes = number.to_le_bytes();
            lease.put(Kind::Body, id(number).as_bytes(), Encoding::Raw, &bytes).unwrap();
        }
        lease.commit(Batch::new(), Durability::Relaxed).unwrap();
    }
    let lease = store.lease().unwrap();
    let layers = (0..count.div_ceil(FILES_PER_LAYER)).map(|layer| {
        let first = layer * FILES_PER_LAYER;
        put_layer(&lease, first, (first + FILES_PER_LAYER).min(count))
    });
    let layers: Vec<LayerRecord> = layers.collect();
    let diffs: Vec<String> = layers
        .iter()
        .map(|layer| format!(r#"{{"digest":"{}"}}"#, layer.diff_id.unwrap().0))
        .collect();
    let manifest = format!(r#"{{"layers":[{}]}}"#, diffs.join(","));
    lease.put_document(manifest.as_bytes()).unwrap();
    let mut batch = Batch::new();
    for layer in &layers {
        batch.put_layer(layer);
    }
    batch.set_ref("image", &Descriptor::of(MediaType::MANIFEST, manifest.as_bytes()));
    lease.commit(batch, Durability::Relaxed).unwrap();
    directory
}

fn put_layer(lease: &Lease, first: u32, end: u32) -> LayerRecord {
    let mut builder = TreeBuilder::new();
    for number in first..end {
        let path = LayerPath::parse(format!("d{}/f{number}", number % 512).as_bytes()).unwrap();
        let node = Node::File(File { body: id(number), size: 4, link: None });
        builder.insert(&path, Metadata { mode: 0o644, ..Metadata::default() }, node).unwrap();
    }
    let tree: Tree = builder.finish();
    let text = format!("layer {first}");
    LayerRecord {
        tree: Some(lease.put_tree(&tree).unwrap()),
        diff_id: Some(DiffId(Digest::of(text.as_bytes()))),
        ..LayerRecord::new(LayerId::of(text.as_bytes()))
    }
}

fn lookup(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("packs/lookup");
    group.sample_size(20).warm_up_time(Duration::from_secs(1));
    group.measurement_time(Duration::from_secs(2));
    for &count in SIZES {
        let directory = filled(count);
        let hits: Vec<ObjectName> = shuffled(count).map(name).collect();
        let misses: Vec<ObjectName> = shuffled(count).map(|at| name(at + count)).collect();
        let map: HashMap<ObjectName, u64> = hits.iter().map(|name| (*name, 0)).collect();
        for (state, extent) in [("built", Extent::Some), ("collected", Extent::All)] {
            let packs = packs_of(directory.path());
            packs.cover("work/table", extent).unwrap();
            let mut searcher = packs.searcher().unwrap();
            for (what, names) in [("hit", &hits), ("miss", &misses)] {
                let id = |how| BenchmarkId::new(format!("{what} {how}as {state}"), count);
                let mut ask = |name: &ObjectName| searcher.holds(name).unwrap();
                assert!(names.iter().all(|name| ask(name) == (what == "hit")));
                group.bench_function(id(""), |bench| {
                    bench.iter_custom(|iterations| time_of(iterations, names, &mut ask));
                });
                let id_of_many =
                    BenchmarkId::new(format!("{what} of many at once as {state}"), count);
                group.bench_function(id_of_many, |bench| {
                    bench.iter_custom(|iterations| time_of_many(iterations, names, &mut searcher));
                });
                let mut ask = |name: &ObjectName| searcher.find(name).unwrap().is_some();
                group.bench_function(id("with its entry "), |bench| {
                    bench.iter_custom(|iterations| time_of(iterations, names, &mut ask));
                });
                let mut ask = |name: &ObjectName| packs.find(name).unwrap().is_some();
                group.bench_function(id("alone "), |bench| {
                    bench.iter_custom(|iterations| time_of(iterations, names, &mut ask));
                });
            }
        }
        for (what, names) in [("hit", &hits), ("miss", &misses)] {
            let id = BenchmarkId::new(format!("{what} in a HashMap"), count);
            group.bench_function(id, |bench| {
                bench.iter_custom(|iterations| {
                    time_of(iterations, names, |name| map.contains_key(name))
                });
            });
        }
    }
    let loose = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> =
        shuffled(10_000).map(|at| loose.path().join(at.to_string())).collect();
    for path in &paths {
        std::fs::write(path, b"").unwrap();
    }
    let mut next = paths.iter().cycle();
    group.bench_function("stat of a file/10000", |bench| {
        bench.iter(|| next.next().unwrap().symlink_metadata().unwrap());
    });
}

fn opening(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("packs/open");
    group.sample_size(20).measurement_time(Duration::from_secs(2));
    for &count in SIZES {
        let directory = filled(count);
        let (known, missing) = (name(count / 2), name(count + 1));
        for (state, extent) in [("built", Extent::Some), ("collected", Extent::All)] {
            packs_of(directory.path()).cover("work/table", extent).unwrap();
            let id = BenchmarkId::new(format!("the store, a hit and a miss, as {state}"), count);
            group.bench_function(id, |bench| {
                bench.iter(|| {
                    let store = open(directory.path());
                    assert!(store.packs().find(&known).unwrap().is_some());
                    assert!(store.packs().find(&missing).unwrap().is_none());
                });
            });
        }
    }
}

/// A collection that removes nothing: of a store as builds left it, and of the same once more.
fn collection(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("packs/collection");
    group.sample_size(10).measurement_time(Duration::from_secs(1));
    for &count in SIZES {
        let directory = filled(count);
        for (what, rounds) in [("first, merges", 0), ("second, marks", 1)] {
            group.bench_function(BenchmarkId::new(what, count), |bench| {
                bench.iter_custom(|iterations| {
                    let timed = |_| {
                        let copy = copy_of(directory.path());
                        let store = open(copy.path());
                        for _ in 0..rounds {
                            store.prune(Policy::KeepActions).unwrap();
                        }
                        let start = thread_time();
                        store.prune(Policy::KeepActions).unwrap();
                        thread_time().saturating_sub(start)
                    };
                    (0..iterations).map(timed).sum()
                });
            });
        }
    }
}

fn copy_of(store: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    let from = store.join(".");
    assert!(Command::new("cp").arg("-a").arg(from).arg(copy.path()).status().unwrap().success());
    copy
}

criterion_group!(benches, lookup, opening, collection);
criterion_main!(benches);
