//! S3, and what speaks as it does: the objects of one bucket.

mod multipart;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use wythe_registry::exchange::{OpenBody, ServiceAnswer, ServiceBody};

use crate::api::{self, Api, ApiCall, PATIENCE};
use crate::chain::Chain;
use crate::endpoint::{Flavour, Region, Service};
use crate::error::{AwsError, AwsProblem};
use crate::keys::Keys;
use crate::sign::{Payload, encode, sha256};
use crate::surroundings::Surroundings;

/// Objects from this size on are sent in parts, several at a time.
pub const MIN_IN_PARTS: u64 = 64 << 20;
/// A transfer of a body has so long in all, and a second more for every so many bytes: slower than that is stuck.
const TRANSFER: Duration = Duration::from_mins(2);
const SLOWEST: u64 = 256 << 10;

/// Which bucket, and how it is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BucketOptions {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub region: Region,
    /// Its server, where that is not AWS's: with scheme, without the bucket.
    pub endpoint: Option<String>,
    /// Where in an address its name stands.
    pub addressing: Addressing,
}

/// Where in an address the name of a bucket stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Addressing {
    /// In front of the host, as AWS wants it.
    #[default]
    Host,
    /// In the path, as most other servers have it.
    Path,
}

/// A bucket.
#[derive(Debug)]
pub struct Bucket {
    around: Arc<Surroundings>,
    chain: Arc<Chain>,
    options: BucketOptions,
    url: String,
    /// Set once the server was seen to know no conditions.
    knows_no_conditions: AtomicBool,
}

/// On which condition an object is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Condition<'a> {
    /// On none.
    Always,
    /// There is none of this key.
    IfAbsent,
    /// It has this tag still.
    IfUnchanged(&'a str),
}

/// What came of writing an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Put {
    /// It was written, on its condition.
    Written,
    /// It was written, and the server looked at no condition.
    WrittenAnyway,
    /// The condition does not hold, and nothing was written.
    Refused,
}

/// What is known of an object.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ObjectInfo {
    /// Its length in bytes, where the server says.
    pub size: Option<u64>,
    /// The tag of its present content.
    pub tag: Option<String>,
    /// When it was written last.
    pub modified: Option<Timestamp>,
}

/// What is written.
#[derive(Clone, Copy)]
pub struct ObjectBody<'a> {
    /// Opens it, once for every attempt.
    pub open: OpenBody<'a>,
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256 in hex digits, where it is known: the server refuses another body.
    pub sha256: Option<&'a str>,
    /// Its media type.
    pub media_type: &'a str,
}

impl std::fmt::Debug for ObjectBody<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("ObjectBody").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Bucket {
    /// A bucket, which nobody is asked about yet.
    pub fn new(around: Arc<Surroundings>, chain: Arc<Chain>, options: BucketOptions) -> Self {
        let named = options.endpoint.as_ref().map(|url| url.trim_end_matches('/').to_owned());
        let own = || Service::S3.url(&options.region, Flavour::of(&around), &around);
        let server = named.unwrap_or_else(own);
        // A certificate for all buckets is none for one with a dot in its name.
        let in_host = options.addressing == Addressing::Host && !options.name.contains('.');
        let url = match server.split_once("://") {
            Some((scheme, host)) if in_host => format!("{scheme}://{}.{host}", options.name),
            _ => format!("{server}/{}", options.name),
        };
        Self { around, chain, options, url, knows_no_conditions: AtomicBool::new(false) }
    }

    /// Where its objects are, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The moment it is, for the age of objects.
    pub fn moment(&self) -> Timestamp {
        self.around.clock.moment()
    }

    /// What is known of an object; `None` where there is none. Who may not list the bucket is told of none instead of
    /// being told that there is none, which is taken for the same.
    ///
    /// # Errors
    ///
    /// If the server is not reached, or refuses.
    pub fn head(&self, key: &str) -> Result<Option<ObjectInfo>, AwsError> {
        match self.call(&Simple { method: "HEAD", ..Simple::get(key) }, &[]) {
            Ok(answer) => Ok(Some(info(&answer))),
            Err(AwsError { problem: AwsProblem::Refused { status: 403 | 404, .. }, .. }) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// An object, or a part of it, which is not verified; `None` where there is none.
    ///
    /// # Errors
    ///
    /// As [`Self::head`].
    pub fn get(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<(ObjectInfo, ServiceAnswer)>, AwsError> {
        // A range has no form for nothing.
        let last = |range: &Range<u64>| range.end.saturating_sub(1).max(range.start);
        let range = range.map(|range| format!("bytes={}-{}", range.start, last(&range)));
        let headers: Vec<(String, String)> =
            range.into_iter().map(|range| ("range".to_owned(), range)).collect();
        match self.call(&Simple { patience: None, ..Simple::get(key) }, &headers) {
            Ok(answer) => Ok(Some((info(&answer), answer))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes an object; in parts, so many at a time, if it is long.
    ///
    /// # Errors
    ///
    /// If the server is not reached or refuses, or the body cannot be read.
    pub fn put(
        &self,
        key: &str,
        body: &ObjectBody<'_>,
        (condition, parallel): (Condition<'_>, usize),
    ) -> Result<Put, AwsError> {
        let given = condition != Condition::Always;
        if given && self.knows_no_conditions.load(Ordering::Relaxed) {
            self.write(key, body, (Condition::Always, parallel))?;
            return Ok(Put::WrittenAnyway);
        }
        match self.write(key, body, (condition, parallel)) {
            Ok(()) => Ok(Put::Written),
            Err(error) if given && is_unmet(&error) => Ok(Put::Refused),
            Err(error) if given && is_unknown(&error) => {
                self.knows_no_conditions.store(true, Ordering::Relaxed);
                self.put(key, body, (condition, parallel))
            }
            Err(error) => Err(error),
        }
    }

    fn write(
        &self,
        key: &str,
        body: &ObjectBody<'_>,
        (condition, parallel): (Condition<'_>, usize),
    ) -> Result<(), AwsError> {
        if MIN_IN_PARTS <= body.size {
            return self.put_in_parts(key, body, (condition, parallel));
        }
        let mut headers = condition.headers();
        headers.push(("content-type".to_owned(), body.media_type.to_owned()));
        let payload = body.sha256.map_or(Payload::Unsigned, Payload::Announced);
        let call = Simple {
            operation: "s3:PutObject",
            method: "PUT",
            body: ServiceBody::Stream(body.open, body.size),
            payload,
            patience: Some(patience(body.size)),
            ..Simple::get(key)
        };
        self.call(&call, &headers).map(drop)
    }

    /// Makes an object as young as one that was written now.
    ///
    /// # Errors
    ///
    /// As [`Self::head`]; or if it is longer than 5 GiB, which S3 copies in parts only.
    pub fn touch(&self, key: &str, media_type: &str) -> Result<(), AwsError> {
        let source = format!("/{}/{}", self.options.name, encode(key, "/"));
        let headers = [
            ("x-amz-copy-source".to_owned(), source),
            ("x-amz-metadata-directive".to_owned(), "REPLACE".to_owned()),
            ("content-type".to_owned(), media_type.to_owned()),
        ];
        let operation = "s3:PutObject";
        let call =
            Simple { operation, method: "PUT", patience: Some(TRANSFER), ..Simple::get(key) };
        let answer = self.call(&call, &headers)?;
        finished(operation, answer).map(drop)
    }

    fn call(
        &self,
        simple: &Simple<'_, '_>,
        headers: &[(String, String)],
    ) -> Result<ServiceAnswer, AwsError> {
        let (region, around) = (&self.options.region, &*self.around);
        let api = Api { around, service: Service::S3, region, url: &self.url };
        let path = format!("/{}", simple.key);
        let call = ApiCall {
            operation: simple.operation,
            method: simple.method,
            path: &path,
            query: simple.query,
            headers,
            body: simple.body,
            payload: simple.payload,
            patience: simple.patience,
        };
        // Keys are got before: their search has attempts of its own.
        self.chain.with_keys(|keys: &Keys| {
            api::attempts(&*self.around.timing, || api.send(Some(keys), &call))
        })
    }
}

/// What differs from one call to the next.
#[derive(Clone, Copy, Debug)]
struct Simple<'a, 'b> {
    operation: &'a str,
    method: &'a str,
    key: &'a str,
    query: &'a [(String, String)],
    body: ServiceBody<'b>,
    payload: Payload<'a>,
    patience: Option<Duration>,
}

impl<'a> Simple<'a, '_> {
    /// A `GET` without a body.
    fn get(key: &'a str) -> Self {
        Self {
            operation: "s3:GetObject",
            method: "GET",
            key,
            query: &[],
            body: ServiceBody::Empty,
            payload: Payload::Announced(EMPTY),
            patience: Some(PATIENCE),
        }
    }
}

/// The SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

impl Condition<'_> {
    fn headers(self) -> Vec<(String, String)> {
        match self {
            Self::Always => Vec::new(),
            Self::IfAbsent => vec![("if-none-match".to_owned(), "*".to_owned())],
            Self::IfUnchanged(tag) => vec![("if-match".to_owned(), tag.to_owned())],
        }
    }
}

fn info(answer: &ServiceAnswer) -> ObjectInfo {
    let modified = answer
        .header("last-modified")
        .and_then(|text| Timestamp::try_from(httpdate::parse_http_date(text).ok()?).ok());
    ObjectInfo {
        size: answer.header("content-length").and_then(|text| text.parse().ok()),
        tag: answer.header("etag").map(str::to_owned),
        modified,
    }
}

/// Whether there is no such object, in a bucket that there is.
fn is_absent(error: &AwsError) -> bool {
    error.status() == Some(404) && error.code() != Some("NoSuchBucket")
}

/// Whether a condition did not hold. An object that was to be unchanged and is gone has changed.
fn is_unmet(error: &AwsError) -> bool {
    error.status() == Some(412) || is_absent(error)
}

/// Whether the server knows no conditions.
fn is_unknown(error: &AwsError) -> bool {
    error.status() == Some(501) || error.code() == Some("NotImplemented")
}

fn patience(size: u64) -> Duration {
    TRANSFER + Duration::from_secs(size / SLOWEST)
}

/// The text of an answer that may say only in its body that nothing came of it.
fn finished(operation: &str, answer: ServiceAnswer) -> Result<String, AwsError> {
    let status = answer.status;
    let text = String::from_utf8_lossy(&api::read(operation, answer)?).into_owned();
    if text.contains("<Error>") {
        let of = |name| crate::xml::text_of(&text, name).unwrap_or_default();
        let problem = AwsProblem::refused(status, &of("Code"), &of("Message"));
        return Err(AwsError::new(operation, problem));
    }
    Ok(text)
}

/// The SHA-256 of bytes that are written whole, as [`ObjectBody::sha256`] has it.
pub fn digest_of(bytes: &[u8]) -> String {
    sha256(bytes)
}

#[cfg(test)]
mod tests;
