//! The whole terminal for one program: what was on it comes back when that ends, however it ends.

mod keys;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};

use crate::failure::{Class, Failure};
use crate::render::explorer::{Explorer, Flow};
use crate::render::look::Look;
use crate::render::row::ViewRow;
use crate::render::tty::window;
use crate::signals;
use crate::terminal::Raw;

/// How often the size of the window is compared, and signals are.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// How long the rest of a key may take, which terminals send as several bytes.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// The other screen that terminals have, without a cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// The terminal, for as long as this lives.
#[derive(Debug)]
struct FullScreen<W: Write> {
    out: W,
    shown: Vec<ViewRow>,
}

impl<W: Write> FullScreen<W> {
    fn enter(mut out: W) -> io::Result<Self> {
        out.write_all(ENTER.as_bytes())?;
        Ok(Self { out, shown: Vec::new() })
    }

    /// Shows these rows, in one write, if they are not what is shown already.
    fn show(&mut self, rows: Vec<ViewRow>) -> io::Result<()> {
        if rows == self.shown {
            return Ok(());
        }
        let mut frame = String::from("\x1b[H");
        for (at, row) in rows.iter().enumerate() {
            let next = if at == 0 { "" } else { "\r\n" };
            let _ = write!(frame, "{next}{}\x1b[K", row.text);
        }
        frame.push_str("\x1b[J");
        self.out.write_all(frame.as_bytes())?;
        self.shown = rows;
        self.out.flush()
    }
}

impl<W: Write> Drop for FullScreen<W> {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = self.out.write_all(LEAVE.as_bytes()).and_then(|()| self.out.flush());
    }
}

/// Hands the terminal to a person who walks through layers, until they have seen enough or the process is to end.
pub(crate) fn walk(mut explorer: Explorer<'_>, look: Look) -> Result<(), Failure> {
    let of = |error: io::Error| Failure::of(Class::Environment, &error);
    let ended = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ended);
    signals::watch(move || told.store(true, Ordering::Relaxed)).map_err(of)?;
    let _raw = Raw::enter().map_err(|errno| of(errno.into()))?;
    let mut screen = FullScreen::enter(io::stdout()).map_err(of)?;
    loop {
        let size = window(io::stdout());
        screen.show(explorer.draw(size, look)).map_err(of)?;
        if ended.load(Ordering::Relaxed) {
            return Err(Failure::new(Class::Cancelled, "interrupted"));
        }
        let Some(bytes) = typed().map_err(|errno| of(errno.into()))? else { return Ok(()) };
        for key in keys::keys(&bytes) {
            if explorer.press(key, size) == Flow::Quit {
                return Ok(());
            }
        }
    }
}

/// What was typed in the last moment, whole keys; nothing once nobody can type any more.
fn typed() -> Result<Option<Vec<u8>>, Errno> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 256];
    let mut patience = GLANCE;
    while is_ready(&patience)? {
        match retry_on_intr(|| rustix::io::read(io::stdin(), &mut buffer)) {
            Ok(0) | Err(Errno::IO) => return Ok(None),
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(errno) => return Err(errno),
        }
        if !keys::is_unfinished(&bytes) {
            break;
        }
        patience = PATIENCE;
    }
    Ok(Some(bytes))
}

fn is_ready(patience: &Timespec) -> Result<bool, Errno> {
    let stdin = io::stdin();
    let mut polled = [PollFd::new(&stdin, PollFlags::IN)];
    match poll(&mut polled, Some(patience)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn the_terminal_is_given_back_also_by_a_panic() {
        let mut out = Vec::new();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut screen = FullScreen::enter(&mut out).unwrap();
            screen.show(vec![ViewRow { text: "a".to_owned(), cells: 1 }]).unwrap();
            panic!("in the middle");
        }));
        assert!(outcome.is_err());
        assert_eq!(String::from_utf8(out).unwrap(), format!("{ENTER}\x1b[Ha\x1b[K\x1b[J{LEAVE}"));
    }

    #[test]
    fn what_is_shown_already_is_not_written_again() {
        let row = |text: &str| ViewRow { text: text.to_owned(), cells: 1 };
        let mut out = Vec::new();
        let mut screen = FullScreen::enter(&mut out).unwrap();
        for rows in [vec![row("a")], vec![row("a")], vec![row("a"), row("b")]] {
            screen.show(rows).unwrap();
        }
        drop(screen);
        assert_eq!(String::from_utf8(out).unwrap().matches("\x1b[H").count(), 2);
    }
}
