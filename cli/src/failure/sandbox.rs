//! Errors of the sandbox as failures.

use wythe_sandbox::binfmt::EmulationError;
use wythe_sandbox::{InitError, StepError};

use super::{Class, Failure};

impl From<InitError> for Failure {
    fn from(error: InitError) -> Self {
        Self::of(Class::Environment, &error).remedy("`wythe doctor` says what this machine lacks")
    }
}

impl From<StepError> for Failure {
    fn from(error: StepError) -> Self {
        Self::of(Class::Environment, &error).remedy("`wythe doctor` says what this machine lacks")
    }
}

impl From<EmulationError> for Failure {
    fn from(error: EmulationError) -> Self {
        Self::new(Class::Environment, error.to_string())
    }
}
