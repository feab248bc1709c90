//! Reading a cache mount again after it was changed: what was left alone is as it was read before.
//!
//! Who changes a mount has it alone, and knows each directory in which a name comes, goes or is given other metadata.
//! Those are read again, with all that has come into them.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use crate::live::mount_change::{Change, Fate};
use crate::live::mount_read::{MountFiles, MountReadError, Place, Top, Walk};
use crate::live::mount_seen::Seen;
use crate::path::LayerPath;
use crate::tree::entry::{Claim, Directory, Entry, Node, Subdirectory, Tree};

/// What a directory holds that was read as `before`, once `change` was made of it. Neither has hard links.
///
/// # Errors
///
/// As [`read`](super::mount_read::read), for what is looked at.
pub(crate) fn read_again(
    path: &Path,
    idmap: &[u8],
    (before, change): (&MountFiles, &Change),
) -> Result<MountFiles, MountReadError> {
    let nothing = Seen::default();
    let walk = Walk::new(idmap, &nothing);
    let top = Top::open(path, &walk)?;
    let old = (&*before.tree.children, change);
    let children = walk.changed(&top.opened, &top.names, (&LayerPath::root(), old))?;
    let tree = Tree { root: Some(top.metadata), children: Arc::new(children) };
    let seen = walk.into_seen().over(&before.seen);
    Ok(MountFiles { tree, lists: seen.lists(), seen })
}

impl Walk<'_> {
    fn changed<N: AsRef<[u8]>>(
        &self,
        at: &OwnedFd,
        names: &[N],
        (path, (before, change)): (&LayerPath, (&Directory, &Change)),
    ) -> Result<Directory, MountReadError> {
        let entry = |name: &N| {
            let (name, path) = (name.as_ref(), path.join(name.as_ref()));
            match (change.fate(name), before.get(name)) {
                (Fate::Stays, Some(entry)) => Ok(Some(entry.clone())),
                (Fate::Below(change), Some(entry)) => {
                    self.changed_below(at, entry, (&path, change)).map(Some)
                }
                (Fate::Comes, _) | (_, None) => self.entry(Place::of(at), name, &path),
            }
        };
        let entries = names.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        Ok(Directory::from_entries(entries.into_iter().flatten().collect()))
    }

    fn changed_below(
        &self,
        at: &OwnedFd,
        before: &Entry,
        (path, change): (&LayerPath, &Change),
    ) -> Result<Entry, MountReadError> {
        let nothing = Directory::default();
        let old = below(before).unwrap_or(&nothing);
        let (opened, seen) = self.open(at, &before.name, path)?;
        let children = self.changed(&opened.file, &seen.names, (path, (old, change)))?;
        let metadata = seen.metadata.clone();
        self.note(opened.inode, Arc::new(seen));
        let node =
            Node::Directory(Subdirectory { claim: Claim::Explicit, children: Arc::new(children) });
        Ok(Entry { name: before.name.clone(), metadata, node })
    }
}

fn below(entry: &Entry) -> Option<&Directory> {
    if let Node::Directory(below) = &entry.node { Some(&below.children) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::materialise::unpack;
    use crate::live::mount_change::change;
    use crate::live::mount_read::read;
    use crate::live::tests::{ONE, bodies, ours};
    use crate::tree::encode::encode;
    use crate::tree::sketch::sketch;

    fn made(words: &str, at: &Path) {
        std::fs::create_dir_all(at).unwrap();
        unpack(&ours(&sketch(words)), (&bodies(words), ONE), at).unwrap();
    }

    fn seen(path: &Path) -> MountFiles {
        read(path, b"map", &Seen::default()).unwrap()
    }

    /// What is read of a change, beside what is there.
    fn both(old: &str, new: &str, meddle: impl FnOnce(&Path)) -> [Vec<u8>; 2] {
        let folder = tempfile::tempdir().unwrap();
        let [place, wanted, staged] =
            ["place", "wanted", "staged"].map(|name| folder.path().join(name));
        made(old, &place);
        made(new, &wanted);
        let (before, after) = (seen(&place), seen(&wanted));
        let (change, _) = change(&before.tree, &after.tree);
        made(new, &staged);
        change.apply(&place, &staged).unwrap();
        meddle(&place);
        let again = read_again(&place, b"map", (&before, &change)).unwrap();
        let whole = seen(&place);
        if whole.tree == again.tree {
            assert!(whole.seen.all_in(&again.seen), "{old} to {new}");
        }
        [encode(&again.tree), encode(&whole.tree)]
    }

    #[test]
    fn what_is_read_again_is_what_is_there() {
        let states = [
            "a=1 d/ d/x=1 d/y=2 d/e/ d/e/z=3",
            "a=1 d/ d/x=1 d/y=3 d/e/ d/e/z=3",
            "a=2 d/ d/x=1 d/y=2 d/e/ d/e/z=4 d/e/new=1",
            "a/ a/b=1 d/ d/x=1 d/e=1 f>a",
            "d/ d/x=1 d/y=2",
            "",
        ];
        for old in states {
            for new in states {
                let [again, whole] = both(old, new, |_| ());
                assert_eq!(again, whole, "{old} to {new}");
            }
        }
    }

    #[test]
    fn what_others_do_where_it_changes_is_seen() {
        let (old, new) = ("a=1 d/ d/x=1 d/y=2 k/ k/z=1", "a=1 d/ d/x=1 d/y=3 k/ k/z=1");
        let meddling: [fn(&Path); 3] = [
            |place| std::fs::write(place.join("d/y"), "other").unwrap(),
            |place| std::fs::write(place.join("d/more"), "other").unwrap(),
            |place| std::fs::remove_file(place.join("a")).unwrap(),
        ];
        for meddle in meddling {
            let [again, whole] = both(old, new, meddle);
            assert_eq!(again, whole);
        }
    }
}
