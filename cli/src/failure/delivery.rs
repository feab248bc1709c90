//! Errors of deliveries as failures.

use std::io;

use wythe_delivery::error::DeliveryError;

use super::{Class, Failure};

impl From<DeliveryError> for Failure {
    fn from(error: DeliveryError) -> Self {
        match error {
            DeliveryError::OtherDigest { .. } => Self::of(Class::Usage, &error)
                .remedy("leave the digest out of the name, or give this one"),
            DeliveryError::Conflict { .. } => Self::of(Class::Usage, &error)
                .remedy("leave platform-split=false out for a directory per platform"),
            DeliveryError::NoIndex | DeliveryError::Tagged(_) => Self::of(Class::Usage, &error),
            DeliveryError::Bytes(_) | DeliveryError::Statement { .. } => {
                Self::of(Class::Damage, &error)
            }
            DeliveryError::Archive(error) => unwritten(&error),
            DeliveryError::Base(error) => error.into(),
            DeliveryError::Image(error) => error.into(),
            DeliveryError::Layout(error) => error.into(),
            DeliveryError::Push(error) => error.into(),
            DeliveryError::Read(error) => error.into(),
            DeliveryError::Recode(error) => error.into(),
            DeliveryError::Rootfs(error) => error.into(),
            DeliveryError::Write(error) => error.into(),
            DeliveryError::Engine(_) | _ => Self::of(Class::Environment, &error),
        }
    }
}

/// Why an archive could not be written.
fn unwritten(error: &io::Error) -> Failure {
    // Not what a file system says of itself, but what an archive cannot hold.
    if error.kind() == io::ErrorKind::Unsupported && error.raw_os_error().is_none() {
        return Failure::of(Class::Usage, error).remedy("an archive in the format oci can hold it");
    }
    Failure::of(Class::Environment, error)
}
