//! Who sends layers ahead is told of those of the image, and of no others.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use wythe_builder::build::build;
use wythe_builder::builder::Builder;
use wythe_builder::environment::Environment;
use wythe_builder::input::Input;
use wythe_builder::options::Options;
use wythe_builder::sealed::SealedLayers;
use wythe_store::digest::Digest;
use wythe_store::id::LayerId;
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::image::catalog::read_image;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{ImageSource, SourceError};
use wythe_store::store::{OpenOptions, Store};
use wythe_store::timestamp::Timestamp;

#[derive(Default)]
struct Recorder {
    /// Those that are known, and the targets that they are of.
    sealed: Mutex<BTreeMap<Digest, Vec<String>>>,
    /// Those of which the files were told of, and not yet what they are.
    made: Mutex<BTreeSet<LayerId>>,
    /// How many there were.
    n_made: AtomicUsize,
}

impl SealedLayers for Recorder {
    fn base(&self, layer: &BlobOrigin, targets: &[&str]) {
        unreachable!("nothing is built on an image, and not {layer:?} for {targets:?}")
    }

    fn made(&self, layer: LayerId, targets: &[&str]) {
        assert!(!targets.is_empty());
        assert!(self.made.lock().unwrap().insert(layer));
        self.n_made.fetch_add(1, Ordering::SeqCst);
    }

    fn sealed(&self, id: LayerId, layer: &Descriptor, targets: &[&str]) {
        self.made.lock().unwrap().remove(&id);
        let targets = targets.iter().map(ToString::to_string).collect();
        self.sealed.lock().unwrap().insert(layer.digest, targets);
    }
}

struct NoRegistry;

impl ImageSource for NoRegistry {
    fn manifest(&self, _: &Reference) -> Result<(Descriptor, Vec<u8>), SourceError> {
        unreachable!("nothing is built on an image")
    }

    fn blob(
        &self,
        _: &Reference,
        _: &Descriptor,
    ) -> Result<Box<dyn std::io::Read + Send + '_>, SourceError> {
        unreachable!("nothing is built on an image")
    }
}

#[test]
fn layers_of_the_image_are_told_of_whether_they_are_made_or_known_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
    let builder = Builder::open(&store, Timestamp::default()).unwrap();
    let platform = Platform::linux("amd64");
    let options = Options::new(platform.clone());
    let mut dockerfile = "FROM scratch AS tools\nCOPY <<X /a\na\nX\nCOPY <<X /b\nb\nX\n\
        FROM scratch\nCOPY <<X /c\nc\nX\nCOPY --from=tools /a /d\n"
        .to_owned();
    for layers in [2, 3] {
        let (told, images) = (Recorder::default(), NoRegistry);
        let env = Environment { layers: &told, ..builder.environment(&images, &()) };
        let input = Input { dockerfile: dockerfile.clone().into_bytes(), ..Input::default() };
        let built = build(&input, &options, env).unwrap();
        let root = built.targets[0].root.clone();
        let image = read_image(&store, root, &platform).unwrap();
        let listed = image.manifest.value().layers.iter().map(|layer| layer.digest);
        assert_eq!(*told.made.lock().unwrap(), BTreeSet::new(), "all are told of to the end");
        let n_made = told.n_made.into_inner();
        assert!((1..=layers).contains(&n_made), "{n_made} of {layers}");
        let told: BTreeSet<Digest> = told.sealed.into_inner().unwrap().into_keys().collect();
        assert_eq!((told.len(), told), (layers, listed.collect::<BTreeSet<_>>()));
        dockerfile.push_str("COPY <<X /e\ne\nX\n");
    }
}

#[test]
fn a_layer_is_told_of_with_all_targets_whose_images_it_is_of() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
    let builder = Builder::open(&store, Timestamp::default()).unwrap();
    let mut options = Options::new(Platform::linux("amd64"));
    options.targets = vec!["one".to_owned(), "two".to_owned()];
    let dockerfile = "FROM scratch AS shared\nCOPY <<X /a\na\nX\n\
        FROM shared AS one\nCOPY <<X /b\nb\nX\nFROM shared AS two\nCOPY <<X /c\nc\nX\n";
    let input = Input { dockerfile: dockerfile.as_bytes().to_vec(), ..Input::default() };
    // The second time all is known.
    for _ in 0..2 {
        let (told, images) = (Recorder::default(), NoRegistry);
        let env = Environment { layers: &told, ..builder.environment(&images, &()) };
        build(&input, &options, env).unwrap();
        let mut told: Vec<_> = told.sealed.into_inner().unwrap().into_values().collect();
        told.sort_unstable();
        assert_eq!(told, [vec!["one"], vec!["one", "two"], vec!["two"]]);
    }
}
