//! COPY and ADD: computed on trees; only bytes that are not in the store yet are read.

use std::collections::BTreeSet;

use wythe_dockerfile::lint::rule::{COPIED_SOCKET, OVERWRITTEN_COPY_SOURCE, UNKNOWN_COPY_OWNER};
use wythe_store::id::LayerId;
use wythe_store::journal::batch::Batch;
use wythe_store::live::reading::UNREAD;
use wythe_store::timestamp::Timestamp;
use wythe_store::tree::entry::{Directory, Entry, File, Node, Tree};
use wythe_store::tree::files::files;

use super::{Execution, given};
use crate::copy::mode::ModeChange;
use crate::copy::place::{overwrites, place};
use crate::copy::route::leads_to;
use crate::copy::select::{Item, Selection, select};
use crate::copy::{CopySpec, CopyTarget, Tops};
use crate::error::BuildCause;
use crate::operation::FileSource;
use crate::operation::copy::{Archives, CopyStep};
use crate::owner::Owner;
use crate::root::Outline;
use crate::user::{Accounts, CopyOwner, Role, account_file, copy_owner, needs_no_file};

impl Execution<'_> {
    pub(crate) fn copy(&self, step: &CopyStep, batch: &mut Batch) -> Result<LayerId, BuildCause> {
        let below = self.lower(step)?;
        let lower = &below.tree;
        let spec = self.spec(step, lower)?;
        let source = self.with_given(step, self.files(&step.from)?)?;
        let selection = select(&source, &spec)
            .map_err(|error| self.sources.explained(&step.from, error))
            .map_err(|error| error.within(&step.from_name))?;
        self.fetch_bodies(step, &selection)?;
        if overwrites(&selection, &lower.children, &spec) {
            let message = format!("all sources become the one file {}", spec.destination);
            let help = "end the destination with / if it is to be a directory";
            self.remark(&OVERWRITTEN_COPY_SOURCE, message, help)?;
        }
        self.remark_sockets(step, &spec)?;
        let changes = match step.archives {
            Archives::Keep => self.place(&selection, &below, &spec)?,
            Archives::UnpackLocal | Archives::Unpack => self.add(step, &source, lower, &spec)?,
        };
        self.keep(&changes, batch)
    }

    /// What the step copies onto. What files there hold is only waited for where it is looked at.
    fn lower(&self, step: &CopyStep) -> Result<Outline, BuildCause> {
        let looks_up = step.chown.as_ref().is_some_and(|text| !needs_no_file(text));
        match step.base {
            CopyTarget::Nothing => Ok(Outline::default()),
            CopyTarget::Destination if looks_up || step.archives != Archives::Keep => {
                Ok(Outline { tree: self.roots.tree(self.below)?, is_read: true })
            }
            CopyTarget::Destination => self.roots.outline(self.below),
        }
    }

    /// The changeset of a copy. A file that is there already is none, and where that cannot be told the files below are
    /// read first.
    fn place(
        &self,
        selection: &Selection,
        below: &Outline,
        spec: &CopySpec,
    ) -> Result<Tree, BuildCause> {
        let changes = place(selection, &below.tree.children, spec)?;
        if below.is_read || !may_repeat(&changes.children, &below.tree.children) {
            return Ok(changes);
        }
        Ok(place(selection, &self.roots.tree(self.below)?.children, spec)?)
    }

    /// Tells of sockets, of which an image gets no more than the name.
    fn remark_sockets(&self, step: &CopyStep, spec: &CopySpec) -> Result<(), BuildCause> {
        let routes = spec.routes()?;
        for path in self.sources.sockets(&step.from) {
            if leads_to(&routes, path.as_bytes()) {
                let message = format!("{path:?} is a socket, and becomes an empty file");
                self.remark(&COPIED_SOCKET, message, "name it in the ignore file")?;
            }
        }
        Ok(())
    }

    /// What is copied, where to and as whom.
    fn spec(&self, step: &CopyStep, lower: &Tree) -> Result<CopySpec, BuildCause> {
        let mode = step.chmod.as_deref().map(ModeChange::parse).transpose()?;
        Ok(CopySpec {
            sources: step.sources.iter().enumerate().map(given::word).collect(),
            destination: step.destination.clone(),
            owner: self.owner(step, lower)?,
            mode,
            layout: step.layout,
            exclude: step.excludes.clone(),
            base: step.base,
            tops: Tops::Unseen,
            created: self.new_time(step.epoch),
        })
    }

    /// The time of what a step makes out of nothing.
    pub(crate) fn new_time(&self, epoch: Option<i64>) -> Timestamp {
        epoch.map_or_else(|| self.env.clock.now(), Timestamp::from_seconds)
    }

    fn owner(&self, step: &CopyStep, lower: &Tree) -> Result<Option<Owner>, BuildCause> {
        let Some(text) = &step.chown else { return Ok(None) };
        let files = self.account_files(text, lower)?;
        let accounts = Accounts::of_root(&lower.children, &files);
        let CopyOwner { owner, unknown } = copy_owner(text, accounts)?;
        for (role, name) in unknown {
            let message = match role {
                Role::Group => format!(
                    "{name:?} in --chown is no group the image knows, so the group is the user's"
                ),
                Role::User | Role::File => {
                    format!("{name:?} in --chown is nobody the image knows, so it means root")
                }
            };
            let help = "create it in an earlier step, or use numbers";
            self.remark(&UNKNOWN_COPY_OWNER, message, help)?;
        }
        Ok(Some(owner))
    }

    /// The bytes of passwd and group of a root, as far as an owner is looked up in them: for numbers
    /// no layer of a base need be fetched.
    pub(crate) fn account_files(
        &self,
        owner: &str,
        root: &Tree,
    ) -> Result<[Option<Vec<u8>>; 2], BuildCause> {
        if needs_no_file(owner) {
            return Ok([None, None]);
        }
        Ok([self.account_bytes(root, "/etc/passwd")?, self.account_bytes(root, "/etc/group")?])
    }

    fn account_bytes(&self, root: &Tree, path: &str) -> Result<Option<Vec<u8>>, BuildCause> {
        let Some(file) = account_file(&root.children, path)? else { return Ok(None) };
        self.roots.bodies(self.below, &BTreeSet::from([file.body]))?;
        let body = self.env.store.body(&file.body)?;
        Ok(body.map(|bytes| bytes.load()).transpose()?.map(|bytes| bytes.to_vec()))
    }

    /// Sees to it that the store holds the bytes of what is copied from a stage or an image.
    fn fetch_bodies(&self, step: &CopyStep, selection: &Selection) -> Result<(), BuildCause> {
        let FileSource::Input(position) = step.from else { return Ok(()) };
        let mut wanted = BTreeSet::new();
        for item in selection.items() {
            match item {
                Item::File(Entry { node: Node::File(file), .. }) => drop(wanted.insert(file.body)),
                Item::File(_) => {}
                Item::Contents { children, .. } => {
                    wanted.extend(files(children).map(|(_, _, file)| file.body));
                }
            }
        }
        self.roots.bodies(&self.input(position), &wanted)
    }
}

/// Whether a file may be what lies below it, of which nobody has read what it holds.
fn may_repeat(changes: &Directory, lower: &Directory) -> bool {
    changes.entries().iter().any(|entry| {
        let Some(below) = lower.get(&entry.name) else { return false };
        match (&entry.node, &below.node) {
            (Node::Directory(own), Node::Directory(below)) => {
                may_repeat(&own.children, &below.children)
            }
            (Node::File(own), Node::File(File { body: UNREAD, size, .. })) => {
                own.size == *size && entry.metadata.mtime == below.metadata.mtime
            }
            _ => false,
        }
    })
}
