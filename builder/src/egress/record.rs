//! Where a step went, in the store beside its result.
//!
//! A note is kept under `egress`, a zero and the key of the result (32). It has a version (1), and a line of text for
//! each host: what came of it, a blank, the host, a blank, the port, and for one that was refused because of an address a
//! blank and that address.

use std::fmt::Write as _;

use wythe_store::id::CacheKey;
use wythe_store::journal::batch::{Batch, Table};
use wythe_store::store::Store;

use super::{Contact, Refusal, Verdict};

const PREFIX: &[u8] = b"egress\0";

const VERSION: u8 = 1;

/// Notes where the step went whose result is remembered under a key.
pub(crate) fn note_contacts(batch: &mut Batch, key: &CacheKey, contacts: &[Contact]) {
    batch.put(Table::Notes, &name(key), encode(contacts));
}

/// Where the step went whose result is remembered under a key; `None` where that is not known, as of a
/// result that another machine made.
pub(crate) fn contacts_of(store: &Store, key: &CacheKey) -> Option<Vec<Contact>> {
    decode(&store.journal().get(Table::Notes, &name(key))?)
}

/// Forgets where the step went whose result was remembered under a key.
pub(crate) fn forget_contacts(batch: &mut Batch, key: &CacheKey) {
    batch.delete(Table::Notes, &name(key));
}

/// The key that a note is about; `None` for notes of something else.
pub(crate) fn subject(name: &[u8]) -> Option<&[u8]> {
    name.strip_prefix(PREFIX)
}

fn name(key: &CacheKey) -> Vec<u8> {
    [PREFIX, key.as_bytes()].concat()
}

pub(super) fn encode(contacts: &[Contact]) -> Vec<u8> {
    let mut text = String::new();
    for Contact { host, port, verdict } in contacts {
        let (word, address) = match verdict {
            Verdict::Reached => ("reached", None),
            Verdict::Unreachable => ("unreachable", None),
            Verdict::Refused(Refusal::Unlisted) => ("unlisted", None),
            Verdict::Refused(Refusal::Inner(address)) => ("inner", Some(address)),
            Verdict::Refused(Refusal::TooMany) => ("many", None),
        };
        let address = address.map(|address| format!(" {address}")).unwrap_or_default();
        // Text in memory takes all that is written.
        let _ = writeln!(text, "{word} {host} {port}{address}");
    }
    [&[VERSION], text.as_bytes()].concat()
}

pub(super) fn decode(note: &[u8]) -> Option<Vec<Contact>> {
    let (version, text) = note.split_first()?;
    let text = std::str::from_utf8(text).ok().filter(|_| *version == VERSION)?;
    let contact = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let (&[word, host, port], rest) = words.split_first_chunk()?;
        let verdict = match word {
            "reached" => Verdict::Reached,
            "unreachable" => Verdict::Unreachable,
            "unlisted" => Verdict::Refused(Refusal::Unlisted),
            "inner" => Verdict::Refused(Refusal::Inner(rest.first()?.parse().ok()?)),
            "many" => Verdict::Refused(Refusal::TooMany),
            _ => return None,
        };
        Some(Contact { host: host.to_owned(), port: port.parse().ok()?, verdict })
    };
    text.lines().map(contact).collect()
}
