//! One build, and its results on their way: layers leave for a registry while later steps run.

use std::collections::BTreeMap;

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
use wythe_dockerfile::diagnostic::Diagnostic;
use wythe_registry::client::Client;
use wythe_registry::delivered::Delivered;
use wythe_store::id::LayerId;
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::layer::codec::Codec;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::transfer::Watched;

use super::Results;
use super::deliver::{Routes, outputs};
use crate::args::build::{BuildArgs, ResultArgs};
use crate::args::image_attributes::{ImageAttributes, Transport};
use crate::args::image_name::{ImageName, PLACEHOLDER};
use crate::args::output::{Output, OutputArg, Push};
use crate::aws::create_repositories;
use crate::build_record::id::BuildId;
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
    /// What is told of it.
    pub(super) told: Told<'a>,
}

/// What files tell of a build beside what left.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    /// What its record is called, where there is to be one.
    pub(super) id: Option<&'a BuildId>,
    /// What the checks of the Dockerfile have found so far.
    pub(super) findings: &'a (dyn Fn() -> Vec<Diagnostic> + Sync),
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
    pub(super) fn run(self, early: &[EarlyLayers]) -> Result<Built, Unfinished> {
        self.leaving(early, &Sent::default())
    }

    /// Builds and delivers, while layers leave in each of these ways, too.
    fn leaving(self, early: &[EarlyLayers], sent: &Sent<'_>) -> Result<Built, Unfinished> {
        let delivered = self.delivered;
        let Some((way, others)) = early.split_first() else {
            return self.build_and_deliver(sent, delivered, || sent.encoded());
        };
        let Environment { lease, pool, progress, .. } = self.environment;
        let make = |ahead: &LayersAhead| self.leaving(others, &sent.and(way, ahead));
        let Some(client) = &way.client else {
            return encode_while_making(lease, (way.layers, pool), make);
        };
        let transfers = &AsEvents(progress);
        let source = Watched { images: client, transfers };
        let content = &OutgoingContent::new(lease, &source, &[]);
        let push = Delivery { registry: client, content, transfers, delivered };
        push.while_making((way.layers, pool), make)
    }

    fn build_and_deliver(
        self,
        layers: &dyn SealedLayers,
        delivered: &Delivered,
        encoded: impl FnOnce(),
    ) -> Result<Built, Unfinished> {
        let Self { input, options, args, session, started, told, .. } = self;
        let environment = Environment { layers, ..self.environment };
        let built = build(input, options, environment).map_err(|error| {
            let failure = session.failed(error);
            // Who builds several has no flag for a look at a step of one.
            let is_alone = environment.shared.is_none();
            Unfinished::Build(if is_alone {
                failure.reproducible(&super::reproduction(&host::words()))
            } else {
                failure
            })
        })?;
        encoded();
        let (started, id, findings) = (started.to_owned(), told.id, (told.findings)());
        let results = Results { built: &built, input, options, started, id, findings };
        let transfers = &AsEvents(environment.progress);
        let routes = Routes { pool: environment.pool, transfers, delivered };
        let sent = results.deliver((environment.lease, routes), args, session);
        sent.map_err(Unfinished::Delivery)?;
        Ok(built)
    }
}

/// Layers are handed over when their files are final, to each way in which layers of their targets leave.
#[derive(Default)]
struct Sent<'a>(Vec<(&'a EarlyLayers, &'a LayersAhead)>);

impl<'a> Sent<'a> {
    fn and<'b>(&self, way: &'b EarlyLayers, ahead: &'b LayersAhead) -> Sent<'b>
    where
        'a: 'b,
    {
        let mut ways: Vec<(&'b EarlyLayers, &'b LayersAhead)> = self.0.clone();
        ways.push((way, ahead));
        Sent(ways)
    }

    fn each(&self, targets: &[&str], send: impl Fn(&LayersAhead, &[Reference])) {
        for (way, ahead) in &self.0 {
            if let Some(names) = way.names_of(targets) {
                send(ahead, &names);
            }
        }
    }

    fn encoded(&self) {
        self.0.iter().for_each(|(_, ahead)| ahead.encoded());
    }
}

impl SealedLayers for Sent<'_> {
    fn base(&self, layer: &BlobOrigin, targets: &[&str]) {
        self.each(targets, |ahead, names| ahead.base(layer, names));
    }

    fn made(&self, layer: LayerId, targets: &[&str]) {
        self.each(targets, |ahead, names| ahead.made(layer, names));
    }

    fn sealed(&self, id: LayerId, layer: &Descriptor, targets: &[&str]) {
        self.each(targets, |ahead, names| ahead.sealed(id, layer, names));
    }
}

/// How layers leave before the images are known that they are of.
pub(super) struct EarlyLayers {
    layers: LayerOptions,
    /// Who sends them; nobody, they are only compressed.
    client: Option<Client>,
    /// Which targets' layers they are, or those of the only one, and which names these have.
    names: BTreeMap<Option<String>, Vec<Reference>>,
}

impl EarlyLayers {
    /// What can be done for the outputs whose layers leave as they were made, once for those that leave in the same
    /// way. If they go to registries, the repositories are there then.
    pub(super) fn of(args: &BuildArgs, session: &Session) -> Result<Vec<Self>, Failure> {
        let mut ways: Vec<Self> = Vec::new();
        for ((layers, transport), names) in pushed(args)? {
            let all = names.values().flatten().cloned().collect::<Vec<_>>();
            create_repositories(&all, args.result.shape.repositories.create_repo, session)?;
            let client = match transport {
                Transport::Configured => session.registry()?,
                Transport::Plain => session.registry_over_http(&all)?,
            };
            ways.push(Self { layers, client: Some(client), names });
        }
        for asked in outputs(&args.result) {
            let layers = leaving(&asked, &args.result);
            let layers = layers.filter(|layers| layers.codec() != Codec::None);
            let Some(layers) = layers else { continue };
            let targets =
                targets(args).into_iter().filter(|target| is_of(&asked, target.as_deref()));
            // Those that are sent so, too, are compressed once.
            let is_sent = |target: &Option<String>| {
                ways.iter().any(|way| way.layers == layers && way.names.contains_key(target))
            };
            let left: BTreeMap<_, _> =
                targets.filter(|target| !is_sent(target)).map(|one| (one, Vec::new())).collect();
            if !left.is_empty() {
                ways.push(Self { layers, client: None, names: left });
            }
        }
        Ok(ways)
    }

    /// The names under which layers leave that are of images of these targets; `None` where none does.
    fn names_of(&self, targets: &[&str]) -> Option<Vec<Reference>> {
        let any = self.names.get(&None).into_iter();
        let own = targets.iter().filter_map(|target| self.names.get(&Some((*target).to_owned())));
        let mut found = any.chain(own).peekable();
        found.peek()?;
        Some(found.flatten().cloned().collect())
    }
}

/// The targets that are asked for, in lower case; `None` is the only one, of which nobody has said what it is called.
fn targets(args: &BuildArgs) -> Vec<Option<String>> {
    let named = args.input.targets();
    if named.is_empty() {
        return vec![None];
    }
    named.iter().map(|name| Some(name.to_lowercase())).collect()
}

/// Pushes whose layers can leave as they are made, taken together where they leave in the same way: what they are of,
/// and under which names.
type Pushed = Vec<((LayerOptions, Transport), BTreeMap<Option<String>, Vec<Reference>>)>;

fn pushed(args: &BuildArgs) -> Result<Pushed, Failure> {
    let (result, mut pushed) = (&args.result, Pushed::new());
    for asked in outputs(result) {
        let (Some(image), Some(layers)) = (pushed_image(&asked), leaving(&asked, result)) else {
            continue;
        };
        for target in targets(args).into_iter().filter(|target| is_of(&asked, target.as_deref())) {
            let names = names(result, image, target.as_deref())?.unwrap_or_default();
            if names.is_empty() {
                continue;
            }
            let way = (layers, image.transport);
            let at = pushed.iter().position(|(known, _)| *known == way).unwrap_or_else(|| {
                pushed.push((way, BTreeMap::new()));
                pushed.len() - 1
            });
            pushed[at].1.entry(target).or_default().extend(names);
        }
    }
    Ok(pushed)
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
