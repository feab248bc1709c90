//! `--ssh`: agents that run already, and agents of our own for key files.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use wythe_sandbox::enter;

use crate::failure::{Class, Failure};
use crate::host;
use crate::settings::Settings;

/// No key is longer; a file that is would not be one.
const MAX_KEY: u64 = 1 << 20;

/// What runs beside an agent of ours: it tells the number of the agent and ends when this program
/// does, however that ends, whereupon the agent ends too.
const WATCH: &str = "echo \"$SSH_AGENT_PID\"; exec cat > /dev/null";

/// The sockets of the agents that steps may ask for, by id. Those of ours end with this.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    pub(crate) sockets: BTreeMap<String, PathBuf>,
    own: Vec<Agent>,
}

/// What an id stands for.
#[derive(Debug, Eq, PartialEq)]
enum Given {
    Keys(Vec<PathBuf>),
    Socket(PathBuf),
}

impl Agents {
    /// Looks at every `ID[=SOCKET]` and `ID=KEY[,KEY]`, and starts agents in `directory` for keys.
    pub(crate) fn new(
        given: &[String],
        settings: &Settings,
        directory: &Path,
    ) -> Result<Self, Failure> {
        let mut agents = Self::default();
        for text in given {
            let (id, paths) = text
                .split_once('=')
                .map_or((text.as_str(), None), |(id, paths)| (id, Some(paths.to_owned())));
            // `default=`, as Compose says it, names none.
            let paths = paths.filter(|paths| !paths.is_empty());
            let paths = paths.or_else(|| settings.text("SSH_AUTH_SOCK"));
            let paths = paths.ok_or_else(|| {
                Failure::usage(format!("--ssh {id}: no agent runs here"))
                    .remedy("start ssh-agent, or name its socket or a key: --ssh ID=PATH")
            })?;
            let socket = match classify(id, &paths)? {
                Given::Socket(path) => path,
                Given::Keys(keys) => {
                    let place = directory.join(format!("keys-{}", agents.own.len()));
                    let agent =
                        Agent::start(&place, settings).map_err(|error| cannot(id, &error))?;
                    keys.iter().try_for_each(|key| agent.add(id, key, settings))?;
                    let socket = agent.socket();
                    agents.own.push(agent);
                    socket
                }
            };
            agents.sockets.insert(id.to_owned(), socket);
        }
        Ok(agents)
    }
}

/// One socket, or key files.
fn classify(id: &str, paths: &str) -> Result<Given, Failure> {
    let mut keys = Vec::new();
    for path in paths.split(',') {
        let data = fs::metadata(path);
        let data = data.map_err(|error| Failure::usage(format!("--ssh {id}: {path}: {error}")))?;
        if data.file_type().is_socket() {
            let only = path.len() == paths.len();
            let text = format!("--ssh {id}: {path} is the socket of an agent, which stands alone");
            return if only { Ok(Given::Socket(path.into())) } else { Err(Failure::usage(text)) };
        }
        if !data.is_file() {
            let text = format!("--ssh {id}: {path} is neither the socket of an agent nor a key");
            return Err(Failure::usage(text));
        }
        keys.push(PathBuf::from(path));
    }
    Ok(Given::Keys(keys))
}

fn cannot(id: &str, error: &io::Error) -> Failure {
    Failure::new(Class::Environment, format!("--ssh {id}: cannot start an agent for key files"))
        .because(error)
        .remedy("install openssh-client, or give the socket of an agent that runs elsewhere")
}

/// An agent that ends when this is dropped, or soon after this program was killed.
#[derive(Debug)]
struct Agent {
    directory: PathBuf,
    watch: Child,
    process: Option<Pid>,
}

/// What the socket is called in its directory. The path may be longer than sockets take, so that
/// it is only spoken of from there.
const SOCKET: &str = "agent";

impl Agent {
    fn start(directory: &Path, settings: &Settings) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let mut command = program("ssh-agent", directory, settings)?;
        command.args(["-a", SOCKET, "/bin/sh", "-c", WATCH]);
        let mut watch = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        if let Some(out) = watch.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let process = line.trim().parse().ok().and_then(Pid::from_raw);
        Ok(Self { directory: directory.to_owned(), watch, process })
    }

    fn socket(&self) -> PathBuf {
        self.directory.join(SOCKET)
    }

    /// Adds a key from its file. It is handed over as text: who may read the file is the business
    /// of who gave it.
    fn add(&self, id: &str, key: &Path, settings: &Settings) -> Result<(), Failure> {
        let unreadable = |error: io::Error| {
            Failure::usage(format!("--ssh {id}: {}", key.display())).because(&error)
        };
        let mut text = Vec::new();
        let file = fs::File::open(key).map_err(unreadable)?;
        file.take(MAX_KEY).read_to_end(&mut text).map_err(unreadable)?;
        let said = self.hand_over(&text, settings).map_err(|error| cannot(id, &error))?;
        said.map_or(Ok(()), |said| {
            let text = format!("--ssh {id}: {} is no key that ssh-add takes", key.display());
            Err(Failure::usage(text).because(&io::Error::other(said)))
        })
    }

    /// What `ssh-add` says against a key.
    fn hand_over(&self, key: &[u8], settings: &Settings) -> io::Result<Option<String>> {
        let mut command = program("ssh-add", &self.directory, settings)?;
        command.args(["-q", "-"]).env("SSH_AUTH_SOCK", SOCKET);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(key)?;
        }
        let done = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        Ok((!done.status.success()).then_some(said))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(process) = self.process {
            // One that has ended needs no end.
            let _ = kill_process(process, Signal::TERM);
        }
        drop(self.watch.stdin.take());
        let _ = self.watch.wait();
    }
}

/// A program of this machine, with nothing of our environment but where programs are.
fn program(name: &str, directory: &Path, settings: &Settings) -> io::Result<Command> {
    let found = host::program(name, settings);
    let missing = || io::Error::new(io::ErrorKind::NotFound, format!("{name} is not installed"));
    let mut command = Command::new(found.ok_or_else(missing)?);
    command.current_dir(directory).env_clear().stdin(Stdio::piped());
    command.env("PATH", settings.raw("PATH").unwrap_or_default());
    enter::beside(&mut command);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_path_is_a_socket_or_keys_and_not_both() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let _listener = UnixListener::bind(path("s")).unwrap();
        fs::write(path("k"), "").unwrap();
        let list =
            |names: &[&str]| names.iter().map(|name| path(name)).collect::<Vec<_>>().join(",");
        assert_eq!(classify("x", &path("s")).unwrap(), Given::Socket(path("s").into()));
        let keys = Given::Keys(vec![path("k").into(), path("k").into()]);
        assert_eq!(classify("x", &list(&["k", "k"])).unwrap(), keys);
        for wrong in [list(&["s", "k"]), list(&["k", "s"]), path(""), path("absent")] {
            assert!(classify("x", &wrong).is_err(), "{wrong}");
        }
    }
}
