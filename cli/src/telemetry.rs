//! A build as a trace of OpenTelemetry, sent by OTLP over HTTP where the environment says where to.
//!
//! It is sent once, when the build is over, and whatever becomes of it the build has ended as it has.

mod json;
mod protobuf;
mod span;

use std::collections::BTreeMap;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use wythe_registry::exchange::{Route, ServiceBody, ServiceRequest};

use self::span::{Parent, Trace};
use crate::build_record::BuildRecord;
use crate::build_record::discretion::Discretion;
use crate::registry_client::service_client;
use crate::session::Session;
use crate::settings::Settings;

/// How long a build waits for who takes traces: less than anybody notices, and enough for one request.
const BUDGET: Duration = Duration::from_secs(2);

/// What is appended to an endpoint that is for all signals.
const TRACES: &str = "/v1/traces";

/// Where traces go, and in which form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Telemetry {
    url: String,
    headers: Vec<(String, String)>,
    form: Form,
    patience: Duration,
    parent: Option<Parent>,
    /// What is said of who sends: `service.name` and what else the environment says.
    resource: BTreeMap<String, String>,
}

/// How a trace is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Json,
    Protobuf,
}

impl Telemetry {
    /// What the environment asks for, if it does.
    ///
    /// # Errors
    ///
    /// With a sentence on what of it cannot be done.
    pub(crate) fn of(settings: &Settings) -> Result<Option<Self>, String> {
        let text = |name: &str| settings.text(name).filter(|text| !text.trim().is_empty());
        let of_traces = |name: &str| {
            text(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"))
                .or_else(|| text(&format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        let is =
            |name: &str, word: &str| text(name).is_some_and(|text| text.eq_ignore_ascii_case(word));
        if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return Ok(None);
        }
        let whole = text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        let base = text("OTEL_EXPORTER_OTLP_ENDPOINT");
        let base = base.map(|base| format!("{}{TRACES}", base.trim_end_matches('/')));
        let Some(url) = whole.or(base) else { return Ok(None) };
        let form = match of_traces("PROTOCOL").as_deref() {
            None | Some("http/protobuf") => Form::Protobuf,
            Some("http/json") => Form::Json,
            Some(other) => {
                return Err(format!(
                    "OTEL_EXPORTER_OTLP_PROTOCOL: {other} is not spoken, but http/protobuf and http/json are"
                ));
            }
        };
        let asked = of_traces("TIMEOUT").and_then(|text| text.parse().ok());
        let patience = asked.map_or(BUDGET, Duration::from_millis).min(BUDGET);
        let parent = text("TRACEPARENT").and_then(|text| Parent::of(&text));
        if parent.as_ref().is_some_and(|parent| !parent.is_sampled) {
            return Ok(None);
        }
        let state = text("TRACESTATE").unwrap_or_default();
        let parent = parent.map(|parent| Parent { state, ..parent });
        let mut resource: BTreeMap<String, String> =
            pairs(&text("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default()).into_iter().collect();
        if let Some(name) = text("OTEL_SERVICE_NAME") {
            resource.insert("service.name".to_owned(), name);
        }
        resource.entry("service.name".to_owned()).or_insert_with(|| "wythe".to_owned());
        let headers = pairs(&of_traces("HEADERS").unwrap_or_default());
        Ok(Some(Self { url, headers, form, patience, parent, resource }))
    }

    /// Sends the trace of a build; what hinders that is told, and nothing more.
    pub(crate) fn send(&self, record: &BuildRecord, session: &Session) {
        let trace = Trace::of(record, self.parent.as_ref());
        let (kind, body) = match self.form {
            Form::Json => ("application/json", json::encode(&trace, &self.resource)),
            Form::Protobuf => ("application/x-protobuf", protobuf::encode(&trace, &self.resource)),
        };
        let mut headers = self.headers.clone();
        headers.push(("content-type".to_owned(), kind.to_owned()));
        let request = ServiceRequest {
            method: "POST",
            url: &self.url,
            headers: &headers,
            body: ServiceBody::Bytes(&body),
            route: Route::Configured,
            patience: Some(self.patience),
        };
        let why = match service_client(&session.global, &session.settings).exchange(&request) {
            Ok(answer) if answer.status < 300 => return,
            Ok(answer) => format!("the answer has status {}", answer.status),
            Err(error) => error.to_string(),
        };
        let why = Discretion::default().owned(&why);
        session.remark(&format!("the trace of the build was not sent: {why}"));
    }
}

/// `KEY=VALUE,KEY=VALUE` with escapes of addresses, as the variables of OpenTelemetry have it.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (unescaped(key.trim()), unescaped(value.trim()))).collect()
}

/// A text whose `%20` are what they stand for; what is no escape stays.
fn unescaped(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use serde_json::Value;

    use super::*;
    use crate::args::Cli;
    use crate::build_record::shelf::tests::record;

    fn of(pairs: &[(&str, &str)]) -> Result<Option<Telemetry>, String> {
        Telemetry::of(&Settings::of(pairs))
    }

    #[test]
    fn nothing_is_sent_unless_the_environment_says_where_to() {
        let to = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&[to, ("OTEL_SDK_DISABLED", "true")]), Ok(None));
        assert_eq!(of(&[to, ("OTEL_TRACES_EXPORTER", "none")]), Ok(None));
        let unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        assert_eq!(of(&[to, ("TRACEPARENT", unsampled)]), Ok(None));
        assert_eq!(of(&[to]).unwrap().unwrap().url, "http://c:4318/v1/traces");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t/x");
        assert_eq!(of(&[to, own]).unwrap().unwrap().url, "http://t/x");
        let told = of(&[to, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap_err();
        assert!(told.contains("grpc") && told.contains("http/protobuf"), "{told}");
    }

    #[test]
    fn what_the_environment_says_of_the_sender_is_taken() {
        let found = of(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x, k = v"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "60000"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=ignored,team=a%2Cb"),
            ("OTEL_SERVICE_NAME", "ci"),
        ]);
        let found = found.unwrap().unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(found.headers, [pair("authorization", "Bearer x"), pair("k", "v")]);
        assert_eq!(found.patience, BUDGET);
        assert_eq!(found.resource, [pair("service.name", "ci"), pair("team", "a,b")].into());
    }

    /// Takes one request, answers with a status, and returns what it was sent.
    fn receiver(status: &'static str) -> (String, JoinHandle<(String, Vec<u8>)>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut line) = (String::new(), String::new());
            while reader.read_line(&mut line).unwrap() > 2 {
                head += &line.to_lowercase();
                line.clear();
            }
            let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").unwrap();
            (head, body)
        });
        (url, thread)
    }

    fn send(pairs: &[(&str, &str)]) {
        let global = Cli::of(&["wythe", "--progress=quiet", "version"]).unwrap().global;
        let session = Session::new(global, Settings::of(pairs), None);
        Telemetry::of(&session.settings).unwrap().unwrap().send(&record(5, "abc"), &session);
    }

    #[test]
    fn a_receiver_gets_one_request_with_the_trace() {
        let (url, thread) = receiver("200 OK");
        send(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-team=a"),
        ]);
        let (head, body) = thread.join().unwrap();
        assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
        assert!(
            head.contains("content-type: application/json") && head.contains("x-team: a"),
            "{head}"
        );
        let body: Value = serde_json::from_slice(&body).unwrap();
        let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
        assert_eq!(spans[0]["name"], "build app");
    }

    #[test]
    fn a_receiver_that_refuses_or_is_not_there_costs_nothing() {
        let (url, thread) = receiver("503 Unavailable");
        send(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]);
        let (head, _) = thread.join().unwrap();
        assert!(head.contains("content-type: application/x-protobuf"), "{head}");
        send(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]);
        send(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "no address")]);
    }
}
