//! Calls to services: signed, and repeated where that may help.

use std::io::Read;
use std::time::Duration;

use serde::Deserialize;
use wythe_registry::exchange::{Route, ServiceAnswer, ServiceBody, ServiceRequest};
use wythe_registry::settings::Timing;

use crate::endpoint::{Region, Service};
use crate::error::{AwsError, AwsProblem};
use crate::keys::Keys;
use crate::sign::{PathForm, Payload, Scope, Unsigned, encode, query, sha256, sign};
use crate::surroundings::Surroundings;
use crate::xml;

/// Attempts in all.
const MAX_ATTEMPTS: u32 = 5;
/// The first delay is up to this long, each further one up to twice the one before.
const FIRST_DELAY: Duration = Duration::from_millis(250);
/// No delay is longer, whatever the service asks for.
const MAX_DELAY: Duration = Duration::from_secs(20);
/// Answers of control planes are short; one that does not end would fill the memory.
const MAX_ANSWER: u64 = 1 << 20;
/// How long a control plane may take for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A service at an address.
#[derive(Clone, Debug)]
pub(crate) struct Api<'a> {
    pub(crate) around: &'a Surroundings,
    pub(crate) service: Service,
    pub(crate) region: &'a Region,
    /// The address, without a slash at the end.
    pub(crate) url: &'a str,
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApiCall<'a, 'b> {
    /// What it is called in errors, as IAM names the action.
    pub(crate) operation: &'a str,
    pub(crate) method: &'a str,
    /// From the first slash, not encoded.
    pub(crate) path: &'a str,
    pub(crate) query: &'a [(String, String)],
    pub(crate) headers: &'a [(String, String)],
    pub(crate) body: ServiceBody<'b>,
    pub(crate) payload: Payload<'a>,
    pub(crate) patience: Option<Duration>,
}

impl Api<'_> {
    /// Sends a call, signed if there are keys, once. What is no success is an error.
    pub(crate) fn send(
        &self,
        keys: Option<&Keys>,
        call: &ApiCall<'_, '_>,
    ) -> Result<ServiceAnswer, AwsError> {
        let fail = |problem: AwsProblem| AwsError::new(call.operation, problem);
        let wrong = || fail(AwsProblem::Address { url: self.url.to_owned() });
        let (host, base) = split(self.url).ok_or_else(wrong)?;
        let path = format!("{base}{}", encode(call.path, "/"));
        let mut headers = call.headers.to_vec();
        if let Some(keys) = keys {
            let request = Unsigned {
                method: call.method,
                host: &host,
                path: &path,
                path_form: self.path_form(),
                query: call.query,
                headers: call.headers,
                payload: call.payload,
            };
            let (region, service) = (self.region.as_str(), self.service.signing_name());
            let now = self.around.clock.moment();
            headers.extend(sign(&request, Scope { region, service }, keys, now));
        }
        let scheme = self.url.split_once("://").map_or("https", |(scheme, _)| scheme);
        let mark = if call.query.is_empty() { "" } else { "?" };
        let url = format!("{scheme}://{host}{path}{mark}{}", query(call.query));
        let reopen;
        let body = match call.body {
            ServiceBody::Empty => ServiceBody::Empty,
            ServiceBody::Bytes(bytes) => ServiceBody::Bytes(bytes),
            ServiceBody::Stream(open, length) => {
                // The same, for as long as this request.
                reopen = move || open();
                ServiceBody::Stream(&reopen, length)
            }
        };
        let answer = self.around.client.exchange(&ServiceRequest {
            method: call.method,
            url: &url,
            headers: &headers,
            body,
            route: Route::Configured,
            patience: call.patience,
        });
        let answer = answer.map_err(|error| fail(error.into()))?;
        if (200..300).contains(&answer.status) { Ok(answer) } else { Err(fail(refusal(answer))) }
    }

    fn path_form(&self) -> PathForm {
        if self.service == Service::S3 { PathForm::AsSent } else { PathForm::Encoded }
    }

    /// Sends a call of the JSON protocols, and reads the answer.
    pub(crate) fn json(
        &self,
        keys: Option<&Keys>,
        (operation, target): (&str, &str),
        body: &serde_json::Value,
    ) -> Result<serde_json::Value, AwsError> {
        let body = body.to_string();
        let headers = [
            ("content-type".to_owned(), "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target".to_owned(), target.to_owned()),
        ];
        let text = self.post(keys, (operation, &headers), body.as_bytes())?;
        serde_json::from_slice(&text)
            .map_err(|_| AwsError::new(operation, AwsProblem::Answer { what: "JSON" }))
    }

    /// Posts bytes, and returns those that come back.
    pub(crate) fn post(
        &self,
        keys: Option<&Keys>,
        (operation, headers): (&str, &[(String, String)]),
        body: &[u8],
    ) -> Result<Vec<u8>, AwsError> {
        let digest = sha256(body);
        let call = ApiCall {
            operation,
            method: "POST",
            path: "/",
            query: &[],
            headers,
            body: ServiceBody::Bytes(body),
            payload: Payload::Hashed(&digest),
            patience: Some(PATIENCE),
        };
        attempts(&*self.around.timing, || read(operation, self.send(keys, &call)?))
    }
}

/// All of an answer.
pub(crate) fn read(operation: &str, answer: ServiceAnswer) -> Result<Vec<u8>, AwsError> {
    let mut bytes = Vec::new();
    let read = answer.body.take(MAX_ANSWER + 1).read_to_end(&mut bytes);
    let whole = read.is_ok_and(|length| length as u64 <= MAX_ANSWER);
    let wrong = || AwsError::new(operation, AwsProblem::Answer { what: "end" });
    if whole { Ok(bytes) } else { Err(wrong()) }
}

/// The host of an address, with its port where that is not the scheme's, and the path.
fn split(url: &str) -> Option<(String, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let usual = if scheme == "https" { ":443" } else { ":80" };
    let host = host.strip_suffix(usual).unwrap_or(host).to_ascii_lowercase();
    (matches!(scheme, "http" | "https") && !host.is_empty() && !host.contains('@'))
        .then_some((host, path))
}

/// What an answer without success says.
fn refusal(answer: ServiceAnswer) -> AwsProblem {
    #[derive(Default, Deserialize)]
    struct ErrorBody {
        #[serde(rename = "__type")]
        kind: Option<String>,
        message: Option<String>,
        /// Some services write it so, and some do both.
        #[serde(rename = "Message")]
        capital: Option<String>,
    }
    let status = answer.status;
    let named = answer.header("x-amzn-errortype").map(str::to_owned);
    // S3 sends whoever asks in the wrong region there, and to a `HEAD` it says so in this header alone.
    let region = answer.header("x-amz-bucket-region").filter(|_| matches!(status, 301 | 307 | 400));
    let region = region.map(|region| format!("the bucket is in the region {region}"));
    let mut body = Vec::new();
    // What can be read of it is told; the status stands either way.
    let _ = answer.body.take(MAX_ANSWER).read_to_end(&mut body);
    let text = String::from_utf8_lossy(&body);
    let said: ErrorBody = serde_json::from_slice(&body).unwrap_or_default();
    let code = named.filter(|name| !name.is_empty()).or(said.kind).unwrap_or_default();
    // `com.amazonaws.ecr#RepositoryNotFoundException:http://…`
    let code = code.split(':').next().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default();
    let of = |own: &str, name: &str| {
        let own = Some(own.to_owned()).filter(|own| !own.is_empty());
        own.or_else(|| xml::text_of(&text, name))
    };
    let code = of(code, "Code").unwrap_or_else(|| format!("status {status}"));
    let told = said.message.or(said.capital).unwrap_or_default();
    let message = region.or_else(|| of(&told, "Message")).unwrap_or_default();
    AwsProblem::refused(status, &code, &message)
}

/// Repeats what fails for reasons that pass, after a random share of a doubling time: many that failed together do
/// not come back together.
pub(crate) fn attempts<T>(
    timing: &dyn Timing,
    mut attempt: impl FnMut() -> Result<T, AwsError>,
) -> Result<T, AwsError> {
    let mut number = 0;
    loop {
        let error = match attempt() {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        number += 1;
        if number == MAX_ATTEMPTS || !error.is_transient() {
            return Err(error);
        }
        let limit = (FIRST_DELAY * (1 << number)).min(MAX_DELAY);
        let longest = u64::try_from(limit.as_millis()).expect("seconds at most");
        timing.sleep(Duration::from_millis(timing.random() % (longest + 1)));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use wythe_registry::fake::timing::InstantTiming;

    use super::*;

    fn answer(status: u16, kind: Option<&str>, body: &'static str) -> ServiceAnswer {
        let headers: BTreeMap<String, String> =
            kind.iter().map(|kind| ("x-amzn-errortype".to_owned(), (*kind).to_owned())).collect();
        ServiceAnswer { status, headers, body: Box::new(body.as_bytes()) }
    }

    #[test]
    fn errors_are_read_in_every_form_that_services_have() {
        let code = |answer| AwsError::new("x", refusal(answer)).code().map(str::to_owned);
        let json = r#"{"__type":"com.amazonaws.ecr#LimitExceededException","message":"no"}"#;
        assert_eq!(code(answer(400, None, json)).as_deref(), Some("LimitExceededException"));
        let kind = Some("InvalidParameterException:http://internal.amazon.com/");
        assert_eq!(code(answer(400, kind, "{}")).as_deref(), Some("InvalidParameterException"));
        let xml = "<ErrorResponse><Error><Code>Throttling</Code><Message>m</Message></Error></ErrorResponse>";
        assert_eq!(code(answer(400, None, xml)).as_deref(), Some("Throttling"));
        assert_eq!(code(answer(502, None, "<html>")).as_deref(), Some("status 502"));
        let denied = r#"{"__type":"AccessDeniedException","Message":"User: u is not authorized to perform: a:B"}"#;
        let null = r#"{"__type":"AccessDeniedException","message":"User: u is not authorized to perform: a:B","Message":null}"#;
        let both = r#"{"__type":"AccessDeniedException","message":"User: u is not authorized to perform: a:B","Message":"the same"}"#;
        for denied in [denied, null, both] {
            let AwsProblem::Denied { missing, .. } = refusal(answer(400, None, denied)) else {
                panic!("not denied: {denied}")
            };
            assert_eq!(missing.action.as_deref(), Some("a:B"));
        }
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
        let count = |status, code: &str| {
            let mut count = 0;
            let timing = InstantTiming::default();
            let result: Result<(), _> = attempts(&timing, || {
                count += 1;
                Err(AwsError::new("x", AwsProblem::refused(status, code, "")))
            });
            assert!(result.is_err());
            count
        };
        assert_eq!(count(503, "SlowDown"), MAX_ATTEMPTS);
        assert_eq!(count(400, "ValidationError"), 1);
    }

    #[test]
    fn an_address_is_signed_as_it_is_sent() {
        let of = |url| split(url).map(|(host, path)| (host, path.to_owned()));
        let found = |host: &str, path: &str| Some((host.to_owned(), path.to_owned()));
        assert_eq!(of("https://API.ecr.x:443"), found("api.ecr.x", ""));
        assert_eq!(of("http://127.0.0.1:5000/s"), found("127.0.0.1:5000", "/s"));
        for url in ["127.0.0.1:1", "ftp://x", "http://", "http://u:p@x"] {
            assert_eq!(of(url), None, "{url}");
        }
    }
}
