//! The images of podman and buildah, which share them: they pull from a registry on the loopback, and so
//! take what they lack.

use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use wythe_delivery::error::DeliveryError;
use wythe_delivery::image::OutgoingImage;
use wythe_delivery::loopback::{Loopback, TAG};
use wythe_store::digest::Digest;
use wythe_store::oci::content::Content;
use wythe_store::oci::reference::Reference;

use crate::failure::{Class, Failure};
use crate::host;
use crate::settings::Settings;

/// The programs that have such images, the usual one first; both know the same words for what they do.
const PROGRAMS: [&str; 2] = ["podman", "buildah"];

/// A program that has images.
pub(crate) struct ContainersStorage {
    program: PathBuf,
    name: &'static str,
}

impl ContainersStorage {
    /// What this machine has.
    pub(crate) fn find(settings: &Settings) -> Result<Self, Failure> {
        let found = PROGRAMS
            .iter()
            .find_map(|name| host::program(name, settings).map(|program| Self { program, name }));
        found.ok_or_else(|| {
            let text = "neither podman nor buildah is on this machine";
            Failure::new(Class::Environment, text)
                .remedy("install one, or write an archive: `wythe copy NAME docker-archive:FILE`")
        })
    }

    /// Gives it an image under a name, and says how many bytes it took; none where it had it.
    pub(crate) fn take(
        &self,
        (image, config): (&OutgoingImage<'_>, Digest),
        content: &dyn Content,
        (name, secret): (&Reference, &str),
    ) -> Result<Option<u64>, Failure> {
        let (id, name) = (config.hex(), name.canonical());
        if self.has(&id)? {
            self.run(&["tag", &id, &name])?;
            return Ok(None);
        }
        let loopback = Loopback::new(&image.root, content, secret);
        let loopback = loopback.map_err(DeliveryError::Archive)?;
        let served = loopback.serve(|from| {
            let there = format!("{}:{TAG}", from.repository);
            self.run(&["pull", "-q", "--tls-verify=false", &there])?;
            self.run(&["tag", &there, &name])?;
            // A name of several goes alone.
            self.run(&["rmi", &there])
        });
        let (pulled, bytes) = served.map_err(DeliveryError::Archive)?;
        pulled?;
        Ok(Some(bytes))
    }

    fn has(&self, id: &str) -> Result<bool, Failure> {
        let mut command = self.command(&["inspect", "--type", "image", "--format", "x", id]);
        let status = command.stderr(Stdio::null()).status();
        Ok(status.map_err(|error| self.unusable(&error))?.success())
    }

    fn run(&self, words: &[&str]) -> Result<(), Failure> {
        let status = self.command(words).status().map_err(|error| self.unusable(&error))?;
        if status.success() {
            return Ok(());
        }
        let text = format!("{} {} failed: {status}", self.name, words[0]);
        Err(Failure::new(Class::Environment, text))
    }

    /// What it says is ours to say; what goes wrong is not.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn unusable(&self, error: &io::Error) -> Failure {
        Failure::new(Class::Environment, format!("cannot run {}", self.name)).because(error)
    }
}
