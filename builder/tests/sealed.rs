//! Who sends layers ahead is told of those of the image, and of no others.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::collections::BTreeSet;
use std::sync::Mutex;

use wythe_builder::build::build;
use wythe_builder::builder::Builder;
use wythe_builder::environment::Environment;
use wythe_builder::input::Input;
use wythe_builder::options::Options;
use wythe_builder::sealed::SealedLayers;
use wythe_store::digest::Digest;
use wythe_store::image::catalog::read_image;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{ImageSource, SourceError};
use wythe_store::store::{OpenOptions, Store};
use wythe_store::timestamp::Timestamp;

#[derive(Default)]
struct Recorder(Mutex<BTreeSet<Digest>>);

impl SealedLayers for Recorder {
    fn sealed(&self, layer: &Descriptor) {
        self.0.lock().unwrap().insert(layer.digest);
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
        let told = told.0.into_inner().unwrap();
        assert_eq!((told.len(), told), (layers, listed.collect::<BTreeSet<_>>()));
        dockerfile.push_str("COPY <<X /e\ne\nX\n");
    }
}
