//! A main context that is no directory: a repository, an archive, or a Dockerfile alone.

use std::io::Read;
use std::sync::Arc;

use wythe_store::id::BodyId;
use wythe_store::layer::decompress::Compression;
use wythe_store::record_origin::RecordOrigin;
use wythe_store::tree::entry::{Node, Tree};

use super::checkout::Revision;
use super::file::RemoteFile;
use super::time::newest;
use crate::add::archive::{AddError, is_archive, unpack};
use crate::copy::CopySpec;
use crate::copy::error::CopyCause;
use crate::copy::select::{Item, select};
use crate::environment::Environment;
use crate::error::BuildCause;
use crate::lower::remote::{SourceKind, source_kind};
use crate::options::Options;
use crate::remote::RemoteError;
use crate::remote::repository::GitDirectory;
use crate::remote::repository::{GitTime, Repository};

/// Such a context.
#[derive(Clone, Debug)]
pub struct FetchedContext {
    /// What is in it.
    pub content: ContextContent,
    /// `SOURCE_DATE_EPOCH=context`: when it was made, where that does not depend on who looks.
    pub time: Option<i64>,
    /// From which repository and commit it is, where it is of one.
    pub origin: Option<RecordOrigin>,
}

/// What such a context turned out to be.
#[derive(Clone, Debug)]
pub enum ContextContent {
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
            let file = RemoteFile::fetch(env, options, address)?;
            let content = content(env, file.body())?;
            let inside = match &content {
                ContextContent::Files(files) => newest(&files.children),
                ContextContent::Dockerfile(_) => None,
            };
            let time = file.last_modified().or(inside);
            return Ok(Self { content, time, origin: None });
        }
        let repository = main(options, address)?;
        let revision = Revision::resolve(env, options, &repository)?;
        let children = revision.files(env, options, env.clock.now())?;
        let time = newest(&children).filter(|_| repository.mtime == GitTime::Commit);
        let content = ContextContent::Files(Tree { root: None, children });
        Ok(Self { content, time, origin: Some(revision.origin()) })
    }

    /// Reads an archive or a Dockerfile, such as a shell gives it on standard input.
    ///
    /// # Errors
    ///
    /// A reader that fails, or an archive that cannot be unpacked.
    pub fn read(env: Environment<'_>, from: &mut dyn Read) -> Result<Self, BuildCause> {
        let (body, _) = env.lease.body_from_reader(from, 0)?;
        Ok(Self { content: content(env, body)?, time: None, origin: None })
    }
}

/// The argument that keeps `.git` of the main context.
const KEEP_GIT_DIR: &str = "BUILDKIT_CONTEXT_KEEP_GIT_DIR";

/// The repository of a main context, of which more than the address may say that `.git` is kept.
fn main(options: &Options, address: &str) -> Result<Repository, RemoteError> {
    let mut repository = Repository::of_context(options, address)?;
    let given = options.build_args.get(KEEP_GIT_DIR).map(String::as_str);
    if matches!(given, Some("1" | "t" | "T" | "true" | "TRUE" | "True")) {
        repository.directory = Some(GitDirectory::Keep);
    }
    Ok(repository)
}

fn content(env: Environment<'_>, body: BodyId) -> Result<ContextContent, BuildCause> {
    if is_archive(env.lease, &body)? {
        let spec = CopySpec { destination: "/".to_owned(), ..CopySpec::default() };
        return Ok(ContextContent::Files(unpack(env.lease, &body, &Arc::default(), &spec)?));
    }
    let bytes = env.store.body(&body)?.map(|bytes| bytes.load()).transpose()?;
    let bytes = bytes.map(|bytes| bytes.to_vec()).unwrap_or_default();
    if Compression::of(&bytes).is_some() {
        return Err(AddError::NotAnArchive.into());
    }
    Ok(ContextContent::Dockerfile(bytes))
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
    let bytes = env.store.body(&file.body)?.map(|bytes| bytes.load()).transpose()?;
    Ok(bytes.map(|bytes| bytes.to_vec()))
}

#[cfg(test)]
mod tests {
    use wythe_store::oci::platform::Platform;

    use super::*;

    #[test]
    fn an_argument_keeps_the_git_directory_of_the_main_context() {
        let kept = |address: &str, value: Option<&str>| {
            let mut options = Options::new(Platform::linux("amd64"));
            options
                .build_args
                .extend(value.map(|value| (KEEP_GIT_DIR.to_owned(), value.to_owned())));
            main(&options, address).unwrap().directory
        };
        let address = "https://h/r.git";
        assert_eq!(kept(address, None), None);
        assert_eq!(kept(address, Some("0")), None);
        assert_eq!(kept(address, Some("1")), Some(GitDirectory::Keep));
        assert_eq!(kept(address, Some("true")), Some(GitDirectory::Keep));
        assert_eq!(kept("https://h/r.git?keep-git-dir=0", Some("1")), Some(GitDirectory::Keep));
    }
}
