//! The directories a build copies from: each scanned once, only as far as some step refers to it.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use wythe_store::id::ContentId;
use wythe_store::lease::Holdings;
use wythe_store::object::Kind;
use wythe_store::tree::entry::{Directory, Entry, Node, Tree};

use crate::context::recall::Recall;
use crate::context::{Context, ignore_rules};
use crate::copy::CopySpec;
use crate::copy::error::{CopyCause, CopyError};
use crate::copy::route::Route;
use crate::copy::select::{Selection, select};
use crate::environment::Environment;
use crate::error::BuildCause;
use crate::graph::{Graph, Vertex};
use crate::operation::copy::{CopySource, CopyStep};
use crate::operation::run::MountKind;
use crate::operation::{Base, FileSource, Operation};
use crate::options::{NamedContext, Options};
use crate::remote::gather::Remotes;
use crate::remote::repository::Repository;

/// Where the main context lies, and the Dockerfile whose ignore file goes with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct MainContext {
    pub(crate) directory: Option<PathBuf>,
    pub(crate) dockerfile: Option<PathBuf>,
    /// Its files, where it is no directory.
    pub(crate) files: Option<Tree>,
}

/// What a named context that is one file calls it.
const FETCHED_FILE: &str = "context";

/// What was scanned.
#[derive(Debug)]
pub(crate) struct Sources {
    scanned: BTreeMap<FileSource, Scanned>,
    /// Files of contexts that lie elsewhere.
    fetched: BTreeMap<FileSource, Tree>,
    pub(crate) remotes: Remotes,
}

/// A directory as far as it was scanned.
#[derive(Debug)]
struct Scanned {
    context: Context,
    routes: Vec<Route>,
    tree: Tree,
    /// The tree once its bytes were seen to be in the store.
    held: OnceLock<Tree>,
}

impl Sources {
    /// What was fetched, and no directory yet.
    pub(crate) fn over(remotes: Remotes) -> Self {
        Self { scanned: BTreeMap::new(), fetched: BTreeMap::new(), remotes }
    }

    /// Scans every directory that a step of the graph refers to.
    pub(crate) fn scan(
        mut self,
        env: Environment<'_>,
        options: &Options,
        main: &MainContext,
        graph: &Graph,
    ) -> Result<Self, BuildCause> {
        let mut routes: BTreeMap<FileSource, Vec<Route>> = BTreeMap::new();
        for vertex in &graph.vertices {
            for (source, wanted) in references(vertex)? {
                if is_directory(&source) {
                    routes.entry(source).or_default().extend(wanted);
                }
            }
        }
        for (source, routes) in routes {
            let given = main.files.clone().filter(|_| source == FileSource::Context);
            let named = || self.fetched_tree(env, options, &source);
            if let Some(tree) = given.map_or_else(named, |tree| Ok(Some(tree)))? {
                self.fetched.insert(source, tree);
                continue;
            }
            let Some((directory, dockerfile)) = directory_of(&source, options, main) else {
                continue;
            };
            let scanned = scan_one(env, &directory, dockerfile.as_deref(), routes)?;
            self.scanned.insert(source, scanned);
        }
        Ok(self)
    }

    /// The files of a named context that is behind an address.
    fn fetched_tree(
        &self,
        env: Environment<'_>,
        options: &Options,
        source: &FileSource,
    ) -> Result<Option<Tree>, BuildCause> {
        let FileSource::Directory(name) = source else { return Ok(None) };
        let files = match options.contexts.get(name) {
            Some(NamedContext::Url(url)) => {
                let file = self.remotes.file(url).map(|file| file.named(FETCHED_FILE));
                Arc::new(Directory::from_entries(file.into_iter().collect()))
            }
            Some(NamedContext::Git(address)) => {
                let repository = Repository::of_context(options, address)?;
                match self.remotes.revision(&repository) {
                    Some(revision) => revision.files(env, options, env.clock.now())?,
                    None => Arc::default(),
                }
            }
            _ => return Ok(None),
        };
        Ok(Some(Tree { root: None, children: files }))
    }

    /// The files of a directory that was scanned; nothing where there is no such directory.
    pub(crate) fn tree(&self, source: &FileSource) -> Tree {
        let scanned = self.scanned.get(source).map(|one| &one.tree);
        scanned.or_else(|| self.fetched.get(source)).cloned().unwrap_or_default()
    }

    /// As [`tree`](Self::tree), with all bytes in the store: the stat cache may speak of files whose
    /// bytes a collection took, and only a step that needs them has to find out.
    pub(crate) fn held_tree(
        &self,
        env: Environment<'_>,
        source: &FileSource,
    ) -> Result<Tree, BuildCause> {
        let Some(one) = self.scanned.get(source) else { return Ok(self.tree(source)) };
        if let Some(held) = one.held.get() {
            return Ok(held.clone());
        }
        let holdings = env.lease.holdings()?;
        let held = if holds(&holdings, one.tree.children.entries()) {
            one.tree.clone()
        } else {
            env.pool.install(|| one.context.scan(&one.routes, env.lease))?.tree
        };
        Ok(one.held.get_or_init(|| held).clone())
    }

    /// What the paths of a copy mean in its directory.
    pub(crate) fn select(&self, step: &CopyStep, spec: &CopySpec) -> Result<Selection, CopyError> {
        let tree = self.tree(&step.from);
        select(&tree, spec).map_err(|error| self.explained(&step.from, error))
    }

    /// What is selected of a directory by one path, as a mount sees it.
    pub(crate) fn mounted(&self, source: &FileSource, path: &str) -> Result<ContentId, CopyError> {
        let spec = CopySpec { sources: vec![path.to_owned()], ..CopySpec::default() };
        let selection = select(&self.tree(source), &spec);
        let selection = selection.map_err(|error| self.explained(source, error))?;
        Ok(selection.content_id())
    }

    /// The error with what the directory itself can add: near names, or the line that hides it.
    pub(crate) fn explained(&self, source: &FileSource, error: CopyError) -> CopyError {
        let CopyCause::Missing(missing) = &error.cause else { return error };
        let Some(one) = self.scanned.get(source) else { return error };
        let missing = one.context.explain((**missing).clone());
        CopyError { cause: CopyCause::Missing(Box::new(missing)), ..error }
    }
}

fn scan_one(
    env: Environment<'_>,
    directory: &Path,
    dockerfile: Option<&Path>,
    routes: Vec<Route>,
) -> Result<Scanned, BuildCause> {
    let rules = ignore_rules(directory, dockerfile)?;
    let context = Context::open(directory, rules)?;
    let name = directory.as_os_str().as_bytes();
    let recall = Recall::new(env.lease, name, env.clock.now());
    let tree = env.pool.install(|| context.scan(&routes, &recall))?.tree;
    recall.save()?;
    Ok(Scanned { context, routes, tree, held: OnceLock::new() })
}

/// Whether the store holds the bytes of every file.
fn holds(holdings: &Holdings, entries: &[Entry]) -> bool {
    entries.iter().all(|entry| match &entry.node {
        Node::File(file) => holdings.contain(Kind::Body, file.body.as_bytes()),
        Node::Directory(directory) => holds(holdings, directory.children.entries()),
        Node::BlockDevice(_)
        | Node::CharDevice(_)
        | Node::Fifo
        | Node::Symlink(_)
        | Node::Whiteout => true,
    })
}

fn is_directory(source: &FileSource) -> bool {
    matches!(source, FileSource::Context | FileSource::Directory(_))
}

fn directory_of(
    source: &FileSource,
    options: &Options,
    main: &MainContext,
) -> Option<(PathBuf, Option<PathBuf>)> {
    match source {
        FileSource::Context => Some((main.directory.clone()?, main.dockerfile.clone())),
        FileSource::Directory(name) => match options.contexts.get(name) {
            Some(NamedContext::Directory(path)) => Some((path.clone(), None)),
            _ => None,
        },
        FileSource::Input(_) | FileSource::Nothing => None,
    }
}

/// Which parts of which sources a vertex refers to.
pub(crate) fn references(vertex: &Vertex) -> Result<Vec<(FileSource, Vec<Route>)>, BuildCause> {
    match &vertex.operation {
        Operation::Base(Base::Directory { context }) => {
            Ok(vec![(FileSource::Directory(context.clone()), everything())])
        }
        Operation::Copy(step) if step.sources.iter().any(is_path) => {
            Ok(vec![(step.from.clone(), paths_of(step).routes()?)])
        }
        Operation::Run(step) => {
            let mut found = Vec::new();
            for mount in &step.mounts {
                if let MountKind::Bind { from, path, .. } = &mount.kind {
                    let spec = CopySpec { sources: vec![path.clone()], ..CopySpec::default() };
                    found.push((from.clone(), spec.routes()?));
                }
                if let MountKind::Cache(cache) = &mount.kind {
                    found.push((cache.from.clone(), everything()));
                }
            }
            Ok(found)
        }
        Operation::Base(_) | Operation::Copy(_) | Operation::Workdir(_) => Ok(Vec::new()),
    }
}

fn everything() -> Vec<Route> {
    let spec = CopySpec { sources: vec!["/".to_owned()], ..CopySpec::default() };
    spec.routes().unwrap_or_default()
}

fn is_path(source: &CopySource) -> bool {
    matches!(source, CopySource::Path(_))
}

/// The part of a copy that decides what is selected.
pub(crate) fn paths_of(step: &CopyStep) -> CopySpec {
    let path = |source: &CopySource| match source {
        CopySource::Path(path) => Some(path.clone()),
        CopySource::Heredoc { .. } | CopySource::Url(_) | CopySource::Git(_) => None,
    };
    CopySpec {
        sources: step.sources.iter().filter_map(path).collect(),
        layout: step.layout,
        exclude: step.excludes.clone(),
        ..CopySpec::default()
    }
}
