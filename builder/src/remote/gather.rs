//! Everything remote that a graph refers to, each fetched once, several at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::error::RemoteError;
use super::fetch::RemoteFile;
use crate::environment::Environment;
use crate::graph::Graph;
use crate::operation::Operation;
use crate::operation::copy::CopySource;
use crate::options::Options;
use crate::solve::VertexError;

/// Transfers at a time: servers limit each connection more than each client.
const PARALLEL: usize = 4;

/// What was fetched.
#[derive(Debug, Default)]
pub(crate) struct Remotes {
    files: BTreeMap<String, RemoteFile>,
}

impl Remotes {
    /// Fetches all that the graph refers to, and holds it to the checksums of the Dockerfile.
    pub(crate) fn gather(
        env: Environment<'_>,
        options: &Options,
        graph: &Graph,
    ) -> Result<Self, VertexError> {
        let wanted = wanted(graph);
        let fetched = in_parallel(&wanted, |(url, _)| RemoteFile::fetch(env, options, url));
        let mut remotes = Self::default();
        for ((url, vertex), file) in wanted.into_iter().zip(fetched) {
            let file = file.map_err(|error| at(vertex, error))?;
            remotes.files.insert(url.to_owned(), file);
        }
        remotes.verify(env, graph)?;
        Ok(remotes)
    }

    /// The file that was fetched from an address.
    pub(crate) fn file(&self, url: &str) -> Option<&RemoteFile> {
        self.files.get(url)
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

/// Every address, with the first vertex that wants it.
fn wanted(graph: &Graph) -> Vec<(&str, usize)> {
    let mut first = BTreeMap::new();
    for (index, vertex) in graph.vertices.iter().enumerate() {
        let Operation::Copy(step) = &vertex.operation else { continue };
        for source in &step.sources {
            if let CopySource::Url(url) = source {
                first.entry(url.as_str()).or_insert(index);
            }
        }
    }
    first.into_iter().collect()
}

/// Does something with every item on a few threads; the results are in the order of the items.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    let result = work(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(index, result);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}
