//! Which stages a build looks at.

use std::collections::BTreeSet;

use crate::ast::{Escape, Instruction, InstructionKind};
use crate::expand::Variables;
use crate::mount;
use crate::stage::{Stage, Stages, fired};

/// Which stages are checked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Coverage<'a> {
    /// All of them.
    #[default]
    All,
    /// The last one, and those it needs.
    Last,
    /// The stages of these names, and those they need.
    Targets(&'a [String]),
}

/// The indexes of the stages to look at, with `global` for the variables of `FROM` lines. What a
/// stage starts from does not matter where a context has its name, as `BuildKit` has it.
pub fn needed(
    stages: &Stages<'_>,
    coverage: Coverage<'_>,
    global: &dyn Variables,
    escape: Escape,
    contexts: &BTreeSet<String>,
) -> BTreeSet<usize> {
    let goals: Vec<&Stage<'_>> = match coverage {
        Coverage::All => return (0..stages.stages.len()).collect(),
        Coverage::Last => stages.stages.last().into_iter().collect(),
        Coverage::Targets(names) => names.iter().filter_map(|name| stages.find(name)).collect(),
    };
    let mut found = BTreeSet::new();
    let mut open: Vec<usize> = goals.iter().map(|stage| stage.index).collect();
    while let Some(index) = open.pop() {
        if found.insert(index) {
            let stage = &stages.stages[index];
            let is_replaced = stage.name.as_ref().is_some_and(|name| contexts.contains(name));
            let base = stages.base(stage, global, escape).filter(|_| !is_replaced);
            open.extend(base.map(|base| base.index));
            let texts = base.into_iter().flat_map(Stage::triggers);
            let fired = fired(texts, stage.instruction);
            open.extend(files(stages, index, fired.iter().chain(stage.body)));
        }
    }
    found
}

/// The stages that instructions of stage number `here` take files of.
fn files<'i>(
    stages: &Stages<'_>,
    here: usize,
    instructions: impl Iterator<Item = &'i Instruction>,
) -> Vec<usize> {
    let by_name = |name: &str| {
        let named = stages.find_before(name, here).map(|found| found.index);
        named.or_else(|| name.parse().ok().filter(|index| *index < here))
    };
    let mut inputs = Vec::new();
    for instruction in instructions {
        match &instruction.kind {
            InstructionKind::Copy(copy) => {
                inputs.extend(copy.from.as_ref().and_then(|from| by_name(&from.value)));
            }
            InstructionKind::Run(run) => {
                let mounts = run.mounts.iter().filter_map(|raw| mount::parse(raw).ok());
                inputs.extend(mounts.filter_map(|mount| by_name(mount.from()?)));
            }
            _ => {}
        }
    }
    inputs
}
