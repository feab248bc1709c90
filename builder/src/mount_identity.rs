//! What makes two cache mounts one: on every machine, and on this one.

use wythe_dockerfile::mount::Owner;
use wythe_sandbox::enter;

use crate::operation::FileSource;
use crate::operation::run::CacheMount;

/// What makes two cache mounts one cache, on every machine: the id, what a new one begins with, and whose it is.
pub(crate) fn portable_identity(cache: &CacheMount) -> String {
    let Owner { uid, gid, mode } = cache.owner;
    let from = match &cache.from {
        // At which place it is among what the step reads says nothing.
        FileSource::Input(_) => format!("Input({:?})", cache.from_name),
        from @ (FileSource::Context | FileSource::Directory(_) | FileSource::Nothing) => {
            format!("{from:?}")
        }
    };
    format!("{}\0{from}\0{}\0{uid}:{gid}:{mode:o}", cache.id, cache.path)
}

/// What tells the cache from others in a store of this machine that has the portable identity.
pub fn local_identity(portable: &str) -> Vec<u8> {
    let mut text = portable.to_owned();
    // Steps with other ids cannot write what is in it.
    if let Some(entry) = enter::entry().filter(|_| enter::is_apart() || enter::has_one_id()) {
        text.push('\0');
        text.push_str(&entry.ids.description());
    }
    text.into_bytes()
}
