//! The lowest layers of long chains, mounted once for all steps of a build that have them below.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wythe_sandbox::mounted_layers::{self, MountedLayers};

/// So many are kept: as many stages as run at once on a machine of many processors. Of more, those that
/// were mounted first are mounted again when they are needed.
const MOST: usize = 16;

/// What is mounted.
#[derive(Debug, Default)]
pub(super) struct MountedChains(Mutex<Vec<Arc<MountedLayers>>>);

impl MountedChains {
    /// The lowest of these directories as one, where they are worth it and the kernel can do it.
    pub(super) fn lowest_of(&self, directories: &[PathBuf]) -> Option<Arc<MountedLayers>> {
        let count = mounted_layers::shared(directories.len());
        if count == 0 {
            return None;
        }
        let is_it = |one: &&Arc<MountedLayers>| one.is_of(count, directories);
        if let Some(found) = self.lock().iter().find(is_it) {
            return Some(Arc::clone(found));
        }
        let mounted = MountedLayers::mount(&directories[..count]);
        // Two steps may do that at once; both mounts are good.
        let mounted = mounted.inspect_err(|error| tracing::debug!(%error, count, "not mounted"));
        let mounted = Arc::new(mounted.ok()?);
        let mut known = self.lock();
        if known.len() == MOST {
            known.remove(0);
        }
        known.push(Arc::clone(&mounted));
        Some(mounted)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<MountedLayers>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
