//! A terminal for a command: one of its own, behind the one that a person sits at.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use wythe_sandbox::step::Streams;

/// How often the size of the window is compared.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// A terminal that nothing runs on yet.
#[derive(Debug)]
pub(crate) struct Terminal {
    ours: OwnedFd,
    theirs: OwnedFd,
}

impl Terminal {
    /// A new terminal, if this program has one itself.
    pub(crate) fn open() -> io::Result<Option<Self>> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(None);
        }
        let (ours, theirs) = wythe_sandbox::terminal::open()?;
        Ok(Some(Self { ours, theirs }))
    }

    /// Hands what is typed to whatever `run` starts on the terminal, and shows what that prints.
    /// Keys such as Ctrl-C are for it, too.
    pub(crate) fn lend<T: Send>(self, run: impl FnOnce(Streams) -> T + Send) -> io::Result<T> {
        let _raw = Raw::enter()?;
        let Self { ours, theirs } = self;
        Ok(std::thread::scope(|scope| {
            let relay = scope.spawn(|| relay(&ours));
            // The relay ends when nobody has the other end any more.
            let result = run(Streams::Terminal(Arc::new(theirs)));
            let _ = relay.join();
            result
        }))
    }
}

/// The person's terminal hands on every key, for as long as this lives.
pub(crate) struct Raw(Termios);

impl Raw {
    /// From now on.
    pub(crate) fn enter() -> Result<Self, Errno> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Copies both ways until the other end of the terminal is closed.
fn relay(ours: &OwnedFd) -> Result<(), Errno> {
    let mut buffer = vec![0; 64 << 10];
    let stdin = io::stdin();
    let mut typed = true;
    loop {
        if let Ok(size) = tcgetwinsize(io::stderr()) {
            // The command hears of it only if the size is another one.
            tcsetwinsize(ours, size)?;
        }
        let mut polled = vec![PollFd::new(ours, PollFlags::IN)];
        polled.extend(typed.then(|| PollFd::new(&stdin, PollFlags::IN)));
        match poll(&mut polled, Some(&GLANCE)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        let ready: Vec<bool> = polled.iter().map(|one| !one.revents().is_empty()).collect();
        if ready[0] {
            match retry_on_intr(|| rustix::io::read(ours, &mut *buffer))? {
                0 => return Ok(()),
                count => show(&buffer[..count]),
            }
        }
        if ready.get(1) == Some(&true) {
            match retry_on_intr(|| rustix::io::read(&stdin, &mut *buffer))? {
                0 => typed = false,
                count => write_all(ours, &buffer[..count])?,
            }
        }
    }
}

fn show(bytes: &[u8]) {
    // A terminal that is gone cannot be told so.
    let _ = io::stderr().write_all(bytes);
}

fn write_all(to: &OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        bytes = &bytes[retry_on_intr(|| rustix::io::write(to, bytes))?..];
    }
    Ok(())
}
