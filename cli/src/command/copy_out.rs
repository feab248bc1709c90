//! `wythe cp`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wythe_store::image::rootfs::rootfs;
use wythe_store::image::tar_output;
use wythe_store::tree::entry::{Directory, Entry, Node, Tree};
use wythe_store::tree::resolve::{Follow, resolve};

use crate::archive_file::refuse_terminal;
use crate::args::copy_out::CopyOutArgs;
use crate::args::location::STANDARD_OUTPUT;
use crate::args::output::Stale;
use crate::failure::{Class, Failure};
use crate::files;
use crate::session::Session;
use crate::stored_image;

/// Copies a file or a directory out of an image, as `docker cp` does out of a container.
pub(crate) fn run(args: &CopyOutArgs, session: &Session) -> Result<(), Failure> {
    let is_stream = args.destination.as_os_str() == STANDARD_OUTPUT;
    if is_stream {
        refuse_terminal(&io::stdout())?;
    }
    let (store, path) = (session.store()?, &args.source.path);
    let lease = store.lease()?;
    let platform = args.which.platform()?;
    let image = stored_image::complete(&lease, &args.source.image, platform.as_ref(), session)?;
    let root = rootfs(&lease, &image)?;
    let found = resolve(&root.children, path.as_bytes(), Follow::NotLast);
    let found = found.map_err(|error| Failure::of(Class::Usage, &error))?;
    let copied = match found.entry {
        Some(entry) if is_stream => alone(entry.clone(), &args.destination),
        Some(entry) => placed(entry, path, &args.destination)?,
        None if found.path.is_root() => {
            Copied { tree: root.clone(), into: args.destination.clone() }
        }
        None => {
            let text = format!("{} has no {path}", args.source.image);
            return Err(Failure::usage(text));
        }
    };
    if is_stream {
        return tar_output::write(&copied.tree, &store, None, &mut io::stdout().lock())
            .map_err(|error| Failure::of(Class::Environment, &error));
    }
    files::write(&copied.tree, &store, None, (&copied.into, Stale::Kept))
}

/// What is written, and below which directory.
struct Copied {
    tree: Tree,
    into: PathBuf,
}

/// An entry under the name that it gets: its own in a directory that is there, else that of the
/// destination. A path that ends with `/.` means what is in a directory.
fn placed(entry: &Entry, path: &str, destination: &Path) -> Result<Copied, Failure> {
    if let (Node::Directory(below), true) = (&entry.node, path.ends_with("/.")) {
        let tree = Tree { root: None, children: Arc::clone(&below.children) };
        return Ok(Copied { tree, into: destination.to_owned() });
    }
    if destination.is_dir() {
        return Ok(alone(entry.clone(), destination));
    }
    let missing = || Failure::usage(format!("{} names no file", destination.display()));
    let name = destination.file_name().ok_or_else(missing)?.as_encoded_bytes().into();
    let parent = destination.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    if !parent.is_dir() {
        return Err(Failure::usage(format!("there is no directory {}", parent.display())));
    }
    Ok(alone(Entry { name, ..entry.clone() }, parent))
}

fn alone(entry: Entry, into: &Path) -> Copied {
    let tree = Tree { root: None, children: Arc::new(Directory::from_entries(vec![entry])) };
    Copied { tree, into: into.to_owned() }
}
