//! The directories a build copies from: each looked at once, only as far as some step refers to it.

mod directory;
mod foresight;

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;

use wythe_store::id::ContentId;
use wythe_store::tree::entry::{Directory, Tree};

use self::directory::SourceDirectory;
pub(crate) use self::foresight::FilesBelow;
use self::foresight::ForeseenCopy;
use crate::copy::CopySpec;
use crate::copy::error::{CopyCause, CopyError, Missing};
use crate::copy::select::select;
use crate::environment::Environment;
use crate::error::{BuildCause, MountError, VertexError};
use crate::fetch::gather::Remotes;
use crate::graph::{Graph, Vertex};
use crate::operation::FileSource;
use crate::options::{Misses, NamedContext, Options};
use crate::reference::{references, single};
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

/// What was looked at.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    directories: BTreeMap<FileSource, SourceDirectory>,
    /// Files of contexts that lie elsewhere.
    fetched: BTreeMap<FileSource, Tree>,
    pub(crate) remotes: Remotes,
}

/// What a closer look came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Look {
    /// Something was scanned, so that keys may be others now.
    Scanned,
    /// What was said stands.
    Stands,
}

impl Sources {
    /// Opens every directory that a step of the graph refers to and scans those that nothing is known of;
    /// asks meanwhile for all that is not on this machine.
    pub(crate) fn look(
        env: Environment<'_>,
        options: &Options,
        main: &MainContext,
        (graph, below): (&Graph, &dyn FilesBelow),
    ) -> Result<Self, VertexError> {
        let wanted = wanted(graph)?;
        let gather = || Remotes::gather(env, options, graph);
        let open = || open_all(env, options, main, (graph, &wanted, below));
        let (remotes, directories) = match options.misses {
            // Nothing is scanned or fetched then, and no thread is worth it.
            Misses::Refuse => (gather(), open()),
            Misses::Run => std::thread::scope(|scope| {
                let (remotes, directories) = (scope.spawn(gather), open());
                (remotes.join().unwrap_or_else(|panic| resume_unwind(panic)), directories)
            }),
        };
        // Where neither is to be had, what is remote is told of.
        let (remotes, directories) = (remotes?, directories?);
        let mut looked = Self { directories, fetched: BTreeMap::new(), remotes };
        for source in wanted.into_keys() {
            let given = main.files.clone().filter(|_| source == FileSource::Context);
            let named = || looked.fetched_tree(env, options, &source);
            if let Some(tree) = given.map_or_else(named, |tree| Ok(Some(tree)))? {
                looked.fetched.insert(source, tree);
            }
        }
        Ok(looked)
    }

    /// Scans what was not scanned of the directories that a vertex refers to, because it has to run; says
    /// whether there are any. What was said of their content before may no longer hold.
    pub(crate) fn scan_for(
        &mut self,
        env: Environment<'_>,
        vertex: &Vertex,
    ) -> Result<Look, BuildCause> {
        let mut look = Look::Stands;
        for (source, _) in references(vertex)? {
            if let Some(one) = self.directories.get_mut(&source).filter(|one| !one.is_scanned()) {
                one.scan(env)?;
                look = Look::Scanned;
            }
        }
        Ok(look)
    }

    /// Scans the directories that are not what they were taken to be; says whether there are any.
    pub(crate) fn scan_changed(&mut self, env: Environment<'_>) -> Result<Look, BuildCause> {
        let mut look = Look::Stands;
        for directory in self.directories.values_mut() {
            if !directory.confirm(env) {
                directory.scan(env)?;
                look = Look::Scanned;
            }
        }
        Ok(look)
    }

    /// Whether all directories are what they were taken to be, where nothing is to be run.
    pub(crate) fn confirm(&mut self, env: Environment<'_>) -> bool {
        self.directories.values_mut().all(|directory| directory.confirm(env))
    }

    /// Leaves to the next build what this one found.
    pub(crate) fn remember(&mut self, env: Environment<'_>) -> Result<(), BuildCause> {
        self.directories.values_mut().try_for_each(|directory| directory.remember(env))
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

    /// The files of a source that was scanned or fetched; nothing where there is no such directory.
    pub(crate) fn tree(&self, source: &FileSource) -> Tree {
        let scanned = self.directories.get(source).map(SourceDirectory::tree);
        scanned.or_else(|| self.fetched.get(source)).cloned().unwrap_or_default()
    }

    /// Paths of sockets among the files of a source that was scanned.
    pub(crate) fn sockets(&self, source: &FileSource) -> &[String] {
        self.directories.get(source).map_or(&[], |directory| &directory.sockets)
    }

    /// As [`tree`](Self::tree), with all bytes in the store: the stat cache may speak of files whose
    /// bytes a collection took, and only a step that needs them has to find out.
    pub(crate) fn held_tree(
        &self,
        env: Environment<'_>,
        source: &FileSource,
    ) -> Result<Tree, BuildCause> {
        match self.directories.get(source) {
            Some(directory) => directory.held_tree(env),
            None => Ok(self.tree(source)),
        }
    }

    /// What is selected of a directory, as keys know it.
    pub(crate) fn content(
        &self,
        env: Environment<'_>,
        source: &FileSource,
        spec: &CopySpec,
    ) -> Result<ContentId, CopyError> {
        let content = if let Some(directory) = self.directories.get(source) {
            directory.content(env, spec)
        } else {
            let tree = self.tree(source);
            env.pool.install(|| select(&tree, spec).map(|found| found.seen_id(spec.tops)))
        };
        content.map_err(|error| self.explained(source, error))
    }

    /// What is selected of a directory by one path, as a mount sees it.
    pub(crate) fn mounted(
        &self,
        env: Environment<'_>,
        source: &FileSource,
        path: &str,
    ) -> Result<ContentId, BuildCause> {
        match self.content(env, source, &single(path)) {
            Ok(content) => Ok(content),
            Err(CopyError { cause: CopyCause::Missing(missing), .. }) => {
                Err(MountError::Source(missing).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The error with what the directory itself can add: near names, or the line that hides it.
    pub(crate) fn explained(&self, source: &FileSource, error: CopyError) -> CopyError {
        let CopyCause::Missing(missing) = &error.cause else { return error };
        let Some(one) = self.directories.get(source) else { return error };
        let within = Some(match source {
            FileSource::Directory(name) => format!("the context {name}"),
            FileSource::Context | FileSource::Input(_) | FileSource::Nothing => {
                "the build context".to_owned()
            }
        });
        let missing = Missing { within, ..one.context.explain((**missing).clone()) };
        CopyError { cause: CopyCause::Missing(Box::new(missing)), ..error }
    }
}

/// The directories that steps refer to, and what they select of each.
fn wanted(graph: &Graph) -> Result<BTreeMap<FileSource, Vec<CopySpec>>, BuildCause> {
    let mut wanted: BTreeMap<FileSource, Vec<CopySpec>> = BTreeMap::new();
    for vertex in &graph.vertices {
        for (source, spec) in references(vertex)? {
            if is_directory(&source) {
                wanted.entry(source).or_default().push(spec);
            }
        }
    }
    Ok(wanted)
}

/// Looks at those that are on this machine.
fn open_all(
    env: Environment<'_>,
    options: &Options,
    main: &MainContext,
    (graph, wanted, below): (&Graph, &BTreeMap<FileSource, Vec<CopySpec>>, &dyn FilesBelow),
) -> Result<BTreeMap<FileSource, SourceDirectory>, BuildCause> {
    let mut opened = BTreeMap::new();
    for (source, specs) in wanted {
        if *source == FileSource::Context && main.files.is_some() {
            continue;
        }
        let Some((directory, dockerfile)) = directory_of(source, options, main) else { continue };
        let place = (&*directory, dockerfile.as_deref());
        let wanted = (specs.clone(), ForeseenCopy::all(graph, source));
        let one = SourceDirectory::open(env, options.misses, place, wanted, below)?;
        opened.insert(source.clone(), one);
    }
    Ok(opened)
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

#[cfg(test)]
mod tests;
