//! Questions to the person at the terminal.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};

use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::failure::{Class, Failure};

/// The terminal of the process, whatever standard input and output are.
const TERMINAL: &str = "/dev/tty";

/// The longest answer that is read.
const MAX_ANSWER: usize = 64 << 10;

/// Somebody to ask.
#[derive(Debug)]
pub(crate) struct Prompt {
    terminal: File,
}

/// A terminal that shows nothing of what is typed, for as long as this lives.
struct Silent<'a> {
    terminal: &'a File,
    before: Termios,
}

impl Prompt {
    /// The terminal, where there is one and somebody can be expected at it: a script whose input is a
    /// pipe or nothing at all is not kept waiting.
    pub(crate) fn open() -> Option<Self> {
        if !io::stdin().is_terminal() {
            return None;
        }
        let terminal = File::options().read(true).write(true).open(TERMINAL).ok()?;
        Some(Self { terminal })
    }

    /// An answer that is shown while it is typed.
    pub(crate) fn line(&self, question: &str) -> Result<String, Failure> {
        self.ask(question).map_err(|error| Failure::of(Class::Environment, &error))
    }

    /// An answer that is not.
    pub(crate) fn secret(&self, question: &str) -> Result<String, Failure> {
        let answer = || {
            let silent = Silent::enter(&self.terminal)?;
            (&self.terminal).write_all(question.as_bytes())?;
            let answer = typed(BufReader::new(&self.terminal).bytes());
            drop(silent);
            // The key that ended it was not shown either.
            writeln!(&self.terminal)?;
            answer
        };
        answer().map_err(|error: io::Error| Failure::of(Class::Environment, &error))
    }

    fn ask(&self, question: &str) -> io::Result<String> {
        let mut terminal = &self.terminal;
        terminal.write_all(question.as_bytes())?;
        let mut answer = String::new();
        let mut reader = BufReader::new(terminal.take(MAX_ANSWER as u64));
        reader.read_line(&mut answer)?;
        Ok(answer.trim_end_matches(['\n', '\r']).to_owned())
    }
}

/// What keys say that come one by one. The terminal does not see to corrections then, nor to who wants to leave:
/// a process that was ended by it would leave the terminal silent.
fn typed(keys: impl Iterator<Item = io::Result<u8>>) -> io::Result<String> {
    let mut answer = Vec::new();
    for key in keys.take(MAX_ANSWER) {
        match key? {
            b'\n' | b'\r' | END => break,
            LEAVE => return Err(io::ErrorKind::Interrupted.into()),
            CLEAR => answer.clear(),
            BACKSPACE | DELETE => while answer.pop().is_some_and(|byte: u8| byte & 0xC0 == 0x80) {},
            key => answer.push(key),
        }
    }
    String::from_utf8(answer).map_err(io::Error::other)
}

/// Ctrl-C.
const LEAVE: u8 = 3;
/// Ctrl-D.
const END: u8 = 4;
/// Ctrl-U.
const CLEAR: u8 = 21;
/// Of old terminals.
const BACKSPACE: u8 = 8;
/// Of all others.
const DELETE: u8 = 127;

impl<'a> Silent<'a> {
    fn enter(terminal: &'a File) -> Result<Self, Errno> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing anyway.
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_correct_are_no_part_of_a_password() {
        let typed = |keys: &str| typed(keys.as_bytes().iter().map(|key| Ok(*key)));
        assert_eq!(typed("wrong\u{15}s\u{e9}\u{7f}ecret\nmore").unwrap(), "secret");
        assert_eq!(typed("\u{7f}\u{8}a").unwrap(), "a");
        assert_eq!(typed("a\u{3}").unwrap_err().kind(), io::ErrorKind::Interrupted);
    }
}
