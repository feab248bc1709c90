//! Which steps a build is as long as: the critical path, of a build that runs and of one that is over.

use std::collections::BTreeMap;
use std::time::Duration;

use wythe_builder::progress::{Event, StepId};

/// When steps began and ended, and what they are made of.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    steps: BTreeMap<StepId, Timed>,
}

#[derive(Debug, Default)]
struct Timed {
    name: String,
    inputs: Vec<StepId>,
    started: Option<Duration>,
    ended: Option<Duration>,
}

/// A step of the critical path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Link {
    pub(crate) name: String,
    pub(crate) started: Duration,
    /// How long it took, or has taken.
    pub(crate) took: Duration,
}

impl Link {
    /// The place in its stage, which is what tells steps apart in little room: `[build 2/3]`.
    pub(crate) fn short(&self) -> &str {
        let end = self.name.find(']').filter(|_| self.name.starts_with('['));
        end.map_or(&self.name, |end| &self.name[..=end])
    }
}

impl Chains {
    /// Takes an event that happened at `now`.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only what begins and ends has a length")]
    pub(crate) fn take(&mut self, event: &Event<'_>, now: Duration) {
        match *event {
            Event::Graph { steps } => {
                for outline in steps {
                    let step = self.steps.entry(outline.step).or_default();
                    outline.name.clone_into(&mut step.name);
                    step.inputs.clone_from(&outline.inputs);
                }
            }
            Event::Started { step, name } => {
                let step = self.steps.entry(step).or_default();
                name.clone_into(&mut step.name);
                (step.started, step.ended) = (Some(now), None);
            }
            // A build that begins again finds what it made before: that took its time all the same.
            Event::Cached { step, .. } => {
                let step = self.steps.entry(step).or_default();
                step.ended = step.ended.or(Some(now));
            }
            Event::Finished { step, .. }
            | Event::Cancelled { step, .. }
            | Event::Failed { step, .. } => {
                self.steps.entry(step).or_default().ended = Some(now);
            }
            _ => {}
        }
    }

    /// The critical path, first step first, without steps that took no time. While steps run it ends at the one that
    /// the longest chain of others waits for, and of several at the one that began first; afterwards at the one that ended
    /// last. Before each stands the input that was there last: to make the build shorter one of these has to be.
    pub(crate) fn critical(&self, now: Duration) -> Vec<Link> {
        let mut at = self.last_running().or_else(|| self.last_ended());
        let mut path: Vec<(StepId, Option<Link>)> = Vec::new();
        while let Some((id, step)) = at.filter(|(id, _)| path.iter().all(|(seen, _)| seen != id)) {
            let link = step.started.map(|started| {
                let took = step.ended.unwrap_or(now).saturating_sub(started);
                Link { name: step.name.clone(), started, took }
            });
            path.push((id, link));
            let inputs = step.inputs.iter().filter_map(|id| Some((*id, self.steps.get(id)?)));
            at = inputs.filter(|(_, step)| step.ended.is_some()).max_by_key(|(_, step)| step.ended);
        }
        path.into_iter().rev().filter_map(|(_, link)| link).collect()
    }

    fn last_running(&self) -> Option<(StepId, &Timed)> {
        let heights = self.heights();
        let running = self.steps.iter().filter(|(_, step)| step.is_running());
        let height = |id: &StepId| heights.get(id).copied().unwrap_or_default();
        let first = running.max_by_key(|(id, step)| (height(id), std::cmp::Reverse(step.started)));
        first.map(|(id, step)| (*id, step))
    }

    fn last_ended(&self) -> Option<(StepId, &Timed)> {
        let ran = self.steps.iter().filter(|(_, step)| step.started.is_some());
        ran.max_by_key(|(_, step)| step.ended).map(|(id, step)| (*id, step))
    }

    /// How many steps follow one another that wait for a step. Inputs have lower numbers than their users.
    fn heights(&self) -> BTreeMap<StepId, usize> {
        let mut heights = BTreeMap::new();
        for (id, step) in self.steps.iter().rev().filter(|(_, step)| step.ended.is_none()) {
            let above = heights.get(id).copied().unwrap_or(0) + 1;
            for input in &step.inputs {
                let height = heights.entry(*input).or_insert(0);
                *height = above.max(*height);
            }
        }
        heights
    }
}

impl Timed {
    fn is_running(&self) -> bool {
        self.started.is_some() && self.ended.is_none()
    }
}

#[cfg(test)]
mod tests {
    use wythe_builder::progress::{StepKind, StepOutline};
    use wythe_dockerfile::span::Span;

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Steps by what they are made of; they are called `[1] RUN` and so on.
    fn chains(graph: &[(usize, &[usize])]) -> Chains {
        let names: Vec<String> = graph.iter().map(|(id, _)| format!("[{id}] RUN")).collect();
        let outline = |((id, inputs), name): (&(usize, &[usize]), &'static str)| StepOutline {
            step: StepId(*id),
            name,
            kind: StepKind::Run,
            span: Span::default(),
            inputs: inputs.iter().copied().map(StepId).collect(),
        };
        let names = names.into_iter().map(|name| -> &'static str { name.leak() });
        let steps: Vec<_> = graph.iter().zip(names).map(outline).collect();
        let mut chains = Chains::default();
        chains.take(&Event::Graph { steps: &steps }, Duration::ZERO);
        chains
    }

    fn run(chains: &mut Chains, step: usize, (from, to): (u64, Option<u64>)) {
        let (step, name) = (StepId(step), &*format!("[{step}] RUN"));
        chains.take(&Event::Started { step, name }, seconds(from));
        if let Some(to) = to {
            chains.take(&Event::Finished { step, elapsed: seconds(to - from) }, seconds(to));
        }
    }

    #[track_caller]
    fn check(chains: &Chains, now: u64, expected: &[(&str, u64)]) {
        let path = chains.critical(seconds(now));
        let path: Vec<_> = path.iter().map(|link| (link.short(), link.took.as_secs())).collect();
        assert_eq!(path, expected);
    }

    #[test]
    fn the_path_of_a_build_that_is_over_goes_by_the_input_that_was_there_last() {
        let mut chains = chains(&[(1, &[]), (2, &[1]), (3, &[1]), (4, &[2, 3])]);
        run(&mut chains, 2, (0, Some(10)));
        run(&mut chains, 3, (0, Some(30)));
        run(&mut chains, 4, (30, Some(50)));
        check(&chains, 99, &[("[3]", 30), ("[4]", 20)]);
    }

    #[test]
    fn the_path_of_a_build_that_runs_ends_at_the_step_that_most_wait_for() {
        let mut chains = chains(&[(1, &[]), (2, &[]), (3, &[1]), (4, &[2]), (5, &[4])]);
        run(&mut chains, 1, (0, Some(3)));
        run(&mut chains, 3, (3, None));
        run(&mut chains, 2, (4, None));
        check(&chains, 9, &[("[2]", 5)]);
    }

    #[test]
    fn of_steps_that_as_many_wait_for_the_first_one_counts() {
        let mut chains = chains(&[(1, &[]), (2, &[])]);
        run(&mut chains, 2, (1, None));
        run(&mut chains, 1, (2, None));
        check(&chains, 4, &[("[2]", 3)]);
    }

    #[test]
    fn a_graph_that_makes_no_sense_ends_all_the_same() {
        let mut chains = chains(&[(1, &[2]), (2, &[1])]);
        run(&mut chains, 1, (0, Some(5)));
        run(&mut chains, 2, (0, Some(6)));
        check(&chains, 9, &[("[1]", 5), ("[2]", 6)]);
        check(&Chains::default(), 0, &[]);
    }
}
