//! Rules about upper and lower case.

use super::Linter;
use super::rule::{CONSISTENT_INSTRUCTION_CASING, FROM_AS_CASING, STAGE_NAME_CASING};
use crate::ast::{Instruction, Word};

/// How a word is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Casing {
    Lower,
    Upper,
    Mixed,
}

impl Casing {
    fn of(word: &str) -> Self {
        if word == word.to_lowercase() {
            Self::Lower
        } else if word == word.to_uppercase() {
            Self::Upper
        } else {
            Self::Mixed
        }
    }

    fn name(self) -> &'static str {
        if self == Self::Lower { "lowercase" } else { "uppercase" }
    }
}

impl<'a> Linter<'a> {
    pub(super) fn casing(&mut self) {
        let instructions = self.staged();
        let wanted = majority(&instructions);
        for instruction in instructions {
            let keyword = &instruction.keyword;
            if Casing::of(&keyword.value) != wanted {
                let message = format!(
                    "Command '{}' should match the case of the command majority ({})",
                    keyword.value,
                    wanted.name()
                );
                self.report(&CONSISTENT_INSTRUCTION_CASING, instruction, keyword, message);
            }
        }
        for stage in self.stages.stages.clone() {
            let from = stage.instruction;
            if let Some(name) =
                stage.from.name.as_ref().filter(|name| name.value != name.value.to_lowercase())
            {
                let message = format!("Stage name '{}' should be lowercase", name.value);
                self.report(&STAGE_NAME_CASING, from, name, message);
            }
            // Of a FROM in mixed case it is enough to say that.
            let wanted = Casing::of(&from.keyword.value);
            let differs =
                |other: &&Word| wanted != Casing::Mixed && Casing::of(&other.value) != wanted;
            if let Some(word) = stage.from.as_keyword.as_ref().filter(differs) {
                let (own, other) = (&word.value, &from.keyword.value);
                let message = format!("'{own}' and '{other}' keywords' casing do not match");
                self.report(&FROM_AS_CASING, from, word, message);
            }
        }
    }

    /// Every instruction that belongs to a stage.
    pub(super) fn staged(&self) -> Vec<&'a Instruction> {
        let stages = self.stages.stages.iter();
        stages.flat_map(|stage| std::iter::once(stage.instruction).chain(stage.body)).collect()
    }
}

/// The casing most instructions have; mixed ones do not count, and upper case wins a tie.
fn majority(instructions: &[&Instruction]) -> Casing {
    let n_of =
        |casing| instructions.iter().filter(|one| Casing::of(&one.keyword.value) == casing).count();
    if n_of(Casing::Lower) > n_of(Casing::Upper) { Casing::Lower } else { Casing::Upper }
}
