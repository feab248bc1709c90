//! Single HTTP exchanges: TLS, proxies and redirects. The only place that knows the HTTP library.

use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::blocking::{Client, Response};
use reqwest::header::{AUTHORIZATION, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use url::Url;

use crate::error::{RegistryError, RegistryProblem, without_query};
use crate::origin;
use crate::settings::Settings;

/// A server that cannot be reached is given up after this; a slow one is not.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// A peer that acknowledges nothing for this long is gone.
const STALL_TIMEOUT: Duration = Duration::from_mins(2);
/// Storage services redirect once or twice.
const MAX_REDIRECTS: usize = 5;
/// How much of an error's body is shown.
const MAX_ERROR_BODY: u64 = 1 << 10;
/// Where the systems we know keep the certificates they trust.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

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
    /// A stream that can be opened again for another attempt.
    Stream(&'a dyn Open, u64),
}

/// Opens what is to be sent.
pub(crate) trait Open: Sync {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>>;
}

/// Sends requests.
#[derive(Debug, Default)]
pub(crate) struct Transport {
    /// Made when it is first needed: it costs a thread and the reading of all certificates.
    client: OnceLock<Client>,
}

impl Transport {
    fn client(&self, settings: &Settings) -> Result<&Client, RegistryProblem> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = build(settings)?;
        Ok(self.client.get_or_init(|| client))
    }

    /// Sends one request, follows redirects of what only reads, and fails unless the answer is a
    /// success. Credentials go to the first address and to no other origin.
    pub(crate) fn send(
        &self,
        settings: &Settings,
        call: &Call<'_>,
        authorization: Option<&str>,
    ) -> Result<Response, RegistryError> {
        let mut url = call.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let trusted = origin::same_origin(&url, &call.url);
            let response =
                self.exchange(settings, call, &url, authorization.filter(|_| trusted))?;
            // Nothing but a validator of the caller is ever answered with the second.
            if response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED {
                return Ok(response);
            }
            let reading = matches!(call.method, Method::GET | Method::HEAD);
            if !response.status().is_redirection() || !reading {
                return Err(refusal(call, &url, response));
            }
            url = next(call, &url, &response)?;
        }
        let reason = "there are too many";
        let problem = RegistryProblem::Redirect { target: without_query(&url), reason };
        Err(RegistryError::new(call.method.as_str(), &call.url, problem))
    }

    fn exchange(
        &self,
        settings: &Settings,
        call: &Call<'_>,
        url: &Url,
        authorization: Option<&str>,
    ) -> Result<Response, RegistryError> {
        let fail = |problem| RegistryError::new(call.method.as_str(), url, problem);
        let client = self.client(settings).map_err(fail)?;
        let mut request =
            client.request(call.method.clone(), url.clone()).headers(call.headers.clone());
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let sent = match call.body {
            Body::Empty if call.method == Method::GET || call.method == Method::HEAD => {
                request.send()
            }
            Body::Empty => request.body(Vec::new()).header("content-length", "0").send(),
            Body::Bytes(bytes) => request.body(bytes.to_vec()).send(),
            Body::Stream(open, length) => stream(request, open, length).map_err(fail)?,
        };
        sent.map_err(|error| fail(transport(error)))
    }
}

/// Sends a body that borrows: a thread feeds it through a pipe, for the library asks for one that
/// lives for ever.
fn stream(
    request: reqwest::blocking::RequestBuilder,
    open: &dyn Open,
    length: u64,
) -> Result<reqwest::Result<Response>, RegistryProblem> {
    let (reader, mut writer) = io::pipe().map_err(RegistryProblem::Content)?;
    std::thread::scope(|scope| {
        let feeder = scope.spawn(move || io::copy(&mut open.open()?, &mut writer));
        let sent = request.body(reqwest::blocking::Body::sized(reader, length)).send();
        match feeder.join() {
            // The other side may answer before it has read everything.
            Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(RegistryProblem::Content(error))
            }
            _ => Ok(sent),
        }
    })
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
fn refusal(call: &Call<'_>, url: &Url, response: Response) -> RegistryError {
    let status = response.status().as_u16();
    let retry_after = wait_of(response.headers());
    // Another origin that was led to has nothing to ask of who belongs to the first.
    let own = origin::same_origin(url, &call.url);
    let challenge = own.then(|| crate::auth::challenge_of(response.headers())).flatten();
    let challenge = challenge.map(Box::new);
    let mut body = Vec::new();
    // What can be read of it is shown; the status stands either way.
    let _ = response.take(MAX_ERROR_BODY).read_to_end(&mut body);
    let body = String::from_utf8_lossy(&body).trim().to_owned();
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

/// The chain of causes, without the address, whose query may hold a signature.
pub(crate) fn transport(error: reqwest::Error) -> RegistryProblem {
    let error = error.without_url();
    let mut detail = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !detail.contains(&text) {
            detail = format!("{detail}: {text}");
        }
        cause = inner.source();
    }
    RegistryProblem::Transport { detail }
}

fn build(settings: &Settings) -> Result<Client, RegistryProblem> {
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls(settings)?)
        .user_agent(&settings.user_agent)
        .timeout(None)
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_user_timeout(STALL_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy();
    if let Some(proxy) = &settings.proxy {
        let except = reqwest::NoProxy::from_string(&proxy.except);
        let proxy = reqwest::Proxy::all(&proxy.url).map_err(transport)?;
        builder = builder.proxy(proxy.no_proxy(except));
    }
    builder.build().map_err(transport)
}

fn tls(settings: &Settings) -> Result<rustls::ClientConfig, RegistryProblem> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let system = SYSTEM_ROOTS.iter().map(Path::new).find(|path| path.exists());
    let mut roots = rustls::RootCertStore::empty();
    let own = settings.certificate_authorities.iter().map(std::path::PathBuf::as_path);
    for path in system.into_iter().chain(own) {
        let found = rustls_native_certs::load_certs_from_paths(Some(path), None);
        roots.add_parsable_certificates(found.certs);
    }
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
