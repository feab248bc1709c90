//! Keys, as terminals send them.

use crate::render::explorer::Key;

/// What terminals send for keys without a character: xterm's sequences, with and without the mode of
/// applications, which all terminals of today have.
const SEQUENCES: [(&str, Key); 16] = [
    ("\x1b[A", Key::Up),
    ("\x1b[B", Key::Down),
    ("\x1b[C", Key::Enter),
    ("\x1b[D", Key::Back),
    ("\x1bOA", Key::Up),
    ("\x1bOB", Key::Down),
    ("\x1bOC", Key::Enter),
    ("\x1bOD", Key::Back),
    ("\x1b[5~", Key::PageUp),
    ("\x1b[6~", Key::PageDown),
    ("\x1b[H", Key::Home),
    ("\x1b[F", Key::End),
    ("\x1b[1~", Key::Home),
    ("\x1b[4~", Key::End),
    ("\x1bOH", Key::Home),
    ("\x1bOF", Key::End),
];

/// The keys of these bytes. Sequences of others are no keys.
pub(super) fn keys(bytes: &[u8]) -> Vec<Key> {
    let text = String::from_utf8_lossy(bytes);
    let (mut found, mut rest) = (Vec::new(), &*text);
    while let Some(first) = rest.chars().next() {
        let known = SEQUENCES.iter().find(|(sequence, _)| rest.starts_with(sequence));
        let (key, length) = match (first, known) {
            (_, Some((sequence, key))) => (Some(*key), sequence.len()),
            ('\x1b', None) => match sequence(rest) {
                1 => (Some(Key::Escape), 1),
                length => (None, length),
            },
            ('\r' | '\n', None) => (Some(Key::Enter), 1),
            ('\x7f' | '\x08', None) => (Some(Key::Erase), 1),
            ('\x03', None) => (Some(Key::Interrupt), 1),
            (char, None) => ((!char.is_control()).then_some(Key::Char(char)), char.len_utf8()),
        };
        found.extend(key);
        rest = &rest[length..];
    }
    found
}

/// How many bytes the sequence that a text begins with has: an escape, a bracket, parameters, and a letter.
fn sequence(text: &str) -> usize {
    let mut bytes = text.bytes().enumerate().skip(1);
    if !matches!(bytes.next(), Some((_, b'[' | b'O'))) {
        return 1;
    }
    let end = bytes.find(|(_, byte)| !(0x20..=0x3f).contains(byte));
    end.map_or(text.len(), |(at, byte)| at + usize::from(byte.is_ascii()))
}

/// Whether more of a key must be on its way.
pub(super) fn is_unfinished(bytes: &[u8]) -> bool {
    let Some(at) = bytes.iter().rposition(|byte| *byte == 0x1b) else {
        return std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none());
    };
    match &bytes[at + 1..] {
        [] => true,
        [b'[' | b'O', rest @ ..] => rest.iter().all(|byte| (0x20..=0x3f).contains(byte)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_terminals_send_them() {
        assert_eq!(keys(b"\x1b[Aj\x1bOB\r"), [Key::Up, Key::Char('j'), Key::Down, Key::Enter]);
        assert_eq!(keys("é\x7f\x03".as_bytes()), [Key::Char('é'), Key::Erase, Key::Interrupt]);
        assert_eq!(keys(b"\x1b"), [Key::Escape]);
        assert_eq!(keys(b"\x1b[200~x\x1b[1;5A"), [Key::Char('x')]);
        assert_eq!(keys(b"\x1b[1"), []);
        assert_eq!(keys("\x1b[é".as_bytes()), [Key::Char('é')]);
    }

    #[test]
    fn a_key_that_has_come_in_part_is_waited_for() {
        for (bytes, expected) in [
            (&b"\x1b"[..], true),
            (b"\x1b[", true),
            (b"\x1b[5", true),
            (b"\x1b[5~", false),
            (b"\xc3", true),
            (b"ab", false),
        ] {
            assert_eq!(is_unfinished(bytes), expected, "{bytes:?}");
        }
    }
}
