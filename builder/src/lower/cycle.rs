//! Stages that copy from each other: whether one leads to another, as the file says it.

use wythe_dockerfile::ast::{Instruction, InstructionKind};
use wythe_dockerfile::mount;
use wythe_dockerfile::stage::Stages;

/// Whether stage `from` copies, perhaps through others, from stage `to`.
pub(crate) fn leads(stages: &Stages<'_>, from: usize, to: usize) -> bool {
    let mut seen = vec![false; stages.stages.len()];
    let mut open = vec![from];
    while let Some(index) = open.pop() {
        if std::mem::replace(&mut seen[index], true) {
            continue;
        }
        let named = stages.stages[index].body.iter().flat_map(sources);
        let next: Vec<usize> = named.filter_map(|name| find(stages, &name)).collect();
        if next.contains(&to) {
            return true;
        }
        open.extend(next);
    }
    false
}

fn find(stages: &Stages<'_>, name: &str) -> Option<usize> {
    match name.parse::<usize>() {
        Ok(index) => Some(index).filter(|index| *index < stages.stages.len()),
        Err(_) => stages.find(name).map(|stage| stage.index),
    }
}

/// The names an instruction copies or mounts from.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else reads a stage")]
fn sources(instruction: &Instruction) -> Vec<String> {
    match &instruction.kind {
        InstructionKind::Copy(copy) => copy.from.iter().map(|word| word.value.clone()).collect(),
        InstructionKind::Run(run) => {
            let mounts = run.mounts.iter().filter_map(|word| mount::parse(word).ok());
            mounts.filter_map(|mount| mount.from().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}
