//! Credential helpers: programs that answer with the credentials of a host.

use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde::Deserialize;

use super::{Credential, CredentialError};

/// A helper that asks a person has been given time enough by then; one that hangs would hang the build.
const TIME_LIMIT: Duration = Duration::from_mins(1);
/// Registry tokens are a few kilobytes.
const MAX_OUTPUT: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks `docker-credential-<name>` for the credentials of `key`.
pub(super) fn get(name: &str, key: &str) -> Result<Option<Credential>, CredentialError> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if name.is_empty() || !name.bytes().all(fine) {
        return Err(CredentialError::HelperName { name: name.to_owned() });
    }
    ask(&format!("docker-credential-{name}"), key, TIME_LIMIT)
}

fn ask(program: &str, key: &str, limit: Duration) -> Result<Option<Credential>, CredentialError> {
    let failed = |error| CredentialError::HelperRun { program: program.to_owned(), error };
    let wrong = |problem| CredentialError::Helper { program: program.to_owned(), problem };
    let mut child = start(program, key).map_err(failed)?;
    let Some(output) = read_within(&mut child, limit).map_err(failed)? else {
        child.kill().map_err(failed)?;
        child.wait().map_err(failed)?;
        return Err(wrong("did not answer in time"));
    };
    let status = child.wait().map_err(failed)?;
    if !status.success() {
        let text = String::from_utf8_lossy(&output);
        let absent = text.contains("credentials not found");
        return if absent { Ok(None) } else { Err(wrong("failed")) };
    }
    let answer: Answer = serde_json::from_slice(&output)
        .map_err(|_| wrong("answered something other than credentials"))?;
    Ok(Some(Credential::new(&answer.username, &answer.secret)))
}

fn start(program: &str, key: &str) -> io::Result<Child> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A helper may end without reading; its answer then says why.
        let _ = input.write_all(key.as_bytes());
    }
    Ok(child)
}

fn read_within(child: &mut Child, limit: Duration) -> io::Result<Option<Vec<u8>>> {
    let Some(output) = child.stdout.take() else { return Ok(Some(Vec::new())) };
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = output.take(MAX_OUTPUT).read_to_end(&mut bytes);
        // The receiver is gone if time was up, and nobody wants the answer then.
        let _ = sender.send(read.map(|_| bytes));
    });
    match receiver.recv_timeout(limit) {
        Ok(read) => read.map(Some),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn run(script: &str, limit: Duration) -> Result<Option<Credential>, CredentialError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("helper");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        ask(path.to_str().unwrap(), "r.io", limit)
    }

    #[test]
    fn the_host_is_asked_for_on_standard_input() {
        let script =
            r#"read host; echo "{\"ServerURL\":\"\",\"Username\":\"u\",\"Secret\":\"$host\"}""#;
        let found = run(script, TIME_LIMIT).unwrap();
        assert_eq!(found, Some(Credential::new("u", "r.io")));
    }

    #[test]
    fn credentials_that_are_not_there_are_no_error() {
        let script = "echo credentials not found in native keychain; exit 1";
        assert_eq!(run(script, TIME_LIMIT).unwrap(), None);
    }

    #[test]
    fn a_helper_that_fails_hangs_or_babbles_is_an_error_without_its_output() {
        for script in ["echo hunter2; exit 1", "echo hunter2"] {
            let error = run(script, TIME_LIMIT).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let error = run("exec sleep 1000", Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains("in time"), "{error}");
    }
}
