//! A network of a step's own that leads out, by pasta: a program that does for its processes what they do there.

use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use wythe_sandbox::StepError;
use wythe_sandbox::error::StepCause;
use wythe_sandbox::network::OwnNetwork;

/// No way of it leads to the loopback of the machine, and none of the machine's into it.
const FLAGS: [&str; 16] = [
    "--foreground",
    "--quiet",
    "--config-net",
    "--netns-only",
    "--no-map-gw",
    "--tcp-ports",
    "none",
    "--udp-ports",
    "none",
    "--tcp-ns",
    "none",
    "--udp-ns",
    "none",
    "--dns-forward",
    NAME_SERVER,
    "--netns",
];

/// Where the program finds the network: it is its standard input.
const PLACE: &str = "/proc/self/fd/0";

/// What stands for a name server on the loopback of the machine. No network has this address.
const NAME_SERVER: &str = "169.254.1.53";

/// It takes 60 ms on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(2);

/// A network and the program that serves it, which ends with this.
#[derive(Debug)]
pub(super) struct Pasta {
    network: Arc<OwnNetwork>,
    program: Child,
}

impl Pasta {
    /// Starts the program, and waits until there is a way out.
    pub(super) fn start(program: &Path) -> Result<Self, StepError> {
        let failed = |error| StepError {
            doing: format!("giving the step a network by {}", program.display()),
            cause: StepCause::Io(error),
        };
        let network = Arc::new(OwnNetwork::new()?);
        let mut command = Command::new(program);
        command.args(FLAGS).arg(PLACE).env_clear();
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let program = network.served_by(&mut command).map_err(failed)?;
        let mut pasta = Self { network, program };
        pasta.wait().map_err(failed)?;
        Ok(pasta)
    }

    /// The network that the step is to be in.
    pub(super) fn network(&self) -> Arc<OwnNetwork> {
        self.network.clone()
    }

    fn wait(&mut self) -> io::Result<()> {
        let since = Instant::now();
        while !self.network.leads_out()? {
            if let Some(status) = self.program.try_wait()? {
                let mut said = String::new();
                if let Some(mut stderr) = self.program.stderr.take() {
                    stderr.read_to_string(&mut said)?;
                }
                return Err(io::Error::other(format!("it ended with {status}: {}", said.trim())));
            }
            if since.elapsed() > PATIENCE {
                return Err(io::ErrorKind::TimedOut.into());
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}

impl Drop for Pasta {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// The name servers of the machine as they are reached from such a network.
pub(super) fn name_servers(resolv_conf: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(resolv_conf);
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let server = line.split_ascii_whitespace().nth(1).and_then(|word| word.parse().ok());
        let is_inner = line.starts_with("nameserver")
            && server.is_some_and(|address: IpAddr| address.is_loopback());
        let line = if is_inner { format!("nameserver {NAME_SERVER}") } else { line.to_owned() };
        if !(is_inner && lines.contains(&line)) {
            lines.push(line);
        }
    }
    lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_of_the_loopback_are_reached_by_another_address() {
        let own = b"search example\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 192.0.2.1\n";
        let expected = "search example\nnameserver 169.254.1.53\nnameserver 192.0.2.1\n";
        assert_eq!(String::from_utf8(name_servers(own)).unwrap(), expected);
    }
}
