//! Progress in the form of `docker buildx build --progress=rawjson`, which Compose reads: one JSON
//! object per line, BuildKit's `client.SolveStatus`.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wythe_builder::progress::{Event, Progress, StepId, Stream};
use wythe_dockerfile::diagnostic::Diagnostic;
use wythe_dockerfile::lint::rule::{OWN, RULES};
use wythe_store::digest::Digest;
use wythe_store::oci::transfer::{Direction, Transfer, TransferState};

use super::json::escape;
use super::source::SourceFile;

/// The stream of objects.
#[derive(Debug)]
pub(crate) struct SolveStatuses<W> {
    /// The moment it is, as RFC 3339.
    now: fn() -> String,
    source: SourceFile,
    state: Mutex<State<W>>,
}

#[derive(Debug)]
struct State<W> {
    out: W,
    steps: BTreeMap<StepId, Vertex>,
    /// What images come and go by name, each a vertex whose statuses are blobs.
    transfers: BTreeMap<(Direction, String), Transfers>,
    warned: Option<Vertex>,
}

/// Something that is done, as BuildKit tells of it: whoever reads it knows it by its digest.
#[derive(Clone, Debug)]
struct Vertex {
    digest: String,
    name: String,
    started: String,
}

#[derive(Debug)]
struct Transfers {
    vertex: Vertex,
    /// The blobs that are on their way, and since when.
    moving: BTreeMap<Digest, String>,
}

/// How a vertex ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Cached,
    Cancelled,
    Done,
    Failed,
}

/// The moment it is, as documents write it.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().to_string()
}

/// A remark as a line of the stream: something that was begun and is over.
pub(crate) fn note(text: &str) -> String {
    let vertex = Vertex::new("note", &format!("note: {text}"), now());
    escape(&json!({"vertexes": [vertex.ended(End::Done, &vertex.started)]}).to_string())
}

/// A finding as BuildKit's `client.VertexWarning`.
pub(crate) fn warning(source: &SourceFile, finding: &Diagnostic) -> Value {
    let line = json!({"line": source.line(finding)});
    let mut warning = json!({
        "vertex": Vertex::reading(source, "").digest,
        "level": 1,
        "short": STANDARD.encode(source.summary(finding)),
        "detail": finding.help.iter().map(|help| STANDARD.encode(help)).collect::<Vec<_>>(),
        "sourceInfo": {
            "filename": source.name,
            "data": STANDARD.encode(&source.text),
            "language": "Dockerfile",
        },
        "range": [{"start": line, "end": line}],
    });
    let rule = finding.rule.and_then(|name| RULES.iter().chain(OWN).find(|rule| rule.name == name));
    if let Some(rule) = rule {
        warning["url"] = rule.url().into();
    }
    warning
}

impl Vertex {
    fn new(kind: &str, name: &str, started: String) -> Self {
        let digest = Digest::of(format!("{kind} {name}").as_bytes()).to_string();
        Self { digest, name: name.to_owned(), started }
    }

    /// That in which a Dockerfile is read.
    fn reading(source: &SourceFile, now: &str) -> Self {
        let name = format!("[internal] load build definition from {}", source.name);
        Self::new("dockerfile", &name, now.to_owned())
    }

    fn running(&self) -> Value {
        json!({"digest": self.digest, "name": self.name, "started": self.started})
    }

    fn ended(&self, end: End, now: &str) -> Value {
        let mut object = self.running();
        object["completed"] = json!(now);
        match end {
            End::Cached => object["cached"] = json!(true),
            // What programs know a cancelled step by.
            End::Cancelled => object["error"] = json!("context canceled"),
            End::Failed => object["error"] = json!("the step failed"),
            End::Done => {}
        }
        object
    }
}

impl<W: Write> State<W> {
    fn write(&mut self, status: &Value) {
        // Where standard error is gone there is nobody to tell.
        let _ = writeln!(self.out, "{}", escape(&status.to_string()));
    }

    fn vertex(&mut self, vertex: &Value) {
        self.write(&json!({"vertexes": [vertex]}));
    }

    fn begin(&mut self, step: StepId, name: &str, now: String) {
        let vertex = Vertex::new(&format!("step {}", step.0), name, now);
        self.vertex(&vertex.running());
        self.steps.insert(step, vertex);
    }

    fn end(&mut self, step: StepId, end: End, now: &str) {
        if let Some(vertex) = self.steps.remove(&step) {
            self.vertex(&vertex.ended(end, now));
        }
    }

    fn log(&mut self, step: StepId, stream: Stream, bytes: &[u8], now: &str) {
        let Some(vertex) = self.steps.get(&step) else { return };
        let stream = match stream {
            Stream::Err => 2,
            Stream::Out => 1,
        };
        let log = json!({
            "vertex": vertex.digest,
            "stream": stream,
            "data": STANDARD.encode(bytes),
            "timestamp": now,
        });
        self.write(&json!({"logs": [log]}));
    }

    fn transfer(&mut self, transfer: &Transfer<'_>, now: &str) {
        let verb = match transfer.direction {
            Direction::Pull => "pulling",
            Direction::Push => "pushing",
        };
        let image = transfer.reference.canonical();
        let key = (transfer.direction, image);
        let mut known = self.transfers.remove(&key).unwrap_or_else(|| {
            let vertex = Vertex::new("transfer", &format!("{verb} {}", key.1), now.to_owned());
            Transfers { vertex, moving: BTreeMap::new() }
        });
        if known.moving.is_empty() {
            self.vertex(&known.vertex.running());
        }
        let started = known.moving.entry(transfer.digest).or_insert_with(|| now.to_owned()).clone();
        let mut status = json!({
            "id": transfer.digest.to_string(),
            "vertex": known.vertex.digest,
            "name": verb,
            "current": transfer.bytes,
            "total": transfer.size,
            "timestamp": now,
            "started": started,
        });
        if transfer.state != TransferState::Moving {
            status["completed"] = json!(now);
            known.moving.remove(&transfer.digest);
        }
        self.write(&json!({"statuses": [status]}));
        if known.moving.is_empty() {
            self.vertex(&known.vertex.ended(End::Done, now));
        }
        self.transfers.insert(key, known);
    }

    fn warn(&mut self, source: &SourceFile, finding: &Diagnostic, now: &str) {
        let known = self.warned.clone();
        let vertex = known.unwrap_or_else(|| {
            let vertex = Vertex::reading(source, now);
            self.vertex(&vertex.ended(End::Done, now));
            vertex
        });
        self.write(&json!({"warnings": [warning(source, finding)]}));
        self.warned = Some(vertex);
    }
}

impl<W: Write + Send> SolveStatuses<W> {
    /// A stream on `out`; warnings point at `source`.
    pub(crate) fn new(out: W, now: fn() -> String, source: SourceFile) -> Self {
        let (steps, transfers, warned) = Default::default();
        Self { now, source, state: Mutex::new(State { out, steps, transfers, warned }) }
    }
}

impl<W: Write + Send> Progress for SolveStatuses<W> {
    fn event(&self, event: &Event<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (self.now)();
        match *event {
            Event::Started { step, name } => state.begin(step, name, now),
            Event::Cached { step, name, .. } => {
                let vertex = Vertex::new(&format!("step {}", step.0), name, now.clone());
                state.vertex(&vertex.ended(End::Cached, &now));
            }
            Event::Output { step, stream, bytes } => state.log(step, stream, bytes, &now),
            Event::Explained { step, reason } => {
                state.log(step, Stream::Err, format!("because {reason}\n").as_bytes(), &now);
            }
            Event::Finished { step, .. } => state.end(step, End::Done, &now),
            Event::Cancelled { step, .. } => state.end(step, End::Cancelled, &now),
            Event::Failed { step, .. } => state.end(step, End::Failed, &now),
            Event::Transferred { transfer } => state.transfer(&transfer, &now),
            Event::CacheFailed { reason } => {
                let vertex = Vertex::new("cache", &format!("WARN {reason}"), now.clone());
                state.vertex(&vertex.ended(End::Done, &now));
            }
            Event::Warning { diagnostic } => state.warn(&self.source, diagnostic, &now),
            Event::Planned { .. } | _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wythe_builder::progress::Hit;
    use wythe_dockerfile::span::Span;

    use super::*;

    fn told(events: &[Event<'_>]) -> Vec<Value> {
        let source = SourceFile { name: "Dockerfile".to_owned(), text: "FROM a\n".to_owned() };
        let noon = || "2026-11-29T12:00:00Z".to_owned();
        let stream = SolveStatuses::new(Vec::new(), noon, source);
        for event in events {
            stream.event(event);
        }
        let written = String::from_utf8(stream.state.into_inner().unwrap().out).unwrap();
        written.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    const STEP: StepId = StepId(1);
    const ELAPSED: Duration = Duration::ZERO;

    #[test]
    fn a_step_is_a_vertex_from_its_beginning_to_its_end() {
        let output = Event::Output { step: STEP, stream: Stream::Err, bytes: b"hi\n" };
        let begin = Event::Started { step: STEP, name: "[1/1] RUN x" };
        let found = told(&[begin, output, Event::Finished { step: STEP, elapsed: ELAPSED }]);
        let digest = &found[0]["vertexes"][0]["digest"];
        assert!(digest.as_str().unwrap().starts_with("sha256:"));
        assert_eq!(found[0]["vertexes"][0]["name"], "[1/1] RUN x");
        assert_eq!(found[1]["logs"][0]["vertex"], *digest);
        assert_eq!(found[1]["logs"][0]["data"], "aGkK");
        assert_eq!((&found[1]["logs"][0]["stream"], found.len()), (&json!(2), 3));
        assert_eq!(found[2]["vertexes"][0]["digest"], *digest);
        assert_eq!(found[2]["vertexes"][0]["completed"], "2026-11-29T12:00:00Z");
    }

    #[test]
    fn how_a_step_ended_is_told_in_buildkits_words() {
        let begin = Event::Started { step: STEP, name: "x" };
        let end = |event| told(&[begin.clone(), event])[1]["vertexes"][0]["error"].clone();
        assert_eq!(end(Event::Cancelled { step: STEP, elapsed: ELAPSED }), "context canceled");
        assert_eq!(end(Event::Failed { step: STEP, elapsed: ELAPSED }), "the step failed");
        let cached = Event::Cached {
            step: STEP,
            name: "x",
            hit: Hit::Content,
            saved: ELAPSED,
            origin: None,
        };
        assert_eq!(told(&[cached])[0]["vertexes"][0]["cached"], true);
    }

    #[test]
    fn blobs_are_statuses_of_what_they_are_pulled_for() {
        let reference = "example.org/base:1".parse().unwrap();
        let at = |state, bytes| Event::Transferred {
            transfer: Transfer {
                direction: Direction::Pull,
                reference: &reference,
                digest: Digest::of(b""),
                state,
                bytes,
                size: 9,
            },
        };
        let found = told(&[at(TransferState::Moving, 0), at(TransferState::Done, 9)]);
        assert_eq!(found[0]["vertexes"][0]["name"], "pulling example.org/base:1");
        assert_eq!(found[1]["statuses"][0]["total"], 9);
        assert_eq!(found[2]["statuses"][0]["current"], 9);
        assert!(found[2]["statuses"][0]["completed"].is_string());
        assert!(found[3]["vertexes"][0]["completed"].is_string());
    }

    #[test]
    fn a_warning_points_at_a_line_of_a_vertex_that_was_told_of() {
        let diagnostic = Diagnostic::warning("Rule", Span::new(0, 4), "odd");
        let found = told(&[Event::Warning { diagnostic: &diagnostic }]);
        let vertex = &found[0]["vertexes"][0];
        assert_eq!(vertex["name"], "[internal] load build definition from Dockerfile");
        let warning = &found[1]["warnings"][0];
        assert_eq!(warning["vertex"], vertex["digest"]);
        assert_eq!(warning["range"][0]["start"]["line"], 1);
        assert_eq!(warning["sourceInfo"]["data"], STANDARD.encode("FROM a\n"));
    }
}
