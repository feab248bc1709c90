//! Credential helpers: programs that keep the credentials of a host.

use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

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

/// A program that keeps credentials: `docker-credential-<name>`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Helper {
    program: String,
}

impl Helper {
    /// The helper that a configuration calls by this name.
    ///
    /// # Errors
    ///
    /// [`CredentialError::HelperName`] if the name is none: it would run another program.
    pub fn new(name: &str) -> Result<Self, CredentialError> {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if name.is_empty() || !name.bytes().all(fine) {
            return Err(CredentialError::HelperName { name: name.to_owned() });
        }
        Ok(Self { program: format!("docker-credential-{name}") })
    }

    /// The credentials it keeps for `key`.
    ///
    /// # Errors
    ///
    /// If it cannot be run, fails, or answers something else.
    pub fn get(&self, key: &str) -> Result<Option<Credential>, CredentialError> {
        let Some(output) = self.run("get", key.as_bytes(), TIME_LIMIT)? else { return Ok(None) };
        let answer: Answer = serde_json::from_slice(&output)
            .map_err(|_| self.wrong("answered something other than credentials"))?;
        // Some say with empty words that they know nobody.
        let known = !(answer.username.is_empty() && answer.secret.is_empty());
        Ok(known.then(|| Credential::new(&answer.username, &answer.secret)))
    }

    /// Has it keep credentials for `key`.
    ///
    /// # Errors
    ///
    /// If it cannot be run or fails.
    pub fn store(&self, key: &str, credential: &Credential) -> Result<(), CredentialError> {
        let (username, secret) = credential.pair();
        let entry = json!({"ServerURL": key, "Username": username, "Secret": secret.reveal()});
        match self.run("store", entry.to_string().as_bytes(), TIME_LIMIT)? {
            Some(_) => Ok(()),
            None => Err(self.wrong("failed")),
        }
    }

    /// Has it forget the credentials for `key`; tells whether there were any.
    ///
    /// # Errors
    ///
    /// If it cannot be run or fails.
    pub fn erase(&self, key: &str) -> Result<bool, CredentialError> {
        // Some forget without a word what they never knew.
        let known = self.get(key)?.is_some();
        Ok(known && self.run("erase", key.as_bytes(), TIME_LIMIT)?.is_some())
    }

    /// What it answers; `None` where it says that it knows no such credentials.
    fn run(
        &self,
        verb: &str,
        input: &[u8],
        limit: Duration,
    ) -> Result<Option<Vec<u8>>, CredentialError> {
        let failed = |error| CredentialError::HelperRun { program: self.program.clone(), error };
        let mut child = start(&self.program, verb, input).map_err(failed)?;
        let Some(output) = read_within(&mut child, limit).map_err(failed)? else {
            child.kill().map_err(failed)?;
            child.wait().map_err(failed)?;
            return Err(self.wrong("did not answer in time"));
        };
        if child.wait().map_err(failed)?.success() {
            return Ok(Some(output));
        }
        let absent = String::from_utf8_lossy(&output).contains("credentials not found");
        if absent { Ok(None) } else { Err(self.wrong("failed")) }
    }

    fn wrong(&self, problem: &'static str) -> CredentialError {
        CredentialError::Helper { program: self.program.clone(), problem }
    }
}

/// Has every helper prepared before it is started, such as for where it is to run. Who comes second
/// is not heard.
pub fn prepare_helpers(prepare: fn(&mut Command)) {
    PREPARE.get_or_init(|| prepare);
}

static PREPARE: OnceLock<fn(&mut Command)> = OnceLock::new();

/// Prepares a program that hands out credentials as helpers are prepared.
pub fn prepare(command: &mut Command) {
    if let Some(prepare) = PREPARE.get() {
        prepare(command);
    }
}

fn start(program: &str, verb: &str, text: &[u8]) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    prepare(&mut command);
    let mut child = command.spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A helper may end without reading; its answer then says why.
        let _ = input.write_all(text);
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
    /// A helper that is this script.
    fn helper(script: &str) -> (tempfile::TempDir, Helper) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("helper");
        // By a process of its own: what another test forks meanwhile would have the file open for
        // writing, and nobody can execute such.
        let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod 755 "$2""#;
        let written = Command::new("sh").args(["-c", write, "sh", script]).arg(&path).status();
        assert!(written.unwrap().success());
        let program = path.to_str().unwrap().to_owned();
        (directory, Helper { program })
    }

    fn get(script: &str) -> Result<Option<Credential>, CredentialError> {
        let (_directory, helper) = helper(script);
        helper.get("r.io")
    }

    #[test]
    fn credentials_are_kept_found_and_forgotten() {
        let script = r#"cd "$(dirname "$0")"
            case $1 in
            store) cat > kept ;;
            get) [ -e kept ] && cat kept || { echo credentials not found; exit 1; } ;;
            erase) rm kept ;;
            esac"#;
        let (_directory, helper) = helper(script);
        let credential = Credential::new("u", "p\"w");
        assert_eq!(helper.get("r.io").unwrap(), None);
        assert!(!helper.erase("r.io").unwrap());
        helper.store("r.io", &credential).unwrap();
        assert_eq!(helper.get("r.io").unwrap(), Some(credential));
        assert!(helper.erase("r.io").unwrap());
        assert_eq!(helper.get("r.io").unwrap(), None);
    }

    #[test]
    fn the_host_is_asked_for_on_standard_input() {
        let script =
            r#"read host; echo "{\"ServerURL\":\"\",\"Username\":\"u\",\"Secret\":\"$host\"}""#;
        let found = get(script).unwrap();
        assert_eq!(found, Some(Credential::new("u", "r.io")));
    }

    #[test]
    fn credentials_that_are_not_there_are_no_error() {
        let script = "echo credentials not found in native keychain; exit 1";
        assert_eq!(get(script).unwrap(), None);
    }

    #[test]
    fn empty_words_of_a_helper_are_no_credentials() {
        let script = r#"echo "{\"ServerURL\":\"\",\"Username\":\"\",\"Secret\":\"\"}""#;
        assert_eq!(get(script).unwrap(), None);
    }

    #[test]
    fn a_helper_that_fails_hangs_or_babbles_is_an_error_without_its_output() {
        for script in ["echo hunter2; exit 1", "echo hunter2"] {
            let error = get(script).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let (_directory, helper) = helper("exec sleep 1000");
        let error = helper.run("get", b"r.io", Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains("in time"), "{error}");
    }
}
