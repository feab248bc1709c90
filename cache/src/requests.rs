//! Requests to services that keep a cache: how often they are tried, how long each may take, and what their
//! refusals mean.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use wythe_registry::client::Client;
use wythe_registry::exchange::{self, Route, ServiceAnswer, ServiceBody, ServiceRequest};
use wythe_registry::retry;
use wythe_registry::settings::Timing;
use wythe_store::cache_backend::{CacheError, CacheProblem};

/// How much of a refusal is shown.
const MAX_TOLD: u64 = 512;
/// Storage services redirect once or twice.
const MAX_REDIRECTS: u32 = 5;
/// A service that takes longer to answer a question without a body is one to go on without.
const QUESTION: Duration = Duration::from_secs(20);
/// The slowest connection that is worth its while: 128 KiB a second.
const SLOWEST: u64 = 128 << 10;
/// How often a request is tried in all. A build waits for it, and can go on without.
const ATTEMPTS: u32 = 4;

/// Sends requests in the name of one backend.
#[derive(Debug)]
pub(crate) struct Requests {
    client: Client,
    timing: Arc<dyn Timing>,
    name: String,
    busy: Busy,
}

/// What is done when a service answers 429.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Busy {
    /// It is asked again as soon as it allows.
    Wait,
    /// It is not asked again.
    GiveUp,
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a, 'body> {
    pub(crate) method: &'a str,
    pub(crate) url: &'a str,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) body: ServiceBody<'body>,
    /// How many bytes go either way, beside headers: what the time it may take is measured by.
    pub(crate) bytes: u64,
}

impl Requests {
    pub(crate) fn new(client: Client, timing: Arc<dyn Timing>, name: String, busy: Busy) -> Self {
        Self { client, timing, name, busy }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn timing(&self) -> &dyn Timing {
        &*self.timing
    }

    pub(crate) fn error(&self, problem: CacheProblem) -> CacheError {
        CacheError { backend: self.name.clone(), problem }
    }

    pub(crate) fn protocol(&self, detail: impl Into<String>) -> CacheError {
        self.error(CacheProblem::Protocol { detail: detail.into() })
    }

    /// What a service answers, once it is none of the answers that pass.
    pub(crate) fn send(&self, ask: &Ask<'_, '_>) -> Result<ServiceAnswer, CacheError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (outcome, asked) = match self.follow(ask) {
                Ok(answer) if self.passes(answer.status) => {
                    let asked = answer.header("retry-after").and_then(|text| text.parse().ok());
                    (Ok(answer), asked)
                }
                Ok(answer) => return Ok(answer),
                Err(error) if matches!(error.problem, CacheProblem::Network { .. }) => {
                    (Err(error), None)
                }
                Err(error) => return Err(error),
            };
            if attempt == ATTEMPTS {
                return outcome;
            }
            match retry::delay(&*self.timing, attempt, asked) {
                Some(time) => self.timing.sleep(time),
                None => return outcome,
            }
        }
    }

    fn passes(&self, status: u16) -> bool {
        match status {
            429 => self.busy == Busy::Wait,
            408 | 500 | 502 | 503 | 504 => true,
            _ => false,
        }
    }

    /// One attempt. What only reads follows redirects, and shows who asks to nobody but who was asked first.
    fn follow(&self, ask: &Ask<'_, '_>) -> Result<ServiceAnswer, CacheError> {
        let mut url = ask.url.to_owned();
        let mut headers = ask.headers.to_vec();
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.once(&Ask { url: &url, headers: &headers, ..*ask })?;
            let reads = matches!(ask.method, "GET" | "HEAD");
            if !(reads && matches!(answer.status, 301 | 302 | 303 | 307 | 308)) {
                return Ok(answer);
            }
            let to = answer.header("location").unwrap_or_default();
            let next = exchange::redirected(&url, to);
            let next = next.map_err(|problem| self.protocol(problem.to_string()))?;
            if !next.is_same_origin {
                headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
            }
            url = next.url;
        }
        Err(self.protocol("there are too many redirects"))
    }

    fn once(&self, ask: &Ask<'_, '_>) -> Result<ServiceAnswer, CacheError> {
        let Ask { method, url, headers, body, bytes } = *ask;
        let patience = Some(QUESTION + Duration::from_secs(bytes / SLOWEST));
        // What opens a stream for longer does so for this request, too.
        let opened;
        let body = match body {
            ServiceBody::Empty => ServiceBody::Empty,
            ServiceBody::Bytes(bytes) => ServiceBody::Bytes(bytes),
            ServiceBody::Stream(open, length) => {
                opened = move || Ok(open()? as Box<dyn Read + Send>);
                ServiceBody::Stream(&opened, length)
            }
        };
        let request =
            ServiceRequest { method, url, headers, body, route: Route::Configured, patience };
        let answer = self.client.exchange(&request);
        answer.map_err(|error| self.error(CacheProblem::Network { detail: error.to_string() }))
    }

    /// The whole body of an answer that has at most `limit` bytes.
    pub(crate) fn whole(&self, answer: ServiceAnswer, limit: u64) -> Result<Vec<u8>, CacheError> {
        let mut body = Vec::new();
        let read = answer.body.take(limit + 1).read_to_end(&mut body);
        read.map_err(|error| self.error(CacheProblem::Network { detail: error.to_string() }))?;
        if body.len() as u64 > limit {
            return Err(self.protocol(format!("more than {limit} bytes")));
        }
        Ok(body)
    }

    /// The error that an answer stands for which is not the one hoped for.
    pub(crate) fn refused(&self, what: &str, answer: ServiceAnswer) -> CacheError {
        let status = answer.status;
        let after = answer.header("retry-after").and_then(|text| text.parse().ok());
        let mut told = Vec::new();
        // What can be read of it is shown; the status stands either way.
        let _ = answer.body.take(MAX_TOLD).read_to_end(&mut told);
        let told = String::from_utf8_lossy(&told);
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        let colon = if told.is_empty() { "" } else { ": " };
        let detail = format!("{what}: status {status}{colon}{told}");
        self.error(match status {
            401 | 403 => CacheProblem::Unauthorized { detail },
            404 | 410 => CacheProblem::NotFound { detail },
            413 | 507 => CacheProblem::Full { detail },
            429 => CacheProblem::RateLimited { detail, after: after.map(Duration::from_secs) },
            408 | 500 | 502 | 503 | 504 => CacheProblem::Network { detail },
            _ => CacheProblem::Protocol { detail },
        })
    }
}

/// The headers of a request.
pub(crate) fn headers<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}
