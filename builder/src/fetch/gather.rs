//! Everything remote that a graph refers to, each fetched once, several at a time.

use std::collections::BTreeMap;

use wythe_store::id::ContentId;
use wythe_store::side_by_side::side_by_side;

use super::checkout::Revision;
use super::file::RemoteFile;
use crate::environment::Environment;
use crate::error::VertexError;
use crate::graph::Graph;
use crate::operation::copy::CopySource;
use crate::operation::{FileSource, Operation};
use crate::options::{NamedContext, Options};
use crate::reference::references;
use crate::remote::RemoteError;
use crate::remote::repository::Repository;

/// Transfers at a time: servers limit each connection more than each client.
const PARALLEL: usize = 4;

/// What was fetched.
#[derive(Debug, Default)]
pub(crate) struct Remotes {
    files: BTreeMap<String, RemoteFile>,
    revisions: BTreeMap<Repository, Revision>,
}

/// Something that a graph refers to.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Wanted<'g> {
    File(&'g str),
    Revision(Repository),
}

/// What came of it. Of a repository only the name of the commit: its files are fetched by the step
/// that copies them, if that has to run at all.
enum Found {
    File(RemoteFile),
    Revision(Revision),
}

impl Remotes {
    /// Fetches all that the graph refers to, and holds it to the checksums of the Dockerfile.
    pub(crate) fn gather(
        env: Environment<'_>,
        options: &Options,
        graph: &Graph,
    ) -> Result<Self, VertexError> {
        let wanted = wanted(options, graph)?;
        let found = side_by_side(&wanted, PARALLEL, |(what, _)| match what {
            Wanted::File(url) => RemoteFile::fetch(env, options, url).map(Found::File),
            Wanted::Revision(one) => Revision::resolve(env, options, one).map(Found::Revision),
        });
        let mut remotes = Self::default();
        for ((what, vertex), found) in wanted.into_iter().zip(found) {
            match (what, found.map_err(|error| at(vertex, error))?) {
                (Wanted::Revision(repository), Found::Revision(revision)) => {
                    drop(remotes.revisions.insert(repository, revision));
                }
                (Wanted::File(url), Found::File(file)) => {
                    drop(remotes.files.insert(url.to_owned(), file));
                }
                _ => {}
            }
        }
        remotes.verify(env, graph)?;
        Ok(remotes)
    }

    /// The file that was fetched from an address.
    pub(crate) fn file(&self, url: &str) -> Option<&RemoteFile> {
        self.files.get(url)
    }

    /// The commit that an address means.
    pub(crate) fn revision(&self, repository: &Repository) -> Option<&Revision> {
        self.revisions.get(repository)
    }

    /// What a copy of a source depends on, where it is remote.
    pub(crate) fn content_id(&self, source: &CopySource) -> Option<ContentId> {
        match source {
            CopySource::Url(url) => self.file(url).map(RemoteFile::content_id),
            CopySource::Git(repository) => self.revision(repository).map(Revision::content_id),
            CopySource::Path(_) | CopySource::Heredoc { .. } => None,
        }
    }

    fn verify(&self, env: Environment<'_>, graph: &Graph) -> Result<(), VertexError> {
        for (index, vertex) in graph.vertices.iter().enumerate() {
            let Operation::Copy(step) = &vertex.operation else { continue };
            let ([CopySource::Url(url)], Some(sum)) = (&step.sources[..], &step.checksum) else {
                continue;
            };
            let verified = self.file(url).map_or(Ok(()), |file| file.verify(env, sum));
            verified.map_err(|error| at(index, error))?;
        }
        Ok(())
    }
}

fn at(vertex: usize, error: RemoteError) -> VertexError {
    VertexError { vertex: Some(vertex), cause: error.into() }
}

/// Everything remote, with the first vertex that wants it.
fn wanted<'g>(
    options: &'g Options,
    graph: &'g Graph,
) -> Result<Vec<(Wanted<'g>, usize)>, VertexError> {
    let mut first = BTreeMap::new();
    for (index, vertex) in graph.vertices.iter().enumerate() {
        let fail = |cause| VertexError { vertex: Some(index), cause };
        let given: &[CopySource] = match &vertex.operation {
            Operation::Copy(step) => &step.sources,
            Operation::Base(_) | Operation::Run(_) | Operation::Workdir(_) => &[],
        };
        let mut found: Vec<Wanted<'_>> = given.iter().filter_map(given_source).collect();
        for (source, _) in references(vertex).map_err(|error| fail(error.into()))? {
            found.extend(context(options, &source).map_err(|error| at(index, error))?);
        }
        for what in found {
            first.entry(what).or_insert(index);
        }
    }
    Ok(first.into_iter().collect())
}

fn given_source(source: &CopySource) -> Option<Wanted<'_>> {
    match source {
        CopySource::Url(url) => Some(Wanted::File(url)),
        CopySource::Git(repository) => Some(Wanted::Revision((**repository).clone())),
        CopySource::Path(_) | CopySource::Heredoc { .. } => None,
    }
}

/// What a named context stands for, if it is remote.
fn context<'o>(
    options: &'o Options,
    source: &FileSource,
) -> Result<Option<Wanted<'o>>, RemoteError> {
    let FileSource::Directory(name) = source else { return Ok(None) };
    match options.contexts.get(name) {
        Some(NamedContext::Url(url)) => Ok(Some(Wanted::File(url))),
        Some(NamedContext::Git(address)) => {
            Ok(Some(Wanted::Revision(Repository::of_context(options, address)?)))
        }
        _ => Ok(None),
    }
}
