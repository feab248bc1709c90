//! Keys that a program of the user prints: `credential_process` of a profile.

use std::io::Read;
use std::process::{Command, Stdio};

use wythe_registry::credentials::prepare;

use super::session_keys;
use crate::error::AwsError;
use crate::keys::Keys;

/// Keys have some kilobytes.
const MAX_OUTPUT: u64 = 64 * 1024;

/// Runs the command as a shell does, and reads the keys it prints. Its output may hold secrets and is not shown.
pub(super) fn keys(place: &str, command: &str) -> Result<Keys, AwsError> {
    let failed =
        |error: std::io::Error| AwsError::keys(place, format!("credential_process: {error}"));
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    prepare(&mut shell);
    let mut child = shell.spawn().map_err(failed)?;
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MAX_OUTPUT).read_to_end(&mut output).map_err(failed)?;
    }
    let status = child.wait().map_err(failed)?;
    if !status.success() {
        return Err(AwsError::keys(place, format!("credential_process failed: {status}")));
    }
    session_keys::parse(place, &output)
}
