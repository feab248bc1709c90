//! Which stages a build looks at.

use std::collections::BTreeSet;

use crate::ast::InstructionKind;
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
    /// The stage of this name, and those it needs.
    Target(&'a str),
}

/// The indexes of the stages to look at.
pub fn needed(stages: &Stages<'_>, coverage: Coverage<'_>) -> BTreeSet<usize> {
    let goal = match coverage {
        Coverage::All => return (0..stages.stages.len()).collect(),
        Coverage::Last => stages.stages.last(),
        Coverage::Target(name) => stages.find(name),
    };
    let mut found = BTreeSet::new();
    let mut open: Vec<usize> = goal.map(|stage| stage.index).into_iter().collect();
    while let Some(index) = open.pop() {
        if found.insert(index) {
            open.extend(inputs(stages, &stages.stages[index]));
        }
    }
    found
}

/// The stages that a stage starts from or takes files of.
fn inputs(stages: &Stages<'_>, stage: &Stage<'_>) -> Vec<usize> {
    let base = stages.find_before(&stage.from.image.value, stage.index).map(|base| base.index);
    let by_name = |name: &str| {
        let named = stages.find_before(name, stage.index).map(|found| found.index);
        named.or_else(|| name.parse().ok().filter(|index| *index < stage.index))
    };
    let mut inputs: Vec<usize> = base.into_iter().collect();
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
