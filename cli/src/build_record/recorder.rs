//! Listens to the events of a build, and makes of them what a record says of its steps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wythe_builder::progress::{Event, Hit, Progress, StepId, StepKind, StepOutline, Stream};
use wythe_store::digest::Digest;
use wythe_store::oci::transfer::{Direction, Transfer, TransferState};

use super::discretion::Discretion;
use super::log::{BuildLog, LogLine};
use super::{Kind, Outcome, RecordedLayer, RecordedStep, RecordedTransfer};
use crate::render::lines::Lines;
use crate::render::sanitize::{self, Medium};
use crate::render::source::SourceFile;
use crate::render::stopwatch::Stopwatch;

/// The most warnings that are kept: a file that is no Dockerfile may have one in every line.
const MOST_WARNINGS: usize = 100;

/// The longest name or reason of a step that is kept, in bytes.
const MOST_OF_TEXT: usize = 4096;

/// What was heard of a build.
#[derive(Debug)]
pub(crate) struct Recorder {
    stopwatch: Stopwatch,
    source: SourceFile,
    discretion: Discretion,
    heard: Mutex<Heard>,
}

/// What the events of a build come to.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) steps: BTreeMap<StepId, RecordedStep>,
    pub(crate) log: BuildLog,
    pub(crate) warnings: Vec<String>,
    transfers: BTreeMap<(Direction, String), Moved>,
    /// Output that is not yet a whole line; first standard output, then standard error.
    partial: BTreeMap<StepId, [Lines; 2]>,
}

/// Blobs of one image on their way.
#[derive(Debug)]
struct Moved {
    started: u64,
    ended: u64,
    blobs: BTreeMap<Digest, u64>,
}

impl Recorder {
    /// Who listens from now on; places are those of `source`.
    pub(crate) fn new(stopwatch: Stopwatch, source: SourceFile, discretion: Discretion) -> Self {
        Self { stopwatch, source, discretion, heard: Mutex::default() }
    }

    /// What is kept of a text.
    pub(crate) fn discreet(&self, text: &str) -> String {
        self.discretion.owned(text)
    }

    /// How long it has been listening.
    pub(crate) fn elapsed(&self) -> Duration {
        self.stopwatch.elapsed()
    }

    /// What was heard until now.
    pub(crate) fn take(&self) -> Heard {
        std::mem::take(&mut *self.heard())
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        micros(self.stopwatch.elapsed())
    }

    /// A name or reason.
    fn text(&self, text: &str) -> String {
        let mut text = self.discreet(text);
        if text.len() > MOST_OF_TEXT {
            text.truncate(text.floor_char_boundary(MOST_OF_TEXT));
            text.push('…');
        }
        text
    }

    fn outline(&self, heard: &mut Heard, outline: &StepOutline<'_>) {
        let step = heard.step(outline.step, || self.text(outline.name));
        step.kind = match outline.kind {
            StepKind::Base => Kind::Base,
            StepKind::Copy => Kind::Copy,
            StepKind::Run => Kind::Run,
            StepKind::Workdir => Kind::Workdir,
        };
        step.line = Some(self.source.line_at(outline.span));
        step.inputs = outline.inputs.iter().map(|input| input.0).collect();
    }

    fn output(&self, heard: &mut Heard, step: StepId, stream: Stream, bytes: &[u8]) {
        let at = self.now();
        let lines = &mut heard.partial.entry(step).or_default()[index(stream)];
        let log = &mut heard.log;
        lines.push(bytes, |line| self.line(log, (step, at, stream), line));
    }

    fn line(&self, log: &mut BuildLog, (step, at, stream): (StepId, u64, Stream), line: &[u8]) {
        let number = if stream == Stream::Out { 1 } else { 2 };
        let text = self.discreet(&sanitize::line(line, Medium::Log));
        log.push(step.0, LogLine(at, number, text));
    }

    fn end(&self, heard: &mut Heard, id: StepId, outcome: Outcome) {
        let now = self.now();
        if let Some(mut partial) = heard.partial.remove(&id) {
            for stream in [Stream::Out, Stream::Err] {
                let log = &mut heard.log;
                partial[index(stream)].finish(|line| self.line(log, (id, now, stream), line));
            }
        }
        if let Some(step) = heard.steps.get_mut(&id) {
            step.outcome = outcome;
            step.ended = Some(now);
        }
    }

    fn cached(&self, heard: &mut Heard, (id, name): (StepId, &str), hit: Hit, saved: Duration) {
        let now = self.now();
        let step = heard.step(id, || self.text(name));
        // A build that begins again finds what it made before: that ran all the same.
        if step.outcome == Outcome::Ran {
            return;
        }
        step.outcome = match hit {
            Hit::Cache => Outcome::CachedElsewhere,
            Hit::Content => Outcome::CachedByContent,
            Hit::Definition => Outcome::Cached,
        };
        (step.started, step.ended) = (Some(now), Some(now));
        step.saved = (!saved.is_zero()).then(|| micros(saved));
    }
}

impl Progress for Recorder {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a record says nothing of what it does not know"
    )]
    fn event(&self, event: &Event<'_>) {
        let heard = &mut *self.heard();
        match *event {
            Event::Graph { steps } => steps.iter().for_each(|step| self.outline(heard, step)),
            Event::Started { step, name } => {
                let now = self.now();
                let step = heard.step(step, || self.text(name));
                step.outcome = Outcome::Unfinished;
                (step.started, step.ended) = (Some(now), None);
            }
            Event::Cached { step, name, hit, saved, .. } => {
                self.cached(heard, (step, name), hit, saved);
            }
            Event::Output { step, stream, bytes } => self.output(heard, step, stream, bytes),
            Event::Explained { step, reason } => {
                if let Some(step) = heard.steps.get_mut(&step) {
                    step.why = Some(self.text(&reason.to_string()));
                }
            }
            Event::Finished { step, .. } => self.end(heard, step, Outcome::Ran),
            Event::Cancelled { step, .. } => self.end(heard, step, Outcome::Canceled),
            Event::Failed { step, .. } => self.end(heard, step, Outcome::Failed),
            Event::Layer { step, diff_id, size } => {
                if let Some(step) = heard.steps.get_mut(&step) {
                    step.layer = Some(RecordedLayer { diff_id: diff_id.0.to_string(), size });
                }
            }
            Event::Transferred { transfer } => heard.transfer(&transfer, self.now()),
            Event::CacheFailed { reason } => heard.warn(self.text(reason)),
            Event::Warning { diagnostic } => {
                heard.warn(self.text(&self.source.summary(diagnostic)));
            }
            _ => {}
        }
    }
}

impl Heard {
    fn step(&mut self, id: StepId, name: impl FnOnce() -> String) -> &mut RecordedStep {
        self.steps.entry(id).or_insert_with(|| RecordedStep::new(id.0, &name()))
    }

    fn warn(&mut self, text: String) {
        if self.warnings.len() < MOST_WARNINGS && !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }

    fn transfer(&mut self, transfer: &Transfer<'_>, now: u64) {
        let key = (transfer.direction, transfer.reference.to_string());
        let moved = self.transfers.entry(key);
        let moved =
            moved.or_insert_with(|| Moved { started: now, ended: now, blobs: BTreeMap::new() });
        moved.ended = now;
        let passed = match transfer.state {
            TransferState::Done | TransferState::Moving => transfer.bytes,
            TransferState::Mounted | TransferState::Present => 0,
        };
        moved.blobs.insert(transfer.digest, passed);
    }

    /// What came and went.
    pub(crate) fn transfers(&self) -> Vec<RecordedTransfer> {
        let transfer = |((direction, image), moved): (&(Direction, String), &Moved)| {
            let direction = match direction {
                Direction::Pull => "pull",
                Direction::Push => "push",
            };
            RecordedTransfer {
                direction: direction.to_owned(),
                image: image.clone(),
                started: moved.started,
                ended: moved.ended,
                blobs: moved.blobs.len(),
                bytes: moved.blobs.values().sum(),
            }
        };
        self.transfers.iter().map(transfer).collect()
    }

    /// The steps in the order of their numbers, without inputs that nothing is known of.
    pub(crate) fn steps(&self) -> Vec<RecordedStep> {
        let known: BTreeSet<usize> = self.steps.keys().map(|id| id.0).collect();
        let mut steps: Vec<RecordedStep> = self.steps.values().cloned().collect();
        for step in &mut steps {
            step.inputs.retain(|input| known.contains(input));
        }
        steps
    }
}

fn index(stream: Stream) -> usize {
    match stream {
        Stream::Err => 1,
        Stream::Out => 0,
    }
}

/// A duration in microseconds.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Hands on every event, and has somebody record it.
pub(crate) struct Recorded<'a, P> {
    pub(crate) progress: P,
    /// Who listens, if anybody does.
    pub(crate) recorder: Option<&'a Recorder>,
}

impl<P: Progress> Progress for Recorded<'_, P> {
    fn event(&self, event: &Event<'_>) {
        if let Some(recorder) = self.recorder {
            recorder.event(event);
        }
        // Who has not asked for reasons is not told them.
        if !matches!(event, Event::Explained { .. }) || self.progress.is_curious() {
            self.progress.event(event);
        }
    }

    fn is_curious(&self) -> bool {
        self.recorder.is_some() || self.progress.is_curious()
    }

    /// A record says what is known here: nobody waits for a request that only it would need.
    fn asks_caches(&self) -> bool {
        self.progress.asks_caches()
    }
}

#[cfg(test)]
mod tests {
    use wythe_builder::options::Options;
    use wythe_builder::reason::Reason;
    use wythe_dockerfile::span::Span;
    use wythe_store::digest::DiffId;
    use wythe_store::oci::platform::Platform;

    use super::*;

    const ONE: StepId = StepId(1);
    const TWO: StepId = StepId(2);

    fn heard(discretion: Discretion, events: &[Event<'_>]) -> Heard {
        let text = "FROM a\nRUN b\n".to_owned();
        let source = SourceFile { name: "Dockerfile".to_owned(), text };
        let recorder = Recorder::new(Stopwatch::stepping(), source, discretion);
        for event in events {
            recorder.event(event);
        }
        recorder.take()
    }

    fn graph() -> [StepOutline<'static>; 2] {
        let (kind, span) = (StepKind::Base, Span::new(0, 6));
        let base = StepOutline { step: ONE, name: "[1/2] FROM a", kind, span, inputs: Vec::new() };
        let (kind, span, inputs) = (StepKind::Run, Span::new(7, 12), vec![ONE]);
        [base, StepOutline { step: TWO, name: "[2/2] RUN b", kind, span, inputs }]
    }

    #[test]
    fn a_step_has_its_place_its_times_its_reason_its_layer_and_its_log() {
        let (elapsed, diff_id) = (Duration::ZERO, DiffId(Digest::of(b"layer")));
        let graph = graph();
        let heard = heard(
            Discretion::default(),
            &[
                Event::Started { step: TWO, name: "[2/2] RUN b" },
                Event::Explained { step: TWO, reason: &Reason::Refresh },
                Event::Graph { steps: &graph },
                Event::Output { step: TWO, stream: Stream::Out, bytes: b"one\ntw" },
                Event::Output { step: TWO, stream: Stream::Err, bytes: b"\x1b[2Jerr\n" },
                Event::Finished { step: TWO, elapsed },
                Event::Layer { step: TWO, diff_id, size: 7 },
            ],
        );
        let steps = heard.steps();
        assert_eq!((steps[0].outcome, steps[0].line), (Outcome::Unneeded, Some(1)));
        let run = &steps[1];
        assert_eq!((run.outcome, run.line, &run.inputs[..]), (Outcome::Ran, Some(2), &[1][..]));
        assert_eq!((run.started, run.ended), (Some(0), Some(300_000)));
        assert_eq!(run.why.as_deref(), Some(&*Reason::Refresh.to_string()));
        assert_eq!(run.layer.as_ref().map(|layer| layer.size), Some(7));
        let lines: Vec<(u8, &str)> =
            heard.log.steps[&2].lines.iter().map(|line| (line.1, line.2.as_str())).collect();
        assert_eq!(lines, [(1, "one"), (2, "\\x1b[2Jerr"), (1, "tw")]);
    }

    #[test]
    fn what_was_made_before_a_build_began_again_ran_all_the_same() {
        let (elapsed, saved) = (Duration::ZERO, Duration::from_secs(2));
        let cached =
            |step| Event::Cached { step, name: "x", hit: Hit::Content, saved, origin: None };
        let heard = heard(
            Discretion::default(),
            &[
                Event::Started { step: ONE, name: "x" },
                Event::Finished { step: ONE, elapsed },
                cached(ONE),
                cached(TWO),
                Event::Started { step: StepId(3), name: "y" },
            ],
        );
        let outcomes: Vec<Outcome> = heard.steps().iter().map(|step| step.outcome).collect();
        assert_eq!(outcomes, [Outcome::Ran, Outcome::CachedByContent, Outcome::Unfinished]);
        assert_eq!(heard.steps()[1].saved, Some(2_000_000));
    }

    #[test]
    fn no_secret_is_kept_wherever_it_was_told() {
        let mut options = Options::new(Platform::linux("amd64"));
        options.build_args.insert("API_TOKEN".to_owned(), "hunter2".to_owned());
        let outlines = graph();
        let heard = heard(
            Discretion::of(&options),
            &[
                Event::Graph { steps: &outlines },
                Event::Started { step: StepId(3), name: "RUN echo hunter2" },
                Event::Output { step: StepId(3), stream: Stream::Out, bytes: b"it is hun" },
                Event::Output { step: StepId(3), stream: Stream::Out, bytes: b"ter2\n" },
                Event::CacheFailed { reason: "GET https://me:hunter2@h/x" },
            ],
        );
        assert!(!format!("{heard:?}").contains("hunter2"), "{heard:?}");
        assert_eq!(heard.log.steps[&3].lines[0].2, "it is ***");
    }

    #[test]
    fn a_record_wants_reasons_but_no_request_for_them() {
        let recorder =
            Recorder::new(Stopwatch::stepping(), SourceFile::default(), Discretion::default());
        let recorded = Recorded { progress: (), recorder: Some(&recorder) };
        assert!(recorded.is_curious() && !recorded.asks_caches());
        assert!(!Recorded { progress: (), recorder: None }.is_curious());
    }

    #[test]
    fn blobs_of_an_image_are_one_transfer() {
        let reference = "r.example/app:1".parse().unwrap();
        let at = |blob: &[u8], state, bytes| Event::Transferred {
            transfer: Transfer {
                direction: Direction::Pull,
                reference: &reference,
                digest: Digest::of(blob),
                state,
                bytes,
                size: 9,
            },
        };
        let heard = heard(
            Discretion::default(),
            &[
                at(b"a", TransferState::Moving, 3),
                at(b"b", TransferState::Present, 0),
                at(b"a", TransferState::Done, 9),
            ],
        );
        let found = heard.transfers();
        assert_eq!((found.len(), found[0].blobs, found[0].bytes), (1, 2, 9));
        assert!(found[0].ended > found[0].started);
    }
}
