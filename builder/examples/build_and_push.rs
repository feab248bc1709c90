//! `build_and_push STORE CONTEXT NAME` builds `CONTEXT/Dockerfile` and pushes the image as `NAME`.
#![expect(clippy::print_stdout, reason = "this is a program")]

use std::error::Error;
use std::path::Path;

use wythe_builder::{builder::Builder, input::Input, options::Options};
use wythe_delivery::content::OutgoingContent;
use wythe_delivery::image::OutgoingImage;
use wythe_delivery::options::LayerOptions;
use wythe_registry::{client::Client, settings::Settings};
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
    let options = Options::new(Platform::linux(host_architecture()));
    for target in builder.build(&input, &options, &registry)?.targets {
        let origins = target.origins();
        let content = OutgoingContent::new(builder.lease(), &registry, &origins);
        let (layers, pool) = (LayerOptions::default(), builder.pool());
        let image = OutgoingImage::encode(&content, &target.root, layers, pool)?;
        image.push(&registry, &name, &())?;
        println!("{name} {}", image.root.digest);
    }
    Ok(())
}
