//! `wythe prune`.

use wythe_store::gc::Policy;

use crate::args::store::PruneArgs;
use crate::failure::Failure;
use crate::render::quantity::Bytes;
use crate::session::Session;

/// Removes what no image needs, and with `--all` the results that only make builds faster.
pub(crate) fn run(args: &PruneArgs, session: &Session) -> Result<(), Failure> {
    let policy = if args.all.is_on() { Policy::ImagesOnly } else { Policy::KeepActions };
    let freed = session.store()?.prune(policy)?;
    session.print(&format!(
        "{} freed: {} files, {} layers, {} results of steps",
        Bytes(freed.bytes),
        freed.n_files,
        freed.n_layers,
        freed.n_actions
    ))?;
    match freed.n_waiting {
        0 => Ok(()),
        waiting => session.print(&format!("{waiting} files go when other processes are done")),
    }
}
