//! What a step changed: the tree of its upper directory.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use rustix::fs::{self as sys, AtFlags, FileType, Mode, OFlags, RawDir, Stat};
use rustix::io::Errno;

use crate::error::WriteError;
use crate::id::BodyId;
use crate::layer::canonical::is_mark;
use crate::lease::Lease;
use crate::live::attributes::{self, Attributes, entered, metadata};
use crate::live::owner::{self, Owner};
use crate::live::owners::{Found, Owners};
use crate::live::reading::{Reading, UNREAD};
use crate::path::{LayerPath, PathError};
use crate::tree::entry::{
    Claim, Device, Directory, Entry, File, LinkGroup, Metadata, Node, Subdirectory, Tree, Xattrs,
};
use crate::tree::links;
use crate::tree::links::repeats;
use crate::tree::merge::implied;

/// How many bytes of names are read at a time: those of a hundred files.
const NAMES: usize = 8 << 10;

/// An upper directory could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path} of a step's changes")]
pub struct UpperError {
    /// The entry.
    pub path: LayerPath,
    /// Why.
    #[source]
    pub cause: UpperCause,
}

/// Why an upper directory could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpperCause {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file's bytes could not be stored.
    #[error(transparent)]
    Store(#[from] WriteError),
    /// A file of this name is none in a layer, but takes another one away.
    #[error("names that begin with .wh. mean in a layer that something is deleted")]
    Mark,
    /// Its path is longer or deeper than that of any layer.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Anybody can mark a file of theirs as a device, and so only root's marks count.
    #[error(
        "it is a device that belongs to user {0}; without root on this machine, only root's devices can be kept"
    )]
    Device(u32),
}

impl From<Errno> for UpperCause {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// Reads an upper directory, whose owners are those of `idmap`, as a changeset of `lower`, the root
/// file system the step ran on, and stores the bytes of its files. What was copied up and is
/// unchanged is left out.
///
/// # Cost
///
/// The size of the change; of `lower` only the entries beside it are looked at. On a thread of a
/// rayon pool, files are read and hashed by all of its threads, each with a few megabytes at most.
///
/// # Errors
///
/// If the directory cannot be read, or the store cannot be written.
pub fn upper_tree(lease: &Lease, upper: (&Path, &[u8]), lower: &Tree) -> Result<Tree, UpperError> {
    read(Reading::Storing(lease), upper, lower)
}

/// As [`upper_tree`], but no file is opened: [`UNREAD`] stands for what those hold that the directory has, also where that is
/// what `lower` has. Of those only place, size and time are right, and what is marked as a device is a file.
///
/// # Errors
///
/// If the directory cannot be read.
pub fn upper_outline(upper: (&Path, &[u8]), lower: &Tree) -> Result<Tree, UpperError> {
    read(Reading::Outlining, upper, lower)
}

/// As [`upper_tree`], for what `reading` says.
pub(super) fn read(
    reading: Reading<'_>,
    (upper, idmap): (&Path, &[u8]),
    lower: &Tree,
) -> Result<Tree, UpperError> {
    let root_path = LayerPath::root();
    let (root, stat, found) = opened(sys::open(upper, DIRECTORY, Mode::empty()), &root_path)?;
    let walk = Walk::new(reading, idmap, lower);
    let below = lower.root.clone().unwrap_or_else(implied);
    let beside = (below.uid, below.gid);
    let owner = walk.owner(&stat, found.owner, (None, beside));
    let metadata = metadata(&stat, owner, found.image);
    let covered = Some(&*lower.children);
    let children = walk.directory((&root, owner), covered, &root_path)?;
    // Whatever happens at the top changes its time, which no other builder puts into a layer.
    let found = Metadata { mtime: below.mtime, ..metadata.clone() };
    let same = found == below || found == entered(below);
    let children = links::without_singles(&Arc::new(children));
    Ok(Tree { root: (!same).then_some(metadata), children })
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An open directory, and whose it is.
pub(super) type At<'a> = (&'a OwnedFd, Owner);

/// A way through the directory of a step.
pub(super) struct Walk<'a> {
    reading: Reading<'a>,
    owners: Owners<'a>,
    /// Files with several names, by inode.
    files: Mutex<BTreeMap<(u64, u64), File>>,
}

impl<'a> Walk<'a> {
    /// One that reads for `reading` what was written through `idmap` over `lower`.
    pub(super) fn new(reading: Reading<'a>, idmap: &[u8], lower: &'a Tree) -> Self {
        let owners = Owners::new(idmap, reading.known(lower));
        Self { reading, owners, files: Mutex::default() }
    }

    fn directory(
        &self,
        at: At<'_>,
        lower: Option<&Directory>,
        path: &LayerPath,
    ) -> Result<Directory, UpperError> {
        each(at, lower, path, |name, below, path| self.entry(at, name, below, path))
    }

    fn entry(
        &self,
        at: At<'_>,
        name: &[u8],
        lower: Option<&Entry>,
        path: &LayerPath,
    ) -> Result<Option<Entry>, UpperError> {
        let stat = checked(at, name, path)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return self.subdirectory(at, name, lower, path);
        }
        let refused = |cause: UpperCause| UpperError { path: path.clone(), cause };
        let Some((metadata, node)) = self.leaf(at, (name, lower), &stat).map_err(refused)? else {
            return Ok(None);
        };
        let entry = Entry { name: name.into(), metadata, node };
        let gone_already = entry.node == Node::Whiteout && lower.is_none();
        Ok((!gone_already && !repeats(&entry, lower)).then_some(entry))
    }

    fn subdirectory(
        &self,
        at: At<'_>,
        name: &[u8],
        lower: Option<&Entry>,
        path: &LayerPath,
    ) -> Result<Option<Entry>, UpperError> {
        let found = sys::openat(at.0, name, DIRECTORY, Mode::empty());
        let (opened, stat, found) = opened(found, path)?;
        let Attributes { image, opaque, owner, .. } = found;
        let owner = self.owner(&stat, owner, (lower, at.1));
        let metadata = metadata(&stat, owner, image);
        let covered = match lower {
            Some(Entry { node: Node::Directory(below), .. }) => Some(&*below.children),
            _ => None,
        };
        let below = covered.filter(|_| !opaque);
        let children = self.directory((&opened, owner), below, path)?;
        let same = below.is_some() && lower.is_some_and(|lower| lower.metadata == metadata);
        if same && children.is_empty() {
            return Ok(None);
        }
        // Over nothing, or over what is no directory, there is nothing to hide. A directory that
        // only leads to what has changed is named as it is: a layer may be unpacked alone.
        let hides = opaque && covered.is_some();
        let claim = if hides { Claim::Opaque } else { Claim::Explicit };
        let node = Node::Directory(Subdirectory { claim, children: Arc::new(children) });
        Ok(Some(Entry { name: name.into(), metadata, node }))
    }

    /// What is no directory; `None` for sockets, which no layer holds.
    pub(super) fn leaf(
        &self,
        (at, parent): At<'_>,
        (name, lower): (&[u8], Option<&Entry>),
        stat: &Stat,
    ) -> Result<Option<(Metadata, Node)>, UpperCause> {
        let device = || Device { major: sys::major(stat.st_rdev), minor: sys::minor(stat.st_rdev) };
        let (mut xattrs, mut recorded, mut marked) = (Xattrs::new(), None, None);
        let node = match FileType::from_raw_mode(stat.st_mode) {
            FileType::CharacterDevice if stat.st_rdev == 0 => {
                return Ok(Some((Metadata::default(), Node::Whiteout)));
            }
            FileType::CharacterDevice => Node::CharDevice(device()),
            FileType::BlockDevice => Node::BlockDevice(device()),
            FileType::Fifo => Node::Fifo,
            FileType::Symlink => {
                let target = sys::readlinkat(at, name, Vec::new())?;
                Node::Symlink(target.into_bytes().into())
            }
            // What is not read is not opened: nobody asks what an outline says of a file but its place.
            FileType::RegularFile if self.reading.is_outline() => {
                let (body, size) = (UNREAD, u64::try_from(stat.st_size).unwrap_or(0));
                Node::File(self.linked(stat, (body, size)))
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let opened = sys::openat(at, name, flags, Mode::empty())?;
                let found = attributes::read(&opened)?;
                (xattrs, recorded) = (found.image, found.owner);
                match found.device {
                    Some((device, owner))
                        if self.reading.believes_marks() || is_trusted(stat, lower) =>
                    {
                        marked = owner;
                        device
                    }
                    Some(_) => return Err(UpperCause::Device(stat.st_uid)),
                    None => Node::File(self.file(opened, stat)?),
                }
            }
            FileType::Directory | FileType::Socket | FileType::Unknown => return Ok(None),
        };
        if !matches!(node, Node::File(_)) && self.owners.are_recorded() {
            recorded = recorded.or_else(|| owner::recorded_at(at, name));
        }
        let owner = marked.unwrap_or_else(|| self.owner(stat, recorded, (lower, parent)));
        Ok(Some((metadata(stat, owner, xattrs), node)))
    }

    pub(super) fn owner(
        &self,
        stat: &Stat,
        recorded: Option<Owner>,
        (lower, parent): (Option<&Entry>, Owner),
    ) -> Owner {
        self.owners.of(Found { actual: (stat.st_uid, stat.st_gid), recorded, lower, parent })
    }

    fn file(&self, opened: OwnedFd, stat: &Stat) -> Result<File, UpperCause> {
        if let Some(file) = shared(stat).and_then(|inode| self.files().get(&inode).copied()) {
            return Ok(file);
        }
        let hint = u64::try_from(stat.st_size).unwrap_or(0);
        let mut reader = std::fs::File::from(opened);
        let (body, size) = self.reading.body(&mut reader, hint)?;
        Ok(self.linked(stat, (body, size)))
    }

    /// A file of these bytes, in the group of all who have its inode.
    pub(super) fn linked(&self, stat: &Stat, (body, size): (BodyId, u64)) -> File {
        let Some(inode) = shared(stat) else { return File { body, size, link: None } };
        // Two threads may have read it at once; the first says which group it is.
        let mut files = self.files();
        let link = Some(LinkGroup(files.len() as u64));
        *files.entry(inode).or_insert(File { body, size, link })
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<(u64, u64), File>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The inode of a file with several names.
fn shared(stat: &Stat) -> Option<(u64, u64)> {
    (stat.st_nlink > 1).then_some((stat.st_dev, stat.st_ino))
}

/// A directory of what `read` makes of each name, which is given what lies below it. On a thread of a
/// pool all of its threads read.
pub(super) fn each(
    at: At<'_>,
    lower: Option<&Directory>,
    path: &LayerPath,
    read: impl Fn(&[u8], Option<&Entry>, &LayerPath) -> Result<Option<Entry>, UpperError> + Sync,
) -> Result<Directory, UpperError> {
    let names = names(at.0).map_err(|error| failed(path, error))?;
    let entry = |name: &Vec<u8>| {
        let below = lower.and_then(|lower| lower.get(name));
        read(name, below, &path.join(name))
    };
    let pooled = rayon::current_thread_index().is_some();
    let entries: Vec<Option<Entry>> = if pooled {
        names.par_iter().map(entry).collect::<Result<_, _>>()?
    } else {
        names.iter().map(entry).collect::<Result<_, _>>()?
    };
    Ok(Directory::from_entries(entries.into_iter().flatten().collect()))
}

/// What the file system says of a name that a layer may hold.
pub(super) fn checked(at: At<'_>, name: &[u8], path: &LayerPath) -> Result<Stat, UpperError> {
    let refused = |cause: UpperCause| UpperError { path: path.clone(), cause };
    if is_mark(name) {
        return Err(refused(UpperCause::Mark));
    }
    // Before it is entered: a step can nest directories without end.
    path.check().map_err(|cause| refused(cause.into()))?;
    sys::statat(at.0, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| failed(path, error))
}

/// A directory that was opened, and what is known of it.
pub(super) fn opened(
    found: Result<OwnedFd, Errno>,
    path: &LayerPath,
) -> Result<(OwnedFd, Stat, Attributes), UpperError> {
    let at_path = |error| failed(path, error);
    let directory = found.map_err(at_path)?;
    let stat = sys::fstat(&directory).map_err(at_path)?;
    let attributes = attributes::read(&directory).map_err(at_path)?;
    Ok((directory, stat, attributes))
}

pub(super) fn failed(path: &LayerPath, error: Errno) -> UpperError {
    UpperError { path: path.clone(), cause: error.into() }
}

/// The names in a directory, in order.
pub(super) fn names(at: &OwnedFd) -> Result<Vec<Vec<u8>>, Errno> {
    // Who opened it may have read some of it. To open it once more costs as much as to read it.
    sys::seek(at, sys::SeekFrom::Start(0))?;
    let mut buffer = [const { MaybeUninit::uninit() }; NAMES];
    let (mut names, mut entries) = (Vec::new(), RawDir::new(at, &mut buffer));
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(name.to_vec());
        }
    }
    names.sort();
    Ok(names)
}

/// Whether a file that says it is a device is one: root said so, or a lower layer does.
fn is_trusted(stat: &Stat, lower: Option<&Entry>) -> bool {
    let device = |node: &Node| matches!(node, Node::BlockDevice(_) | Node::CharDevice(_));
    stat.st_uid == 0 || lower.is_some_and(|lower| device(&lower.node))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::canonical;
    use crate::live::device;
    use crate::live::materialise::unpack;
    use crate::live::tests::{ONE, Trial, bodies, ours};
    use crate::timestamp::Timestamp;
    use crate::tree::encode::encode;
    use crate::tree::merge::merge;
    use crate::tree::sketch::sketch;

    /// The children of `upper`, written to disk and read back as a change of `lower`.
    fn changes(trial: &Trial, lower: &Tree, upper: &str) -> Tree {
        let path = tempfile::tempdir_in(trial.directory.path()).unwrap();
        unpack(&ours(&sketch(upper)), (&bodies(upper), ONE), path.path()).unwrap();
        let found = upper_tree(&trial.lease, (path.path(), b"map"), lower).unwrap();
        Tree { root: None, ..found }
    }

    fn check(lower: &str, upper: &str, expected: &str, merged: &str) {
        let (trial, lower) = (Trial::new(), merge(&Tree::default(), &ours(&sketch(lower))));
        let found = changes(&trial, &lower, upper);
        assert_eq!(encode(&found), encode(&ours(&sketch(expected))), "{found:?}");
        let merged = ours(&sketch(merged));
        assert_eq!(encode(&merge(&lower, &found)), encode(&merged), "{upper}");
    }

    #[test]
    fn only_changes_are_in_the_changeset() {
        check("a=1 d/ d/x=1", "a=1 d/ d/x=1", "", "a=1 d/ d/x=1");
        check("a=1 d/ d/x=1", "a=2 d/ d/y=1", "a=2 d/ d/y=1", "a=2 d/ d/x=1 d/y=1");
    }

    #[test]
    fn a_removal_is_named_if_there_was_something() {
        check("a=1 b=2", "-a -z", "-a", "b=2");
        check("d/ d/a=1", "d/ d/-a d/-z", "d/ d/-a", "d/");
    }

    #[test]
    fn an_opaque_directory_hides_what_lower_layers_have_and_names_all_it_has() {
        check("d/ d/a=1", "d! d/b=2", "d! d/b=2", "d/ d/b=2");
        check("d/ d/a=1 d/b=2", "d! d/b=2", "d! d/b=2", "d/ d/b=2");
        check("d/ d/a=1", "d! d/-a d/b=2", "d! d/b=2", "d/ d/b=2");
        check("d/ d/e/ d/e/x=2", "d! d/e! d/e/f=1", "d! d/e/ d/e/f=1", "d/ d/e/ d/e/f=1");
        check("d/ d/e/ d/e/x=2", "d! d/e/", "d! d/e/", "d/ d/e/");
    }

    #[test]
    fn nothing_is_hidden_where_no_directory_was() {
        check("", "d! d/b=2", "d/ d/b=2", "d/ d/b=2");
        check("d=1", "d! d/b=2", "d/ d/b=2", "d/ d/b=2");
        check("d>e", "d! d/b=2", "d/ d/b=2", "d/ d/b=2");
    }

    #[test]
    fn an_outline_is_the_tree_without_what_files_hold() {
        let (trial, lower) =
            (Trial::new(), merge(&Tree::default(), &ours(&sketch("a=1 d/ d/x=1"))));
        let path = tempfile::tempdir_in(trial.directory.path()).unwrap();
        let words = "a=1 d/ d/-x d/y=2 e=2@1 f=2@1 l>a";
        unpack(&ours(&sketch(words)), (&bodies(words), ONE), path.path()).unwrap();
        let upper = (path.path(), &b"map"[..]);
        let outline = upper_outline(upper, &lower).unwrap();
        let shape = |tree: &Tree| {
            let mut headers = Vec::new();
            let sink = &mut |entry: canonical::CanonicalEntry| -> Result<(), ()> {
                headers.push(entry.header);
                Ok(())
            };
            canonical::each(&merge(&lower, tree), None, sink).unwrap();
            headers
        };
        assert_eq!(shape(&outline), shape(&upper_tree(&trial.lease, upper, &lower).unwrap()));
        let unread = crate::tree::files::files(&outline.children);
        assert_eq!(unread.map(|(_, _, file)| file.body).collect::<Vec<_>>(), [UNREAD; 4]);
    }

    #[test]
    fn all_names_of_a_linked_file_are_kept() {
        check("", "a=1@1 d/ d/b=1@1", "a=1@1 d/ d/b=1@1", "a=1@1 d/ d/b=1@1");
        check("a=1 b=1", "a=1@1 b=1@1", "a=1@1 b=1@1", "a=1@1 b=1@1");
    }

    #[test]
    fn threads_do_not_change_the_tree() {
        let trial = Trial::new();
        let words: Vec<String> = (0..300)
            .map(|n| {
                format!(
                    "d{}/ d{}/f{n}={} d{}/l{n}={n}@{n} e{n}={n}@{n}",
                    n % 7,
                    n % 7,
                    n / 3,
                    n % 7
                )
            })
            .collect();
        let words = words.join(" ");
        let serial = changes(&trial, &Tree::default(), &words);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        let parallel = pool.install(|| changes(&trial, &Tree::default(), &words));
        assert_eq!(encode(&serial), encode(&parallel));
    }

    #[test]
    fn attributes_of_the_image_are_read_and_others_are_not() {
        let trial = Trial::new();
        let path = trial.directory.path().join("upper");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("f"), "1").unwrap();
        let file = std::fs::File::open(path.join("f")).unwrap();
        for name in ["user.b", "user.a", "user.overlay.origin"] {
            sys::fsetxattr(&file, name, b"v", sys::XattrFlags::empty()).unwrap();
        }
        let found = upper_tree(&trial.lease, (&path, b"map"), &Tree::default()).unwrap();
        let names = &found.children.get(b"f").unwrap().metadata.xattrs;
        assert_eq!(
            names.iter().map(|(name, _)| &**name).collect::<Vec<_>>(),
            [b"user.a", b"user.b"]
        );
    }

    #[test]
    fn a_file_named_as_a_mark_is_refused() {
        let trial = Trial::new();
        let path = trial.directory.path().join("upper");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join(".wh.x"), "").unwrap();
        let error = upper_tree(&trial.lease, (&path, b"map"), &Tree::default()).unwrap_err();
        assert!(matches!(error.cause, UpperCause::Mark));
        assert_eq!(error.path.to_string(), "/.wh.x");
    }

    #[test]
    fn the_root_is_named_where_more_than_its_time_has_changed() {
        let trial = Trial::new();
        let path = trial.directory.path().join("upper");
        std::fs::create_dir(&path).unwrap();
        let root = std::fs::File::open(&path).unwrap();
        let root_of = |mode: u32, lower: &Tree| {
            sys::fchmod(&root, Mode::from_raw_mode(mode)).unwrap();
            upper_tree(&trial.lease, (&path, b"map"), lower).unwrap().root
        };
        let changed = root_of(0o711, &Tree::default());
        assert_eq!(changed.as_ref().map(|root| root.mode), Some(0o711));
        let lower = Tree { root: changed, ..Tree::default() };
        assert_eq!(root_of(0o711, &lower), None);
        if sys::fstat(&root).unwrap().st_uid == 0 {
            assert_eq!(root_of(0o755, &Tree::default()), None);
        }
    }

    #[test]
    fn pipes_are_read_and_sockets_are_not() {
        let trial = Trial::new();
        let path = trial.directory.path().join("upper");
        std::fs::create_dir(&path).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path.join("s")).unwrap();
        sys::mknodat(sys::CWD, path.join("p"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let found = upper_tree(&trial.lease, (&path, b"map"), &Tree::default()).unwrap();
        assert!(found.children.get(b"s").is_none());
        assert_eq!(found.children.get(b"p").unwrap().node, Node::Fifo);
    }

    #[test]
    fn a_marked_file_is_a_device_and_only_roots_marks_count() {
        let trial = Trial::new();
        let path = trial.directory.path().join("upper");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("n"), "what was written to it").unwrap();
        let file = std::fs::File::open(path.join("n")).unwrap();
        sys::fsetxattr(&file, device::ATTRIBUTE, b"c 1:3", sys::XattrFlags::empty()).unwrap();
        let found = upper_tree(&trial.lease, (&path, b"map"), &Tree::default());
        if sys::fstat(&file).unwrap().st_uid != 0 {
            assert!(matches!(found.unwrap_err().cause, UpperCause::Device(_)));
            return;
        }
        let (tree, null) = (found.unwrap(), Node::CharDevice(Device { major: 1, minor: 3 }));
        let entry = tree.children.get(b"n").unwrap();
        assert_eq!((&entry.node, entry.metadata.xattrs.len()), (&null, 0));
        sys::fsetxattr(&file, device::ATTRIBUTE, b"c 1:3 7:8", sys::XattrFlags::empty()).unwrap();
        let given = upper_tree(&trial.lease, (&path, b"map"), &Tree::default()).unwrap();
        let given = given.children.get(b"n").unwrap();
        assert_eq!((given.metadata.uid, given.metadata.gid), (7, 8));
        let other = Some(sys::Uid::from_raw(1));
        // In a namespace of one user there is no other.
        if sys::fchown(&file, other, None).is_ok() {
            let below = upper_tree(&trial.lease, (&path, b"map"), &Tree::default());
            assert!(matches!(below.unwrap_err().cause, UpperCause::Device(1)));
            let lower = Tree { root: None, ..tree };
            let found = upper_tree(&trial.lease, (&path, b"map"), &lower).unwrap();
            assert_eq!(found.children.get(b"n").unwrap().node, null);
        }
    }

    #[test]
    fn fractions_of_seconds_are_in_the_tree_and_not_in_the_tar() {
        let trial = Trial::new();
        let path = trial.directory.path().join("upper");
        std::fs::create_dir(&path).unwrap();
        let file = std::fs::File::create(path.join("f")).unwrap();
        let time = sys::Timespec { tv_sec: 7, tv_nsec: 5 };
        let times = sys::Timestamps { last_access: time, last_modification: time };
        sys::futimens(&file, &times).unwrap();
        let found = upper_tree(&trial.lease, (&path, b"map"), &Tree::default()).unwrap();
        let mtime = found.children.get(b"f").unwrap().metadata.mtime;
        assert_eq!(mtime, Timestamp { seconds: 7, nanos: 5 });
        let mut headers = Vec::new();
        let sink = &mut |entry: canonical::CanonicalEntry| -> Result<(), ()> {
            headers.push(entry.header);
            Ok(())
        };
        canonical::each(&Tree { root: None, ..found }, None, sink).unwrap();
        assert_eq!((headers.len(), headers[0].len()), (1, 512));
        assert_eq!(&headers[0][136..147], b"00000000007");
    }
}
