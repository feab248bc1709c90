//! The directories of a chain of layers, as an overlay mount takes them: none of them twice.
//!
//! A directory is found by what it holds, and a chain may hold one layer more than once. The kernel
//! refuses a mount that names a directory twice, so a layer that comes again gets a second one,
//! unless it can be left out.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{At as _, ReadError};
use crate::id::LayerId;
use crate::lease::Lease;
use crate::live::attributes::{self, entered};
use crate::live::correction::made_of;
use crate::live::ensure::{EnsureError, ensure_beside};
use crate::timestamp::Timestamp;
use crate::tree::entry::{Metadata, Tree};
use crate::tree::merge::implied;

/// A layer and the directory it is unpacked in.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The layer.
    pub layer: LayerId,
    /// Its directory.
    pub directory: PathBuf,
}

/// What the trees of layers say of the root, for stacks that have layers in common: a tree is read once, and
/// not for each step above it.
#[derive(Debug, Default)]
pub struct KnownRoots(Mutex<HashMap<LayerId, Option<Metadata>>>);

impl KnownRoots {
    fn lock(&self) -> MutexGuard<'_, HashMap<LayerId, Option<Metadata>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stack in the making, from the bottom up.
#[derive(Debug)]
pub struct Stack<'a> {
    lease: &'a Lease,
    idmap: &'a [u8],
    roots: &'a KnownRoots,
    /// What was put on it.
    placed: Vec<Placed>,
    /// What is mounted.
    directories: Vec<PathBuf>,
    /// The same, to be asked for by each of hundreds of layers.
    mounted: HashSet<PathBuf>,
}

impl<'a> Stack<'a> {
    /// A stack of nothing. Directories that have to be made get owners as `idmap` maps them.
    pub fn new(lease: &'a Lease, idmap: &'a [u8], roots: &'a KnownRoots) -> Self {
        let (placed, directories, mounted) = (Vec::new(), Vec::new(), HashSet::new());
        Self { lease, idmap, roots, placed, directories, mounted }
    }

    /// Whether a directory is there already. Its layer then needs a tree or a blob, to be unpacked
    /// once more.
    pub fn contains(&self, directory: &Path) -> bool {
        self.mounted.contains(directory)
    }

    /// Puts a layer on top. Left out are a layer directly over itself, which changes nothing, and one
    /// without entries that is there already: what it says of the root is seen to at the end.
    ///
    /// # Errors
    ///
    /// If the layer is there already and a second directory of it cannot be made.
    pub fn push(&mut self, placed: Placed) -> Result<(), EnsureError> {
        let directory = &placed.directory;
        let repeats = self.directories.last() == Some(directory)
            || self.contains(directory) && is_empty(directory)?;
        if !repeats {
            self.mount(&placed)?;
        }
        self.placed.push(placed);
        Ok(())
    }

    fn mount(&mut self, placed: &Placed) -> Result<(), EnsureError> {
        let mut directory = placed.directory.clone();
        if self.contains(&directory) {
            directory = ensure_beside(self.lease, &placed.layer, self.idmap, &self.directories)?;
        }
        self.mounted.insert(directory.clone());
        self.directories.push(directory);
        Ok(())
    }

    /// The directories, bottom first. An overlay takes its root from the topmost, which therefore
    /// says of it what the layers say.
    ///
    /// # Errors
    ///
    /// If a directory or a record cannot be read, or what is missing cannot be made.
    pub fn finish(mut self) -> Result<Vec<PathBuf>, EnsureError> {
        let Some(top) = self.directories.last() else { return Ok(Vec::new()) };
        let (shown, said) = (root_of(top, self.idmap)?, entered(self.root()?));
        if timeless(shown) != timeless(said.clone()) {
            let tree = Tree { root: Some(said), ..Tree::default() };
            self.mount(&made_of(self.lease, self.idmap, &tree)?)?;
        }
        Ok(self.directories)
    }

    /// What the layers say of the root. A layer that is a directory only was made over the others,
    /// and shows what they and it say.
    fn root(&self) -> Result<Metadata, EnsureError> {
        for Placed { layer, directory } in self.placed.iter().rev() {
            match self.said(layer)? {
                Said::Nothing => {}
                Said::Root(root) => return Ok(root),
                Said::InDirectory => return Ok(root_of(directory, self.idmap)?),
            }
        }
        Ok(implied())
    }

    fn said(&self, layer: &LayerId) -> Result<Said, EnsureError> {
        let known = self.roots.lock().get(layer).cloned();
        if let Some(root) = known {
            return Ok(Said::of(root));
        }
        let store = self.lease.store();
        let Some(tree) = store.layer(layer)?.and_then(|record| record.tree) else {
            return Ok(Said::InDirectory);
        };
        let root = store.tree_root(&tree)?.ok_or(EnsureError::Gone(*layer))?.root;
        self.roots.lock().insert(*layer, root.clone());
        Ok(Said::of(root))
    }
}

/// What a layer says of the root.
enum Said {
    /// Its tree does not name it.
    Nothing,
    Root(Metadata),
    /// It has no tree yet.
    InDirectory,
}

impl Said {
    fn of(root: Option<Metadata>) -> Self {
        root.map_or(Self::Nothing, Self::Root)
    }
}

/// Whatever happens at the top changes its time.
fn timeless(root: Metadata) -> Metadata {
    Metadata { mtime: Timestamp::default(), ..root }
}

fn root_of(directory: &Path, idmap: &[u8]) -> Result<Metadata, ReadError> {
    attributes::of_directory(directory, idmap).reading(&directory.display().to_string())
}

fn is_empty(directory: &Path) -> Result<bool, ReadError> {
    let mut names = std::fs::read_dir(directory).reading(&directory.display().to_string())?;
    Ok(names.next().is_none())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::gc::Policy;
    use crate::journal::Durability;
    use crate::journal::batch::Batch;
    use crate::layers::LayerRecord;
    use crate::live::ensure::ensure;
    use crate::live::scratch::{adopt, scratch};
    use crate::live::tests::{Trial, bodies, ours};
    use crate::live::upper::upper_tree;
    use crate::tree::encode::encode;
    use crate::tree::merge::{merge, merge_all};
    use crate::tree::sketch::sketch;

    /// A layer of these words, or of the root only where they are a mode.
    fn tree(words: &str) -> Tree {
        let (uid, gid) = sketched_owner();
        let xattrs = vec![(b"user.said"[..].into(), b"of the root"[..].into())];
        let own = Metadata { uid, gid, xattrs, ..implied() };
        match u32::from_str_radix(words, 8) {
            Ok(mode) => Tree { root: Some(Metadata { mode, ..own }), ..Tree::default() },
            Err(_) => ours(&sketch(words)),
        }
    }

    fn sketched_owner() -> (u32, u32) {
        (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
    }

    fn placed(trial: &Trial, words: &str) -> Placed {
        for body in bodies(words).values() {
            trial.lease.put_body(&body.load().unwrap()).unwrap();
        }
        made_of(&trial.lease, b"map", &tree(words)).unwrap()
    }

    fn stack(trial: &Trial, layers: &[&str]) -> Vec<PathBuf> {
        let roots = KnownRoots::default();
        let mut stack = Stack::new(&trial.lease, b"map", &roots);
        for words in layers {
            stack.push(placed(trial, words)).unwrap();
        }
        stack.finish().unwrap()
    }

    /// The stack has each directory once and shows what the layers say; gives their number.
    #[track_caller]
    fn check(layers: &[&str], count: usize) {
        // A root that no layer names is root's, which only root can make.
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let trial = Trial::new();
        let found = stack(&trial, layers);
        let once: BTreeSet<&PathBuf> = found.iter().collect();
        assert_eq!((once.len(), found.len()), (count, count), "{layers:?}");
        let said: Vec<Tree> = layers.iter().map(|words| tree(words)).collect();
        let said = merge_all(&said);
        let shown = found.iter().fold(Tree::default(), |below, directory| {
            merge(&below, &upper_tree(&trial.lease, (directory, b"map"), &below).unwrap())
        });
        let children = |tree: &Tree| encode(&Tree { root: None, ..tree.clone() });
        assert_eq!(children(&shown), children(&said), "{layers:?}");
        let root = found.last().map_or_else(implied, |top| root_of(top, b"map").unwrap());
        let wanted = said.root.unwrap_or_else(|| Metadata { mode: root.mode, ..root.clone() });
        assert_eq!(timeless(root), timeless(wanted), "{layers:?}");
        let again = stack(&trial, layers);
        assert_eq!(again.iter().collect::<BTreeSet<_>>(), once, "what was made is found again");
    }

    #[test]
    fn a_layer_that_comes_again_has_another_directory_each_time() {
        check(&["f=1", "-f", "f=1"], 3);
        check(&["f=1 d/ d/a=1", "f=2 -d", "f=1 d/ d/a=1", "f=2 -d", "f=1 d/ d/a=1"], 5);
        check(&["d/ d/a=1", "d! d/b=2", "d/ d/a=1", "d! d/b=2"], 4);
    }

    #[test]
    fn what_changes_nothing_is_left_out() {
        check(&["f=1 -w", "f=1 -w"], 1);
        check(&["d! d/f=1", "d! d/f=1", "d! d/f=1"], 1);
        check(&["f=1", "", "g=1", "", ""], 3);
        check(&["", ""], 1);
    }

    #[test]
    fn the_topmost_directory_has_the_root_that_the_layers_have() {
        check(&["1777", "f=1", "g=1"], 4);
        check(&["555", "f=1", "711", "", "555", "f=1", "555"], 6);
        check(&["f=1", "1777"], 2);
    }

    #[test]
    fn a_root_that_only_its_owner_may_enter_is_entered_and_stays_as_it_is() {
        let trial = Trial::new();
        let below = stack(&trial, &["700", "f=1"]);
        assert_eq!(root_of(below.last().unwrap(), b"map").unwrap().mode, 0o711);
        let area = scratch(&trial.lease, &below, b"map").unwrap();
        let lower = merge(&tree("700"), &tree("f=1"));
        let changed = |mode| {
            set_permissions(&area.upper, Permissions::from_mode(mode)).unwrap();
            upper_tree(&trial.lease, (&area.upper, b"map"), &lower)
                .unwrap()
                .root
                .map(|root| root.mode)
        };
        assert_eq!([0o711, 0o700, 0o755].map(changed), [None, None, Some(0o755)]);
    }

    #[test]
    fn what_a_step_made_of_the_root_is_the_root() {
        let trial = Trial::new();
        let below = stack(&trial, &["1777", "f=1"]);
        let area = scratch(&trial.lease, &below, b"map").unwrap();
        assert_eq!(root_of(&area.upper, b"map").unwrap().mode, 0o1777);
        let lower = merge(&tree("1777"), &tree("f=1"));
        assert_eq!(
            upper_tree(&trial.lease, (&area.upper, b"map"), &lower).unwrap(),
            Tree::default()
        );
        set_permissions(&area.upper, Permissions::from_mode(0o711)).unwrap();
        let mut batch = Batch::new();
        let layer = adopt(&trial.lease, &area, b"map", &mut batch).unwrap();
        trial.lease.commit(batch, Durability::Relaxed).unwrap();
        let roots = KnownRoots::default();
        let mut stack = Stack::new(&trial.lease, b"map", &roots);
        let directory = ensure(&trial.lease, &layer, b"map").unwrap();
        for placed in [placed(&trial, "1777"), Placed { layer, directory }, placed(&trial, "f=1")] {
            stack.push(placed).unwrap();
        }
        let found = stack.finish().unwrap();
        assert_eq!(root_of(found.last().unwrap(), b"map").unwrap().mode, 0o711);
    }

    #[test]
    fn a_second_directory_goes_with_its_layer() {
        let trial = Trial::new();
        let found = stack(&trial, &["755", "f=1", "-f", "f=1", "-f", "f=1", "755"]);
        let store = trial.another();
        let live = || std::fs::read_dir(store.path().join("live")).unwrap().count();
        store.prune(Policy::KeepActions).unwrap();
        assert_eq!(found.len(), live(), "a lease may use them");
        drop(trial.lease);
        store.prune(Policy::KeepActions).unwrap();
        assert_eq!(live(), 0);
    }

    #[test]
    fn a_layer_that_is_a_directory_only_has_no_second() {
        let trial = Trial::new();
        let area = scratch(&trial.lease, &[], b"map").unwrap();
        std::fs::write(area.upper.join("f"), "1").unwrap();
        let mut batch = Batch::new();
        let layer = adopt(&trial.lease, &area, b"map", &mut batch).unwrap();
        trial.lease.commit(batch, Durability::Relaxed).unwrap();
        let directory = ensure(&trial.lease, &layer, b"map").unwrap();
        let roots = KnownRoots::default();
        let mut stack = Stack::new(&trial.lease, b"map", &roots);
        let again = Placed { layer, directory };
        stack.push(again.clone()).unwrap();
        stack.push(placed(&trial, "-f")).unwrap();
        assert!(matches!(stack.push(again), Err(EnsureError::Gone(_))));
        let record = trial.lease.store().layer(&layer).unwrap().unwrap();
        assert_eq!(record, LayerRecord { live: record.live.clone(), ..LayerRecord::new(layer) });
    }
}
