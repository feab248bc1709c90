//! Sources of a copy that are in no directory: heredocs and what was fetched. They join the files
//! that are copied from, so that everything after treats all sources alike.

use std::sync::Arc;

use wythe_store::tree::entry::{Claim, Directory, Entry, Metadata, Node, Subdirectory, Tree};

use super::Execution;
use crate::copy::heredoc;
use crate::error::BuildCause;
use crate::operation::copy::{CopySource, CopyStep};
use crate::remote::address;

/// The directory that holds them, each in one of its own named by its position. No context can have
/// it: the name holds a control character, and sources of a Dockerfile are words.
const GIVEN: &str = "\u{1}given";

impl Execution<'_> {
    /// The source with what the step gives itself beside the other files.
    pub(super) fn with_given(&self, step: &CopyStep, source: Tree) -> Result<Tree, BuildCause> {
        let mut given = Vec::new();
        for (index, one) in step.sources.iter().enumerate() {
            if let Some(children) = self.given(step, one)? {
                given.push(directory(index.to_string().as_bytes(), children));
            }
        }
        if given.is_empty() {
            return Ok(source);
        }
        let mut entries = source.children.entries().to_vec();
        entries.push(directory(GIVEN.as_bytes(), Arc::new(Directory::from_entries(given))));
        Ok(Tree { children: Arc::new(Directory::from_entries(entries)), ..source })
    }

    fn given(
        &self,
        step: &CopyStep,
        source: &CopySource,
    ) -> Result<Option<Arc<Directory>>, BuildCause> {
        let entry = match source {
            CopySource::Path(_) => return Ok(None),
            CopySource::Heredoc { name, body } => {
                let written = (name.as_str(), body.as_bytes());
                heredoc::file(self.env.lease, written, self.new_time(step.epoch))?
            }
            CopySource::Url(url) => match self.sources.remotes.file(url) {
                Some(file) => file.entry(),
                None => return Ok(None),
            },
            CopySource::Git(repository) => {
                let Some(revision) = self.sources.remotes.revision(repository) else {
                    return Ok(None);
                };
                let (env, now) = (self.env, self.new_time(step.epoch));
                return Ok(Some(revision.files(env, self.options, now)?));
            }
        };
        Ok(Some(Arc::new(Directory::from_entries(vec![entry]))))
    }
}

/// The word that finds a source among the files.
pub(super) fn word((index, source): (usize, &CopySource)) -> String {
    match source {
        CopySource::Path(path) => path.clone(),
        CopySource::Heredoc { name, .. } => literal(index, name),
        CopySource::Url(url) => literal(index, &address::file_name(url)),
        CopySource::Git(_) => format!("/{GIVEN}/{index}"),
    }
}

/// A word for one name, whatever wildcards it holds.
fn literal(index: usize, name: &str) -> String {
    let mut word = format!("/{GIVEN}/{index}/");
    for letter in name.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\') {
            word.push('\\');
        }
        word.push(letter);
    }
    word
}

fn directory(name: &[u8], children: Arc<Directory>) -> Entry {
    let node = Node::Directory(Subdirectory { claim: Claim::default(), children });
    let metadata = Metadata { mode: 0o755, ..Metadata::default() };
    Entry { name: name.into(), metadata, node }
}
