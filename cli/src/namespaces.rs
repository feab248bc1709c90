//! Entering the namespaces of the sandbox: at once, or when it turns out that steps run.

use std::path::Path;

use wythe_registry::credentials::prepare_helpers;
use wythe_sandbox::enter::IdChoice;
use wythe_sandbox::{InitError, enter, probe};
use wythe_store::live::owner::reserve;

use crate::failure::Failure;
use crate::host;
use crate::session::store_directory;

/// Whether a command needs the namespaces of the sandbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Namespaces {
    /// Where it runs steps, or touches what they left.
    ForSteps,
    Needed,
    NotNeeded,
    /// As for steps, once it has found that there are some to run.
    PutOff,
}

impl Namespaces {
    /// Enters them; the process starts over in them, with the same arguments. Where that cannot be
    /// done, and what is to be done may do without, says why.
    ///
    /// With `one_id`, the directory of a store, those with one id are taken where others cannot be had and
    /// steps run in them, which is tried.
    pub(crate) fn enter(
        self,
        ids: IdChoice,
        one_id: Option<&Path>,
    ) -> Result<Option<InitError>, Failure> {
        let put_off = self == Self::PutOff && !enter::is_second_run();
        if self == Self::NotNeeded || put_off {
            return Ok(None);
        }
        let before = host::user_namespace();
        match enter::init_with(ids) {
            Ok(_) => {
                prepare_helpers(enter::beside);
                enter::reserved().into_iter().for_each(reserve);
                Ok(None)
            }
            // A process that is half in stays there.
            Err(error) if self != Self::Needed && before == host::user_namespace() => {
                if one_id.is_some_and(has_one_id) {
                    enter::init_in_stead(error.cause.to_string())?;
                }
                Ok(Some(error))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether steps run with one id, in a store that may not be there yet.
fn has_one_id(store: &Path) -> bool {
    store_directory(store).is_ok() && probe::runs_with_one_id(store)
}
