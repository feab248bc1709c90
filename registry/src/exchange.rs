//! Single requests to services that are no registries, with the client's certificates and proxies: any
//! method, any headers, and every status is an answer.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::client::Client;
use crate::error::{self, RegistryError, RegistryProblem};
use crate::origin;
use crate::transport::{Access, Body, Call, Open};

/// Opens a body, once for every time it is sent.
pub type OpenBody<'a> = &'a (dyn Fn() -> io::Result<Box<dyn Read + Send + 'a>> + Sync);

/// A request to a service.
#[derive(Clone, Copy, Debug)]
pub struct ServiceRequest<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The address.
    pub url: &'a str,
    /// The headers, `Authorization` among them where there is one. Nothing follows a redirect, so that they
    /// go to this address and to no other.
    pub headers: &'a [(String, String)],
    /// What is sent.
    pub body: ServiceBody<'a>,
    /// Whether a proxy may see it.
    pub route: Route,
    /// How long the whole of it may take, the body of the answer included; `None` for as long as it goes on.
    pub patience: Option<Duration>,
}

/// What a request to a service carries.
#[derive(Clone, Copy)]
pub enum ServiceBody<'a> {
    /// Nothing.
    Empty,
    /// Bytes.
    Bytes(&'a [u8]),
    /// So many bytes of a stream.
    Stream(OpenBody<'a>, u64),
}

/// Which way a request takes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Route {
    /// Through the proxy for its address, where there is one.
    #[default]
    Configured,
    /// Past every proxy: a service of this machine's neighbourhood would not be reached by one.
    Direct,
}

/// What a service answered.
pub struct ServiceAnswer {
    /// The status, whatever it is.
    pub status: u16,
    /// The headers that are text, by name in small letters; of several of a name the last.
    pub headers: BTreeMap<String, String>,
    /// The body, as it comes.
    pub body: Box<dyn Read + Send>,
}

impl fmt::Debug for ServiceBody<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => out.write_str("Empty"),
            Self::Bytes(bytes) => write!(out, "Bytes({})", bytes.len()),
            Self::Stream(_, length) => write!(out, "Stream({length})"),
        }
    }
}

impl fmt::Debug for ServiceAnswer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ServiceAnswer").field("status", &self.status).finish_non_exhaustive()
    }
}

impl ServiceAnswer {
    /// A header, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

struct Opener<'a>(OpenBody<'a>);

impl Open for Opener<'_> {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        (self.0)()
    }
}

impl Client {
    /// Sends one request, once. No credential of a registry is sent, and no redirect is followed.
    ///
    /// # Errors
    ///
    /// An address, method or header that is none, a server that cannot be reached or does not answer in time,
    /// or a body that cannot be read.
    pub fn exchange(&self, request: &ServiceRequest<'_>) -> Result<ServiceAnswer, RegistryError> {
        let broken = |problem: RegistryProblem| RegistryError {
            method: request.method.to_owned(),
            url: request.url.split(['?', '#']).next().unwrap_or_default().to_owned(),
            problem,
        };
        let url: Url =
            request.url.parse().map_err(|error: url::ParseError| broken(error.into()))?;
        let method = Method::from_bytes(request.method.as_bytes());
        let method = method.map_err(|_| broken(RegistryProblem::Answer { what: "method" }))?;
        let headers = header_map(request.headers).ok_or_else(|| {
            broken(RegistryProblem::Answer { what: "value for a header of the request" })
        })?;
        let opener;
        let body = match request.body {
            ServiceBody::Empty => Body::Empty,
            ServiceBody::Bytes(bytes) => Body::Bytes(bytes),
            ServiceBody::Stream(open, length) => {
                opener = Opener(open);
                Body::Stream(&opener, length)
            }
        };
        let call = Call { method, url, headers, body };
        let (route, patience) = (request.route, request.patience);
        let access = Access { route, patience, ..Access::default() };
        let inner = &self.inner;
        let response = inner.transport.exchange(&inner.settings, &call, &call.url, access)?;
        let headers = response.headers().iter().filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        });
        Ok(ServiceAnswer {
            status: response.status().as_u16(),
            headers: headers.collect(),
            body: Box::new(response),
        })
    }
}

/// Where an answer leads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Redirected {
    /// The address.
    pub url: String,
    /// Whether it is of the server that led there. Another one is nobody to show a credential to.
    pub is_same_origin: bool,
}

/// Where the answer of `from` leads by its `location`, by the client's rules.
///
/// # Errors
///
/// An address that is none, or [`RegistryProblem::Redirect`] where no redirect is to be followed.
pub fn redirected(from: &str, location: &str) -> Result<Redirected, RegistryProblem> {
    let from: Url = from.parse()?;
    let to = from.join(location)?;
    match origin::objection(&from, &to) {
        Some(reason) => {
            Err(RegistryProblem::Redirect { target: error::without_query(&to), reason })
        }
        None => Ok(Redirected { is_same_origin: origin::same_origin(&from, &to), url: to.into() }),
    }
}

fn header_map(headers: &[(String, String)]) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(value).ok()?;
        // Some are secrets, and none is worth showing.
        value.set_sensitive(true);
        map.append(name, value);
    }
    Some(map)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use super::*;
    use crate::settings::Settings;

    /// A server that gives one answer, and returns all it was sent: the head, and so many bytes.
    fn server(answer: &'static str, length: usize) -> (String, JoinHandle<(String, Vec<u8>)>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/a?b=c", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                reader.read_line(&mut head).unwrap();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            (head, body)
        });
        (url, thread)
    }

    fn request<'a>(url: &'a str, headers: &'a [(String, String)]) -> ServiceRequest<'a> {
        let (body, route, patience) = (ServiceBody::Empty, Route::Configured, None);
        ServiceRequest { method: "GET", url, headers, body, route, patience }
    }

    #[test]
    fn every_status_is_an_answer_and_no_redirect_is_followed() {
        let (url, _) =
            server("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 2\r\n\r\nno", 0);
        let mut answer = Client::new(Settings::default()).exchange(&request(&url, &[])).unwrap();
        assert_eq!((answer.status, answer.header("location")), (302, Some("/x")));
        let mut body = String::new();
        answer.body.read_to_string(&mut body).unwrap();
        assert_eq!(body, "no");
    }

    #[test]
    fn a_redirect_is_where_it_leads_unless_it_leaves_what_is_safe() {
        let to = |location| redirected("https://a.example/x/y?sig=1", location);
        let here = Redirected { url: "https://a.example/z".to_owned(), is_same_origin: true };
        assert_eq!(to("/z").unwrap(), here);
        assert!(!to("https://b.example/z").unwrap().is_same_origin);
        assert!(matches!(to("http://a.example/z"), Err(RegistryProblem::Redirect { .. })));
    }

    #[test]
    fn what_is_sent_is_what_was_given() {
        let (url, seen) = server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 5);
        let headers = [("x-one".to_owned(), "1".to_owned())];
        let open = || Ok(Box::new(&b"hello"[..]) as Box<dyn Read + Send>);
        let body = ServiceBody::Stream(&open, 5);
        let sent = ServiceRequest { method: "PUT", body, ..request(&url, &headers) };
        assert_eq!(Client::new(Settings::default()).exchange(&sent).unwrap().status, 200);
        let (head, body) = seen.join().unwrap();
        assert!(head.starts_with("PUT /a?b=c ") && head.contains("x-one: 1"), "{head}");
        assert_eq!(body, b"hello");
    }

    #[test]
    fn a_service_that_says_nothing_is_left_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let patience = Some(Duration::from_millis(50));
        let sent = ServiceRequest { patience, ..request(&url, &[]) };
        let error = Client::new(Settings::default()).exchange(&sent).unwrap_err();
        assert!(matches!(error.problem, RegistryProblem::Transport { .. }), "{error}");
    }

    #[test]
    fn a_header_that_is_none_is_refused_without_its_value() {
        let headers = [("x-one".to_owned(), "sec\nret".to_owned())];
        let sent = request("http://127.0.0.1:1/", &headers);
        let error = Client::new(Settings::default()).exchange(&sent).unwrap_err().to_string();
        assert!(!error.contains("sec"), "{error}");
    }
}
