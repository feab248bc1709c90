//! What is foreseen is what is made, and nobody waits for what does not come.

use std::fs;
use std::path::Path;

use wythe_dockerfile::parse::parse;
use wythe_registry::client::Client;
use wythe_registry::settings::Settings;
use wythe_store::digest::DiffId;
use wythe_store::image::catalog::read_image;
use wythe_store::layer::canonical;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::platform::Platform;
use wythe_store::store::{OpenOptions, Store};
use wythe_store::tree::files::files;
use wythe_store::tree::merge::merge_all;

use super::*;
use crate::bases::ImageBases;
use crate::build::build;
use crate::builder::Builder;
use crate::context::ignore_rules;
use crate::input::Input;
use crate::lower::{Surroundings, lower};
use crate::options::Options;

/// Half of what is hashed between midstates, and a little more.
const SIZE: usize = 2_500_001;

struct Room {
    folder: tempfile::TempDir,
    store: Store,
    builder: Builder,
    images: Client,
    options: Options,
}

impl Room {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), &OpenOptions::default()).unwrap();
        let builder = Builder::open(&store, Timestamp::from_seconds(1000)).unwrap();
        let data = folder.path().join("context/data");
        fs::create_dir_all(data.join("below")).unwrap();
        for (number, name) in (1..).zip(["a", "below/b", "c"]) {
            fs::write(data.join(name), vec![number; SIZE]).unwrap();
        }
        let (images, options) =
            (Client::new(Settings::default()), Options::new(Platform::linux("amd64")));
        Self { folder, store, builder, images, options }
    }

    fn context(&self) -> std::path::PathBuf {
        self.folder.path().join("context")
    }

    /// The copies of a Dockerfile that can be foreseen.
    fn foreseen(&self, dockerfile: &str) -> Vec<ForeseenCopy> {
        let parsed = parse(dockerfile);
        let env = self.builder.environment(&self.images, &());
        let bases = ImageBases::new(env, &self.options);
        let platform = &self.options.build_platform;
        let around = Surroundings { options: &self.options, bases: &bases, target: None, platform };
        let lowered = lower(&parsed.dockerfile, around).unwrap();
        ForeseenCopy::all(&lowered.graph, &FileSource::Context)
    }
}

/// What lies below every vertex.
struct Known(Arc<Directory>);

impl FilesBelow for Known {
    fn files_of(&self, _: VertexId) -> Option<Arc<Directory>> {
        Some(self.0.clone())
    }
}

/// The headers of a layer, in order.
fn headers(tree: &Tree) -> Vec<Vec<u8>> {
    let mut headers = Vec::new();
    canonical::each(tree, None, &mut |entry| {
        headers.push(entry.header);
        Ok::<_, ()>(())
    })
    .unwrap();
    headers
}

fn opened(path: &Path) -> (Context, Vec<Route>) {
    let context = Context::open(path, ignore_rules(path, None).unwrap()).unwrap();
    (context, vec![Route::flat("data").unwrap()])
}

#[track_caller]
fn check_foreseen(dockerfile: &str) {
    let room = Room::new();
    let input = Input {
        dockerfile: dockerfile.as_bytes().to_vec(),
        context: Some(room.context()),
        ..Input::default()
    };
    let env = room.builder.environment(&room.images, &());
    let built = build(&input, &room.options, env).unwrap();
    let (root, platform) = (built.targets[0].root.clone(), &room.options.build_platform);
    let image = read_image(&room.store, root, platform).unwrap();
    let tree = |layer: &Descriptor| {
        let record = room.store.layer_of_diff(&DiffId(layer.digest)).unwrap().unwrap();
        room.store.tree(&record.tree.unwrap()).unwrap().unwrap()
    };
    let (made, below) = image.manifest.value().layers.split_last().unwrap();
    let below: Vec<Tree> = below.iter().map(tree).collect();
    let (made, below) = (tree(made), Known(merge_all(&below).children));
    let (context, routes) = opened(&room.context());
    let tree = context.scan(&routes, env.lease).unwrap().tree;
    let foreseen = room.foreseen(dockerfile).last().unwrap().changes(&tree, &below).unwrap();
    assert!(headers(&foreseen) == headers(&made), "{dockerfile}");
}

#[test]
fn what_is_foreseen_is_what_the_copy_makes() {
    check_foreseen("FROM scratch\nCOPY data /data\n");
    check_foreseen("FROM scratch\nCOPY --chown=7:8 --chmod=600 data /data\n");
    check_foreseen("FROM scratch\nWORKDIR /srv/app\nCOPY data .\n");
    check_foreseen("FROM scratch\nWORKDIR /srv\nCOPY data/a ./\nCOPY data /srv/data\n");
    check_foreseen("FROM scratch\nCOPY --link --exclude=below data /data\n");
}

#[test]
fn what_depends_on_commands_names_or_the_time_is_not_foreseen() {
    let room = Room::new();
    let (context, routes) = opened(&room.context());
    let env = room.builder.environment(&room.images, &());
    let tree = context.scan(&routes, env.lease).unwrap().tree;
    let count = |dockerfile: &str| {
        room.foreseen(dockerfile).iter().filter_map(|copy| copy.changes(&tree, &())).count()
    };
    assert_eq!(count("FROM scratch\nRUN a\nCOPY data /data\n"), 0);
    assert_eq!(count("FROM scratch\nWORKDIR /app\nRUN a\nCOPY data /app/data\n"), 0);
    assert_eq!(count("FROM scratch\nWORKDIR /app\nCOPY data /app\n"), 0);
    assert_eq!(count("FROM scratch\nCOPY data /app\n"), 1);
    assert_eq!(count("FROM scratch\nCOPY --chown=www data /data\n"), 0);
    assert_eq!(count("FROM scratch\nCOPY data /made/then/data\n"), 0);
    assert_eq!(count("FROM scratch\nADD data /data\n"), 0);
}

#[test]
fn files_are_hashed_as_they_arrive_in_the_order_of_the_layer() {
    let room = Room::new();
    let copies = room.foreseen("FROM scratch\nCOPY data /data\n");
    let (context, routes) = opened(&room.context());
    let env = room.builder.environment(&room.images, &());
    let arriving = Arriving::new(env.lease);
    arriving.state().phase = Phase::Hashed;
    let scanned = std::thread::scope(|scope| {
        let hashing = scope.spawn(|| arriving.hash(env.lease, (&context, &routes), (&copies, &())));
        let scanned = context.scan(&routes, &arriving).unwrap();
        hashing.join().unwrap();
        scanned
    });
    let changes = copies[0].changes(&scanned.tree, &()).unwrap();
    assert_eq!(files(&changes.children).count(), 3);
    let (measured, made) = wythe_store::layer::midstate::measure_on(env.lease, &changes).unwrap();
    assert_eq!(measured, wythe_store::layer::export::measure(&changes, &room.store).unwrap());
    assert_eq!(made.len(), 0, "all midstates were there");
}

#[test]
fn nobody_waits_for_files_that_are_not_read() {
    let room = Room::new();
    let copies = room.foreseen("FROM scratch\nCOPY data /data\n");
    let (context, routes) = opened(&room.context());
    let env = room.builder.environment(&room.images, &());
    let arriving = Arriving::new(env.lease);
    arriving.state().phase = Phase::Hashed;
    std::thread::scope(|scope| {
        scope.spawn(|| arriving.hash(env.lease, (&context, &routes), (&copies, &())));
        drop(Over(&arriving));
    });
    assert!(arriving.is_over());
}
