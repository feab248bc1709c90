//! Stages: what belongs to which FROM, and how a stage is found by name.

use crate::ast::{Dockerfile, Escape, From, Instruction, InstructionKind, Word};
use crate::expand::{Variables, expand};
use crate::parse::parse_trigger;
use crate::suggest::nearest;

/// A Dockerfile cut into its stages.
#[derive(Clone, Debug)]
pub struct Stages<'a> {
    /// The `ARG`s before the first `FROM`.
    pub global: &'a [Instruction],
    /// The stages in order.
    pub stages: Vec<Stage<'a>>,
}

/// One stage.
#[derive(Clone, Debug)]
pub struct Stage<'a> {
    /// Its position, from 0.
    pub index: usize,
    /// Its name in lower case, if it has one.
    pub name: Option<String>,
    /// The `FROM` instruction.
    pub instruction: &'a Instruction,
    /// What that instruction says.
    pub from: &'a From,
    /// What follows, up to the next `FROM`.
    pub body: &'a [Instruction],
}

/// Cuts a Dockerfile into stages. What stands before the first `FROM` and is no `ARG` is an error
/// of the parser's and ends up among the global instructions.
pub fn stages(dockerfile: &Dockerfile) -> Stages<'_> {
    let all = &dockerfile.instructions;
    let is_from = |instruction: &Instruction| matches!(instruction.kind, InstructionKind::From(_));
    let first = all.iter().position(is_from).unwrap_or(all.len());
    let mut stages = Vec::new();
    let mut rest = &all[first..];
    while let Some((head, tail)) = rest.split_first() {
        let end = tail.iter().position(is_from).unwrap_or(tail.len());
        if let InstructionKind::From(from) = &head.kind {
            let name = from.name.as_ref().map(|name| name.value.to_lowercase());
            let (index, body) = (stages.len(), &tail[..end]);
            stages.push(Stage { index, name, instruction: head, from, body });
        }
        rest = &tail[end..];
    }
    Stages { global: &all[..first], stages }
}

impl<'a> Stage<'a> {
    /// The triggers that it has for those that start from it, as text.
    pub fn triggers(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.body.iter().filter_map(|instruction| {
            let InstructionKind::Onbuild(onbuild) = &instruction.kind else { return None };
            Some(onbuild.trigger.value.as_str())
        })
    }
}

/// Triggers as instructions at the `FROM` line that fires them, below its comments.
pub fn fired<'t>(texts: impl Iterator<Item = &'t str>, from: &Instruction) -> Vec<Instruction> {
    let instructions = texts.flat_map(|text| parse_trigger(text).dockerfile.instructions);
    let moved = instructions.map(|instruction| Instruction {
        span: from.span,
        keyword: Word { span: from.span, ..instruction.keyword },
        comments: from.comments.clone(),
        ..instruction
    });
    moved.collect()
}

impl<'a> Stages<'a> {
    /// The last stage of a name before stage number `before`; case does not matter.
    pub fn find_before(&self, name: &str, before: usize) -> Option<&Stage<'a>> {
        let wanted = name.to_lowercase();
        let candidates = self.stages[..before.min(self.stages.len())].iter().rev();
        candidates.into_iter().find(|stage| stage.name.as_deref() == Some(&wanted))
    }

    /// The stage that a stage starts from, if it does. A variable in its `FROM` stands for one of
    /// `global`.
    pub fn base(
        &self,
        stage: &Stage<'_>,
        global: &dyn Variables,
        escape: Escape,
    ) -> Option<&Stage<'a>> {
        let name = expand(&stage.from.image.value, escape, global).ok()?;
        self.find_before(&name.value, stage.index)
    }

    /// The last stage of a name.
    pub fn find(&self, name: &str) -> Option<&Stage<'a>> {
        self.find_before(name, self.stages.len())
    }

    /// The stage name that is nearest to a misspelt one.
    pub fn suggest(&self, name: &str) -> Option<&str> {
        nearest(name, self.stages.iter().filter_map(|stage| stage.name.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::parse::parse;

    #[test]
    fn a_variable_may_choose_the_stage_to_start_from() {
        let parsed = parse("ARG X\nFROM a AS a-1\nFROM b AS a-2\nFROM a-$X\nFROM $Y\n");
        let stages = stages(&parsed.dockerfile);
        let global = BTreeMap::from([("X".to_owned(), "2".to_owned())]);
        let base = |index: usize| {
            let stage = &stages.stages[index];
            stages.base(stage, &global, Escape::Backslash).map(|stage| stage.index)
        };
        assert_eq!([base(0), base(2), base(3)], [None, Some(1), None]);
    }

    #[test]
    fn the_latest_of_two_stages_of_one_name_wins() {
        let parsed = parse("ARG X\nFROM a AS One\nRUN b\nFROM c AS one\nFROM ONE\n");
        let stages = stages(&parsed.dockerfile);
        assert_eq!((stages.global.len(), stages.stages.len()), (1, 3));
        assert_eq!(stages.find("oNe").map(|stage| stage.index), Some(1));
        assert_eq!(stages.find_before("one", 1).map(|stage| stage.index), Some(0));
        assert_eq!(stages.suggest("onn"), Some("one"));
    }
}
