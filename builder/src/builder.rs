//! Everything a program needs to build with, made with ordinary settings.

use std::io;

use rayon::ThreadPool;
use wythe_sandbox::{Cancel, Emulators, enter};
use wythe_store::error::WriteError;
use wythe_store::lease::Lease;
use wythe_store::live::owner::reserve;
use wythe_store::oci::source::ImageSource;
use wythe_store::store::Store;
use wythe_store::timestamp::Timestamp;

use crate::build::build;
use crate::built::Built;
use crate::caches::Caches;
use crate::environment::{Environment, Snapshotter};
use crate::error::BuildError;
use crate::input::Input;
use crate::options::Options;
use crate::progress::Progress;
use crate::remote::NoRemote;

/// A lease on a store, threads, and a switch to stop: what all builds of a program share.
#[derive(Debug)]
pub struct Builder {
    store: Store,
    lease: Lease,
    pool: ThreadPool,
    cancel: Cancel,
    caches: Caches,
    idmap: Vec<u8>,
    /// The text of `resolv.conf` for steps; empty until it is set.
    pub resolv_conf: Vec<u8>,
    /// Where steps get their files from.
    pub snapshotter: Option<Snapshotter>,
    /// What runs programs of other architectures; nothing until it is set.
    pub emulators: Emulators,
    /// The time that new things get.
    pub now: Timestamp,
}

/// The stack of a thread that walks directories. A walk goes as deep as directories may nest, and a
/// thread that waits for one half of a walk takes up another on the same stack. Only what is used of
/// it takes memory.
const STACK: usize = 64 << 20;

/// Threads for walking, hashing and compressing.
///
/// # Errors
///
/// Where the process runs out of threads.
pub fn pool(threads: usize) -> Result<ThreadPool, rayon::ThreadPoolBuildError> {
    rayon::ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK).build()
}

/// A builder that cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuilderError {
    /// The process has no descriptors or threads left.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The store gives no lease.
    #[error(transparent)]
    Lease(#[from] WriteError),
    /// No threads for hashing and compressing.
    #[error(transparent)]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

impl Builder {
    /// Sets up a builder in `store`. Call [`init`](crate::init) before, first thing in `main`.
    ///
    /// # Errors
    ///
    /// Where the process runs out of descriptors or threads, or the store cannot be written.
    pub fn open(store: &Store, now: Timestamp) -> Result<Self, BuilderError> {
        let threads = std::thread::available_parallelism()?.get();
        enter::reserved().into_iter().for_each(reserve);
        let ids = enter::entry().map(|entry| entry.ids.description());
        Ok(Self {
            store: store.clone(),
            lease: store.lease()?,
            pool: pool(threads)?,
            cancel: Cancel::new()?,
            caches: Caches::default(),
            idmap: ids.unwrap_or_default().into_bytes(),
            resolv_conf: Vec::new(),
            snapshotter: None,
            emulators: Emulators::default(),
            now,
        })
    }

    /// The switch that stops what runs here.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// The threads with which this builder reads, hashes and compresses.
    pub fn pool(&self) -> &ThreadPool {
        &self.pool
    }

    /// The lease under which this builder writes.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// The environment of builds here, with base images from `images` and nothing else from outside;
    /// set [`Environment::remote`] and [`Environment::git`] for builds that add files from the network.
    pub fn environment<'w>(
        &'w self,
        images: &'w dyn ImageSource,
        progress: &'w dyn Progress,
    ) -> Environment<'w> {
        Environment {
            store: &self.store,
            lease: &self.lease,
            images,
            caches: &self.caches,
            results: &(),
            remote: &NoRemote,
            git: None,
            emulators: &self.emulators,
            progress,
            layers: &(),
            shared: None,
            inspector: None,
            cancel: &self.cancel,
            clock: &self.now,
            pool: &self.pool,
            idmap: &self.idmap,
            resolv_conf: &self.resolv_conf,
            snapshotter: self.snapshotter,
        }
    }

    /// Builds without anybody watching.
    ///
    /// # Errors
    ///
    /// As [`build`].
    pub fn build(
        &self,
        input: &Input,
        options: &Options,
        images: &dyn ImageSource,
    ) -> Result<Built, BuildError> {
        build(input, options, self.environment(images, &()))
    }
}
