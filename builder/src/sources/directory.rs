//! A directory of the machine, as far as a build refers to it: known to be as an earlier build
//! found it, or scanned.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use wythe_store::id::ContentId;
use wythe_store::lease::Holdings;
use wythe_store::racy::Racy;
use wythe_store::scan_record::{RecordName, ScanRecord, ScanRecordBuilder};
use wythe_store::tree::entry::{Entry, Node, Tree};

use super::foresight::{FilesBelow, ForeseenCopy, scan};
use crate::context::error::{ContextCause, ContextError};
use crate::context::recall::Recall;
use crate::context::{Context, Scan, ignore_rules};
use crate::copy::error::CopyError;
use crate::copy::route::{Route, as_path_pattern};
use crate::copy::select::select;
use crate::copy::{CopySpec, Layout, Tops};
use crate::environment::Environment;
use crate::error::BuildCause;
use crate::ignore::Rules;
use crate::options::Misses;
use crate::shared_steps::{Glance, Looked};

/// Keeps the names of records apart from all other hashes. They are never part of a key.
const DIRECTORY_DOMAIN: &str = "wythe 2026 scanned directory";

/// As above, for what a directory is scanned for. What a scan finds is up to the program too.
const PURPOSE_DOMAIN: &str = concat!("wythe ", env!("CARGO_PKG_VERSION"), " purpose of a scan 2");

/// The bytes of one result in a record: which selection, and the id of what it contained.
const RESULT_SIZE: usize = 64;

/// A directory, and what is known of it.
#[derive(Debug)]
pub(super) struct SourceDirectory {
    pub(super) context: Context,
    /// What the steps of this build select of it.
    specs: Vec<CopySpec>,
    routes: Vec<Route>,
    /// Steps that copy of it, as far as is known what they make.
    copies: Vec<ForeseenCopy>,
    /// The canonical path.
    path: Vec<u8>,
    record: RecordName,
    state: State,
    /// Paths of sockets, where it was scanned.
    pub(super) sockets: Vec<String>,
    /// What selections contain, by [`identity`].
    contents: Mutex<BTreeMap<[u8; 32], ContentId>>,
    /// The tree once its bytes were seen to be in the store.
    held: OnceLock<Tree>,
}

#[derive(Debug)]
enum State {
    /// Taken to be as it was, until that is [confirmed](SourceDirectory::confirm) or it is scanned.
    Presumed(ScanRecord),
    /// As it was: what its selections contain is known, and nothing else.
    Unchanged,
    /// Scanned; the second half is for the next build.
    Scanned(Tree, Option<(ScanRecordBuilder, Racy)>),
}

impl SourceDirectory {
    /// Opens a directory, to be taken to be as its last scan found it. One that was never scanned for
    /// all that `specs` select is scanned now, unless nothing is to be run.
    pub(super) fn open(
        env: Environment<'_>,
        misses: Misses,
        directory: (&Path, Option<&Path>),
        (specs, copies): (Vec<CopySpec>, Vec<ForeseenCopy>),
        below: &dyn FilesBelow,
    ) -> Result<Self, BuildCause> {
        let (directory, dockerfile) = directory;
        let rules = ignore_rules(directory, dockerfile)?;
        let path = directory.as_os_str().as_bytes().to_vec();
        let record = record_name(&path, &rules, &specs);
        let context = Context::open(directory, rules)?;
        check_patterns(&specs)?;
        let routes: Result<Vec<_>, _> = specs.iter().map(CopySpec::routes).collect();
        let (routes, state) = (routes?.concat(), State::Unchanged);
        let (contents, held) = (Mutex::default(), OnceLock::new());
        let sockets = Vec::new();
        let mut opened =
            Self { context, specs, routes, copies, path, record, state, sockets, contents, held };
        let glance = env.shared.map(|shared| shared.glance(&record));
        if opened.takes_over(env, glance.as_ref())? {
            return Ok(opened);
        }
        match (opened.known(env), misses) {
            (Some((contents, record)), _) => {
                (opened.contents, opened.state) = (Mutex::new(contents), State::Presumed(record));
            }
            (None, Misses::Refuse) => return Err(BuildCause::Uncached),
            (None, Misses::Run) => opened.look(env, glance.as_ref(), below)?,
        }
        Ok(opened)
    }

    /// Takes over what another of the builds beside this one has found, if there is something that does: what it
    /// read has to be in the store already, so that nobody reads it once more and finds something else.
    fn takes_over(
        &mut self,
        env: Environment<'_>,
        glance: Option<&Glance<'_>>,
    ) -> Result<bool, BuildCause> {
        let Some(Looked { contents, files }) = glance.and_then(Glance::found) else {
            return Ok(false);
        };
        self.state = match files {
            None => State::Unchanged,
            Some((tree, _)) if !holds(&env.lease.holdings()?, tree.children.entries()) => {
                return Ok(false);
            }
            Some((tree, sockets)) => {
                self.sockets = sockets;
                State::Scanned(tree, None)
            }
        };
        self.contents = Mutex::new(contents);
        Ok(true)
    }

    /// What everything selected contained when it was last scanned.
    fn known(&self, env: Environment<'_>) -> Option<(BTreeMap<[u8; 32], ContentId>, ScanRecord)> {
        let record = ScanRecord::load(env.store, &self.record)?;
        let contents = decode(record.results());
        let is_known = |spec| contents.contains_key(&identity(spec));
        self.specs.iter().all(is_known).then_some((contents, record))
    }

    /// Whether the directory is what it was taken to be. If it is not, nobody takes it for that again:
    /// nor does this program once it has entered its namespaces and begun anew.
    pub(super) fn confirm(&mut self, env: Environment<'_>) -> bool {
        let State::Presumed(record) = &self.state else { return true };
        let glance = env.shared.map(|shared| shared.glance(&self.record));
        let contents = self.contents.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = glance.as_ref().and_then(Glance::found) {
            let stands = found.contents == *contents;
            if stands {
                self.state = State::Unchanged;
            }
            return stands;
        }
        let stands = self.context.is_unchanged(record, env.pool);
        if stands {
            if let Some(glance) = &glance {
                glance.keep(Looked { contents: contents.clone(), files: None });
            }
            self.state = State::Unchanged;
        } else {
            ScanRecord::remove(env.store, &self.record);
        }
        stands
    }

    /// Scans the directory, whatever is known of it, unless a build beside this one has just done that.
    pub(super) fn scan(&mut self, env: Environment<'_>) -> Result<(), BuildCause> {
        let glance = env.shared.map(|shared| shared.glance(&self.record));
        let is_read = |found: Looked| found.files.is_some();
        if glance.as_ref().and_then(Glance::found).is_some_and(is_read)
            && self.takes_over(env, glance.as_ref())?
        {
            return Ok(());
        }
        self.look(env, glance.as_ref(), &())
    }

    /// Scans the directory, and tells the builds beside this one. What is known to lie below some steps that copy of it
    /// lets their layers be hashed meanwhile.
    fn look(
        &mut self,
        env: Environment<'_>,
        glance: Option<&Glance<'_>>,
        below: &dyn FilesBelow,
    ) -> Result<(), BuildCause> {
        let racy = self.context.racy(env.clock.now(), env.clock.stamp());
        let recall = Recall::new(env.lease, &self.path, racy);
        let place = (&self.context, &*self.routes);
        let scanned = scan(env, place, &recall, (&self.copies, below))?;
        recall.save()?;
        let Scan { tree, record, sockets } = scanned;
        self.sockets = sockets;
        self.state = State::Scanned(tree.clone(), record.map(|record| (record, racy)));
        self.contents = Mutex::default();
        if let Some(glance) = glance {
            for spec in &self.specs {
                // What cannot be selected the step says that wants it.
                let _ = self.content(env, spec);
            }
            let contents = self.contents.get_mut().unwrap_or_else(PoisonError::into_inner).clone();
            glance.keep(Looked { contents, files: Some((tree, self.sockets.clone())) });
        }
        Ok(())
    }

    /// Whether there is a tree to copy from.
    pub(super) fn is_scanned(&self) -> bool {
        matches!(self.state, State::Scanned(..))
    }

    /// Leaves to the next build what this one found.
    pub(super) fn remember(&mut self, env: Environment<'_>) -> Result<(), BuildCause> {
        let State::Scanned(_, record) = &mut self.state else { return Ok(()) };
        let Some((record, racy)) = record.take() else { return Ok(()) };
        let mut results = Vec::new();
        for spec in &self.specs {
            // A step that cannot be done is not cached either.
            let Ok(content) = self.content(env, spec) else { return Ok(()) };
            results.extend_from_slice(&identity(spec));
            results.extend_from_slice(content.as_bytes());
        }
        Ok(record.save(env.lease, &self.record, racy, &results)?)
    }

    /// What a selection contains. Computed once.
    pub(super) fn content(
        &self,
        env: Environment<'_>,
        spec: &CopySpec,
    ) -> Result<ContentId, CopyError> {
        let (key, poisoned) = (identity(spec), PoisonError::into_inner);
        if let Some(content) = self.contents.lock().unwrap_or_else(poisoned).get(&key) {
            return Ok(*content);
        }
        let selection = select(self.tree(), spec)?;
        let content = env.pool.install(|| selection.seen_id(spec.tops));
        self.contents.lock().unwrap_or_else(poisoned).insert(key, content);
        Ok(content)
    }

    /// The files; none where they were not read.
    pub(super) fn tree(&self) -> &Tree {
        match &self.state {
            State::Presumed(_) | State::Unchanged => &NO_FILES,
            State::Scanned(tree, _) => tree,
        }
    }

    /// The files, with all bytes in the store.
    pub(super) fn held_tree(&self, env: Environment<'_>) -> Result<Tree, BuildCause> {
        if let Some(held) = self.held.get() {
            return Ok(held.clone());
        }
        let holdings = env.lease.holdings()?;
        let held = if self.is_scanned() && holds(&holdings, self.tree().children.entries()) {
            self.tree().clone()
        } else {
            let read = env.pool.install(|| self.context.scan(&self.routes, env.lease))?.tree;
            self.check(env, &read)?;
            read
        };
        Ok(self.held.get_or_init(|| held).clone())
    }

    /// Refuses files, read once more, that are not those which the keys speak of.
    fn check(&self, env: Environment<'_>, read: &Tree) -> Result<(), ContextError> {
        let same = |spec: &CopySpec| match (self.content(env, spec), select(read, spec)) {
            (Ok(known), Ok(selection)) => known == selection.seen_id(spec.tops),
            // The step that selects what is not there fails by itself.
            (known, selection) => known.is_err() && selection.is_err(),
        };
        if env.pool.install(|| self.specs.iter().all(same)) {
            return Ok(());
        }
        Err(ContextError { path: ".".to_owned(), cause: ContextCause::Changed })
    }
}

static NO_FILES: std::sync::LazyLock<Tree> = std::sync::LazyLock::new(Tree::default);

/// Whether the store holds the bytes of every file.
fn holds(holdings: &Holdings, entries: &[Entry]) -> bool {
    entries.iter().all(|entry| match &entry.node {
        Node::File(file) => holdings.contain_body(&file.body),
        Node::Directory(directory) => holds(holdings, directory.children.entries()),
        Node::BlockDevice(_)
        | Node::CharDevice(_)
        | Node::Fifo
        | Node::Symlink(_)
        | Node::Whiteout => true,
    })
}

/// Checks the sources as the patterns by which files of a directory are asked for. Where everything is
/// asked for, none of them is one.
fn check_patterns(specs: &[CopySpec]) -> Result<(), CopyError> {
    let words = || specs.iter().flat_map(|spec| &spec.sources);
    if words().any(|word| Route::flat(word).is_some_and(|route| route.is_everything())) {
        return Ok(());
    }
    words().try_for_each(|word| as_path_pattern(word))
}

/// The record of a directory for all that decides which of its entries are looked at.
fn record_name(path: &[u8], rules: &Rules, specs: &[CopySpec]) -> RecordName {
    let mut purpose = blake3::Hasher::new_derive_key(PURPOSE_DOMAIN);
    field(&mut purpose, rules.text().as_bytes());
    for spec in specs {
        purpose.update(&identity(spec));
    }
    let mut directory = [0; 16];
    directory.copy_from_slice(&blake3::derive_key(DIRECTORY_DOMAIN, path)[..16]);
    RecordName { directory, purpose: *purpose.finalize().as_bytes() }
}

/// Everything of a specification that decides what is selected, as a hash.
fn identity(spec: &CopySpec) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(PURPOSE_DOMAIN);
    let layout = match spec.layout {
        Layout::Flat => b"flat".as_slice(),
        Layout::Parents => b"parents",
    };
    field(&mut hasher, layout);
    if spec.tops == Tops::Seen {
        field(&mut hasher, b"tops are seen");
    }
    for list in [&spec.sources, &spec.exclude] {
        hasher.update(&(list.len() as u64).to_le_bytes());
        for text in list {
            field(&mut hasher, text.as_bytes());
        }
    }
    *hasher.finalize().as_bytes()
}

fn field(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
}

fn decode(results: &[u8]) -> BTreeMap<[u8; 32], ContentId> {
    let (pairs, _) = results.as_chunks::<RESULT_SIZE>();
    let halves = pairs.iter().filter_map(|pair| pair.split_first_chunk::<32>());
    let content = |bytes: &[u8]| bytes.first_chunk().map(|id| ContentId::from_bytes(*id));
    halves.filter_map(|(key, id)| Some((*key, content(id)?))).collect()
}
