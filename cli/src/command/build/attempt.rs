//! One build, and its results on their way: layers leave for a registry while later steps run.

use wythe_builder::build::build;
use wythe_builder::built::Built;
use wythe_builder::environment::Environment;
use wythe_builder::input::Input;
use wythe_builder::options::Options;
use wythe_builder::progress::AsEvents;
use wythe_builder::sealed::SealedLayers;
use wythe_delivery::ahead::LayersAhead;
use wythe_delivery::content::OutgoingContent;
use wythe_delivery::options::{LayerOptions, Times};
use wythe_delivery::push::Push as Delivery;
use wythe_registry::client::Client;
use wythe_registry::delivered::Delivered;
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
    pub(super) fn run(self, early: Option<&EarlyPush>) -> Result<Built, Unfinished> {
        let delivered = self.delivered;
        let Some(EarlyPush { client, names, layers }) = early else {
            return self.build_and_deliver(&(), delivered, || {});
        };
        let transfers = &AsEvents(self.environment.progress);
        let content = &OutgoingContent::new(self.environment.lease, client, &[]);
        let push = Delivery { registry: client, content, transfers, delivered };
        push.while_making(names, (*layers, self.environment.pool), |ahead| {
            self.build_and_deliver(&Sent(ahead), delivered, || ahead.encoded())
        })
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

/// A layer is handed over when it is sealed.
struct Sent<'a>(&'a LayersAhead);

impl SealedLayers for Sent<'_> {
    fn sealed(&self, layer: &Descriptor) {
        self.0.send(layer);
    }
}

/// A push whose layers can leave before the image is known.
pub(super) struct EarlyPush {
    client: Client,
    names: Vec<Reference>,
    layers: LayerOptions,
}

impl EarlyPush {
    /// The first push of a build of one target, if its layers leave as they were made. Its repositories are there
    /// then.
    pub(super) fn of(args: &BuildArgs, session: &Session) -> Result<Option<Self>, Failure> {
        let targets = args.input.targets();
        let target = match targets.as_slice() {
            [] => None,
            [only] => Some(only.to_lowercase()),
            _ => return Ok(None),
        };
        let (target, result) = (target.as_deref(), &args.result);
        let outputs = outputs(result);
        let mut pushed = outputs.iter().filter(|asked| is_of(asked, target));
        let Some(image) = pushed.find_map(pushed_image) else { return Ok(None) };
        let layers = image.layers(result);
        let Some(names) = names(result, image, target)? else { return Ok(None) };
        if image.times == Times::Rewritten || !layers.are_known_ahead() || names.is_empty() {
            return Ok(None);
        }
        create_repositories(&names, result.repositories.create_repo, session)?;
        let client = match image.transport {
            Transport::Configured => session.registry()?,
            Transport::Plain => session.registry_over_http(&names)?,
        };
        Ok(Some(Self { client, names, layers }))
    }
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
