//! Laying the entries of an archive onto a destination, in the order they come.

use std::sync::Arc;

use wythe_store::path::LayerPath;
use wythe_store::tree::entry::{Directory, Entry, LinkGroup, Metadata, Name, Node, Tree};

use crate::copy::CopySpec;
use crate::copy::canvas::{Canvas, MAX_LINKS, PathCause, Seen, components};
use crate::copy::links::renumbered;
use crate::copy::select::shown;

/// One entry of an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ArchiveEntry {
    /// The path in the archive; none for what is called `.` or nothing, which is not laid.
    pub path: LayerPath,
    /// Its metadata.
    pub metadata: Metadata,
    /// What it is.
    pub kind: ArchiveKind,
}

/// What an archive's entry is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ArchiveKind {
    /// A directory; its entries come on their own.
    Directory,
    /// Another name of an earlier entry, by its path.
    HardLink(LayerPath),
    /// Anything else, its body already in the store.
    Node(Node),
}

/// An archive that cannot be unpacked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cannot unpack {path:?}")]
pub struct UnpackError {
    /// The path in the image.
    pub path: String,
    /// Why not.
    #[source]
    pub cause: UnpackCause,
}

/// Why an entry cannot be unpacked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackCause {
    /// The path leads through a file or in circles.
    #[error(transparent)]
    Path(#[from] PathCause),
    /// A link on the way leads out of the destination.
    #[error("it is below a symbolic link that leads out of the destination")]
    Outside,
    /// A hard link to something that is not there, or is a directory.
    #[error("it is a hard link to {target:?}, which is no file of the destination")]
    LinkTarget {
        /// The path in the archive.
        target: String,
    },
}

/// An archive being laid onto a destination.
///
/// Links inside are followed as if the destination were the root of everything, which is how an
/// archive cannot reach the rest of the image.
#[derive(Debug)]
pub struct Unpacking<'a> {
    canvas: Canvas,
    root: Vec<Name>,
    spec: &'a CopySpec,
    groups: u64,
}

impl<'a> Unpacking<'a> {
    /// Makes the destination directory, where it is not there yet.
    ///
    /// # Errors
    /// A destination that is, or leads through, something else than directories.
    pub fn begin(destination: &Arc<Directory>, spec: &'a CopySpec) -> Result<Self, UnpackError> {
        let canvas = Canvas::over(match spec.base {
            crate::copy::CopyTarget::Destination => destination.clone(),
            crate::copy::CopyTarget::Nothing => Arc::default(),
        });
        let fail =
            |cause: PathCause| UnpackError { path: spec.destination.clone(), cause: cause.into() };
        let root = canvas.resolve(spec.destination.as_bytes()).map_err(fail)?;
        // Above any number a source can have, so that archive and image are told apart.
        let mut unpacking = Self { canvas, root: Vec::new(), spec, groups: u64::MAX / 2 };
        let metadata = unpacking.owned(unpacking.unnamed());
        unpacking.make_directories(&root, &metadata).map_err(fail)?;
        Ok(Self { root, ..unpacking })
    }

    /// Lays one entry, in place of what is there; a directory keeps what is in it.
    ///
    /// # Errors
    /// An entry whose parents or hard link lead out of the destination or through a file.
    pub fn entry(&mut self, entry: ArchiveEntry) -> Result<(), UnpackError> {
        let path = names(&entry.path);
        let Some((name, parents)) = path.split_last() else { return Ok(()) };
        let fail = |cause| UnpackError { path: shown(parents, name), cause };
        let mut place = self.parent(parents).map_err(fail)?;
        place.push(name.clone());
        let metadata = self.owned(entry.metadata);
        match entry.kind {
            ArchiveKind::Directory => self.canvas.make_directory(&place, metadata),
            ArchiveKind::Node(node) => {
                self.canvas.put(&place, Entry { name: name.clone(), metadata, node });
            }
            ArchiveKind::HardLink(target) => self.hard_link(&place, &target).map_err(fail)?,
        }
        Ok(())
    }

    /// The changes as a changeset.
    pub fn finish(self) -> Tree {
        renumbered(self.canvas.finish())
    }

    /// The place of a parent directory, made where it is missing: also where links lead.
    fn parent(&mut self, parents: &[Name]) -> Result<Vec<Name>, UnpackCause> {
        let place = self.place(parents)?;
        self.make_directories(&place, &self.unnamed())?;
        Ok(place)
    }

    /// The physical place of a path of the archive, with the destination for the root.
    fn place(&self, path: &[Name]) -> Result<Vec<Name>, UnpackCause> {
        let root = self.root.len();
        let mut place = self.root.clone();
        let mut rest: Vec<Name> = path.iter().rev().cloned().collect();
        let mut links = 0;
        while let Some(name) = rest.pop() {
            if &*name == b".." {
                if place.len() == root {
                    return Err(UnpackCause::Outside);
                }
                place.pop();
                continue;
            }
            place.push(name);
            if let Some(Seen::Symlink(target)) = self.canvas.seen(&place) {
                links += 1;
                if links > MAX_LINKS {
                    return Err(PathCause::Loop.into());
                }
                place.truncate(if target.starts_with(b"/") { root } else { place.len() - 1 });
                rest.extend(components(target).rev().map(Name::from));
            }
        }
        Ok(place)
    }

    /// What a directory is that the archive does not name: root's, whoever is asked for.
    fn unnamed(&self) -> Metadata {
        Metadata { mode: 0o755, mtime: self.spec.created, ..Metadata::default() }
    }

    fn make_directories(&mut self, path: &[Name], metadata: &Metadata) -> Result<(), PathCause> {
        for end in 1..=path.len() {
            match self.canvas.seen(&path[..end]) {
                Some(Seen::Directory) => {}
                None => self.canvas.make_directory(&path[..end], metadata.clone()),
                Some(_) => return Err(PathCause::NotADirectory),
            }
        }
        Ok(())
    }

    fn hard_link(&mut self, place: &[Name], target: &LayerPath) -> Result<(), UnpackCause> {
        let bad = || {
            let target = String::from_utf8_lossy(target.as_bytes()).into();
            UnpackCause::LinkTarget { target }
        };
        let path = names(target);
        let (name, parents) = path.split_last().ok_or_else(bad)?;
        let mut at = self.place(parents)?;
        at.push(name.clone());
        let mut entry = self.canvas.current(&at).cloned().ok_or_else(bad)?;
        match &mut entry.node {
            Node::Directory(_) | Node::Whiteout => return Err(bad()),
            Node::File(file) => {
                if file.link.is_none_or(|LinkGroup(group)| group <= u64::MAX / 2) {
                    self.groups += 1;
                    file.link = Some(LinkGroup(self.groups));
                    // Both names must be in one layer to be one file there.
                    self.canvas.put(&at, entry.clone());
                }
            }
            // Another of the same kind is as good: nothing can be written to it.
            Node::BlockDevice(_) | Node::CharDevice(_) | Node::Fifo | Node::Symlink(_) => {}
        }
        let name = place.last().cloned().unwrap_or_default();
        self.canvas.put(place, Entry { name, ..entry });
        Ok(())
    }

    fn owned(&self, mut metadata: Metadata) -> Metadata {
        if let Some(owner) = self.spec.owner {
            (metadata.uid, metadata.gid) = (owner.uid, owner.gid);
        }
        metadata
    }
}

fn names(path: &LayerPath) -> Vec<Name> {
    path.components().map(Name::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::CopyTarget;
    use crate::copy::mode::ModeChange;
    use crate::copy::tests::sketch::{parse, show, tree};
    use crate::owner::Owner;

    fn parsed(path: &str) -> LayerPath {
        LayerPath::parse(path.as_bytes()).unwrap()
    }

    fn entry(word: &str) -> ArchiveEntry {
        if let Some((path, target)) = word.split_once("=>") {
            let kind = ArchiveKind::HardLink(parsed(target));
            return ArchiveEntry { path: parsed(path), metadata: Metadata::default(), kind };
        }
        let (path, metadata, node) = parse(word);
        let kind = node.map_or(ArchiveKind::Directory, ArchiveKind::Node);
        ArchiveEntry { path: parsed(path), metadata, kind }
    }

    fn unpack(archive: &str, onto: &str, spec: &CopySpec) -> Result<String, UnpackError> {
        let mut unpacking = Unpacking::begin(&tree(onto).children, spec)?;
        for word in archive.split(' ') {
            unpacking.entry(entry(word))?;
        }
        Ok(show(&unpacking.finish()))
    }

    fn to(destination: &str) -> CopySpec {
        CopySpec { destination: destination.to_owned(), ..CopySpec::default() }
    }

    #[track_caller]
    fn check(archive: &str, onto: &str, expected: &str) {
        assert_eq!(unpack(archive, onto, &to("/o")).unwrap(), expected, "{archive} onto {onto}");
    }

    const T: &str = "./!700@9:9 in/!711@7:7 in/x=x!4640@7:7 lnk->in";

    #[test]
    fn entries_keep_their_metadata_and_the_root_entry_is_ignored() {
        check(T, "", "o/ o/in/!711@7:7 o/in/x=x!4640@7:7 o/lnk->in");
        check("a/b/c=C", "o/", "o/ o/a/ o/a/b/ o/a/b/c=C");
    }

    #[test]
    fn a_directory_entry_replaces_a_link_and_keeps_a_directory() {
        let onto = "real/ o/in->/real";
        check("in/!711 in/x=x", onto, "o/ o/in/!711 o/in/x=x");
        check("in/!711", "o/in/y=Y", "o/ o/in/!711");
    }

    #[test]
    fn a_file_replaces_a_directory_and_the_next_directory_hides_it() {
        check("d=d", "o/d/x=X", "o/ o/d=d");
        check("d=d d/ d/y=y", "o/d/x=X", "o/ o/d/opaque o/d/y=y");
    }

    #[test]
    fn an_entry_below_a_link_goes_where_it_leads_inside_the_destination() {
        check("d/ l->d l/x=x", "", "o/ o/d/ o/d/x=x o/l->d");
        check("l->d l/s/x=x", "", "o/ o/d/ o/d/s/ o/d/s/x=x o/l->d");
        check("l/s/x=x", "o/l->u/l", "o/ o/u/ o/u/l/ o/u/l/s/ o/u/l/s/x=x");
        check("l/s/x=x", "o/u/l/z=z o/l->u/l", "o/ o/u/ o/u/l/ o/u/l/s/ o/u/l/s/x=x");
        check("l/s/", "o/u/l/ o/l->u/l", "o/ o/u/ o/u/l/ o/u/l/s/");
        check("l->/etc l/x=x", "etc/", "o/ o/etc/ o/etc/x=x o/l->/etc");
        let whole = CopySpec { destination: "/".to_owned(), ..CopySpec::default() };
        let onto = "usr/lib/z=z lib->usr/lib";
        let expected = "usr/ usr/lib/ usr/lib/sub/ usr/lib/sub/x=x";
        assert_eq!(unpack("lib/sub/x=x", onto, &whole).unwrap(), expected);
    }

    #[test]
    fn an_entry_below_a_link_to_the_outside_or_through_a_file_is_refused() {
        for archive in ["l->../etc l/x=x", "l->../../etc l/x=x", "l->d/../../etc d/ l/s/x=x"] {
            let error = unpack(archive, "etc/", &to("/o")).unwrap_err();
            assert_eq!(error.cause, UnpackCause::Outside, "{archive}");
        }
        let error = unpack("a->b b->a a/x=x", "", &to("/o")).unwrap_err();
        assert_eq!(error.cause, PathCause::Loop.into());
        let error = unpack("f=f f/x=x", "", &to("/o")).unwrap_err();
        assert_eq!(error.cause, PathCause::NotADirectory.into());
    }

    #[test]
    fn the_destination_is_always_a_directory() {
        let error = unpack("a=a", "o=F", &to("/o")).unwrap_err();
        assert_eq!(error.cause, UnpackCause::Path(PathCause::NotADirectory));
    }

    #[test]
    fn hard_links_join_names_of_this_layer() {
        check("a=a!600 b=>a c=>b", "", "o/ o/a=a!600#1 o/b=a!600#1 o/c=a!600#1");
        check("b=>a", "o/a=A", "o/ o/a=A#1 o/b=A#1");
        check("d/f=f l->d h=>l/f", "", "o/ o/d/ o/d/f=f#1 o/h=f#1 o/l->d");
        check("s->t h=>s", "", "o/ o/h->t o/s->t");
        for archive in ["b=>a", "d/ b=>d", "b=>etc/passwd"] {
            let error = unpack(archive, "etc/passwd=P", &to("/o")).unwrap_err();
            assert!(matches!(error.cause, UnpackCause::LinkTarget { .. }), "{archive}");
        }
    }

    #[test]
    fn an_owner_overrides_everything_and_a_mode_nothing() {
        let owner = Some(Owner { uid: 3, gid: 4 });
        let mode = Some(ModeChange::parse("600").unwrap());
        let spec = CopySpec { owner, mode, base: CopyTarget::Nothing, ..to("/o") };
        let expected = "o/@3:4 o/in/!711@3:4 o/in/x=x!4640@3:4 o/lnk->in@3:4";
        assert_eq!(unpack(T, "o=F", &spec).unwrap(), expected);
    }

    #[test]
    fn directories_that_an_archive_does_not_name_are_root_s() {
        let owner = Some(Owner { uid: 3, gid: 4 });
        let added = unpack("a/b=B l->n/p l/c=C", "", &CopySpec { owner, ..to("/o") }).unwrap();
        assert_eq!(added, "o/@3:4 o/a/ o/a/b=B@3:4 o/l->n/p@3:4 o/n/ o/n/p/ o/n/p/c=C@3:4");
    }
}
