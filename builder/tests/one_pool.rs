//! All work of a build, and of what leaves, is done on the threads that it is given.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::{ThreadPool, ThreadPoolBuilder};
use wythe_builder::build::build;
use wythe_builder::builder::Builder;
use wythe_builder::built::BuiltTarget;
use wythe_builder::environment::Environment;
use wythe_builder::input::Input;
use wythe_builder::options::Options;
use wythe_delivery::content::OutgoingContent;
use wythe_delivery::image::OutgoingImage;
use wythe_delivery::options::{ImageOptions, LayerCompression, LayerOptions, Times};
use wythe_delivery::platforms::{PlatformImage, PlatformImages};
use wythe_registry::client::Client;
use wythe_registry::fake::{FakeRegistry, Quirks};
use wythe_registry::settings::Settings;
use wythe_store::lease::Lease;
use wythe_store::oci::platform::Platform;
use wythe_store::store::{OpenOptions, Store};
use wythe_store::timestamp::Timestamp;

const DOCKERFILE: &str = "FROM scratch AS a\nCOPY . /all\nCOPY --link d /d\nWORKDIR /w\n\
    FROM scratch AS b\nCOPY --from=a /all/d /copied\nCOPY <<X /x\nX\n";

/// Enough of everything that rayon would divide it: files, directories, and one of several chunks.
fn context(at: &Path) {
    fs::create_dir(at.join("d")).unwrap();
    for number in 0..200 {
        fs::write(at.join(format!("f{number}")), number.to_string().repeat(50)).unwrap();
        fs::create_dir(at.join(format!("d/{number}"))).unwrap();
        fs::write(at.join(format!("d/{number}/g")), number.to_string().repeat(5000)).unwrap();
    }
    let mut long = vec![0; 20 << 20];
    blake3::Hasher::new().update(b"noise").finalize_xof().fill(&mut long);
    fs::write(at.join("long"), long).unwrap();
}

/// A pool of one thread, and how many it has started.
fn one_thread() -> (ThreadPool, Arc<AtomicUsize>) {
    let started = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&started);
    let start = move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    };
    (ThreadPoolBuilder::new().num_threads(1).start_handler(start).build().unwrap(), started)
}

/// From now on whoever asks for rayon's own threads panics.
fn without_threads_of_its_own() {
    let none = ThreadPoolBuilder::new().spawn_handler(|_| Err(io::ErrorKind::Other.into()));
    assert!(none.build_global().is_err());
    assert!(std::panic::catch_unwind(|| rayon::join(|| (), || ())).is_err());
}

fn leave(target: &BuiltTarget, (lease, pool): (&Lease, &ThreadPool), registry: &FakeRegistry) {
    let client = Client::new(Settings::default());
    let name = format!("{}/app:1", registry.host()).parse().unwrap();
    for compression in [
        LayerCompression::Gzip,
        LayerCompression::Zstd,
        LayerCompression::Estargz,
        LayerCompression::Uncompressed,
    ] {
        let layers = LayerOptions { compression, ..LayerOptions::default() };
        let content = OutgoingContent::new(lease, &client, &[]);
        let image = OutgoingImage::encode(&content, &target.root, layers, pool).unwrap();
        image.push(&client, &name, &()).unwrap();
        image.write_oci(&mut io::sink()).unwrap();
    }
    let amd64 = Platform::linux("amd64");
    let one = PlatformImage::read(lease, &target.root, amd64, (0, Some(0))).unwrap();
    let images = PlatformImages {
        lease,
        pool,
        images: vec![one],
        origins: Vec::new(),
        provenance: Some(serde_json::json!({})),
    };
    let options = ImageOptions { times: Times::Rewritten, ..ImageOptions::default() };
    images.encode(&[], &options, (&client, &|_| {})).unwrap();
}

#[test]
fn a_build_and_what_leaves_of_it_start_no_threads_but_those_of_the_pool() {
    without_threads_of_its_own();
    let (store, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    context(files.path());
    let store = Store::open(store.path(), &OpenOptions::default()).unwrap();
    let builder = Builder::open(&store, Timestamp::from_seconds(1)).unwrap();
    let (pool, started) = one_thread();
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let client = Client::new(Settings::default());
    let context = Some(files.path().to_owned());
    let input = Input { dockerfile: DOCKERFILE.into(), context, ..Input::default() };
    let mut options = Options::new(Platform::linux("amd64"));
    options.targets = vec!["a".to_owned(), "b".to_owned()];
    for round in 0..2 {
        let env = Environment { pool: &pool, ..builder.environment(&client, &()) };
        let built = build(&input, &options, env).unwrap();
        for target in &built.targets {
            leave(target, (builder.lease(), &pool), &registry);
        }
        fs::write(files.path().join("d/new"), round.to_string()).unwrap();
    }
    assert_eq!(started.load(Ordering::SeqCst), 1);
}
