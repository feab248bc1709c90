//! Single HTTP exchanges: TLS, proxies and redirects. Nobody else but the agent knows the HTTP library.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use rustls::InvalidMessage;
use url::Url;

use crate::agent::{Agent, Fed, Response};
use crate::error::{self, RegistryError, RegistryProblem, without_query};
use crate::exchange::Route;
use crate::hosts::Security;
use crate::origin;
use crate::places;
use crate::proxy;
use crate::settings::{Settings, Timing};
use crate::tls::{self, Tls};

/// A server that cannot be reached is given up after this; a slow one is not.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// A peer that acknowledges nothing for this long is gone.
const STALL_TIMEOUT: Duration = Duration::from_mins(2);
/// Storage services redirect once or twice.
const MAX_REDIRECTS: usize = 5;
/// How much of an error's body is shown.
const MAX_ERROR_BODY: u64 = 1 << 10;
/// How long a server has to show that it speaks TLS before it is taken for one that does not.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
/// The same on a loopback address. A handshake takes milliseconds there, also of a busy machine; a server of plain HTTP that
/// waits for the rest of a request, which no handshake is, would cost each command the whole of the above.
const LOOPBACK_PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a redirect of a request that changes something is not followed.
const NOT_REPEATED: &str = "other than 307 and 308, it does not ask for the same request there";
/// Why a redirect of a request with a credential in its body is not followed.
const NOT_HANDED_ON: &str = "the request shows a credential, which is for nobody else";

/// How long a server has to answer an announcement.
const ANNOUNCED: Duration = Duration::from_secs(2);

/// One request.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body<'a>,
}

/// What a request carries.
#[derive(Clone, Copy)]
pub(crate) enum Body<'a> {
    /// Nothing, and a `Content-Length` that says so where the method calls for one.
    Empty,
    /// Bytes.
    Bytes(&'a [u8]),
    /// Bytes that show who sends them, and go to no other origin.
    Secret(&'a [u8]),
    /// A stream that can be opened again for another attempt.
    Stream(&'a dyn Open, u64),
    /// A stream that ends where it ends.
    Unsized(&'a dyn Open),
    /// The announcement of so many bytes, and none of them: whoever decides by the announcement
    /// answers it.
    Withheld(u64),
}

/// Opens what is to be sent.
pub(crate) trait Open: Sync {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>>;
}

/// What a request is sent with beside itself.
#[derive(Clone, Copy, Default)]
pub(crate) struct Access<'a> {
    /// The value of `Authorization`. It goes to the origin of the first address and to no other.
    pub(crate) authorization: Option<&'a str>,
    /// The registry that it is about.
    pub(crate) server: Option<Server<'a>>,
    /// Whether it may go through a proxy.
    pub(crate) route: Route,
    /// How long it may take as a whole, where that is limited.
    pub(crate) patience: Option<Duration>,
}

/// A registry, and what handshakes with it go by.
#[derive(Clone, Copy)]
pub(crate) struct Server<'a> {
    pub(crate) base: &'a Url,
    pub(crate) tls: &'a Tls,
}

impl Server<'_> {
    /// What a handshake with another server goes by, to which the registry may have led: what is said of that
    /// one, and on the registry's own host, what is said of the registry. Another address of the same machine is believed
    /// as the registry is, and shown only what is set for it.
    fn tls_at(self, settings: &Settings, url: &Url) -> Tls {
        if self.base.host() == url.host() {
            return self.tls.clone();
        }
        let name = origin::name_of(url);
        let connection = settings.hosts.of(&name, "").connection;
        let security = match connection.security {
            _ if settings.insecure.contains(&name) => Security::AnyCertificate,
            said => said.unwrap_or(Security::Verified),
        };
        let own = places::tls_of(connection, security);
        if origin::same_host(self.base, url) {
            return Tls { identity: own.identity, ..self.tls.clone() };
        }
        own
    }
}

impl Access<'_> {
    /// The proxy that a request goes through.
    fn proxy<'a>(&self, settings: &'a Settings, url: &Url) -> Option<&'a str> {
        settings.proxies.of(url).filter(|_| self.route == Route::Configured)
    }
}

/// Sends requests.
#[derive(Debug, Default)]
pub(crate) struct Transport {
    /// By whom they trust and the proxy they use; each made when it is first needed, for it costs a
    /// thread and the reading of all certificates.
    agents: Mutex<BTreeMap<(Tls, Option<String>), Agent>>,
}

impl Transport {
    fn agent(
        &self,
        settings: &Settings,
        url: &Url,
        access: Access<'_>,
    ) -> Result<Agent, RegistryProblem> {
        let tls = access.server.map(|server| server.tls_at(settings, url)).unwrap_or_default();
        let key = (tls, access.proxy(settings, url).map(str::to_owned));
        // A panic while it is held leaves the map as it was.
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&key) {
            return Ok(agent.clone());
        }
        let agent = build(settings, &key.0, key.1.as_deref(), CONNECT_TIMEOUT)?;
        Ok(agents.entry(key).or_insert(agent).clone())
    }

    /// Sends one request, follows redirects, and fails unless the answer is a success.
    ///
    /// What only reads follows every redirect; of the others those that repeat the request, with its
    /// body, at the new place.
    pub(crate) fn send(
        &self,
        settings: &Settings,
        call: &Call<'_>,
        access: Access<'_>,
    ) -> Result<Response, RegistryError> {
        let mut url = call.url.clone();
        let mut own = true;
        for _ in 0..=MAX_REDIRECTS {
            // Who is led back by somebody else goes where that one says.
            own &= origin::same_origin(&url, &call.url);
            let authorization = access.authorization.filter(|_| own);
            let response =
                self.exchange(settings, call, &url, Access { authorization, ..access })?;
            let status = response.status();
            // Nothing but a validator of the caller is ever answered with the second.
            if status.is_success() || status == StatusCode::NOT_MODIFIED {
                return Ok(response);
            }
            let reading = matches!(call.method, Method::GET | Method::HEAD);
            let repeated =
                matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
            if !status.is_redirection() {
                return Err(refusal(call, (&url, own), response));
            }
            let to = next(call, &url, &response)?;
            let is_secret = matches!(call.body, Body::Secret(_));
            let objection = if !(repeated || reading) {
                Some(NOT_REPEATED)
            } else if is_secret && !origin::same_origin(&to, &call.url) {
                Some(NOT_HANDED_ON)
            } else {
                None
            };
            if let Some(reason) = objection {
                let problem = RegistryProblem::Redirect { target: without_query(&to), reason };
                return Err(RegistryError::new(call.method.as_str(), &url, problem));
            }
            url = to;
        }
        let reason = "there are too many";
        let problem = RegistryProblem::Redirect { target: without_query(&url), reason };
        Err(RegistryError::new(call.method.as_str(), &call.url, problem))
    }

    /// Sends one request to `url`, and takes whatever comes for the answer.
    pub(crate) fn exchange(
        &self,
        settings: &Settings,
        call: &Call<'_>,
        url: &Url,
        access: Access<'_>,
    ) -> Result<Response, RegistryError> {
        let fail = |problem| RegistryError::new(call.method.as_str(), url, problem);
        let agent = self.agent(settings, url, access).map_err(fail)?;
        let mut request =
            agent.request(call.method.clone(), url.clone()).headers(call.headers.clone());
        if let Some(value) = access.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        if let Some(patience) = access.patience {
            request = request.timeout(patience);
        }
        let stream = |request, open, length| stream(&agent, request, (open, length));
        let sent = match call.body {
            Body::Empty if call.method == Method::GET || call.method == Method::HEAD => {
                agent.send(request)
            }
            Body::Empty => agent.send(request.body(Vec::new()).header(CONTENT_LENGTH, "0")),
            Body::Bytes(bytes) | Body::Secret(bytes) => agent.send(request.body(bytes.to_vec())),
            Body::Withheld(length) => {
                let nothing = Nothing { timing: settings.timing.clone() };
                stream(request, &nothing, Some(length)).map_err(fail)?
            }
            Body::Stream(open, length) => stream(request, open, Some(length)).map_err(fail)?,
            Body::Unsized(open) => stream(request, open, None).map_err(fail)?,
        };
        sent.map_err(|error| fail(transport(error).through(access.proxy(settings, url))))
    }
}

/// A body that comes to nothing after a while, which is when the connection ends.
struct Nothing {
    timing: Arc<dyn Timing>,
}

impl Open for Nothing {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(Self { timing: self.timing.clone() }))
    }
}

impl Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.timing.sleep(ANNOUNCED);
        Ok(0)
    }
}

/// Whether something at `url` speaks TLS, whatever it says then. Nobody but this question is as impatient.
pub(crate) fn speaks_tls(settings: &Settings, url: &Url, tls: &Tls) -> Result<bool, RegistryError> {
    let fail = |problem| RegistryError::new("GET", url, problem);
    let patience = if origin::is_loopback(url) { LOOPBACK_PROBE_TIMEOUT } else { PROBE_TIMEOUT };
    let agent = build(settings, tls, settings.proxies.of(url), patience).map_err(fail)?;
    let request = agent.request(Method::GET, url.clone()).timeout(PROBE_TIMEOUT);
    let answer = agent.send(request);
    // A connection is one when both have agreed on their keys.
    Ok(answer.map_or_else(|error| !error.is_connect(), |_| true))
}

/// Sends a body that borrows, of so many bytes where that is known.
fn stream(
    agent: &Agent,
    request: RequestBuilder,
    (open, length): (&dyn Open, Option<u64>),
) -> Result<reqwest::Result<Response>, RegistryProblem> {
    let request = match length {
        Some(length) => request.header(CONTENT_LENGTH, length),
        None => request,
    };
    let (fed, sent) = agent.stream(request, length, |feed| feed(&mut *open.open()?));
    let fed = fed.map_err(RegistryProblem::Content)?;
    if fed == Fed::CutOff && sent.as_ref().is_ok_and(|answer| answer.status().is_success()) {
        // What it has of the body is for whoever asks again to find out.
        let detail = "the server answered and went before it had all that was sent".to_owned();
        return Err(RegistryProblem::Transport { detail });
    }
    Ok(sent)
}

fn next(call: &Call<'_>, from: &Url, response: &Response) -> Result<Url, RegistryError> {
    let fail = |problem| RegistryError::new(call.method.as_str(), from, problem);
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| fail(RegistryProblem::Answer { what: "Location" }))?;
    let to = from.join(location).map_err(|error| fail(error.into()))?;
    match origin::objection(from, &to) {
        None => Ok(to),
        Some(reason) => Err(fail(RegistryProblem::Redirect { target: without_query(&to), reason })),
    }
}

/// The error that a response without success stands for.
fn refusal(call: &Call<'_>, (url, own): (&Url, bool), response: Response) -> RegistryError {
    let status = response.status().as_u16();
    let retry_after = wait_of(response.headers());
    // Another origin that was led to has nothing to ask of who belongs to the first.
    let challenge = own.then(|| crate::auth::challenge_of(response.headers())).flatten();
    let challenge = challenge.map(Box::new);
    let mut body = Vec::new();
    // What can be read of it is shown; the status stands either way.
    let _ = response.take(MAX_ERROR_BODY).read_to_end(&mut body);
    let body = error::told(&body);
    let problem = RegistryProblem::Status { status, body, retry_after, challenge };
    RegistryError::new(call.method.as_str(), url, problem)
}

/// `Retry-After` in seconds; a date counts from the server's own clock.
fn wait_of(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = text.trim().parse() {
        return Some(seconds);
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let now = httpdate::parse_http_date(headers.get("date")?.to_str().ok()?).ok()?;
    Some(until.duration_since(now).unwrap_or_default().as_secs())
}

/// What kept a request from being answered, without the address, whose query may hold a signature.
pub(crate) fn transport(error: reqwest::Error) -> RegistryProblem {
    let error = error.without_url();
    let mut next: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(cause) = next {
        match handshake(cause) {
            Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
                return RegistryProblem::PlainHttp;
            }
            Some(rustls::Error::InvalidCertificate(problem)) => {
                return RegistryProblem::Certificate(problem.clone());
            }
            _ => next = cause.source(),
        }
    }
    RegistryProblem::Transport { detail: chain(&error) }
}

/// An error and its causes on one line, each unless it was said already.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut detail = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !detail.contains(&text) {
            detail = format!("{detail}: {text}");
        }
        next = cause.source();
    }
    detail
}

/// The error of TLS that an error of the system was made of, by one hand after another.
fn handshake<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
    inner.downcast_ref().or_else(|| handshake(inner))
}

fn build(
    settings: &Settings,
    tls: &Tls,
    proxy: Option<&str>,
    patience: Duration,
) -> Result<Agent, RegistryProblem> {
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls::config(settings, tls)?)
        .user_agent(&settings.user_agent)
        .connect_timeout(patience)
        .tcp_user_timeout(STALL_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy();
    if let Some(proxy) = proxy {
        let scheme = if proxy.contains("://") { "" } else { "http://" };
        builder = builder.proxy(proxy::client(&format!("{scheme}{proxy}"))?);
    }
    let client = builder.build().map_err(transport)?;
    Agent::new(client).map_err(|error| RegistryProblem::Transport { detail: chain(&error) })
}
