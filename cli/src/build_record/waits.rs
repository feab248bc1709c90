//! What waited for what, and which steps a build was as long as.

use std::collections::{BTreeMap, BTreeSet};

use super::{BuildRecord, RecordedStep};

/// How long a step could have begun before it did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Wait {
    /// The input that was there last, if any had to be made.
    pub(crate) last_input: Option<usize>,
    /// How long it waited after that, in microseconds: for its turn, or for files from elsewhere.
    pub(crate) queued: u64,
}

/// What each step that took part waited for.
pub(crate) fn waits(record: &BuildRecord) -> BTreeMap<usize, Wait> {
    let took_part = record.steps.iter().filter_map(|step| Some((step, step.started?)));
    let wait = |(step, started): (&RecordedStep, u64)| {
        let last = last_input(record, step);
        let ready = last.and_then(|input| input.ended).unwrap_or_default();
        // What is there already waits for no turn.
        let queued = if step.outcome.is_cached() { 0 } else { started.saturating_sub(ready) };
        let wait = Wait { last_input: last.map(|input| input.step), queued };
        (step.step, wait)
    };
    took_part.map(wait).collect()
}

/// The chain of steps that ended last, the first of it first: of each the input that was there last. To make the
/// build shorter one of these has to be.
pub(crate) fn critical_path(record: &BuildRecord) -> Vec<usize> {
    let ran = record.steps.iter().filter(|step| step.duration().is_some_and(|took| took > 0));
    let mut at = ran.max_by_key(|step| step.ended);
    let (mut path, mut seen) = (Vec::new(), BTreeSet::new());
    while let Some(step) = at.filter(|step| seen.insert(step.step)) {
        path.push(step.step);
        at = last_input(record, step);
    }
    path.reverse();
    path
}

/// The input of a step that was there last.
fn last_input<'r>(record: &'r BuildRecord, step: &RecordedStep) -> Option<&'r RecordedStep> {
    let inputs = step.inputs.iter().filter_map(|input| record.step(*input));
    inputs.filter(|input| input.ended.is_some()).max_by_key(|input| input.ended)
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::super::shelf::tests::record;
    use super::*;

    /// A step as number, inputs, and when it began and ended.
    type Sketch<'a> = (usize, &'a [usize], Option<(u64, u64)>);

    fn build(steps: &[Sketch<'_>]) -> BuildRecord {
        let mut record = record(1, "x");
        let step = |(number, inputs, times): &Sketch<'_>| {
            let mut step = RecordedStep::new(*number, "x");
            step.inputs = inputs.to_vec();
            (step.started, step.ended) = times.unzip();
            step.outcome = if times.is_some() { Outcome::Ran } else { Outcome::Unneeded };
            step
        };
        record.steps = steps.iter().map(step).collect();
        record
    }

    #[test]
    fn the_critical_path_goes_by_the_input_that_was_there_last() {
        let record = build(&[
            (1, &[], None),
            (2, &[1], Some((0, 10))),
            (3, &[1], Some((0, 30))),
            (4, &[2, 3], Some((35, 50))),
            (5, &[2], Some((10, 40))),
        ]);
        assert_eq!(critical_path(&record), [3, 4]);
        let waits = waits(&record);
        assert_eq!(waits[&4], Wait { last_input: Some(3), queued: 5 });
        assert_eq!(waits[&5], Wait { last_input: Some(2), queued: 0 });
        assert_eq!(waits[&3].last_input, None);
    }

    #[test]
    fn a_record_that_makes_no_sense_ends_all_the_same() {
        let record = build(&[(1, &[2, 9], Some((0, 5))), (2, &[1], Some((1, 6)))]);
        assert_eq!(critical_path(&record).len(), 2);
        assert!(critical_path(&build(&[])).is_empty());
    }
}
