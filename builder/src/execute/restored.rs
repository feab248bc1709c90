//! Cache mounts that other machines saved, put in place before the first step that mounts them.

use wythe_store::cache_mount::vacancy::Vacancy;
use wythe_store::cache_mount::{CacheError, CacheSpec, Company};
use wythe_store::portable_mount::restore::restore;

use super::Execution;
use crate::options::Caching;
use crate::progress::Event;

impl Execution<'_> {
    /// Fills a cache that is not here or empty with what another machine saved of it, whole or not at all. That
    /// it cannot be had is a warning: the step runs with an empty one then.
    pub(super) fn restore_cache(&self, spec: &CacheSpec) -> Result<(), CacheError> {
        // What it has for itself alone was emptied because it is to run without.
        let is_to_be_empty =
            self.vertex.caching == Caching::Refresh && spec.company == Company::Apart;
        if self.env.caches.is_empty() || is_to_be_empty {
            return Ok(());
        }
        match self.env.store.vacancy(spec)? {
            Some(vacancy) => self.fill_vacancy(vacancy, spec),
            None => Ok(()),
        }
    }

    fn fill_vacancy(&self, vacancy: Vacancy, spec: &CacheSpec) -> Result<(), CacheError> {
        let caches = self.env.caches;
        while let Some(saved) = caches.mount(&spec.portable, &spec.platform) {
            let go_on = || !self.env.cancel.is_cancelled();
            match restore(&*saved.backend, &saved.mount, (vacancy.path(), &go_on)) {
                Ok(seen) => {
                    caches.restored(saved);
                    return vacancy.settle(spec, &seen);
                }
                // The step is not to run either.
                Err(_) if self.env.cancel.is_cancelled() => return Ok(()),
                Err(error) => {
                    let reason = &error.to_string();
                    self.env.progress.event(&Event::CacheFailed { reason });
                    caches.refuse_mount(&saved);
                    let path = vacancy.path().to_owned();
                    vacancy.clear().map_err(|error| CacheError { path, cause: error.into() })?;
                }
            }
        }
        Ok(())
    }
}
