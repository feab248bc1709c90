//! What every build of this process works with, made once.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use rayon::ThreadPool;
use wythe_builder::caches::Caches;
use wythe_builder::environment::{Environment, Snapshotter};
use wythe_builder::progress::Progress;
use wythe_builder::remote::program::GitProgram;
use wythe_sandbox::{Cancel, Emulators};
use wythe_store::lease::Lease;

use crate::failure::Failure;
use crate::host;
use crate::session::Session;
use crate::web::Web;

/// The variable that programs find an agent for keys by.
const AGENT: &str = "SSH_AUTH_SOCK";

/// A client, threads, a switch, and what this machine says of itself.
pub(crate) struct BuildResources {
    web: Web,
    git: Option<GitProgram>,
    emulators: Emulators,
    cancel: Cancel,
    /// The caches of other machines; none until it is set.
    pub(super) caches: Caches,
    pool: Arc<ThreadPool>,
    id_map: String,
    resolv_conf: Vec<u8>,
    /// Where steps get their files from, where that is said.
    pub(super) snapshotter: Option<Snapshotter>,
}

impl BuildResources {
    /// For a build that runs so many steps at once.
    pub(crate) fn new(
        session: &Session,
        cancel: Cancel,
        jobs: Option<NonZeroUsize>,
    ) -> Result<Self, Failure> {
        Self::among(session, cancel, Arc::new(host::threads_for(jobs)?))
    }

    /// As [`Self::new`], with threads that others use as well.
    pub(crate) fn among(
        session: &Session,
        cancel: Cancel,
        pool: Arc<ThreadPool>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            web: Web(session.registry()?),
            git: host::git(&session.settings),
            emulators: host::emulators(&session.settings),
            cancel,
            caches: Caches::default(),
            pool,
            id_map: host::id_map(),
            resolv_conf: host::resolv_conf(),
            snapshotter: None,
        })
    }

    /// Has git ask an agent for keys that is another than that of the environment.
    pub(crate) fn ask_agent(&mut self, socket: &Path) {
        if let Some(git) = &mut self.git {
            git.variables.retain(|(name, _)| name != AGENT);
            git.variables.push((AGENT.into(), socket.into()));
        }
    }

    /// The switch that stops what is built here.
    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Where files are read, hashed and compressed.
    pub(super) fn pool(&self) -> &Arc<ThreadPool> {
        &self.pool
    }

    pub(crate) fn environment<'a>(
        &'a self,
        lease: &'a Lease,
        progress: &'a dyn Progress,
    ) -> Environment<'a> {
        Environment {
            store: lease.store(),
            lease,
            images: &self.web.0,
            caches: &self.caches,
            results: &(),
            remote: &self.web,
            git: self.git.as_ref(),
            emulators: &self.emulators,
            progress,
            layers: &(),
            shared: None,
            inspector: None,
            cancel: &self.cancel,
            clock: &host::SystemClock,
            pool: &self.pool,
            idmap: self.id_map.as_bytes(),
            resolv_conf: &self.resolv_conf,
            snapshotter: self.snapshotter,
        }
    }
}
