//! A main context that is no directory: a repository, an archive, or a Dockerfile alone.

use std::io::Read;
use std::sync::Arc;

use wythe_store::id::BodyId;
use wythe_store::tree::entry::{Node, Tree};

use super::RemoteError;
use super::checkout::Revision;
use super::fetch::RemoteFile;
use super::repository::Repository;
use crate::add::archive::{is_archive, unpack};
use crate::copy::CopySpec;
use crate::copy::error::CopyCause;
use crate::copy::select::{Item, select};
use crate::environment::Environment;
use crate::error::BuildCause;
use crate::lower::remote::{SourceKind, source_kind};
use crate::options::Options;

/// What such a context turned out to be.
#[derive(Clone, Debug)]
pub enum FetchedContext {
    /// Files, as a directory would hold them.
    Files(Tree),
    /// The text of a Dockerfile, and nothing to copy.
    Dockerfile(Vec<u8>),
}

impl FetchedContext {
    /// Fetches what is at an address: of a repository its files, else a file.
    ///
    /// # Errors
    ///
    /// What cannot be reached, or an archive that cannot be unpacked.
    pub fn fetch(
        env: Environment<'_>,
        options: &Options,
        address: &str,
    ) -> Result<Self, BuildCause> {
        if source_kind(address) == SourceKind::Url {
            return Self::of_body(env, RemoteFile::fetch(env, options, address)?.body());
        }
        let repository = Repository::parse(address);
        let repository = repository.map_err(|error| RemoteError::new(address, error))?;
        let revision = Revision::resolve(env, options, &repository)?;
        let children = revision.files(env, options, env.clock.now())?;
        Ok(Self::Files(Tree { root: None, children }))
    }

    /// Reads an archive or a Dockerfile, such as a shell gives it on standard input.
    ///
    /// # Errors
    ///
    /// A reader that fails, or an archive that cannot be unpacked.
    pub fn read(env: Environment<'_>, from: &mut dyn Read) -> Result<Self, BuildCause> {
        let (body, _) = env.lease.body_from_reader(from, 0)?;
        Self::of_body(env, body)
    }

    fn of_body(env: Environment<'_>, body: BodyId) -> Result<Self, BuildCause> {
        if is_archive(env.lease, &body)? {
            let spec = CopySpec { destination: "/".to_owned(), ..CopySpec::default() };
            return Ok(Self::Files(unpack(env.lease, &body, &Arc::default(), &spec)?));
        }
        let bytes = env.store.body(&body)?;
        Ok(Self::Dockerfile(bytes.map(|bytes| bytes.to_vec()).unwrap_or_default()))
    }
}

/// The bytes of a file among `files`, links followed; `None` where there is no such file.
///
/// # Errors
///
/// A path that cannot be followed, or a store that cannot be read.
pub fn file(env: Environment<'_>, files: &Tree, path: &str) -> Result<Option<Vec<u8>>, BuildCause> {
    let spec = CopySpec { sources: vec![path.to_owned()], ..CopySpec::default() };
    let selected = match select(files, &spec) {
        Err(error) if matches!(error.cause, CopyCause::Missing(_)) => return Ok(None),
        other => other?,
    };
    let [Item::File(entry)] = selected.items() else { return Ok(None) };
    let Node::File(file) = &entry.node else { return Ok(None) };
    Ok(env.store.body(&file.body)?.map(|bytes| bytes.to_vec()))
}
