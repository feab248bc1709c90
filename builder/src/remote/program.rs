//! The program `git`, run so that nothing but the build decides what it does: no configuration of
//! the machine or the user, no hooks, no questions, and only transports that reach other machines.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use wythe_sandbox::{Cancel, enter};

/// More output than any of our questions has for an answer.
const MAX_OUTPUT: u64 = 16 << 20;

/// As much of what git says as a message has room for.
const MAX_LINES: usize = 3;
const MAX_DETAIL: usize = 500;

/// Settings that hold for every command, above all that a repository says.
const SETTINGS: [(&str, &str); 7] = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.autocrlf", "false"),
    ("credential.helper", ""),
    ("init.defaultBranch", "main"),
    ("protocol.ext.allow", "never"),
    ("protocol.file.allow", "never"),
];

/// Variables that hold for every command.
const VARIABLES: [(&str, &str); 8] = [
    ("GIT_ALLOW_PROTOCOL", "git:http:https:ssh"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_SSH_COMMAND", "ssh -F none -o BatchMode=yes"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_LFS_SKIP_SMUDGE", "1"),
    ("LC_ALL", "C"),
];

/// Where the program is, and what of the caller's environment it may see.
#[derive(Clone, Debug)]
pub struct GitProgram {
    /// The program.
    pub program: PathBuf,
    /// Variables it needs: the search path, proxies, the agent for keys.
    pub variables: Vec<(OsString, OsString)>,
}

/// One command.
#[derive(Debug)]
pub(crate) struct GitCommand<'a> {
    pub(crate) git: &'a GitProgram,
    /// Where it runs; also its home.
    pub(crate) directory: &'a Path,
    /// Further settings, such as headers that no list of processes may show.
    pub(crate) settings: &'a [(String, String)],
    pub(crate) cancel: &'a Cancel,
}

/// A command of git that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// It could not be run.
    #[error("cannot run git")]
    Run(#[from] io::Error),
    /// It said why not.
    #[error("git {command}: {detail}")]
    Failed {
        /// The command.
        command: String,
        /// The end of what it said.
        detail: String,
    },
    /// The build was cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl GitCommand<'_> {
    /// Runs the command and gives what it writes.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String, GitError> {
        let mut child = self.command(arguments).spawn()?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (cancelled, out, err) = std::thread::scope(|scope| {
            let out = scope.spawn(|| drain(out));
            let err = scope.spawn(|| drain(err));
            let cancelled = self.wait(&child);
            (cancelled, out.join().unwrap_or_default(), err.join().unwrap_or_default())
        });
        let status = child.wait()?;
        match (cancelled?, status.success()) {
            (true, _) => Err(GitError::Cancelled),
            (false, true) => Ok(out),
            (false, false) => {
                let command = arguments.first().copied().unwrap_or_default().to_owned();
                Err(GitError::Failed { command, detail: last_lines(&err) })
            }
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.git.program);
        command.args(arguments).current_dir(self.directory).env_clear();
        command.envs(self.git.variables.iter().map(|(name, value)| (name, value)));
        command.envs(VARIABLES).env("HOME", self.directory);
        let own = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let settings: Vec<(&str, &str)> = SETTINGS.into_iter().chain(own).collect();
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (index, (name, value)) in settings.into_iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{index}"), name);
            command.env(format!("GIT_CONFIG_VALUE_{index}"), value);
        }
        // Its own group, so that what it starts ends with it.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        enter::beside(&mut command);
        command
    }

    /// Waits for the end of the command or of the build; whether it was that of the build.
    fn wait(&self, child: &Child) -> io::Result<bool> {
        let id = Pid::from_child(child);
        let ended = pidfd_open(id, PidfdFlags::empty())?;
        let mut events =
            [PollFd::new(&ended, PollFlags::IN), PollFd::new(self.cancel, PollFlags::IN)];
        loop {
            match poll(&mut events, None) {
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        let cancelled = events[0].revents().is_empty();
        if cancelled {
            kill_process_group(id, Signal::KILL)?;
        }
        Ok(cancelled)
    }
}

/// Reads all of it, so that the writer never waits, and keeps the beginning.
fn drain(from: Option<impl Read>) -> String {
    let Some(mut from) = from else { return String::new() };
    let mut kept = Vec::new();
    // A pipe that breaks has ended; the exit status tells how.
    let _ = (&mut from).take(MAX_OUTPUT).read_to_end(&mut kept);
    let _ = io::copy(&mut from, &mut io::sink());
    String::from_utf8_lossy(&kept).into_owned()
}

/// The last lines that say what went wrong, without those that name directories of this machine or
/// only give advice.
fn last_lines(text: &str) -> String {
    let idle = ["hint:", "Cloning into", "fatal: clone of"];
    let tells = |line: &&str| !line.is_empty() && !idle.iter().any(|idle| line.starts_with(idle));
    let lines: Vec<&str> = text.lines().map(str::trim).filter(tells).collect();
    let last = &lines[lines.len().saturating_sub(MAX_LINES)..];
    last.join("; ").chars().filter(|letter| !letter.is_control()).take(MAX_DETAIL).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that says what it was given, in place of git.
    fn run(script: &str, cancel: &Cancel) -> Result<String, GitError> {
        let variables = vec![("PATH".into(), "/usr/bin:/bin".into())];
        let git = GitProgram { program: "/bin/sh".into(), variables };
        let settings = [("http.https://h/.extraHeader".to_owned(), "X: secret".to_owned())];
        let directory = Path::new("/");
        GitCommand { git: &git, directory, settings: &settings, cancel }.run(&["-c", script])
    }

    #[test]
    fn nothing_of_the_machine_decides_what_git_does() {
        let variables = run("env", &Cancel::new().unwrap()).unwrap();
        for expected in [
            "GIT_CONFIG_NOSYSTEM=1",
            "GIT_CONFIG_GLOBAL=/dev/null",
            "GIT_TERMINAL_PROMPT=0",
            "GIT_ALLOW_PROTOCOL=git:http:https:ssh",
            "GIT_CONFIG_VALUE_0=/dev/null",
            "GIT_CONFIG_VALUE_7=X: secret",
            "HOME=/",
        ] {
            assert!(variables.lines().any(|line| line == expected), "{expected}: {variables}");
        }
        assert!(!variables.contains("CARGO"), "{variables}");
    }

    #[test]
    fn a_failure_says_what_git_said_last() {
        let script = "echo hint: x >&2; echo fatal: no >&2; exit 128";
        let error = run(script, &Cancel::new().unwrap()).unwrap_err().to_string();
        assert!(error.ends_with("fatal: no"), "{error}");
    }

    #[test]
    fn a_command_ends_with_the_build() {
        let cancel = Cancel::new().unwrap();
        cancel.cancel();
        let outcome = run("exec sleep 1000", &cancel);
        assert!(matches!(outcome, Err(GitError::Cancelled)), "{outcome:?}");
    }

    #[test]
    fn much_output_stalls_nothing() {
        let text = run("head -c 300000 /dev/zero >&2; echo done", &Cancel::new().unwrap());
        assert_eq!(text.unwrap(), "done\n");
    }
}
