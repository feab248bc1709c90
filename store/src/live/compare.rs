//! Comparing the directories of layers with what the layers are.
//!
//! Later steps run on the directory, and images are made of the tree: both have to show the same.
//! What a step copied up and left as it was is in its directory and not in its tree, so that the
//! comparison needs the files below. They are known of the layers of images. Of others only what
//! their trees name can be compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::ReadError;
use crate::fsck::damage::Damage;
use crate::id::LayerId;
use crate::layer::canonical::travels;
use crate::lease::Lease;
use crate::live::attributes::entered;
use crate::live::found::{is_as_left, is_there};
use crate::live::reading::Reading;
use crate::live::upper::{UpperError, read};
use crate::live_record::LiveName;
use crate::path::LayerPath;
use crate::store::Store;
use crate::tree::diff::diff;
use crate::tree::entry::{Claim, Directory, Entry, Metadata, Node, Tree};
use crate::tree::merge::{implied, merge};

/// How a directory differs from its layer in one place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Difference {
    /// It lacks what the layer has.
    Lacks,
    /// It has what the layer lacks.
    Has,
    /// Content, type or metadata is another.
    Changed,
}

impl Difference {
    /// Completes "the directory … its path".
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Lacks => "lacks",
            Self::Has => "should not have",
            Self::Changed => "has been changed at",
        }
    }
}

/// The layers below each layer, once for each stack that it is in: steps that made the same changes
/// share a layer, whatever they ran on.
pub type Stacks = BTreeMap<LayerId, BTreeSet<Vec<LayerId>>>;

/// Compares every directory whose owners were written through `idmap` with the tree of its layer,
/// over the layers of `stacks`. On a thread of a rayon pool, files are read by all of its threads.
///
/// # Errors
///
/// If the store cannot be read; what differs is no error.
pub fn compare(lease: &Lease, idmap: &[u8], stacks: &Stacks) -> Result<Vec<Damage>, ReadError> {
    let store = lease.store();
    let mut damage = Vec::new();
    for (name, live) in store.lives()? {
        if !is_there(store, &name, &live.layer, Some(idmap))? {
            continue;
        }
        let Some(tree) = tree_of(store, &live.layer)? else {
            // What a step made and nothing was made of yet is compared with nothing.
            if !is_as_left(store, &name, &live)? {
                let (directory, path) = (name.path(), LayerPath::root());
                damage.push(Damage::Directory { directory, path, how: Difference::Changed });
            }
            continue;
        };
        let compared = Compared { store, name: &name, idmap, tree: &tree };
        damage.extend(compared.whatever_is_below(stacks.get(&live.layer))?);
    }
    Ok(damage)
}

fn tree_of(store: &Store, layer: &LayerId) -> Result<Option<Tree>, ReadError> {
    let tree = store.layer(layer)?.and_then(|record| record.tree);
    Ok(tree.map(|id| store.tree(&id)).transpose()?.flatten())
}

/// The files of layers, as far as all of their trees are known.
fn files_of(store: &Store, layers: &[LayerId]) -> Result<Option<Tree>, ReadError> {
    let mut files = Tree::default();
    for layer in layers {
        let Some(tree) = tree_of(store, layer)? else { return Ok(None) };
        files = merge(&files, &tree);
    }
    Ok(Some(files))
}

/// A directory and what it should be.
struct Compared<'a> {
    store: &'a Store,
    name: &'a LiveName,
    idmap: &'a [u8],
    tree: &'a Tree,
}

impl Compared<'_> {
    /// The differences over the stack that the directory fits best: it was made over one of them.
    fn whatever_is_below(
        &self,
        stacks: Option<&BTreeSet<Vec<LayerId>>>,
    ) -> Result<Vec<Damage>, ReadError> {
        let mut best: Option<Vec<Damage>> = None;
        for layers in stacks.into_iter().flatten() {
            let Some(lower) = files_of(self.store, layers)? else { continue };
            let found = self.damages(Some(&lower));
            if best.as_ref().is_none_or(|best| found.len() < best.len()) {
                best = Some(found);
            }
            if best.as_ref().is_some_and(Vec::is_empty) {
                break;
            }
        }
        Ok(best.unwrap_or_else(|| self.damages(None)))
    }

    fn damages(&self, below: Option<&Tree>) -> Vec<Damage> {
        self.differences(below).unwrap_or_else(|error| {
            let (directory, cause) = (self.name.path(), error.to_string());
            vec![Damage::UnreadableDirectory { directory, cause }]
        })
    }

    fn differences(&self, below: Option<&Tree>) -> Result<Vec<Damage>, UpperError> {
        let nothing = Tree::default();
        let lower = below.unwrap_or(&nothing);
        let path = self.store.path().join(self.name.path());
        let right = merge(lower, self.tree);
        let found = read(Reading::Comparing(&right), (&path, self.idmap), lower)?;
        let shown = merge(lower, &found);
        let changes = diff(&right, &shown);
        let mut damage = Vec::new();
        let named = Some(&*self.tree.children);
        walk(&LayerPath::root(), (&changes.children, &right.children, named), &mut |at, how| {
            // Without the files below, what was only copied up looks as if it were new.
            if how != Difference::Has || below.is_some() {
                damage.push(self.damage(at, how));
            }
        });
        // Where the layer says nothing of the root nobody goes by that of its directory: a stack has
        // one on top that says what its layers do.
        if let Some(root) = &self.tree.root {
            let shown = shown.root.unwrap_or_else(implied);
            let said = |root| same(&Metadata { mtime: shown.mtime, ..root }, &shown);
            if !said(root.clone()) && !said(entered(root.clone())) {
                damage.push(self.damage(LayerPath::root(), Difference::Changed));
            }
        }
        Ok(damage)
    }

    fn damage(&self, path: LayerPath, how: Difference) -> Damage {
        Damage::Directory { directory: self.name.path(), path, how }
    }
}

/// Calls `tell` for every place where `changes` lead away from what is right; `named` is what
/// the layer itself says there.
fn walk(
    path: &LayerPath,
    (changes, right, named): (&Directory, &Directory, Option<&Directory>),
    tell: &mut dyn FnMut(LayerPath, Difference),
) {
    for change in changes.entries() {
        let at = path.join(&change.name);
        let named = named.and_then(|named| named.get(&change.name));
        let Some(wanted) = right.get(&change.name) else {
            tell(at, Difference::Has);
            continue;
        };
        match (&wanted.node, &change.node) {
            (_, Node::Whiteout) => tell(at, Difference::Lacks),
            (Node::Directory(wanted_in), Node::Directory(changed_in)) => {
                let (named_in, claim) = match named.map(|named| &named.node) {
                    Some(Node::Directory(inner)) => (Some(&*inner.children), Some(inner.claim)),
                    _ => (None, None),
                };
                let counts = claim != Some(Claim::Implied);
                if counts && !same(&wanted.metadata, &change.metadata) {
                    tell(at.clone(), Difference::Changed);
                }
                let inside = (&*changed_in.children, &*wanted_in.children, named_in);
                walk(&at, inside, tell);
            }
            _ if is_other(wanted, change) => tell(at, Difference::Changed),
            _ => {}
        }
    }
}

fn is_other(wanted: &Entry, found: &Entry) -> bool {
    let same_node = match (&wanted.node, &found.node) {
        (Node::File(wanted), Node::File(found)) => wanted.body == found.body,
        (wanted, found) => wanted == found,
    };
    !same_node || !same(&wanted.metadata, &found.metadata)
}

/// Whether two say the same in a directory, which has only the attributes that travel.
fn same(wanted: &Metadata, found: &Metadata) -> bool {
    let travelling = |it: &Metadata| {
        let xattrs = it.xattrs.iter().filter(|(name, _)| travels(name)).cloned().collect();
        Metadata { xattrs, ..it.clone() }
    };
    travelling(wanted) == travelling(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::stacks::stacks;
    use crate::journal::Durability;
    use crate::journal::batch::Batch;
    use crate::live::ensure::{ensure, receive};
    use crate::live::materialise::unpack;
    use crate::live::scratch::{adopt, scratch};
    use crate::live::seal::seal;
    use crate::live::tests::{ONE, Pulled, Trial, bodies, ours};
    use crate::tree::sketch::sketch;
    use std::fs;
    use std::path::{Path, PathBuf};

    fn found(trial: &Trial) -> Vec<String> {
        let stacks = stacks(trial.lease.store()).unwrap();
        let damage = compare(&trial.lease, b"map", &stacks).unwrap();
        let told = damage.iter().map(|one| {
            let Damage::Directory { path, how, .. } = one else { return one.to_string() };
            format!("{how:?} {path}")
        });
        told.collect()
    }

    /// A layer that was pulled and unpacked.
    fn unpacked(trial: &Trial, words: &str) -> PathBuf {
        let pulled = Pulled::new(words);
        let announced = (&pulled.descriptor, &pulled.diff_id);
        receive(&trial.lease, announced, b"map", &mut &pulled.blob[..]).unwrap()
    }

    /// A layer that a step made over `lower`.
    fn adopted(trial: &Trial, words: &str, lower: &str) -> PathBuf {
        let made = scratch(&trial.lease, &[], b"map").unwrap();
        unpack(&ours(&sketch(words)), (&bodies(words), ONE), &made.upper).unwrap();
        let mut batch = Batch::new();
        let layer = adopt(&trial.lease, &made, b"map", &mut batch).unwrap();
        trial.lease.commit(batch, Durability::Relaxed).unwrap();
        let mut record = trial.lease.store().layer(&layer).unwrap().unwrap();
        seal(&trial.lease, &mut record, &merge(&Tree::default(), &ours(&sketch(lower)))).unwrap();
        let mut batch = Batch::new();
        batch.put_layer(&record);
        trial.lease.commit(batch, Durability::Relaxed).unwrap();
        ensure(&trial.lease, &layer, b"map").unwrap()
    }

    fn rewrite(path: &Path, text: &str) {
        let before = fs::metadata(path).unwrap().modified().unwrap();
        fs::write(path, text).unwrap();
        fs::File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
    }

    #[test]
    fn directories_as_they_were_made_differ_in_nothing() {
        let trial = Trial::new();
        unpacked(&trial, "a=1@1 b=1@1 d/ d/c=2 e/l>../a -w e!");
        adopted(&trial, "a=1 d/ d/x=9 n=3 -w", "a=1 d/ d/y=1 w=1");
        assert_eq!(found(&trial), [""; 0]);
    }

    #[test]
    fn what_was_changed_taken_away_or_given_another_mode_is_named() {
        let trial = Trial::new();
        for path in [unpacked(&trial, "a=1 d/ d/c=2 m=3"), adopted(&trial, "a=1 d/ d/c=2 m=3", "")]
        {
            rewrite(&path.join("d/c"), "3");
            fs::remove_file(path.join("a")).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(path.join("m"), mode).unwrap();
            let told = found(&trial);
            assert_eq!(told.len(), 3, "{told:?}");
            for place in ["Lacks /a", "Changed /d/c", "Changed /m"] {
                assert!(told.iter().any(|one| one == place), "{told:?}");
            }
            fs::remove_dir_all(path).unwrap();
        }
    }

    #[test]
    fn a_root_that_no_layer_speaks_of_is_judged_by_nobody() {
        let trial = Trial::new();
        for path in [unpacked(&trial, "a=1"), adopted(&trial, "b=1", "a=1")] {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o711);
            fs::set_permissions(path, mode).unwrap();
        }
        assert_eq!(found(&trial), [""; 0]);
    }

    #[test]
    fn directories_of_another_mapping_are_left_alone() {
        let trial = Trial::new();
        fs::remove_file(unpacked(&trial, "a=1").join("a")).unwrap();
        assert!(compare(&trial.lease, b"another map", &Stacks::new()).unwrap().is_empty());
    }
}
