//! AWS as far as an image builder needs it: credentials, signatures, ECR's control plane, and S3.
//!
//! ```text
//! Surroundings ──► Chain ──► Keys ─┐
//!   (variables, files, clock)      ├─► sign ──► Api ──► Ecr      tokens and repositories
//!                    Region ───────┘             └────► Bucket   objects
//! ```
//!
//! # Invariants
//!
//! * A signature depends on the request, the keys and the moment it is given, and on nothing else.
//! * No secret is in any message, error or debug output.
//! * Keys go to AWS as signatures only; bearer tokens go to the address that they were given for.
//!
//! Nothing here reads the environment or a clock: both come in through [`surroundings::Surroundings`].

mod api;
pub mod chain;
pub mod ecr;
pub mod endpoint;
pub mod error;
#[cfg(test)]
mod fake_service;
pub mod keys;
pub mod registry_host;
pub mod s3;
pub mod sign;
pub mod surroundings;
mod token_file;
mod xml;
