//! A store, registries, and what works between them.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use wythe_builder::build::build;
use wythe_builder::builder::Builder;
use wythe_builder::built::BuiltTarget;
use wythe_builder::environment::Environment;
use wythe_builder::progress::{AsEvents, Progress};
use wythe_delivery::content::OutgoingContent;
use wythe_delivery::image::OutgoingImage;
use wythe_delivery::options::LayerOptions;
use wythe_delivery::push::{Naming, Push};
use wythe_registry::client::Client;
use wythe_registry::delivered::Delivered;
use wythe_registry::settings::Settings;
use wythe_sandbox::Cancel;
use wythe_store::digest::Digest;
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::image::catalog::{find_root, read_any_image, ref_name};
use wythe_store::image::rootfs::rootfs;
use wythe_store::image::whole::Whole;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::interruptible::Interruptible;
use wythe_store::oci::platform::{Platform, host_architecture};
use wythe_store::oci::reference::Reference;
use wythe_store::oci::transfer::Watched;
use wythe_store::store::{OpenOptions, Store};
use wythe_store::timestamp::Timestamp;
use wythe_store::tree::entry::Node;
use wythe_store::tree::resolve::{Follow, resolve};

use crate::error::WytheError;
use crate::image::Image;
use crate::request::BuildRequest;

/// A place where images are built, fetched, sent and looked into. Clones share the store, the threads and the lease that keeps what
/// has no name; each can have another switch, another watcher and other registries.
///
/// Everything waits until it is done: an asynchronous program calls it where it may block.
///
/// # Examples
///
/// ```
/// use wythe_api::{BuildRequest, Wythe};
///
/// # let directory = tempfile::tempdir()?;
/// # let store = directory.path();
/// let wythe = Wythe::open(store)?;
/// let context = tempfile::tempdir()?;
/// std::fs::write(context.path().join("Dockerfile"), "FROM scratch\nCOPY greeting /etc/\n")?;
/// std::fs::write(context.path().join("greeting"), "hello")?;
/// let image = wythe.build(&BuildRequest::read(context.path())?)?;
/// assert_eq!(wythe.read(&image, "/etc/greeting")?, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Wythe {
    builder: Arc<Builder>,
    registries: Client,
    cancel: Cancel,
    progress: Arc<dyn Progress + Send + Sync>,
    now: Timestamp,
}

impl Wythe {
    /// In the store of a directory, which is made where there is none. Any number of programs may be at one store.
    ///
    /// # Errors
    ///
    /// If the directory is no store or cannot be written, or the process has no descriptors or threads left.
    pub fn open(store: &Path) -> Result<Self, WytheError> {
        let (store, now) =
            (Store::open(store, &OpenOptions::default())?, Timestamp::from_seconds(0));
        let builder = Builder::open(&store, now)?;
        let cancel = builder.cancel().clone();
        let registries = Client::new(Settings::default());
        Ok(Self { builder: Arc::new(builder), registries, cancel, progress: Arc::new(()), now })
    }

    /// The same, with other ways to registries: credentials, mirrors, certificates, proxies.
    #[must_use]
    pub fn with_registries(self, settings: Settings) -> Self {
        Self { registries: Client::new(settings), ..self }
    }

    /// The same, in which what is new has this time. Without it that is 1970, and the same build gives the same image always.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        Self { now, ..self }
    }

    /// The same, whose work ends when a switch is thrown: steps are killed, and layers on their way are not. A switch
    /// stays on, and so each piece of work that is to be cancelled apart from others has one of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use wythe_api::{BuildRequest, Cancel, Wythe};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let wythe = Wythe::open(directory.path())?;
    /// let (request, cancel) = (BuildRequest::of_text("FROM scratch\nLABEL a=b\n"), Cancel::new()?);
    /// cancel.cancel();
    /// assert!(wythe.stopped_by(&cancel).build(&request).is_err());
    /// assert!(wythe.build(&request).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stopped_by(&self, cancel: &Cancel) -> Self {
        Self { cancel: cancel.clone(), ..self.clone() }
    }

    /// The same, of whose work somebody is told: steps, what they print, and blobs on their way, from several threads.
    #[must_use]
    pub fn watched_by(&self, progress: Arc<dyn Progress + Send + Sync>) -> Self {
        Self { progress, ..self.clone() }
    }

    /// What builds here, for who wants to decide more than a [`BuildRequest`] says.
    pub fn builder(&self) -> &Builder {
        &self.builder
    }

    /// Builds an image; of several targets, the first.
    ///
    /// # Errors
    ///
    /// If the build fails or is cancelled, or the store cannot be written.
    pub fn build(&self, request: &BuildRequest) -> Result<Image, WytheError> {
        let images = self.build_each(request)?;
        images.into_iter().next().ok_or(WytheError::Cancelled)
    }

    /// Builds an image for each target that is asked for, all of which get the names.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn build_each(&self, request: &BuildRequest) -> Result<Vec<Image>, WytheError> {
        // What is known already would be found without anything that could be stopped.
        self.unless_cancelled(self.check()())?;
        let environment = Environment {
            cancel: &self.cancel,
            clock: &self.now,
            ..self.builder.environment(&self.registries, &*self.progress)
        };
        let built = self.unless_cancelled(build(&request.input, &request.options, environment))?;
        built.targets.iter().map(|target| self.kept(target, &request.names)).collect()
    }

    fn kept(&self, target: &BuiltTarget, names: &[Reference]) -> Result<Image, WytheError> {
        target.keep(self.builder.lease(), names)?;
        let (root, origins) = (target.root.clone(), target.origins());
        Ok(Image { root, origins, name: target.name.clone() })
    }

    /// The image that the store has under a name.
    ///
    /// # Errors
    ///
    /// If that is no name of an image, or the store cannot be read.
    pub fn find(&self, name: &str) -> Result<Option<Image>, WytheError> {
        let reference: Reference = name.parse()?;
        let root = find_root(self.builder.lease().store(), &reference)?;
        root.map(|root| self.known(root, &reference)).transpose()
    }

    /// The image that a registry has under a name now, which the store then has as well. Its layers come when they are
    /// needed.
    ///
    /// # Errors
    ///
    /// If the registry does not hand it over, or the store cannot be written.
    pub fn pull(&self, name: &str) -> Result<Image, WytheError> {
        let (reference, lease): (Reference, _) = (name.parse()?, self.builder.lease());
        let whole = Whole { lease, source: &self.registries, reference: &reference };
        let root = whole.root()?;
        whole.documents(&root)?;
        let mut batch = Batch::default();
        batch.set_ref(&ref_name(&reference), &root);
        lease.commit(batch, Durability::Durable)?;
        self.known(root, &reference)
    }

    /// An image whose documents are here, with where its layers are.
    fn known(&self, root: Descriptor, reference: &Reference) -> Result<Image, WytheError> {
        let lease = self.builder.lease();
        let whole = Whole { lease, source: &self.registries, reference };
        let parts = whole.documents(&root)?;
        let origin = |blob| BlobOrigin::of_store(lease.store(), blob, reference.clone());
        let origins = parts.blobs.into_iter().map(|part| origin(part.blob));
        let origins = origins.collect::<Result<_, _>>()?;
        Ok(Image { root, origins, name: reference.canonical() })
    }

    /// Sends an image to the registry of a name, and says by which digest it is known there. What is there already is not
    /// sent.
    ///
    /// # Errors
    ///
    /// If the registry refuses something, a layer is not to be had, or this is cancelled.
    pub fn push(&self, image: &Image, to: &str) -> Result<Digest, WytheError> {
        let (to, progress) = ([to.parse::<Reference>()?], AsEvents(&*self.progress));
        let images = Watched { images: &self.registries, transfers: &progress };
        let check = self.check();
        let content = OutgoingContent::new(self.builder.lease(), &images, &image.origins);
        let content = &content.until(&check);
        let delivered = &Delivered::default();
        let (registry, transfers) = (&self.registries, &progress);
        let push = Push { registry, content, transfers, delivered };
        let pool = self.builder.pool();
        let sent = push.run(&to, Naming::ByName, |ready| {
            OutgoingImage::encode_each(content, &image.root, LayerOptions::default(), (pool, ready))
        });
        Ok(self.unless_cancelled(sent)?.root.digest)
    }

    /// Writes an image as an archive that `docker load` and tools of OCI read.
    ///
    /// # Errors
    ///
    /// If a layer is not to be had, `out` fails, or this is cancelled.
    pub fn save(&self, image: &Image, out: &mut dyn Write) -> Result<(), WytheError> {
        let check = self.check();
        let images = Interruptible { images: &self.registries, check: &check };
        let content = OutgoingContent::new(self.builder.lease(), &images, &image.origins);
        content.complete()?;
        let (layers, pool) = (LayerOptions::default(), self.builder.pool());
        let leaving = OutgoingImage::encode(&content, &image.root, layers, pool)?;
        leaving.write_docker(&Platform::linux(host_architecture()), out)?;
        Ok(())
    }

    /// The bytes of a file of an image, as a container would see it: links are followed, and never out of the image. Of
    /// an index it is the image for this machine, or the first.
    ///
    /// # Errors
    ///
    /// If there is no such file, it is none, a layer is not to be had, or this is cancelled.
    pub fn read(&self, image: &Image, path: &str) -> Result<Vec<u8>, WytheError> {
        let (lease, check) = (self.builder.lease(), self.check());
        let machine = Platform::linux(host_architecture());
        let stored = read_any_image(lease.store(), &image.root, &machine)?;
        let of_it = |origin: &&BlobOrigin| {
            stored
                .manifest
                .value()
                .layers
                .iter()
                .any(|layer| layer.digest == origin.descriptor.digest)
        };
        let origins: Vec<BlobOrigin> = image.origins.iter().filter(of_it).cloned().collect();
        let images = Interruptible { images: &self.registries, check: &check };
        OutgoingContent::new(lease, &images, &origins).complete()?;
        let root = rootfs(lease, &stored)?;
        let found = resolve(&root.children, path.as_bytes(), Follow::Last)?;
        let path = || path.to_owned();
        let Some(entry) = found.entry else {
            return Err(WytheError::NoSuchFile { path: path() });
        };
        let Node::File(file) = &entry.node else {
            return Err(WytheError::NotAFile { path: path() });
        };
        let body = lease.store().body(&file.body)?;
        let body = body.ok_or_else(|| WytheError::NoSuchFile { path: path() })?;
        Ok(body.load()?.to_vec())
    }

    /// What came of something; of what fails once the switch is on, that is why.
    fn unless_cancelled<T, E>(&self, outcome: Result<T, E>) -> Result<T, WytheError>
    where
        WytheError: From<E>,
    {
        match outcome {
            Err(_) if self.cancel.is_cancelled() => Err(WytheError::Cancelled),
            outcome => Ok(outcome?),
        }
    }

    fn check(&self) -> impl Fn() -> io::Result<()> + Sync + '_ {
        || if self.cancel.is_cancelled() { Err(io::Error::other("cancelled")) } else { Ok(()) }
    }
}

impl fmt::Debug for Wythe {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Wythe").field("builder", &self.builder).finish_non_exhaustive()
    }
}
