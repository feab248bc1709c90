//! `wythe prune`.

use wythe_builder::environment::Clock as _;
use wythe_store::gc::budget::Budget;
use wythe_store::gc::{Pace, Policy};

use crate::args::budget::Bounds;
use crate::args::store::PruneArgs;
use crate::failure::{Class, Failure};
use crate::host::SystemClock;
use crate::render::quantity::Bytes;
use crate::session::Session;

/// Removes what no image and no result of a step needs, and what exceeds the budget; with `--all` all
/// that only makes builds faster; with bounds, what exceeds those.
pub(crate) fn run(args: &PruneArgs, session: &Session) -> Result<(), Failure> {
    let store = session.store()?;
    let space = store.space().map_err(|error| Failure::of(Class::Environment, &error))?;
    let asked = args.bounds();
    let policy = match (asked == Bounds::default(), args.all.is_on()) {
        (false, _) => Policy::Within(asked.budget(space, Budget::default())),
        (true, true) => Policy::ImagesOnly,
        (true, false) => Policy::Within(session.bounds()?.budget(space, Budget::of(space))),
    };
    let freed = store.collect(policy, &Pace { now: SystemClock.now(), patience: &|| true })?;
    store.keep_uses(SystemClock.now());
    session.print(&format!(
        "{} freed: {} files, {} layers, {} results of steps, {} cache mounts",
        Bytes(freed.bytes),
        freed.n_files,
        freed.n_layers,
        freed.n_actions,
        freed.n_mounts
    ))?;
    match freed.n_waiting {
        0 => Ok(()),
        waiting => session.print(&format!("{waiting} files go when other processes are done")),
    }
}
