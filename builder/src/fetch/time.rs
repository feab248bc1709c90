//! When something remote was made, where that does not depend on who looks.

use std::sync::Arc;

use wythe_store::tree::entry::{Directory, Tree};
use wythe_store::tree::files::files;

use super::checkout::Revision;
use super::file::RemoteFile;
use crate::add::archive::{is_archive, unpack};
use crate::copy::CopySpec;
use crate::environment::Environment;
use crate::error::BuildCause;
use crate::options::Options;
use crate::remote::repository::Repository;

/// The time of what is at an address: that the server gives it, or that of the newest file in it.
pub(crate) fn of_url(
    env: Environment<'_>,
    options: &Options,
    url: &str,
) -> Result<Option<i64>, BuildCause> {
    let file = RemoteFile::fetch(env, options, url)?;
    match file.last_modified() {
        Some(time) => Ok(Some(time)),
        None if is_archive(env.lease, &file.body())? => {
            let spec = CopySpec { destination: "/".to_owned(), ..CopySpec::default() };
            let files: Tree = unpack(env.lease, &file.body(), &Arc::default(), &spec)?;
            Ok(newest(&files.children))
        }
        None => Ok(None),
    }
}

/// The time of a commit.
pub(crate) fn of_repository(
    env: Environment<'_>,
    options: &Options,
    repository: &Repository,
) -> Result<i64, BuildCause> {
    let revision = Revision::resolve(env, options, repository)?;
    Ok(revision.check_out(env, options)?.time)
}

/// The latest time of any file beneath.
pub(super) fn newest(directory: &Directory) -> Option<i64> {
    files(directory).map(|(_, entry, _)| entry.metadata.mtime.seconds).max()
}
