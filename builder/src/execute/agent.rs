//! Agents for steps: a socket of ours in the step, passed on to the agent of the user.
//!
//! The user's own socket cannot be mounted: it belongs to the user alone, and a step may run as
//! somebody else.

use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use wythe_dockerfile::mount::Owner;
use wythe_sandbox::enter;

/// A socket that passes on to an agent for as long as it lives.
#[derive(Debug)]
pub(crate) struct Relay {
    path: PathBuf,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Opens a socket in `directory` that leads to the agent at `agent`.
    pub(crate) fn open(directory: &Path, agent: &Path, owner: Owner) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let path = directory.join("agent");
        let listener = bind(directory)?;
        // Owner before mode: chown clears bits. Where all but root are emulated, everybody is root to
        // the kernel.
        if !enter::has_one_id() {
            chown(&path, Some(owner.uid), Some(owner.gid))?;
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(owner.mode))?;
        let stopping = Arc::new(AtomicBool::new(false));
        let (stop, agent) = (stopping.clone(), agent.to_owned());
        let thread = std::thread::Builder::new()
            .name("agent".to_owned())
            .spawn(move || serve(&listener, &agent, &stop))?;
        Ok(Self { path, stopping, thread: Some(thread) })
    }

    /// Where the socket is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // A connection wakes the thread up, which then sees that it is to end.
        let woken = connect(&self.path).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            // A panic of that thread has been reported by its own message.
            let _ = thread.join();
        }
    }
}

/// Socket addresses hold 108 bytes and paths of stores do not: the directory is named by its
/// descriptor.
fn through(directory: &fs::File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/agent", directory.as_raw_fd()))
}

fn bind(directory: &Path) -> io::Result<UnixListener> {
    let opened = fs::File::open(directory)?;
    UnixListener::bind(through(&opened))
}

fn connect(path: &Path) -> io::Result<UnixStream> {
    let directory = path.parent().ok_or(io::ErrorKind::NotFound)?;
    let opened = fs::File::open(directory)?;
    UnixStream::connect(through(&opened))
}

fn serve(listener: &UnixListener, agent: &Path, stop: &AtomicBool) {
    for client in listener.incoming() {
        if stop.load(Ordering::Acquire) {
            return;
        }
        let joined = client.and_then(|client| Ok((client, UnixStream::connect(agent)?)));
        match joined {
            Ok((client, server)) => pass(client, server),
            Err(error) => tracing::debug!(%error, "the agent does not answer"),
        }
    }
}

/// Copies both ways until both sides are done, on threads that end with their connections.
fn pass(client: UnixStream, server: UnixStream) {
    let halves = client.try_clone().and_then(|other| Ok((other, server.try_clone()?)));
    match halves {
        Ok((client_again, server_again)) => {
            copy(client, server_again);
            copy(server, client_again);
        }
        Err(error) => tracing::debug!(%error, "no descriptors for an agent's connection"),
    }
}

fn copy(mut from: UnixStream, mut to: UnixStream) {
    std::thread::spawn(move || {
        // Either side may hang up at any time; then the other is told.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn what_a_step_says_reaches_the_agent_and_the_answer_comes_back() {
        let room = tempfile::tempdir().unwrap();
        let agent = UnixListener::bind(room.path().join("real")).unwrap();
        let answering = std::thread::spawn(move || {
            let mut peer = agent.accept().unwrap().0;
            let mut question = [0; 4];
            peer.read_exact(&mut question).unwrap();
            peer.write_all(&question.map(|byte| byte + 1)).unwrap();
        });
        let uid = rustix::process::getuid().as_raw();
        let gid = rustix::process::getgid().as_raw();
        let owner = Owner { uid, gid, mode: 0o600 };
        let deep = room.path().join("d".repeat(120));
        let relay = Relay::open(&deep, &room.path().join("real"), owner).unwrap();
        let mut step = connect(relay.path()).unwrap();
        step.write_all(b"abcd").unwrap();
        let mut answer = [0; 4];
        step.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"bcde");
        answering.join().unwrap();
        drop(relay);
        assert!(connect(&deep.join("agent")).is_err(), "nobody listens any more");
    }
}
