//! COPY and ADD: computed on trees; only bytes that are not in the store yet are read.

use std::sync::Arc;

use wythe_store::id::LayerId;
use wythe_store::timestamp::Timestamp;
use wythe_store::tree::entry::{Directory, Entry, Metadata, Node, Subdirectory, Tree};

use super::Execution;
use crate::account::{Accounts, CopyOwner, Owner, account_file, copy_owner};
use crate::copy::heredoc;
use crate::copy::mode::ModeChange;
use crate::copy::place::place;
use crate::copy::select::{Item, Selection, select};
use crate::copy::{Base, CopySpec};
use crate::error::BuildCause;
use crate::operation::FileSource;
use crate::operation::copy::{Archives, CopySource, CopyStep};

/// The directory under which heredocs join the files that are copied from. No context can have it:
/// the name holds a control character, and sources of a Dockerfile are words.
const HEREDOCS: &str = "\u{1}heredocs";

impl Execution<'_, '_> {
    pub(crate) fn copy(&self, step: &CopyStep) -> Result<LayerId, BuildCause> {
        refuse_remote(step)?;
        let lower = match step.base {
            Base::Destination => self.solver.roots.tree(self.below)?,
            Base::Nothing => Arc::default(),
        };
        let spec = self.spec(step, &lower)?;
        let source = self.with_heredocs(step, self.files(&step.from)?)?;
        let selection = select(&source, &spec)
            .map_err(|error| self.solver.sources.explained(&step.from, error))?;
        self.fetch_bodies(step, &selection)?;
        let changes = match step.archives {
            Archives::Keep => place(&selection, &lower.children, &spec)?,
            Archives::UnpackLocal | Archives::Unpack => self.add(&selection, &lower, &spec)?,
        };
        self.keep(&changes)
    }

    /// What is copied, where to and as whom.
    fn spec(&self, step: &CopyStep, lower: &Tree) -> Result<CopySpec, BuildCause> {
        let mode = step.chmod.as_deref().map(ModeChange::parse).transpose()?;
        Ok(CopySpec {
            sources: step.sources.iter().enumerate().filter_map(word).collect(),
            destination: step.destination.clone(),
            owner: self.owner(step, lower)?,
            mode,
            layout: step.layout,
            exclude: step.excludes.clone(),
            base: step.base,
            created: self.new_time(step.epoch),
        })
    }

    /// The time of what a step makes out of nothing.
    pub(crate) fn new_time(&self, epoch: Option<i64>) -> Timestamp {
        epoch.map_or_else(|| self.solver.env.clock.now(), Timestamp::from_seconds)
    }

    fn owner(&self, step: &CopyStep, lower: &Tree) -> Result<Option<Owner>, BuildCause> {
        let Some(text) = &step.chown else { return Ok(None) };
        let passwd = self.account_bytes(lower, "/etc/passwd")?;
        let group = self.account_bytes(lower, "/etc/group")?;
        let accounts = Accounts { passwd: passwd.as_deref(), group: group.as_deref() };
        let CopyOwner { owner, .. } = copy_owner(text, accounts)?;
        Ok(Some(owner))
    }

    /// The bytes of a passwd or group file of a root.
    pub(crate) fn account_bytes(
        &self,
        root: &Tree,
        path: &str,
    ) -> Result<Option<Vec<u8>>, BuildCause> {
        let Some(file) = account_file(&root.children, path)? else { return Ok(None) };
        Ok(self.solver.env.store.body(&file.body)?.map(|bytes| bytes.to_vec()))
    }

    /// The source with the files written in the Dockerfile beside the others.
    fn with_heredocs(&self, step: &CopyStep, source: Tree) -> Result<Tree, BuildCause> {
        let mut files = Vec::new();
        for (index, one) in step.sources.iter().enumerate() {
            if let CopySource::Heredoc { name, body } = one {
                let mtime = self.new_time(step.epoch);
                let written = (name.as_str(), body.as_bytes());
                let file = heredoc::file(self.solver.env.lease, written, mtime)?;
                files.push(directory(index.to_string().as_bytes(), vec![file]));
            }
        }
        if files.is_empty() {
            return Ok(source);
        }
        let mut entries = source.children.entries().to_vec();
        entries.push(directory(HEREDOCS.as_bytes(), files));
        Ok(Tree { children: Arc::new(Directory::from_entries(entries)), ..source })
    }

    /// Sees to it that the store holds the bytes of what is copied from a stage or an image.
    fn fetch_bodies(&self, step: &CopyStep, selection: &Selection) -> Result<(), BuildCause> {
        let FileSource::Input(position) = step.from else { return Ok(()) };
        let mut wanted = std::collections::BTreeSet::new();
        for item in selection.items() {
            match item {
                Item::File(entry) => bodies(std::slice::from_ref(entry), &mut wanted),
                Item::Contents { children, .. } => bodies(children.entries(), &mut wanted),
            }
        }
        self.solver.roots.bodies(&self.input(position), &wanted)
    }
}

fn bodies(entries: &[Entry], wanted: &mut std::collections::BTreeSet<wythe_store::id::BodyId>) {
    for entry in entries {
        match &entry.node {
            Node::File(file) => drop(wanted.insert(file.body)),
            Node::Directory(directory) => bodies(directory.children.entries(), wanted),
            _ => {}
        }
    }
}

/// The word that finds a source among the files.
fn word((index, source): (usize, &CopySource)) -> Option<String> {
    match source {
        CopySource::Path(path) => Some(path.clone()),
        CopySource::Heredoc { name, .. } => {
            let mut literal = String::new();
            for letter in name.chars() {
                if matches!(letter, '*' | '?' | '[' | ']' | '\\') {
                    literal.push('\\');
                }
                literal.push(letter);
            }
            Some(format!("/{HEREDOCS}/{index}/{literal}"))
        }
        CopySource::Url(_) | CopySource::Git { .. } => None,
    }
}

fn directory(name: &[u8], entries: Vec<Entry>) -> Entry {
    let children = Arc::new(Directory::from_entries(entries));
    let node = Node::Directory(Subdirectory { claim: Default::default(), children });
    let metadata = Metadata { mode: 0o755, ..Metadata::default() };
    Entry { name: name.into(), metadata, node }
}

fn refuse_remote(step: &CopyStep) -> Result<(), BuildCause> {
    for source in &step.sources {
        match source {
            CopySource::Url(_) => return Err(BuildCause::Unsupported("ADD of a URL")),
            CopySource::Git { .. } => {
                return Err(BuildCause::Unsupported("ADD of a git repository"));
            }
            CopySource::Path(_) | CopySource::Heredoc { .. } => {}
        }
    }
    Ok(())
}
