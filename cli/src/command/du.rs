//! `wythe du`.

use crate::args::store::DuArgs;
use crate::failure::Failure;
use crate::render::quantity::Bytes;
use crate::render::table::Table;
use crate::session::Session;

/// Shows what takes up space in the store.
pub(crate) fn run(_args: &DuArgs, session: &Session) -> Result<(), Failure> {
    let usage = session.store_to_read()?.usage()?;
    let mut table = Table::new(["WHAT", "SIZE"]);
    let rows = [
        ("files of layers, documents", usage.packs),
        ("blobs of registries", usage.blobs),
        ("unpacked layers", usage.live),
        ("cache mounts", usage.cache_mounts),
        ("what is known of contexts", usage.cache),
        ("journal", usage.journal),
        ("work in progress", usage.temporary),
        ("total", usage.total()),
    ];
    for (what, bytes) in rows {
        table.push([what.to_owned(), Bytes(bytes).to_string()]);
    }
    table.lines().iter().try_for_each(|line| session.print(line))
}
