//! A trace in the JSON of OTLP: ids in hexadecimal digits, long numbers as text.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wythe_store::id::hex;

use super::span::{Attribute, Span, Trace};

/// The numbers of OTLP for a span of this process, and for one that failed.
pub(super) const INTERNAL: u64 = 1;
pub(super) const ERROR: u64 = 2;

/// The body of a request.
pub(super) fn encode(trace: &Trace, resource: &BTreeMap<String, String>) -> Vec<u8> {
    let resource: Vec<Value> = resource
        .iter()
        .map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}))
        .collect();
    let spans: Vec<Value> = trace.spans.iter().map(|one| span(trace, one)).collect();
    let scope = json!({"name": "wythe", "version": env!("CARGO_PKG_VERSION")});
    let request = json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": scope, "spans": spans}],
    }]});
    request.to_string().into_bytes()
}

fn span(trace: &Trace, span: &Span) -> Value {
    let id = hex(&trace.id);
    let links = span.links.iter().map(|link| json!({"traceId": id, "spanId": hex(link)}));
    let attributes = span.attributes.iter().map(|(key, value)| {
        let value = match value {
            Attribute::Flag(flag) => json!({"boolValue": flag}),
            Attribute::Number(number) => json!({"intValue": number.to_string()}),
            Attribute::Text(text) => json!({"stringValue": text}),
        };
        json!({"key": key, "value": value})
    });
    let mut object = json!({
        "traceId": id,
        "spanId": hex(&span.id),
        "name": span.name,
        "kind": INTERNAL,
        "startTimeUnixNano": span.start.to_string(),
        "endTimeUnixNano": span.end.to_string(),
        "attributes": attributes.collect::<Vec<_>>(),
        "links": links.collect::<Vec<_>>(),
    });
    if let Some(parent) = span.parent {
        object["parentSpanId"] = hex(&parent).into();
    }
    if !trace.state.is_empty() {
        object["traceState"] = trace.state.as_str().into();
    }
    if let Some(why) = &span.error {
        object["status"] = json!({"code": ERROR, "message": why});
    }
    object
}

#[cfg(test)]
mod tests {
    use super::super::span::tests::trace;
    use super::*;

    #[test]
    fn a_trace_has_the_form_that_collectors_read() {
        let trace = trace(None);
        let resource = [("service.name".to_owned(), "ci".to_owned())].into();
        let body: Value = serde_json::from_slice(&encode(&trace, &resource)).unwrap();
        let of = &body["resourceSpans"][0];
        assert_eq!(of["resource"]["attributes"][0]["value"]["stringValue"], "ci");
        let spans = &of["scopeSpans"][0]["spans"];
        assert_eq!(spans[0]["traceId"].as_str().unwrap().len(), 32);
        assert_eq!(spans[2]["links"][0]["spanId"], spans[1]["spanId"]);
        assert_eq!(spans[2]["parentSpanId"], spans[0]["spanId"]);
        assert_eq!(spans[2]["status"]["code"], 2);
        assert_eq!(spans[2]["startTimeUnixNano"], "5000010000");
        assert!(spans[0].get("parentSpanId").is_none() && spans[1].get("status").is_none());
    }
}
