//! Which stages a build looks at.

use std::collections::BTreeSet;

use crate::ast::{Escape, InstructionKind};
use crate::expand::Variables;
use crate::mount;
use crate::stage::{Stage, Stages};

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

/// The indexes of the stages to look at, with `global` for the variables of `FROM` lines.
pub fn needed(
    stages: &Stages<'_>,
    coverage: Coverage<'_>,
    global: &dyn Variables,
    escape: Escape,
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
            open.extend(stages.base(stage, global, escape).map(|base| base.index));
            open.extend(files(stages, stage));
        }
    }
    found
}

/// The stages that a stage takes files of.
fn files(stages: &Stages<'_>, stage: &Stage<'_>) -> Vec<usize> {
    let by_name = |name: &str| {
        let named = stages.find_before(name, stage.index).map(|found| found.index);
        named.or_else(|| name.parse().ok().filter(|index| *index < stage.index))
    };
    let mut inputs = Vec::new();
    for instruction in stage.body {
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
