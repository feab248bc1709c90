//! Docker's protocol for plugins of its command line: how `docker build`, `docker buildx` and Compose
//! call this program, through a link of the name `docker-buildx`.
//!
//! Docker asks a plugin for its metadata, and then calls it with the command line as it was typed:
//! its own flags, `buildx`, and what followed. Compose leaves `buildx` out.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;

use serde_json::json;

use crate::kaniko;

/// What the link is called, after which docker calls the command.
pub(crate) const NAME: &str = "docker-buildx";

/// The buildx whose command line is spoken. Programs compare it with what they need: Compose with
/// 0.17, the GitHub actions with up to 0.30 for what they hand over.
pub(crate) const SPOKEN: &str = "v0.30.1";

/// The BuildKit whose Dockerfiles are built, for programs that compare that.
pub(crate) const BUILDKIT: &str = "v0.26.2";

/// Where docker waits for its plugin, which ends when docker hangs up.
pub(crate) const SOCKET: &str = "DOCKER_CLI_PLUGIN_SOCKET";

/// What the program was called for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Called {
    /// Something about the plugin itself: this is the answer.
    Protocol(String),
    /// A command.
    Command(CommandLine),
}

/// A command line in our own words, and variables that stand over those of the environment: docker has
/// flags for what we read from there.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct CommandLine {
    pub(crate) words: Vec<OsString>,
    pub(crate) variables: Vec<(OsString, OsString)>,
    pub(crate) caller: Caller,
}

/// Who reads what goes wrong.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Caller {
    /// Docker, Compose, or a GitHub action.
    Docker,
    #[default]
    Person,
}

impl Caller {
    /// What went wrong, in the words that the caller looks for: the actions take the last line that begins
    /// with `ERROR:` for the message, so that why stands in it as well.
    pub(crate) fn told(self, text: String) -> String {
        if self == Self::Person {
            return text;
        }
        let mut lines: Vec<String> = Vec::new();
        let mut message = None;
        for line in text.lines() {
            if let Some(text) = line.strip_prefix("error: ") {
                message = Some(lines.len());
                lines.push(format!("ERROR: {text}"));
                continue;
            }
            match (message, line.strip_prefix("  because: ")) {
                (Some(at), Some(why)) => lines[at].extend([": ", why]),
                (_, _) => lines.push(line.to_owned()),
            }
        }
        lines.join("\n")
    }
}

impl Called {
    /// What these words, the name of the program first, ask for.
    pub(crate) fn by(words: impl IntoIterator<Item = OsString>) -> Self {
        let mut words: Vec<OsString> = words.into_iter().collect();
        let name = words.first().and_then(|word| Path::new(word).file_name());
        if name != Some(OsStr::new(NAME)) {
            return Self::Command(by_name(words));
        }
        let rest = words.split_off(1);
        match rest.first().and_then(|word| word.to_str()) {
            Some("docker-cli-plugin-metadata") => Self::Protocol(metadata()),
            // What docker shows after a command, and what its shells offer: nothing.
            Some("docker-cli-plugin-hooks") => Self::Protocol("{}".to_owned()),
            Some("__complete" | "__completeNoDesc") => Self::Protocol(":0".to_owned()),
            _ => Self::Command(translated(rest)),
        }
    }
}

/// A command line of somebody who calls this program by its name, perhaps in the place of docker.
fn by_name(mut words: Vec<OsString>) -> CommandLine {
    match words.get(1).and_then(|word| word.to_str()) {
        Some("help") => {
            words.remove(1);
            words.push("--help".into());
        }
        Some("-v") => words[1] = "--version".into(),
        _ => {}
    }
    let rest = words.split_off(words.len().min(1));
    let (variables, others) = without_flags_of_docker(rest.clone());
    // Only before a command: kaniko has flags of these names, and no command.
    let is_command = others.first().is_some_and(|word| !word.as_encoded_bytes().starts_with(b"-"));
    let (variables, rest) = if is_command { (variables, others) } else { (Vec::new(), rest) };
    words.extend(rest);
    CommandLine { words: kaniko::spelt_out(words), variables, ..CommandLine::default() }
}

/// What docker wants to know before it takes a program for a plugin.
fn metadata() -> String {
    let version = format!("{SPOKEN}-wythe-{}", env!("CARGO_PKG_VERSION"));
    json!({
        "SchemaVersion": "0.1.0",
        "Vendor": "wythe",
        "Version": version,
        "ShortDescription": "Build with wythe: no daemon, no root",
        "URL": env!("CARGO_PKG_REPOSITORY"),
    })
    .to_string()
}

/// Flags of docker itself that have a value, and the variables that say the same.
const WITH_VALUE: [(&[&str], &str); 7] = [
    (&["--config"], "DOCKER_CONFIG"),
    (&["-c", "--context"], "DOCKER_CONTEXT"),
    (&["-H", "--host"], "DOCKER_HOST"),
    (&["-l", "--log-level"], ""),
    (&["--tlscacert"], ""),
    (&["--tlscert"], ""),
    (&["--tlskey"], ""),
];

/// Those that have none, and are about docker's connection to its daemon.
const ALONE: [&str; 4] = ["-D", "--debug", "--tls", "--tlsverify"];

/// Docker's flags before the command become variables; the command is one of the group `buildx`.
fn translated(words: Vec<OsString>) -> CommandLine {
    let (variables, rest) = without_flags_of_docker(words);
    let mut line = CommandLine { variables, ..CommandLine::default() };
    let mut rest = rest.into_iter().peekable();
    rest.next_if(|word| word == "buildx");
    line.words = ["wythe", "buildx"].map(OsString::from).into_iter().chain(rest).collect();
    if line.words.len() == 2 {
        // Whoever asks for nothing wants to know whether it is there.
        line.words.push("--help".into());
    }
    line.caller = Caller::Docker;
    line
}

/// The variables that say what docker's flags at the beginning do, and the words behind those.
fn without_flags_of_docker(words: Vec<OsString>) -> (Vec<(OsString, OsString)>, Vec<OsString>) {
    let (mut variables, mut rest) = (Vec::new(), words.into_iter().peekable());
    while let Some(word) = rest.next_if(|word| is_of_docker(word)) {
        let text = word.to_string_lossy().into_owned();
        let (flag, value) = match text.split_once('=') {
            Some((flag, value)) => (flag, Some(OsString::from(value))),
            None => (text.as_str(), None),
        };
        let known = WITH_VALUE.iter().find(|(names, _)| names.contains(&flag));
        let Some((_, variable)) = known else { continue };
        let value = value.or_else(|| rest.next());
        if let Some(value) = value.filter(|_| !variable.is_empty()) {
            variables.push(((*variable).into(), value));
        }
    }
    (variables, rest.collect())
}

fn is_of_docker(word: &OsStr) -> bool {
    let Some(text) = word.to_str() else { return false };
    let flag = text.split_once('=').map_or(text, |(flag, _)| flag);
    ALONE.contains(&flag) || WITH_VALUE.iter().any(|(names, _)| names.contains(&flag))
}

/// Calls `interrupt` when docker hangs up, which it does when it is interrupted.
///
/// Starts a thread, so that it has to be called after the namespaces were entered.
pub(crate) fn watch(socket: &OsStr, interrupt: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut stream = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => UnixStream::connect(socket)?,
    };
    let thread = std::thread::Builder::new().name("docker".to_owned());
    thread.spawn(move || {
        // Nothing is said on it: whatever ends the wait, docker is gone.
        let _ = stream.read(&mut [0]);
        interrupt();
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(words: &str) -> Called {
        Called::by(words.split(' ').map(OsString::from))
    }

    #[track_caller]
    fn check(words: &str, expected: &str, variables: &[(&str, &str)]) {
        let pair = |(name, value): &(&str, &str)| (name.into(), value.into());
        let expected: Vec<OsString> = expected.split(' ').map(OsString::from).collect();
        let variables: Vec<(OsString, OsString)> = variables.iter().map(pair).collect();
        let Called::Command(line) = called(words) else { panic!("not a command") };
        assert_eq!((line.words, line.variables), (expected, variables), "{words}");
    }

    #[test]
    fn docker_calls_with_its_flags_and_buildx_and_compose_without() {
        check("/p/docker-buildx buildx build .", "wythe buildx build .", &[]);
        check("/p/docker-buildx bake --file -", "wythe buildx bake --file -", &[]);
        check(
            "docker-buildx --debug --config /c -H=unix:///s buildx build --config x",
            "wythe buildx build --config x",
            &[("DOCKER_CONFIG", "/c"), ("DOCKER_HOST", "unix:///s")],
        );
        check("docker-buildx -l debug buildx ls", "wythe buildx ls", &[]);
        check("docker-buildx buildx", "wythe buildx --help", &[]);
    }

    #[test]
    fn the_actions_find_what_went_wrong() {
        let text = || "#1 error: x\nerror: no\n  because: a\n  because: b\nhelp: y".to_owned();
        assert_eq!(Caller::Docker.told(text()), "#1 error: x\nERROR: no: a: b\nhelp: y");
        assert_eq!(Caller::Person.told(text()), text());
    }

    #[test]
    fn under_its_own_name_the_program_is_itself() {
        check("/bin/wythe build .", "/bin/wythe build .", &[]);
        check("wythe docker-cli-plugin-metadata", "wythe docker-cli-plugin-metadata", &[]);
        check("wythe -v", "wythe --version", &[]);
        check("wythe", "wythe", &[]);
    }

    #[test]
    fn in_the_place_of_docker_it_takes_flags_of_docker_before_a_command() {
        check(
            "wythe -D -H unix:///s --tls images -q",
            "wythe images -q",
            &[("DOCKER_HOST", "unix:///s")],
        );
        check(
            "wythe --config=/c --context default push x",
            "wythe push x",
            &[("DOCKER_CONFIG", "/c"), ("DOCKER_CONTEXT", "default")],
        );
        check("wythe --store s images", "wythe --store s images", &[]);
        // Those of kaniko, which has no commands, are left alone.
        let kaniko = "wythe --context /workspace --destination r/app";
        check(kaniko, kaniko, &[]);
    }

    #[test]
    fn help_with_a_command_is_the_help_of_that_command() {
        check("wythe help build", "wythe build --help", &[]);
        check("wythe help", "wythe --help", &[]);
    }

    #[test]
    fn the_metadata_is_what_docker_and_compose_look_for() {
        let Called::Protocol(answer) = called("/p/docker-buildx docker-cli-plugin-metadata") else {
            panic!("a command")
        };
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["SchemaVersion"], "0.1.0");
        assert!(answer["Vendor"].as_str().is_some_and(|vendor| !vendor.is_empty()));
        assert!(answer["Version"].as_str().is_some_and(|version| version.starts_with(SPOKEN)));
    }
}
