//! Container images from a program: built, pushed, pulled and read, by one value.
//!
//! ```no_run
//! use std::path::Path;
//! use wythe_api::{BuildRequest, Wythe};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     wythe_api::init()?; // before anything else, and before threads
//!     let wythe = Wythe::open(Path::new("/var/lib/mine/store"))?;
//!     let image = wythe.build(&BuildRequest::read(Path::new("."))?)?;
//!     wythe.push(&image, "registry.example/team/app:1")?;
//!     Ok(())
//! }
//! ```
//!
//! # Threads
//!
//! A process enters a user namespace only while it has one thread, and does so by executing itself again. So
//! [`init`] is the first line of `main`, and a runtime is started behind it: not `#[tokio::main]`, which starts its threads before
//! the first line, but a `main` that calls [`init`] and then makes a runtime. Programs whose builds run no command need no
//! [`init`]. `examples/service.rs` is a whole program.
//!
//! # What is not here
//!
//! Neither environment nor clock is read: registries, credentials and time are [handed in](Wythe::with_registries). What
//! this crate decides for its callers the crates below leave open: `wythe-builder` builds, `wythe-delivery` lets images leave, `wythe-registry`
//! speaks to registries, `wythe-store` keeps. [`Wythe::builder`] leads there.

mod error;
mod image;
mod request;
mod wythe;

pub use error::WytheError;
pub use image::Image;
pub use request::BuildRequest;
pub use wythe::Wythe;
pub use wythe_builder::init;
pub use wythe_builder::progress::{Event, Progress};
pub use wythe_registry::settings::Settings as RegistrySettings;
pub use wythe_sandbox::Cancel;
pub use wythe_store::timestamp::Timestamp;
