//! The table of switches: each with its name, what it imitates, and where that was seen.

mod table;

use std::fmt::Write as _;

pub use self::table::SWITCHES;
use crate::quirks::{Flag, Quirks};

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Switch {
    /// As it is called on the command line.
    pub name: &'static str,
    /// What it does.
    pub effect: Effect,
    /// What the registry does then, and which ones do.
    pub imitates: &'static str,
    /// Where that was seen.
    pub source: &'static str,
}

/// What a switch does.
#[derive(Clone, Copy, Debug)]
pub enum Effect {
    /// It has no value.
    On(Flag),
    /// It has one of this form.
    Value(&'static str, fn(&mut Quirks, &str) -> Option<()>),
    /// It stands for others.
    Profile(&'static [(&'static str, &'static str)]),
}

/// A switch that cannot be set.
#[derive(Debug, thiserror::Error)]
#[error("--{name}: {problem}")]
pub struct SwitchError {
    /// As it was named.
    pub name: String,
    /// Why not.
    #[source]
    pub problem: SwitchProblem,
}

/// Why a switch cannot be set.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SwitchProblem {
    /// No row has this name.
    #[error("there is no such switch")]
    Unknown,
    /// The value has not the form that the row names.
    #[error("the value is not {0}")]
    Value(&'static str),
}

impl Quirks {
    /// What some switches make of a registry; those without a value have an empty one.
    ///
    /// # Errors
    ///
    /// If one is not in the table, or has a value of another form.
    pub fn of(switches: &[(&str, &str)]) -> Result<Self, SwitchError> {
        let mut quirks = Self::default();
        switches.iter().try_for_each(|(name, value)| quirks.set(name, value))?;
        Ok(quirks)
    }

    /// Sets a switch.
    ///
    /// # Errors
    ///
    /// As [`Quirks::of`].
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SwitchError> {
        let fail = |problem| SwitchError { name: name.to_owned(), problem };
        let row = SWITCHES.iter().find(|row| row.name == name);
        match row.ok_or_else(|| fail(SwitchProblem::Unknown))?.effect {
            Effect::On(flag) => self.add(flag),
            Effect::Value(form, set) => {
                set(self, value).ok_or_else(|| fail(SwitchProblem::Value(form)))?;
            }
            Effect::Profile(others) => {
                others.iter().try_for_each(|(name, value)| self.set(name, value))?;
            }
        }
        Ok(())
    }
}

/// The table as a page has it.
pub fn markdown() -> String {
    let mut out = String::from("| Switch | What it imitates | Source |\n|---|---|---|\n");
    for row in SWITCHES {
        let Switch { name, effect, imitates, source } = row;
        let value = match effect {
            Effect::Value(form, _) => format!(" {form}"),
            Effect::On(_) | Effect::Profile(_) => String::new(),
        };
        let value = value.replace('|', "\\|");
        // Writing to a string does not fail.
        let _ = writeln!(out, "| `--{name}{value}` | {imitates}{} | {source} |", others(*effect));
    }
    out
}

/// What a profile stands for.
fn others(effect: Effect) -> String {
    let Effect::Profile(others) = effect else { return String::new() };
    let others = others.iter().map(|(name, value)| match *value {
        "" => format!("`--{name}`"),
        value => format!("`--{name} {value}`"),
    });
    format!(": {}", others.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_profile_is_made_of_rows() {
        for row in SWITCHES {
            if matches!(row.effect, Effect::Profile(_)) {
                Quirks::of(&[(row.name, "")]).unwrap();
            }
        }
    }

    #[test]
    fn no_two_rows_have_one_name_and_each_says_where_it_is_from() {
        let names: BTreeSet<_> = SWITCHES.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), SWITCHES.len());
        assert!(SWITCHES.iter().all(|row| !row.imitates.is_empty() && !row.source.is_empty()));
    }

    #[test]
    fn the_page_has_the_table() {
        let page = include_str!("../README.md");
        assert!(page.contains(&markdown()), "`wythe-quirks list --markdown` prints the table");
    }

    #[test]
    fn a_value_of_another_form_is_refused() {
        for (name, value) in
            [("token-ttl", "x"), ("reset-after", "0:x"), ("fail", "x"), ("none", "")]
        {
            assert!(Quirks::of(&[(name, value)]).is_err(), "{name}");
        }
    }
}
