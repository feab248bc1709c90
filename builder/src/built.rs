//! What a build comes to, as values.

use std::time::Duration;

use wythe_store::error::WriteError;
use wythe_store::id::{CacheKey, LayerId};
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::image::catalog::ref_name;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::portable_document::PortableDocument;
use wythe_store::record_origin::RecordOrigin;
use wythe_store::timestamp::Timestamp;

use crate::egress::Contact;
use crate::origin::Material;

/// An image that was built. Its layers and documents are in the store.
#[derive(Clone, Debug)]
pub struct Image {
    /// The manifest, whose new layers are listed uncompressed.
    pub manifest: Descriptor,
    /// The configuration.
    pub config: Descriptor,
    /// What it is for.
    pub platform: Platform,
    /// How many of its layers come from the base image.
    pub base_layers: usize,
    /// Where those are to be had: the store lacks the ones that no step has needed.
    pub origins: Vec<BlobOrigin>,
    /// `SOURCE_DATE_EPOCH`, where it was given.
    pub epoch: Option<i64>,
}

/// What a build came to.
#[derive(Clone, Debug)]
pub struct Built {
    /// The targets, in the order in which they were asked for; one where none was named.
    pub targets: Vec<BuiltTarget>,
    /// What its steps came to, for caches that other machines share.
    pub steps: Vec<BuiltStep>,
    /// The cache mounts of its steps, each once for every platform.
    pub mounts: Vec<BuiltMount>,
    /// What registries said of its base images, but for what tags stand for, for those caches: nobody has to ask for
    /// these documents again. None where nobody [wants results](StepResults::is_wanted).
    pub documents: Vec<PortableDocument>,
}

/// A cache mount of a step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BuiltMount {
    /// The id that the Dockerfile has.
    pub id: String,
    /// What tells it from others on every machine.
    pub identity: String,
    /// What the step runs on.
    pub platform: String,
    /// Whether a step with it ran in this build, so that it may hold something else than before.
    pub was_used: bool,
}

/// What a step of a build came to.
#[derive(Clone, Debug)]
pub struct BuiltStep {
    /// What it is found by on every machine.
    pub key: CacheKey,
    /// Its name, for instance `[build 2/3] RUN make`.
    pub name: String,
    /// The layer that it made, in the store.
    pub layer: LayerId,
    /// When it ran.
    pub created: Timestamp,
    /// How long it took when it ran; zero where that is not known.
    pub duration: Duration,
    /// Under which key the latest result of its place is kept, for others to explain why they ran it.
    pub place: CacheKey,
    /// What went into its key, as names and values, and which listings of files the store has of that.
    pub inputs: Vec<(String, String)>,
    /// Whether its layer is one of an image.
    pub in_image: bool,
    /// Which build has made it.
    pub maker: Maker,
}

/// Which build a result is of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Maker {
    /// This one.
    Here,
    /// An earlier one, or one beside it: where and from what, if it was another machine's that says so.
    Other(Option<RecordOrigin>),
}

/// Who wants results before the build ends, such as caches that are written while later steps run. Told from
/// several threads at once; must be quick.
pub trait StepResults: Sync {
    /// A step has come to something, and its files are in the store. A step may be told of more than once.
    fn sealed(&self, step: &BuiltStep);

    /// Whether anybody listens. For a result that is told the store is asked what the step was made from.
    fn is_wanted(&self) -> bool {
        true
    }
}

/// Nobody.
impl StepResults for () {
    fn sealed(&self, _: &BuiltStep) {}

    fn is_wanted(&self) -> bool {
        false
    }
}

/// What a target came to.
#[derive(Clone, Debug)]
pub struct BuiltTarget {
    /// The name of the stage in lower case, or `default` where it has none.
    pub name: String,
    /// What a name of it stands for: a manifest, or an index where there are several platforms.
    pub root: Descriptor,
    /// The images, in the order in which their platforms were asked for.
    pub images: Vec<Image>,
    /// The base images of all stages it needs, each once.
    pub materials: Vec<Material>,
    /// Where its steps went whose network is a list of hosts.
    pub egress: Vec<StepEgress>,
}

/// Where a step went whose network is a list of hosts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StepEgress {
    /// Its name, for instance `[build 2/3] RUN make`.
    pub name: String,
    /// What it asked for, sorted; `None` where that is not known, as of a result that another machine
    /// made.
    pub contacts: Option<Vec<Contact>>,
}

impl BuiltTarget {
    /// Where layers of its bases are to be had.
    pub fn origins(&self) -> Vec<BlobOrigin> {
        self.images.iter().flat_map(|image| image.origins.clone()).collect()
    }

    /// Keeps it in the store under names, which until now meant something else or nothing.
    ///
    /// When this returns it is there for good: no later crash takes it away, unless the store was
    /// opened without durability. What has no name stays for as long as `lease` lives.
    ///
    /// # Errors
    ///
    /// Where the store cannot be written.
    pub fn keep(&self, lease: &Lease, names: &[Reference]) -> Result<(), WriteError> {
        let mut batch = Batch::new();
        for name in names {
            batch.set_ref(&ref_name(name), &self.root);
        }
        lease.commit(batch, Durability::Durable).map(drop)
    }
}
