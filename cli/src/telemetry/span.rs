//! The spans of a build: one for all of it, and below it one for each step and each transfer.

use wythe_store::digest::Digest;

use crate::build_record::{BuildRecord, BuildStatus, Outcome, RecordedStep, RecordedTransfer};

/// Under which span of somebody else a build stands: `TRACEPARENT`, as W3C has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Parent {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    pub(super) is_sampled: bool,
    /// `TRACESTATE`
    pub(super) state: String,
}

/// All spans of a build.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Trace {
    pub(super) id: [u8; 16],
    pub(super) state: String,
    pub(super) spans: Vec<Span>,
}

/// Something that took its time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Span {
    pub(super) id: [u8; 8],
    pub(super) parent: Option<[u8; 8]>,
    pub(super) name: String,
    /// Nanoseconds since 1970.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) attributes: Vec<(&'static str, Attribute)>,
    /// What it waited for.
    pub(super) links: Vec<[u8; 8]>,
    /// Why it failed, if it did.
    pub(super) error: Option<String>,
}

/// What is said of a span.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Attribute {
    Flag(bool),
    Number(u64),
    Text(String),
}

impl Parent {
    /// What a variable says; nothing where it is malformed, as the standard has it.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
        let flags: [u8; 1] = bytes(parts.next()?)?;
        // Later versions may have more at the end.
        let is_known = version != "ff" && bytes::<1>(version).is_some();
        let is_whole = version != "00" || parts.next().is_none();
        let (trace, span) = (bytes(trace)?, bytes(span)?);
        let is_any = trace != [0; 16] && span != [0; 8];
        let state = String::new();
        (is_known && is_whole && is_any).then_some(Self {
            trace,
            span,
            is_sampled: flags[0] & 1 == 1,
            state,
        })
    }
}

/// So many bytes in small hexadecimal digits.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_small = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if text.len() != 2 * N || !is_small {
        return None;
    }
    let mut found = [0; N];
    for (at, byte) in found.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(found)
}

impl Trace {
    /// The trace of a build, below a span of somebody else if there is one.
    pub(super) fn of(record: &BuildRecord, parent: Option<&Parent>) -> Self {
        let own = || first(&format!("trace {}", record.id));
        let id = parent.map_or_else(own, |parent| parent.trace);
        let mut spans = vec![whole(record, parent)];
        spans.extend(record.steps.iter().filter_map(|step| of_step(record, step)));
        let transfers = record.transfers.iter().enumerate();
        spans.extend(transfers.map(|(number, transfer)| of_transfer(record, number, transfer)));
        let state = parent.map(|parent| parent.state.clone()).unwrap_or_default();
        Self { id, state, spans }
    }
}

/// Bytes that say nothing but which text they are of, as random as the id of the build in it.
fn first<const N: usize>(text: &str) -> [u8; N] {
    let mut found = [0; N];
    found.copy_from_slice(&Digest::of(text.as_bytes()).as_bytes()[..N]);
    found
}

fn step_id(record: &BuildRecord, step: usize) -> [u8; 8] {
    first(&format!("span {} {step}", record.id))
}

/// The number that stands for the whole build among those of steps, which begin at 1.
const WHOLE: usize = 0;

fn nanos(micros: u64) -> u64 {
    micros.saturating_mul(1000)
}

fn text(text: &str) -> Attribute {
    Attribute::Text(text.to_owned())
}

fn whole(record: &BuildRecord, parent: Option<&Parent>) -> Span {
    let count = record.count();
    let number = |count: usize| Attribute::Number(count as u64);
    let mut attributes = vec![
        ("wythe.build.id", text(record.id.as_str())),
        ("wythe.build.status", text(record.status.name())),
        ("wythe.build.context", text(&record.context)),
        ("wythe.build.steps", number(count.total)),
        ("wythe.build.steps.cached", number(count.cached)),
    ];
    let results = record.results.iter();
    attributes.extend(results.map(|result| ("wythe.build.digest", text(&result.digest))).take(1));
    let error = record.error.as_ref().map(|error| {
        let what = error.lines.iter().find_map(|line| line.strip_prefix("error: "));
        what.unwrap_or(&error.class).to_owned()
    });
    Span {
        id: step_id(record, WHOLE),
        parent: parent.map(|parent| parent.span),
        name: format!("build {}", record.name),
        start: nanos(record.started),
        end: nanos(record.completed()),
        attributes,
        links: Vec::new(),
        error: error.filter(|_| record.status != BuildStatus::Completed),
    }
}

fn of_step(record: &BuildRecord, step: &RecordedStep) -> Option<Span> {
    let started = step.started?;
    let ended = step.ended.unwrap_or(record.duration);
    let mut attributes = vec![
        ("wythe.step", Attribute::Number(step.step as u64)),
        ("wythe.step.outcome", text(step.outcome.words())),
        ("wythe.step.cached", Attribute::Flag(step.outcome.is_cached())),
    ];
    attributes.extend(step.line.map(|line| ("code.line.number", Attribute::Number(line as u64))));
    attributes.extend(step.why.iter().map(|why| ("wythe.step.why", text(why))));
    attributes.extend(
        step.layer.iter().map(|layer| ("wythe.step.layer.size", Attribute::Number(layer.size))),
    );
    let inputs = step
        .inputs
        .iter()
        .filter(|input| record.step(**input).is_some_and(|input| input.started.is_some()));
    let is_bad = matches!(step.outcome, Outcome::Canceled | Outcome::Failed | Outcome::Unfinished);
    Some(Span {
        id: step_id(record, step.step),
        parent: Some(step_id(record, WHOLE)),
        name: step.name.clone(),
        start: nanos(record.started.saturating_add(started)),
        end: nanos(record.started.saturating_add(ended)),
        attributes,
        links: inputs.map(|input| step_id(record, *input)).collect(),
        error: is_bad.then(|| step.outcome.words().to_owned()),
    })
}

fn of_transfer(record: &BuildRecord, number: usize, transfer: &RecordedTransfer) -> Span {
    Span {
        id: first(&format!("transfer {} {number}", record.id)),
        parent: Some(step_id(record, WHOLE)),
        name: format!("{} {}", transfer.direction, transfer.image),
        start: nanos(record.started.saturating_add(transfer.started)),
        end: nanos(record.started.saturating_add(transfer.ended)),
        attributes: vec![
            ("wythe.transfer.blobs", Attribute::Number(transfer.blobs as u64)),
            ("wythe.transfer.bytes", Attribute::Number(transfer.bytes)),
        ],
        links: Vec::new(),
        error: None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::build_record::shelf::tests::record;

    /// A trace with one of everything.
    pub(in crate::telemetry) fn trace(parent: Option<&Parent>) -> Trace {
        let mut found = record(5, "abc");
        let mut steps = [RecordedStep::new(2, "one"), RecordedStep::new(3, "two")];
        for (at, step) in (0..).zip(&mut steps) {
            (step.started, step.ended) = (Some(at * 10), Some(at * 10 + 7));
            step.outcome = Outcome::Ran;
        }
        steps[1].inputs = vec![1, 2];
        steps[1].outcome = Outcome::Failed;
        steps[1].line = Some(4);
        found.steps.extend(steps);
        Trace::of(&found, parent)
    }

    #[test]
    fn a_parent_is_what_w3c_says_it_is() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let found = Parent::of(good).unwrap();
        assert_eq!((found.trace[0], found.span[7], found.is_sampled), (0x0a, 0x31, true));
        for bad in [
            "",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad-01",
        ] {
            assert_eq!(Parent::of(bad), None, "{bad}");
        }
    }

    #[test]
    fn steps_stand_below_the_build_and_are_linked_to_what_they_waited_for() {
        let parent = Parent::of("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        let found = trace(Some(&parent));
        let [build, one, two] = &found.spans[..] else { panic!("{found:?}") };
        assert_eq!((found.id, build.parent), (parent.trace, Some(parent.span)));
        assert_eq!((one.parent, &two.links), (Some(build.id), &vec![one.id]));
        assert_eq!((two.start, two.end), (5_000_010_000, 5_000_017_000));
        assert_eq!((two.error.as_deref(), build.error.as_deref()), (Some("failed"), None));
        assert_eq!(trace(None).spans[0].parent, None);
    }
}
