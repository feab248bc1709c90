//! A rule of our own: names that are nearly those of a stage.

use super::Linter;
use super::rule::MISSPELT_STAGE;
use crate::ast::{Instruction, InstructionKind, Word};
use crate::mount;
use crate::span::Spanned;
use crate::stage::Stage;
use crate::suggest::nearest;

impl Linter<'_> {
    /// Reports names that mean an image, and were probably to mean a stage above them.
    pub(super) fn misspelt(&mut self) {
        for stage in self.stages.stages.clone() {
            for instruction in std::iter::once(stage.instruction).chain(stage.body) {
                for name in names(instruction) {
                    self.misspelt_name(&stage, instruction, &name);
                }
            }
        }
    }

    fn misspelt_name(&mut self, stage: &Stage<'_>, instruction: &Instruction, name: &Word) {
        let lower = name.value.to_lowercase();
        let image = name.value.contains(['/', ':', '@', '$']);
        let known = self.stages.find(&lower).is_some() || self.context.contexts.contains(&lower);
        if image || known || name.value.parse::<usize>().is_ok() {
            return;
        }
        let earlier = self.stages.stages[..stage.index].iter();
        let Some(near) = nearest(&lower, earlier.filter_map(|one| one.name.as_deref())) else {
            return;
        };
        let message = format!("{:?} is no stage, so it means an image", name.value);
        let help = format!("did you mean the stage {near}?");
        if self.applies(&MISSPELT_STAGE, instruction) {
            self.warn(&MISSPELT_STAGE, name.span, message, Some(help));
        }
    }
}

/// The names in an instruction that mean a stage or an image.
fn names(instruction: &Instruction) -> Vec<Word> {
    match &instruction.kind {
        InstructionKind::Copy(copy) => copy.from.iter().cloned().collect(),
        InstructionKind::From(from) => vec![from.image.clone()],
        InstructionKind::Run(run) => {
            let from = |word: &Word| {
                let name = mount::parse(word).ok()?.from()?.to_owned();
                Some(Spanned::new(name, word.span))
            };
            run.mounts.iter().filter_map(from).collect()
        }
        _ => Vec::new(),
    }
}
