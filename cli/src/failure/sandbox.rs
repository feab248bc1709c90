//! Errors of the sandbox as failures.

use wythe_sandbox::InitError;

use super::{Class, Failure};

impl From<InitError> for Failure {
    fn from(error: InitError) -> Self {
        Self::of(Class::Environment, &error).remedy("`wythe doctor` says what this machine lacks")
    }
}
