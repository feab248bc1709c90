//! `wythe history trace`: a build as Jaeger shows it.

use serde_json::{Value, json};

use crate::args::history::TraceBuildArgs;
use crate::build_record::shelf::BuildShelf;
use crate::build_record::{BuildRecord, RecordedStep};
use crate::failure::Failure;
use crate::render::json::escape;
use crate::session::Session;
use wythe_store::digest::Digest;

/// How many digits the ids of a trace and of a span have.
const TRACE_DIGITS: usize = 32;
const SPAN_DIGITS: usize = 16;

/// Prints the trace.
pub(super) fn run(
    args: &TraceBuildArgs,
    shelf: &BuildShelf,
    session: &Session,
) -> Result<(), Failure> {
    let (record, ()) = shelf.read(&shelf.find(args.build.as_ref())?)?;
    session.print(&escape(&jaeger(&record).to_string()))
}

/// What the API of Jaeger answers: a span for the build, and one below it for each step.
fn jaeger(record: &BuildRecord) -> Value {
    let trace = digits(&format!("trace {}", record.id), TRACE_DIGITS);
    let span_of = |step: usize| digits(&format!("span {} {step}", record.id), SPAN_DIGITS);
    let root = span_of(0);
    let reference =
        |kind: &str, span: String| json!({"refType": kind, "traceID": trace, "spanID": span});
    let whole = json!({
        "traceID": trace,
        "spanID": root,
        "operationName": format!("build {}", record.name),
        "references": [],
        "startTime": record.started,
        "duration": record.duration,
        "tags": [tag("wythe.build", record.id.as_str()), tag("status", record.status.name())],
        "logs": [],
        "processID": "p1",
    });
    let span = |step: &RecordedStep| {
        let inputs = step
            .inputs
            .iter()
            .filter(|input| record.step(**input).is_some_and(|input| input.started.is_some()));
        let follows = inputs.map(|input| reference("FOLLOWS_FROM", span_of(*input)));
        let references: Vec<Value> =
            [reference("CHILD_OF", root.clone())].into_iter().chain(follows).collect();
        let why = step.why.iter().map(|why| tag("why", why));
        let tags: Vec<Value> =
            [tag("outcome", step.outcome.words())].into_iter().chain(why).collect();
        Some(json!({
            "traceID": trace,
            "spanID": span_of(step.step),
            "operationName": step.name,
            "references": references,
            "startTime": record.started.saturating_add(step.started?),
            "duration": step.duration().unwrap_or_default(),
            "tags": tags,
            "logs": [],
            "processID": "p1",
        }))
    };
    let spans: Vec<Value> =
        [whole].into_iter().chain(record.steps.iter().filter_map(span)).collect();
    let process =
        json!({"serviceName": "wythe", "tags": [tag("service.version", &record.program)]});
    json!({"data": [{"traceID": trace, "spans": spans, "processes": {"p1": process}}]})
}

fn tag(key: &str, value: &str) -> Value {
    json!({"key": key, "type": "string", "value": value})
}

/// So many hexadecimal digits that say nothing but which text they are of.
fn digits(text: &str, count: usize) -> String {
    Digest::of(text.as_bytes()).hex().chars().take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build_record::Outcome;
    use crate::build_record::shelf::tests::record;

    #[test]
    fn steps_are_spans_below_the_build_that_follow_from_their_inputs() {
        let mut found = record(5, "abc");
        let mut steps = [RecordedStep::new(2, "one"), RecordedStep::new(3, "two")];
        for (at, step) in (0..).zip(&mut steps) {
            (step.started, step.ended) = (Some(at * 10), Some(at * 10 + 7));
            step.outcome = Outcome::Ran;
        }
        steps[1].inputs = vec![1, 2];
        found.steps.extend(steps);
        let trace = jaeger(&found);
        let spans = trace["data"][0]["spans"].as_array().unwrap();
        assert_eq!(spans.len(), 3);
        let references = spans[2]["references"].as_array().unwrap();
        assert_eq!(references[0]["spanID"], spans[0]["spanID"]);
        assert_eq!(references[1]["spanID"], spans[1]["spanID"]);
        assert_eq!((references.len(), &spans[2]["startTime"]), (2, &json!(5_000_010)));
    }
}
