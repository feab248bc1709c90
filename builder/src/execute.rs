//! Carrying out what was not found in the cache: one file for each kind of step.

mod add;
mod agent;
mod copy;
mod given;
mod ground;
mod mask;
pub(crate) mod mounts;
mod pasta;
mod restored;
mod run;
mod space;
mod workdir;

use std::collections::BTreeSet;
use std::sync::Mutex;

use wythe_dockerfile::diagnostic::Diagnostic;
use wythe_dockerfile::lint::rule::Rule;
use wythe_sandbox::Cancel;
use wythe_store::id::LayerId;
use wythe_store::journal::batch::Batch;
use wythe_store::layer::canonical::is_mark;
use wythe_store::layers::LayerRecord;
use wythe_store::path::LayerPath;
use wythe_store::tree::entry::{Directory, Entry, Node, Tree};

use crate::egress::Contact;
use crate::environment::Environment;
use crate::error::BuildCause;
use crate::graph::Vertex;
use crate::lint;
use crate::operation::{BaseSource, FileSource, Operation};
use crate::options::Options;
use crate::progress::Event;
use crate::root::{Chain, Roots};
use crate::sources::Sources;

/// One step that runs, and all that it may use.
pub(crate) struct Execution<'e> {
    pub(crate) env: Environment<'e>,
    /// The switch of whoever builds, which no failure throws.
    pub(crate) interrupt: &'e Cancel,
    pub(crate) options: &'e Options,
    pub(crate) roots: &'e Roots<'e>,
    pub(crate) sources: &'e Sources,
    pub(crate) index: usize,
    pub(crate) vertex: &'e Vertex,
    /// The layers below it.
    pub(crate) below: &'e Chain,
    /// The layers of the vertex's other inputs, in their order.
    pub(crate) inputs: Vec<Chain>,
    /// The hosts that it asked for, where it has a list of them.
    pub(crate) contacts: Mutex<BTreeSet<Contact>>,
}

impl Execution<'_> {
    /// Carries the step out and gives its layer, which is there once `batch` is committed.
    pub(crate) fn run(&self, batch: &mut Batch) -> Result<LayerId, BuildCause> {
        match &self.vertex.operation {
            Operation::Base(BaseSource::Directory { context }) => {
                self.keep(&self.files(&FileSource::Directory(context.clone()))?, batch)
            }
            Operation::Base(_) => Err(BuildCause::Unsupported("this kind of base")),
            Operation::Copy(step) => self.copy(step, batch),
            Operation::Run(step) => self.command(step, batch),
            Operation::Workdir(step) => self.workdir(step, batch),
        }
    }

    /// Tells what a rule objects to in this step.
    pub(crate) fn remark(
        &self,
        rule: &Rule,
        message: String,
        help: &str,
    ) -> Result<(), BuildCause> {
        let finding = Diagnostic::warning(rule.name, self.vertex.span, message).help(help);
        self.env.progress.event(&Event::Warning { diagnostic: &finding });
        lint::strictly(vec![finding], self.options)
    }

    /// Makes a changeset a layer, which is there once `batch` is committed.
    pub(crate) fn keep(&self, changes: &Tree, batch: &mut Batch) -> Result<LayerId, BuildCause> {
        let env = self.env;
        if let Some(path) = mark(&changes.children, &LayerPath::root()) {
            return Err(BuildCause::Mark { path: path.to_string() });
        }
        let tree = env.lease.put_tree(changes)?;
        let layer = LayerId::of(tree.as_bytes());
        if env.store.layer(&layer)?.is_none() {
            let record = LayerRecord { tree: Some(tree), ..LayerRecord::new(layer) };
            batch.put_layer(&record);
        }
        Ok(layer)
    }

    /// The layers of an input, by its position among the vertex's inputs.
    pub(crate) fn input(&self, position: usize) -> Chain {
        self.inputs.get(position).cloned().unwrap_or_default()
    }

    /// The files of a source.
    pub(crate) fn files(&self, source: &FileSource) -> Result<Tree, BuildCause> {
        match source {
            FileSource::Input(position) => Ok((*self.roots.tree(&self.input(*position))?).clone()),
            FileSource::Nothing => Ok(Tree::default()),
            FileSource::Context | FileSource::Directory(_) => {
                self.sources.held_tree(self.env, source)
            }
        }
    }
}

/// A file that would be none in a layer, but take another one away.
fn mark(directory: &Directory, path: &LayerPath) -> Option<LayerPath> {
    let found = |entry: &Entry| match &entry.node {
        _ if is_mark(&entry.name) => Some(path.join(&entry.name)),
        Node::Directory(below) => mark(&below.children, &path.join(&entry.name)),
        Node::BlockDevice(_)
        | Node::CharDevice(_)
        | Node::Fifo
        | Node::File(_)
        | Node::Symlink(_)
        | Node::Whiteout => None,
    };
    directory.entries().iter().find_map(found)
}
