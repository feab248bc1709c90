//! Making a cache mount what another machine has saved since: what both have is neither fetched nor written.
//!
//! That is done to a mount that no step has changed since it was saved or restored here. Whether one has is found out as
//! it is when a mount is saved, by a look at each name.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rayon::ThreadPool;

use super::PortableMount;
use super::document::{Document, Part, Piece, parts};
use super::restore::{
    self, GoOn, RestoreCause, RestoreError, WantedPack, fetch_document, put_parts, state_of,
};
use crate::cache_backend::CacheBackend;
use crate::cache_mount::settled::SettledMount;
use crate::cache_mount::state::MountNotes;
use crate::id::BodyId;
use crate::live::mount_change::change;
use crate::live::mount_read::{MountFiles, MountReadError, read};
use crate::live::mount_reread::read_again;
use crate::live::mount_seen::Seen;
use crate::live::mount_write::MountWriter;
use crate::tree::encode::encode as encode_tree;
use crate::tree::entry::Tree;
use crate::tree::links::highest;

/// What became of a mount that another machine has saved since.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Followed {
    /// It is as that machine saved it.
    Done,
    /// A step of this machine has changed it meanwhile: it stays.
    Stays,
}

/// How the files of mounts are read.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// How the store's ids are mapped.
    pub idmap: &'a [u8],
    /// Where that is done.
    pub pool: &'a ThreadPool,
}

impl Reader<'_> {
    fn read(&self, path: &Path, seen: &Seen) -> Result<MountFiles, MountReadError> {
        self.pool.install(|| read(path, self.idmap, seen))
    }
}

/// Makes a mount what was saved under a record, as long as it is to `go_on`. Every file that comes is held to its id
/// before it counts.
///
/// # Errors
///
/// If the cache does not hand over what it announced, or the mount cannot be changed. It is what it was then, or there is
/// none any more.
pub fn follow(
    backend: &dyn CacheBackend,
    record: &PortableMount,
    (mount, go_on): (&SettledMount, GoOn<'_>),
    reader: Reader<'_>,
) -> Result<Followed, RestoreError> {
    let known = Seen::load(&mount.seen());
    let look = || reader.read(&mount.path(), &known);
    let followed = look().map_err(RestoreCause::from).and_then(|found| {
        if BodyId::of(&encode_tree(&found.tree)) == mount.state().tree {
            update(backend, record, (mount, &found), (reader, go_on))
        } else {
            Ok(Followed::Stays)
        }
    });
    followed.map_err(|cause| restore::refused(backend, record, cause))
}

fn update(
    backend: &dyn CacheBackend,
    record: &PortableMount,
    (mount, found): (&SettledMount, &MountFiles),
    (reader, go_on): (Reader<'_>, GoOn<'_>),
) -> Result<Followed, RestoreCause> {
    let old = &found.tree;
    let document = fetch_document(backend, record)?;
    mount.clear()?;
    let (place, staged) = (mount.path(), mount.staged());
    if highest(&old.children).or(highest(&document.tree.children)).is_some() {
        // Which names are links of each other is known of all of them together.
        let notes = restore::fill(backend, record, (&staged, go_on))?;
        mount.change(|| -> Result<MountNotes, RestoreCause> {
            fs::remove_dir_all(&place)?;
            fs::rename(&staged, &place)?;
            Ok(notes)
        })?;
        return Ok(Followed::Done);
    }
    let (change, made) = change(old, &document.tree);
    let writer = MountWriter::begin(&staged, &made, &document.lists)?;
    let all = document.parts();
    let wanted = wanted(&document, (&all, &made));
    let packs: Vec<WantedPack<'_>> = record
        .packs
        .iter()
        .zip(wanted.iter().map(Vec::as_slice))
        .filter(|(_, pieces)| !pieces.is_empty())
        .collect();
    put_parts(backend, (&packs, &all), (&writer, go_on))?;
    writer.finish()?;
    mount.change(|| {
        change.apply(&place, &staged)?;
        // What came of it is read, and not believed.
        let again = || read_again(&place, reader.idmap, (found, &change));
        let saved = || state_of(record, &document, &all);
        let (again, state) = reader.pool.join(again, saved);
        let MountFiles { tree, seen, .. } = again?;
        let name = || BodyId::of(&encode_tree(&tree));
        let (name, cleared) = reader.pool.join(name, || mount.clear_away());
        cleared?;
        if name != state.tree {
            return Err(RestoreCause::Differs);
        }
        Ok(MountNotes { seen, state })
    })?;
    // To give so much back takes a while.
    reader.pool.spawn(|| drop(document));
    Ok(Followed::Done)
}

/// The pieces of each pack that are needed for a tree, to the last of them.
fn wanted(document: &Document, (all, made): (&[Part], &Tree)) -> Vec<Vec<Piece>> {
    let needed: BTreeSet<BodyId> =
        parts(made, &document.lists).into_iter().map(|part| part.id).collect();
    let piece = |piece: &Piece| Piece {
        part: piece.part.filter(|part| needed.contains(&all[*part].id)),
        ..*piece
    };
    let of_pack = |pieces: &Vec<Piece>| {
        let mut pieces: Vec<Piece> = pieces.iter().map(piece).collect();
        let end = pieces.iter().rposition(|piece| piece.part.is_some()).map_or(0, |last| last + 1);
        pieces.truncate(end);
        pieces
    };
    document.packs.iter().map(of_pack).collect()
}
