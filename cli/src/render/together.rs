//! The progress of several builds as that of one: steps are numbered anew, and have the name of their build.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use wythe_builder::progress::{Event, Progress, StepId, StepOutline};

use super::source::SourceFile;
use crate::session::Session;

/// Who is told of all builds.
pub(crate) struct Together<'a> {
    progress: &'a dyn Progress,
    session: &'a Session,
    seen: Mutex<Seen>,
}

/// What was told already.
#[derive(Debug, Default)]
struct Seen {
    /// How many steps have a number.
    numbered: usize,
    /// How many steps are known to come.
    planned: usize,
    warnings: BTreeSet<String>,
}

impl<'a> Together<'a> {
    pub(crate) fn new(progress: &'a dyn Progress, session: &'a Session) -> Self {
        Self { progress, session, seen: Mutex::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self) -> StepId {
        let mut seen = self.seen();
        seen.numbered += 1;
        StepId(seen.numbered)
    }
}

/// One of the builds.
pub(crate) struct OneOf<'a> {
    together: &'a Together<'a>,
    name: &'a str,
    source: SourceFile,
    numbers: Mutex<BTreeMap<StepId, StepId>>,
}

impl<'a> OneOf<'a> {
    /// The build of a name, and the Dockerfile that its warnings are about.
    pub(crate) fn new(together: &'a Together<'a>, name: &'a str, source: SourceFile) -> Self {
        Self { together, name, source, numbers: Mutex::default() }
    }

    fn number(&self, step: StepId) -> StepId {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        *numbers.entry(step).or_insert_with(|| self.together.number())
    }

    /// `[build 2/3] RUN make` as `[app build 2/3] RUN make`.
    fn named(&self, name: &str) -> String {
        match name.strip_prefix('[') {
            Some(rest) => format!("[{} {rest}", self.name),
            None => format!("{}: {name}", self.name),
        }
    }

    fn tell(&self, event: &Event<'_>) {
        self.together.progress.event(event);
    }
}

impl Progress for OneOf<'_> {
    fn event(&self, event: &Event<'_>) {
        match *event {
            Event::Planned { steps } => {
                let mut seen = self.together.seen();
                seen.planned += steps;
                let steps = seen.planned;
                drop(seen);
                self.tell(&Event::Planned { steps });
            }
            Event::Graph { steps } => {
                let names: Vec<_> = steps.iter().map(|step| self.named(step.name)).collect();
                let renamed = steps.iter().zip(&names).map(|(step, name)| StepOutline {
                    step: self.number(step.step),
                    name,
                    inputs: step.inputs.iter().map(|input| self.number(*input)).collect(),
                    ..*step
                });
                self.tell(&Event::Graph { steps: &renamed.collect::<Vec<_>>() });
            }
            Event::Layer { step, diff_id, size } => {
                self.tell(&Event::Layer { step: self.number(step), diff_id, size });
            }
            Event::Started { step, name } => {
                self.tell(&Event::Started { step: self.number(step), name: &self.named(name) });
            }
            Event::Cached { step, name, hit, saved, origin } => {
                let (step, name) = (self.number(step), &*self.named(name));
                self.tell(&Event::Cached { step, name, hit, saved, origin });
            }
            Event::Output { step, stream, bytes } => {
                self.tell(&Event::Output { step: self.number(step), stream, bytes });
            }
            Event::Explained { step, reason } => {
                self.tell(&Event::Explained { step: self.number(step), reason });
            }
            Event::Finished { step, elapsed } => {
                self.tell(&Event::Finished { step: self.number(step), elapsed });
            }
            Event::Cancelled { step, elapsed } => {
                self.tell(&Event::Cancelled { step: self.number(step), elapsed });
            }
            Event::Failed { step, elapsed } => {
                self.tell(&Event::Failed { step: self.number(step), elapsed });
            }
            Event::Warning { diagnostic } => {
                // Targets of one Dockerfile have the same warnings.
                let (file, line) = (&self.source.name, self.source.line(diagnostic));
                let text = format!("{file}:{line}: {}", diagnostic.message);
                if self.together.seen().warnings.insert(text.clone()) {
                    self.together.session.remark(&text);
                }
            }
            Event::CacheFailed { .. } | Event::Isolated { .. } | Event::Transferred { .. } | _ => {
                self.tell(event);
            }
        }
    }

    fn is_curious(&self) -> bool {
        self.together.progress.is_curious()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::settings::Settings;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Progress for Heard {
        fn event(&self, event: &Event<'_>) {
            self.0.lock().unwrap().push(format!("{event:?}"));
        }
    }

    #[test]
    fn steps_of_two_builds_have_numbers_and_names_of_their_own() {
        let heard = Heard::default();
        let global = Cli::of(&["wythe", "version"]).unwrap().global;
        let session = Session::new(global, Settings::of(&[]), None);
        let together = Together::new(&heard, &session);
        for name in ["app", "db"] {
            let one = OneOf::new(&together, name, SourceFile::default());
            one.event(&Event::Planned { steps: 2 });
            one.event(&Event::Started { step: StepId(1), name: "[1/2] RUN x" });
            one.event(&Event::Finished { step: StepId(1), elapsed: std::time::Duration::ZERO });
        }
        let heard = heard.0.into_inner().unwrap();
        let expected = [
            "Planned { steps: 2 }",
            "Started { step: StepId(1), name: \"[app 1/2] RUN x\" }",
            "Finished { step: StepId(1), elapsed: 0ns }",
            "Planned { steps: 4 }",
            "Started { step: StepId(2), name: \"[db 1/2] RUN x\" }",
            "Finished { step: StepId(2), elapsed: 0ns }",
        ];
        assert_eq!(heard, expected);
    }
}
