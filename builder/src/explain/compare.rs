//! What differs between what a step is made from and what an earlier result was made from.

use wythe_store::action::LISTING;

use super::inputs::{ABSENT, BASE, BELOW, FILES, INPUT, REMOTE, is_hidden};
use super::listing;
use super::subjects::{NamedValue, subjects};
use crate::operation::facts::Fact;
use crate::reason::InputChange;

/// Finds the listing of some files by what they are called.
pub(crate) type Listings<'a> = &'a dyn Fn(&str) -> Option<Vec<u8>>;

/// What the step below came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StepBelow {
    /// It ran in this build.
    Ran,
    /// It was known, or nobody can tell any more.
    Stood,
}

/// What a step is made from.
#[derive(Clone, Copy)]
pub(crate) struct Present<'a> {
    pub(crate) inputs: &'a [Fact],
    pub(crate) listings: Listings<'a>,
    pub(crate) below: StepBelow,
}

impl Present<'_> {
    /// What differs from what `old` was made from; empty if nothing that is known does.
    pub(crate) fn changes_since(
        &self,
        old: &[Fact],
        old_listings: Listings<'_>,
    ) -> Vec<InputChange> {
        let mut changes = self.said(old);
        let said = changes.clone();
        for (name, new) in self.inputs {
            let Some((_, old)) = old.iter().find(|(known, _)| known == name) else { continue };
            let (old, new) = (old.as_str(), new.as_str());
            if id(old) == id(new) {
                continue;
            }
            if let Some(within) = name.strip_prefix(FILES).filter(|of| !is_told(&said, of)) {
                let listed = (old_listings(within), (self.listings)(within));
                changes.extend(files(within, listed, None));
            } else if let Some(within) = name.strip_prefix(INPUT).filter(|of| !is_told(&said, of)) {
                let listed = (old_listings(within), (self.listings)(within));
                changes.extend(files(within, listed, Some(step(new))));
            } else if let Some(address) = name.strip_prefix(REMOTE) {
                let what = format!("what is behind {address}");
                changes.push(InputChange::Value { what, old: None, new: None });
            }
        }
        self.secrets(old, &mut changes);
        self.ground(old, &mut changes);
        changes
    }

    /// What the Dockerfile and the command line say otherwise.
    fn said(&self, old: &[Fact]) -> Vec<InputChange> {
        let (old, new) = (subjects(old), subjects(self.inputs));
        let mut changes: Vec<InputChange> = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for subject in new.iter().chain(&old) {
            if !names.contains(&subject.what.as_str()) {
                names.push(&subject.what);
            }
        }
        for what in names {
            let is_within = |change: &InputChange| {
                let InputChange::Value { what: whole, .. } = change else { return false };
                what.strip_prefix(whole.as_str()).is_some_and(|rest| rest.starts_with(':'))
            };
            if !changes.iter().any(is_within) {
                changes.extend(differences(what, (&of(&old, what), &of(&new, what))));
            }
        }
        if changes.is_empty() && old != new {
            let what = "the order of what the step is told".to_owned();
            changes.push(InputChange::Value { what, old: None, new: None });
        }
        changes
    }

    fn secrets(&self, old: &[Fact], changes: &mut Vec<InputChange>) {
        let absent = |facts: &[Fact]| -> Vec<String> {
            let all = facts.iter().filter(|(name, _)| name == ABSENT);
            all.map(|(_, id)| id.clone()).collect()
        };
        let (old, new) = (absent(old), absent(self.inputs));
        let mut push = |id: &String, [old, new]: [&str; 2]| {
            let (what, old, new) = (format!("secret {id}"), Some(old.into()), Some(new.into()));
            changes.push(InputChange::Value { what, old, new });
        };
        for id in new.iter().filter(|id| !old.contains(id)) {
            push(id, ["given", "absent"]);
        }
        for id in old.iter().filter(|id| !new.contains(id)) {
            push(id, ["absent", "given"]);
        }
    }

    /// What it stands on. That the step below is another is news where it made something else, or where
    /// there is no other.
    fn ground(&self, old: &[Fact], changes: &mut Vec<InputChange>) {
        match (ground(old), ground(self.inputs)) {
            (Some((BASE, old)), Some((BASE, new))) if old != new => {
                changes.push(InputChange::Base { old: old.to_owned(), new: new.to_owned() });
            }
            (Some((BELOW, old)), Some((BASE, new))) => {
                changes.push(InputChange::Base { old: step(old).to_owned(), new: new.to_owned() });
            }
            (Some((was, old)), Some((BELOW, new)))
                if (was == BASE || id(old) != id(new))
                    && (changes.is_empty() || self.below == StepBelow::Ran) =>
            {
                changes.push(InputChange::Step { step: step(new).to_owned() });
            }
            _ => {}
        }
    }
}

/// The listing that some inputs say is kept, by what the files are called.
pub(crate) fn kept_listing<'f>(inputs: &'f [Fact], within: &str) -> Option<&'f str> {
    let is_it = |name: &str| name.strip_prefix(LISTING) == Some(within);
    inputs.iter().find(|(name, _)| is_it(name)).map(|(_, id)| id.as_str())
}

/// What stands below: the image, or a step.
fn ground(facts: &[Fact]) -> Option<(&'static str, &str)> {
    let found = |wanted: &'static str| {
        let fact = facts.iter().find(|(name, _)| name == wanted);
        fact.map(|(_, value)| (wanted, value.as_str()))
    };
    found(BASE).or_else(|| found(BELOW))
}

/// What files changed. Where the same files came from another step, nothing has.
fn files(
    within: &str,
    listed: (Option<Vec<u8>>, Option<Vec<u8>>),
    step: Option<&str>,
) -> Option<InputChange> {
    let compared = match listed {
        (Some(old), Some(new)) => listing::compare(&old, &new),
        _ => None,
    };
    let within = within.to_owned();
    match (compared, step) {
        (Some((files, more)), _) if !files.is_empty() => {
            Some(InputChange::Files { within, files, more })
        }
        (Some(_), Some(_)) => None,
        (None, Some(step)) => Some(InputChange::Step { step: step.to_owned() }),
        (_, None) => Some(InputChange::Contents { within }),
    }
}

/// Whether it was told already that other files are asked for.
fn is_told(said: &[InputChange], within: &str) -> bool {
    const SELECTING: [&str; 4] = ["source", "--from", "--exclude", "--parents"];
    let is_selection = |what: &str| {
        let of_mount = within.starts_with("mount ") && what.starts_with(within);
        SELECTING.contains(&what) || of_mount
    };
    said.iter()
        .any(|change| matches!(change, InputChange::Value { what, .. } if is_selection(what)))
}

/// The values of a subject.
fn of<'s>(all: &'s [NamedValue], what: &str) -> Vec<&'s str> {
    all.iter().filter(|subject| subject.what == what).map(|subject| &*subject.value).collect()
}

/// How the values of a subject differ.
fn differences(what: &str, (old, new): (&[&str], &[&str])) -> Vec<InputChange> {
    let (mut gone, mut come) = (old.to_vec(), Vec::new());
    for value in new {
        match gone.iter().position(|known| known == value) {
            Some(at) => {
                gone.remove(at);
            }
            None => come.push(*value),
        }
    }
    if gone.is_empty() && come.is_empty() && old != new {
        (gone, come) = (vec!["in another order"], vec!["in this order"]);
    }
    let pairs = 0..gone.len().max(come.len());
    pairs.map(|at| change(what, (gone.get(at).copied(), come.get(at).copied()))).collect()
}

fn change(what: &str, (old, new): (Option<&str>, Option<&str>)) -> InputChange {
    let what = what.to_owned();
    if old.into_iter().chain(new).any(is_hidden) {
        return InputChange::Hidden { what };
    }
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => {
            let (old, new) = without_common_words(old, new);
            (Some(old), Some(new))
        }
        (old, new) => (old.map(shown), new.map(shown)),
    };
    InputChange::Value { what, old, new }
}

/// Words of a command, without the shell that both have.
fn without_common_words(old: &str, new: &str) -> (String, String) {
    match (old.rsplit_once('\0'), new.rsplit_once('\0')) {
        (Some((before, old)), Some((same, new))) if before == same => (old.into(), new.into()),
        _ => (shown(old), shown(new)),
    }
}

/// Words of a command, as people write them.
fn shown(value: &str) -> String {
    value.replace('\0', " ")
}

/// What something is known as.
fn id(value: &str) -> &str {
    value.split(' ').next().unwrap_or_default()
}

/// What a step that something is known by is called.
fn step(value: &str) -> &str {
    value.split_once(' ').map_or(value, |(_, name)| name)
}
