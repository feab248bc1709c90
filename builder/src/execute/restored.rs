//! Cache mounts that other machines saved, put in place before the first step that mounts them.

use std::io;

use wythe_store::cache_mount::settled::SettledMount;
use wythe_store::cache_mount::vacancy::Vacancy;
use wythe_store::cache_mount::{CacheError, CacheSpec, Company};
use wythe_store::portable_mount::follow::{Followed, Reader, follow};
use wythe_store::portable_mount::restore::{RestoreError, restore};

use super::Execution;
use crate::caches::SavedMount;
use crate::options::Caching;
use crate::progress::Event;

impl Execution<'_> {
    /// Fills a cache that is not here or empty with what another machine saved of it, and changes one that no step has
    /// used since it was saved or restored to what another machine has saved since: whole or not at all. That
    /// it cannot be had is a warning: the step runs with what there is then.
    pub(super) fn restore_cache(&self, spec: &CacheSpec) -> Result<(), CacheError> {
        // What it has for itself alone was emptied because it is to run without.
        let is_to_be_empty =
            self.vertex.caching == Caching::Refresh && spec.company == Company::Apart;
        if self.env.caches.is_empty() || is_to_be_empty {
            return Ok(());
        }
        if let Some(mount) = self.env.store.settled_mount(spec)? {
            self.follow_saved(&mount, spec);
        }
        match self.env.store.vacancy(spec)? {
            Some(vacancy) => self.fill_vacancy(vacancy, spec),
            None => Ok(()),
        }
    }

    fn follow_saved(&self, mount: &SettledMount, spec: &CacheSpec) {
        let caches = self.env.caches;
        let is_newer = |saved: &SavedMount| mount.state().created < saved.mount.created;
        while let Some(saved) = caches.mount(&spec.portable, &spec.platform).filter(is_newer) {
            let go_on = || !self.env.cancel.is_cancelled();
            let reader = Reader { idmap: self.env.idmap, pool: self.env.pool };
            match follow(&*saved.backend, &saved.mount, (mount, &go_on), reader) {
                Ok(Followed::Done) => return caches.restored(saved),
                Ok(Followed::Stays) => return,
                // The step is not to run either.
                Err(_) if self.env.cancel.is_cancelled() => return,
                Err(error) => self.refuse(&saved, &error),
            }
        }
    }

    fn refuse(&self, saved: &SavedMount, error: &RestoreError) {
        self.env.progress.event(&Event::CacheFailed { reason: &error.to_string() });
        self.env.caches.refuse_mount(saved);
    }

    fn fill_vacancy(&self, vacancy: Vacancy, spec: &CacheSpec) -> Result<(), CacheError> {
        let caches = self.env.caches;
        while let Some(saved) = caches.mount(&spec.portable, &spec.platform) {
            let go_on = || !self.env.cancel.is_cancelled();
            match restore(&*saved.backend, &saved.mount, (vacancy.path(), &go_on)) {
                Ok(notes) => {
                    caches.restored(saved);
                    return vacancy.settle(spec, &notes);
                }
                // The step is not to run either.
                Err(_) if self.env.cancel.is_cancelled() => return Ok(()),
                Err(error) => {
                    self.refuse(&saved, &error);
                    let path = vacancy.path().to_owned();
                    vacancy
                        .clear()
                        .map_err(|error: io::Error| CacheError { path, cause: error.into() })?;
                }
            }
        }
        Ok(())
    }
}
