//! The images of containerd: its `ctr` pulls from a registry on the loopback, and so takes what is lacking.

use std::io;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use wythe_delivery::error::DeliveryError;
use wythe_delivery::image::OutgoingImage;
use wythe_delivery::loopback::{Loopback, TAG};
use wythe_store::oci::content::Content;
use wythe_store::oci::reference::Reference;

use crate::failure::{Class, Failure};
use crate::host;
use crate::settings::Settings;

/// The program that comes with containerd. It finds the socket and the namespace by variables of its own,
/// `CONTAINERD_ADDRESS` and `CONTAINERD_NAMESPACE`.
const PROGRAM: &str = "ctr";

/// containerd on this machine.
pub(crate) struct Containerd {
    program: PathBuf,
}

impl Containerd {
    /// What this machine has.
    pub(crate) fn find(settings: &Settings) -> Result<Self, Failure> {
        let program = host::program(PROGRAM, settings).ok_or_else(|| {
            let text = "containerd's program ctr is not on this machine";
            Failure::new(Class::Environment, text)
                .remedy("install it, or write an archive: `wythe copy NAME oci-archive:FILE`")
        })?;
        Ok(Self { program })
    }

    /// Gives it an image under a name, and says how many bytes it took; none where it had it.
    pub(crate) fn take(
        &self,
        image: &OutgoingImage<'_>,
        content: &dyn Content,
        (name, secret): (&Reference, &str),
    ) -> Result<Option<u64>, Failure> {
        let name = name.canonical();
        let same = format!("target.digest=={}", image.root.digest);
        let known = self.run(&["images", "list", "--quiet", &same])?;
        let known = String::from_utf8_lossy(&known.stdout);
        if let Some(known) = known.lines().find(|line| !line.is_empty()) {
            if known != name {
                self.run(&["images", "tag", "--force", known, &name])?;
            }
            return Ok(None);
        }
        let loopback = Loopback::new(&image.root, content, secret);
        let loopback = loopback.map_err(DeliveryError::Archive)?;
        let served = loopback.serve(|from| {
            let there = format!("{}:{TAG}", from.repository);
            self.run(&["images", "pull", "--plain-http", &there])?;
            self.run(&["images", "tag", "--force", &there, &name])?;
            self.run(&["images", "remove", &there])
        });
        let (pulled, bytes) = served.map_err(DeliveryError::Archive)?;
        pulled?;
        Ok(Some(bytes))
    }

    fn run(&self, words: &[&str]) -> Result<Output, Failure> {
        let mut command = Command::new(&self.program);
        let output = command.args(words).stdin(Stdio::null()).output();
        let output = output
            .map_err(|error| Failure::new(Class::Environment, "cannot run ctr").because(&error))?;
        if output.status.success() {
            return Ok(output);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().last().unwrap_or_default().to_owned();
        let failure =
            Failure::new(Class::Environment, format!("ctr {} failed", words[..2].join(" ")));
        Err(failure
            .because(&io::Error::other(said))
            .remedy("ctr has to reach containerd: see CONTAINERD_ADDRESS and CONTAINERD_NAMESPACE"))
    }
}
