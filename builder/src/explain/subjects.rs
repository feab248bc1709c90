//! What an operation is told, one thing at a time: facts as they are kept become things with a name that
//! people know, and a value.

use super::inputs::{KIND, is_of_operation};
use crate::operation::facts::Fact;

/// One thing that an operation is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct NamedValue {
    /// What it is, as an explanation says it.
    pub(super) what: String,
    /// Its value; words of a command are kept apart by a zero.
    pub(super) value: String,
}

/// Facts of a mount, which come after its target.
const OF_MOUNT: [&str; 11] = [
    "bind",
    "path",
    "access",
    "cache",
    "sharing",
    "tmpfs",
    "secret",
    "secret variable",
    "ssh",
    "owner",
    "mode",
];

/// Facts by names that are not those of flags and instructions.
const NAMES: [(&str, &str); 18] = [
    ("path", "the directory"),
    ("argument", "the command"),
    ("script", "a script of the command"),
    ("platform", "the platform"),
    ("directory", "the working directory"),
    ("user", "the user"),
    ("network", "--network"),
    ("security", "--security"),
    ("shared memory", "--shm-size"),
    ("limit", "--ulimit"),
    ("host", "--add-host"),
    ("host name", "the host name"),
    ("from", "--from"),
    ("layout", "--parents"),
    ("base", "--link"),
    ("archives", "--unpack"),
    ("epoch", "SOURCE_DATE_EPOCH"),
    ("rules of this version", "the rules of this version of wythe"),
];

/// Facts that are flags of the same name.
const FLAGS: [&str; 4] = ["chown", "chmod", "exclude", "checksum"];

/// What the facts of an operation say.
pub(super) fn subjects(facts: &[Fact]) -> Vec<NamedValue> {
    let mut found: Vec<NamedValue> = Vec::new();
    let (mut mount, mut heredoc) = (None, String::new());
    let told = facts.iter().filter(|(name, _)| is_of_operation(name) && name != KIND);
    for (name, value) in told {
        let is_of_mount = OF_MOUNT.contains(&name.as_str());
        mount = if is_of_mount { mount } else { None };
        let (what, value) = match (name.as_str(), &mount) {
            ("mount", _) => {
                mount = Some(value.clone());
                continue;
            }
            ("variable", _) => {
                let (name, value) = value.split_once('=').unwrap_or((value, ""));
                (format!("variable {name}"), value.to_owned())
            }
            ("heredoc", _) => {
                heredoc.clone_from(value);
                ("heredoc".to_owned(), value.clone())
            }
            ("body", _) => (format!("the text of {heredoc}"), value.clone()),
            (name, Some(target)) => {
                let whole = format!("mount {target}");
                if !found.iter().any(|known| known.what == whole) {
                    found.push(NamedValue { what: whole.clone(), value: name.to_owned() });
                }
                (format!("{whole}: {name}"), value.clone())
            }
            (name, None) => (named(name), value.clone()),
        };
        match found.last_mut() {
            // The words of a command are one thing.
            Some(command) if name == "argument" && command.what == what => {
                command.value.push('\0');
                command.value.push_str(&value);
            }
            _ => found.push(NamedValue { what, value }),
        }
    }
    found
}

fn named(name: &str) -> String {
    if FLAGS.contains(&name) {
        return format!("--{name}");
    }
    let known = NAMES.iter().find(|(fact, _)| *fact == name);
    known.map_or(name, |(_, words)| words).to_owned()
}
