//! Rules about single instructions that hold in every stage, needed or not.

use super::rule::{INVALID_DEFINITION_DESCRIPTION, MAINTAINER_DEPRECATED};
use super::{Linter, Settings};
use crate::ast::{Instruction, InstructionKind, Word};

impl Linter<'_> {
    pub(super) fn whole_file(&mut self) {
        for instruction in &self.parsed.dockerfile.instructions {
            if let InstructionKind::Maintainer(_) = instruction.kind {
                let message = "Maintainer instruction is deprecated in favor of using label";
                let keyword = &instruction.keyword;
                self.report(&MAINTAINER_DEPRECATED, instruction, keyword, message.to_owned());
            }
            self.description(instruction);
        }
    }

    fn description(&mut self, instruction: &Instruction) {
        let names: Vec<&str> = match &instruction.kind {
            InstructionKind::From(from) => {
                from.name.iter().map(|name| name.value.as_str()).collect()
            }
            InstructionKind::Arg(arg) => {
                arg.items.iter().map(|item| item.name.value.as_str()).collect()
            }
            _ => return,
        };
        let (Some(first), Some(comment)) = (names.first(), self.last_comment(instruction)) else {
            return;
        };
        let word = comment.value.trim().split(' ').next().unwrap_or_default();
        if names.contains(&word) {
            return;
        }
        let example = if names.len() > 1 { "<arg_key>" } else { first };
        let keyword = instruction.keyword.value.to_uppercase();
        let message = format!(
            "Comment for {keyword} should follow the format: `# {example} <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment."
        );
        self.report(&INVALID_DEFINITION_DESCRIPTION, instruction, &instruction.keyword, message);
    }

    /// The comment that describes an instruction; directives and settings describe nothing.
    fn last_comment<'i>(&self, instruction: &'i Instruction) -> Option<&'i Word> {
        let comment = self.comments(instruction).last()?;
        let is_text =
            !comment.value.trim().is_empty() && Settings::from_comment(&comment.value).is_none();
        is_text.then_some(comment)
    }
}
