//! `build_and_push STORE CONTEXT NAME` builds `CONTEXT/Dockerfile` and pushes the image as `NAME`.
#![expect(clippy::print_stdout, reason = "this is a program")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use wythe_builder::{builder::Builder, input::Input, options::Options};
use wythe_registry::client::Client;
use wythe_registry::push::{Push, Silent};
use wythe_registry::settings::Settings;
use wythe_store::image::catalog::{StoredContent, read_image};
use wythe_store::image::encode::{Recompress, encode};
use wythe_store::layer::codec::Codec;
use wythe_store::oci::platform::{Platform, host_architecture};
use wythe_store::oci::reference::Reference;
use wythe_store::store::{OpenOptions, Store};
use wythe_store::timestamp::Timestamp;

fn main() -> Result<(), Box<dyn Error>> {
    wythe_builder::init()?; // enters the namespaces: before threads, and before anything is open
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [store, context, name] = &words[..] else { return Err("three words, please".into()) };
    let (context, name): (_, Reference) = (Path::new(context), name.parse()?);
    let registry = Client::new(Settings::default());
    let store = Store::open(Path::new(store), &OpenOptions::default())?;
    let builder = Builder::open(&store, Timestamp::from_seconds(0))?;
    let input = Input::read(&context.join("Dockerfile"), context)?;
    let platform = Platform::linux(host_architecture());
    for image in builder.build(&input, &Options::new(platform.clone()), &registry)?.targets {
        let mut layers = image.images.iter().flat_map(|image| &image.origins);
        layers.try_for_each(|layer| layer.fetch(builder.lease(), &registry))?;
        let stored = read_image(&store, image.root, &platform)?;
        let root = encode(builder.lease(), &stored, Codec::GZIP, Recompress::Never)?.descriptor();
        let push = Push { origins: &BTreeMap::new(), progress: &Silent };
        registry.push(&StoredContent(&store), &root, &name, push)?;
        println!("{name} {}", root.digest);
    }
    Ok(())
}
