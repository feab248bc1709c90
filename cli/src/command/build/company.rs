//! Builds that run beside each other in one process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rayon::ThreadPool;
use wythe_builder::fetch::context::FetchedContext;
use wythe_builder::options::NamedContext;
use wythe_builder::shared_steps::SharedSteps;
use wythe_registry::delivered::Delivered;
use wythe_sandbox::Cancel;
use wythe_store::lease::Lease;

use super::dockerfile::Dockerfile;
use crate::render::together::Together;

/// What a build shares with those beside it, and what it is among them.
pub(crate) struct Company<'a> {
    /// What they write under.
    pub(crate) lease: Arc<Lease>,
    /// Their threads.
    pub(crate) pool: Arc<ThreadPool>,
    /// The switch that stops them all.
    pub(crate) cancel: Cancel,
    /// Their steps, each of which runs once.
    pub(crate) steps: &'a SharedSteps,
    /// What registries have of all of them: a blob of several images is sent once.
    pub(crate) delivered: Arc<Delivered>,
    /// Who is told of all of them.
    pub(crate) together: &'a Together<'a>,
    /// What this one is called.
    pub(crate) name: &'a str,
    /// The contexts that others of them made.
    pub(crate) contexts: BTreeMap<String, NamedContext>,
    /// Its own context, where somebody has fetched that already.
    pub(crate) context: Option<FetchedContext>,
    /// The Dockerfile, where it is not where the context is.
    pub(crate) dockerfile: Option<Dockerfile>,
    /// The agent that git asks for keys, if it is another than that of the environment.
    pub(crate) git_agent: Option<&'a Path>,
}
