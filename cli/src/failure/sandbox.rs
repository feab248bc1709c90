//! Errors of the sandbox as failures.

use wythe_sandbox::binfmt::EmulationError;
use wythe_sandbox::error::StepCause;
use wythe_sandbox::{InitError, StepError};

use super::{Class, Failure};

impl From<InitError> for Failure {
    fn from(error: InitError) -> Self {
        Self::of(Class::Environment, &error).remedy("`wythe doctor` says what this machine lacks")
    }
}

impl From<StepError> for Failure {
    fn from(error: StepError) -> Self {
        let doctor = "`wythe doctor` says what this machine lacks";
        Self::of(class(&error), &error).remedy(error.cause.remedy().unwrap_or(doctor))
    }
}

/// Whose fault it is that a step could not be run, or not be kept.
pub(super) fn class(error: &StepError) -> Class {
    let by_step = matches!(error.cause, StepCause::HeldOpen);
    if by_step { Class::Step } else { Class::Environment }
}

impl From<EmulationError> for Failure {
    fn from(error: EmulationError) -> Self {
        Self::new(Class::Environment, error.to_string())
    }
}
