//! One build, and its results on their way: layers leave for a registry while later steps run.

use wythe_builder::build::build;
use wythe_builder::built::Built;
use wythe_builder::environment::Environment;
use wythe_builder::input::Input;
use wythe_builder::options::Options;
use wythe_builder::progress::AsEvents;
use wythe_builder::sealed::SealedLayers;
use wythe_delivery::ahead::{LayersAhead, encode_while_making};
use wythe_delivery::content::OutgoingContent;
use wythe_delivery::options::{LayerOptions, Times};
use wythe_delivery::push::Push as Delivery;
use wythe_registry::client::Client;
use wythe_registry::delivered::Delivered;
use wythe_store::id::LayerId;
use wythe_store::layer::codec::Codec;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;

use super::Results;
use super::deliver::{Routes, outputs};
use crate::args::build::{BuildArgs, ResultArgs};
use crate::args::image_attributes::{ImageAttributes, Transport};
use crate::args::image_name::{ImageName, PLACEHOLDER};
use crate::args::output::{Output, OutputArg, Push};
use crate::aws::create_repositories;
use crate::failure::Failure;
use crate::host;
use crate::session::Session;

/// What is to be built, and where the results go.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) input: &'a Input,
    pub(super) options: &'a Options,
    pub(super) environment: Environment<'a>,
    pub(super) args: &'a BuildArgs,
    pub(super) session: &'a Session,
    /// When it began.
    pub(super) started: &'a str,
    /// What was seen to at registries.
    pub(super) delivered: &'a Delivered,
}

/// Why there is no result where it was to be.
pub(super) enum Unfinished {
    /// It could not be built.
    Build(Failure),
    /// It could not be delivered.
    Delivery(Failure),
}

impl From<Unfinished> for Failure {
    fn from(unfinished: Unfinished) -> Self {
        match unfinished {
            Unfinished::Build(failure) | Unfinished::Delivery(failure) => failure,
        }
    }
}

impl Attempt<'_> {
    /// Builds and delivers.
    pub(super) fn run(self, early: Option<&EarlyLayers>) -> Result<Built, Unfinished> {
        let delivered = self.delivered;
        let Some(EarlyLayers { layers, push }) = early else {
            return self.build_and_deliver(&(), delivered, || {});
        };
        let Environment { lease, pool, progress, .. } = self.environment;
        let make = |ahead: &LayersAhead| {
            self.build_and_deliver(&Sent(ahead), delivered, || ahead.encoded())
        };
        let Some((client, names)) = push else {
            return encode_while_making(lease, (*layers, pool), make);
        };
        let (content, transfers) = (&OutgoingContent::new(lease, client, &[]), &AsEvents(progress));
        let push = Delivery { registry: client, content, transfers, delivered };
        push.while_making(names, (*layers, pool), make)
    }

    fn build_and_deliver(
        self,
        layers: &dyn SealedLayers,
        delivered: &Delivered,
        encoded: impl FnOnce(),
    ) -> Result<Built, Unfinished> {
        let Self { input, options, args, session, started, .. } = self;
        let environment = Environment { layers, ..self.environment };
        let built = build(input, options, environment).map_err(|error| {
            Unfinished::Build(
                session.failed(error).reproducible(&super::reproduction(&host::words())),
            )
        })?;
        encoded();
        let results = Results { built: &built, input, options, started: started.to_owned() };
        let transfers = &AsEvents(environment.progress);
        let routes = Routes { pool: environment.pool, transfers, delivered };
        let sent = results.deliver((environment.lease, routes), args, session);
        sent.map_err(Unfinished::Delivery)?;
        Ok(built)
    }
}

/// A layer is handed over when its files are final.
struct Sent<'a>(&'a LayersAhead);

impl SealedLayers for Sent<'_> {
    fn made(&self, layer: LayerId) {
        self.0.made(layer);
    }

    fn sealed(&self, id: LayerId, layer: &Descriptor) {
        self.0.sealed(id, layer);
    }
}

/// How layers leave before the image is known.
pub(super) struct EarlyLayers {
    layers: LayerOptions,
    /// Where they are sent; nowhere, they are only compressed.
    push: Option<(Client, Vec<Reference>)>,
}

impl EarlyLayers {
    /// What can be done for the first output whose layers leave as they were made. If they go to registries, the
    /// repositories are there then.
    pub(super) fn of(args: &BuildArgs, session: &Session) -> Result<Option<Self>, Failure> {
        let result = &args.result;
        if let Some((image, names)) = pushed(args)? {
            create_repositories(&names, result.repositories.create_repo, session)?;
            let client = match image.transport {
                Transport::Configured => session.registry()?,
                Transport::Plain => session.registry_over_http(&names)?,
            };
            let (layers, push) = (image.layers(result), Some((client, names)));
            return Ok(Some(Self { layers, push }));
        }
        let outputs = outputs(result);
        let layers = outputs.iter().find_map(|asked| leaving(asked, result));
        let is_compressed = |layers: &LayerOptions| layers.codec() != Codec::None;
        Ok(layers.filter(is_compressed).map(|layers| Self { layers, push: None }))
    }
}

/// The first push of a build of one target, and under which names, if its layers can leave as they are made.
fn pushed(args: &BuildArgs) -> Result<Option<(ImageAttributes, Vec<Reference>)>, Failure> {
    let targets = args.input.targets();
    let target = match targets.as_slice() {
        [] => None,
        [only] => Some(only.to_lowercase()),
        // Each layer is of some of them only.
        _ => return Ok(None),
    };
    let (target, result) = (target.as_deref(), &args.result);
    let outputs = outputs(result);
    let mut pushed = outputs.iter().filter(|asked| is_of(asked, target));
    let Some((asked, image)) = pushed.find_map(|asked| Some((asked, pushed_image(asked)?))) else {
        return Ok(None);
    };
    let names = names(result, image, target)?.filter(|names| !names.is_empty());
    let names = names.filter(|_| leaving(asked, result).is_some());
    Ok(names.map(|names| (image.clone(), names)))
}

/// How the layers of an output leave, if they leave as they are made.
fn leaving(asked: &OutputArg, result: &ResultArgs) -> Option<LayerOptions> {
    let image = match &asked.output {
        Output::Archive { image, .. }
        | Output::Image { push: Push::ByDigest | Push::ByName, image } => image,
        // An engine is asked first which layers it lacks.
        Output::CacheOnly
        | Output::Engine { .. }
        | Output::Files { .. }
        | Output::Image { push: Push::No, .. }
        | Output::Tar { .. } => return None,
    };
    let layers = image.layers(result);
    (image.times != Times::Rewritten && layers.are_known_ahead()).then_some(layers)
}

fn is_of(asked: &OutputArg, target: Option<&str>) -> bool {
    asked.target.is_none() || asked.target.as_deref() == target
}

fn pushed_image(asked: &OutputArg) -> Option<&ImageAttributes> {
    match &asked.output {
        Output::Image { push: Push::ByDigest | Push::ByName, image } => Some(image),
        Output::Archive { .. }
        | Output::CacheOnly
        | Output::Engine { .. }
        | Output::Files { .. }
        | Output::Image { push: Push::No, .. }
        | Output::Tar { .. } => None,
    }
}

/// The names that an image is pushed under; `None` where they depend on what its stage is called, and nobody has
/// said that.
fn names(
    result: &ResultArgs,
    image: &ImageAttributes,
    target: Option<&str>,
) -> Result<Option<Vec<Reference>>, Failure> {
    let all = || result.tag.iter().chain(&image.names);
    let Some(target) = target else {
        let depends = |name: &ImageName| name.target.is_some() || name.text().contains(PLACEHOLDER);
        if all().any(depends) {
            return Ok(None);
        }
        return all().map(|name| name.reference("default")).collect::<Result<_, _>>().map(Some);
    };
    let own = all().filter(|name| name.is_of(target));
    own.map(|name| name.reference(target)).collect::<Result<_, _>>().map(Some)
}
