//! Plain files behind `http` and `https`, with the manners of the client: its certificates, its
//! proxy, its patience, and its rules for redirects.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use reqwest::header::{HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use url::Url;

use crate::agent::Response;
use crate::client::{Client, header};
use crate::error::{RegistryError, RegistryProblem};
use crate::retry::retry;
use crate::transport::{Access, Call};

/// What is asked for.
#[derive(Clone, Copy, Default)]
pub struct WebRequest<'a> {
    /// The address.
    pub url: &'a str,
    /// The value of `Authorization`; it goes to the origin of the address and to no other.
    pub authorization: Option<&'a str>,
    /// The value of `If-None-Match`.
    pub if_none_match: Option<&'a str>,
    /// The value of `If-Modified-Since`.
    pub if_modified_since: Option<&'a str>,
}

/// What came.
pub struct WebResponse {
    /// The status: a success, or 304.
    pub status: u16,
    /// `ETag`
    pub etag: Option<String>,
    /// `Last-Modified`, as it came.
    pub last_modified: Option<String>,
    /// The bytes of the file, without what they were encoded in for the way.
    pub body: Box<dyn Read + Send>,
}

impl std::fmt::Debug for WebRequest<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("WebRequest").field("url", &self.url).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for WebResponse {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("WebResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Client {
    /// Gets what is at an address. No credential of a registry is ever sent.
    ///
    /// # Errors
    ///
    /// An address that is none, a server that cannot be reached or refuses, or a redirect that is
    /// not followed.
    pub fn get(&self, request: WebRequest<'_>) -> Result<WebResponse, RegistryError> {
        let broken = |problem: RegistryProblem| RegistryError {
            method: "GET".to_owned(),
            url: request.url.split(['?', '#']).next().unwrap_or_default().to_owned(),
            problem,
        };
        let url: Url =
            request.url.parse().map_err(|error: url::ParseError| broken(error.into()))?;
        let mut call = Call::get(url);
        let headers = [
            (IF_NONE_MATCH, request.if_none_match),
            (IF_MODIFIED_SINCE, request.if_modified_since),
        ];
        for (name, value) in headers {
            add(&mut call, name, value);
        }
        let inner = &self.inner;
        let response = retry(&*inner.settings.timing, || {
            let authorization = request.authorization;
            let access = Access { authorization, ..Access::default() };
            inner.transport.send(&inner.settings, &call, access)
        })?;
        let text = |name: &str| header(&response, name).map(str::to_owned);
        Ok(WebResponse {
            status: response.status().as_u16(),
            etag: text("etag"),
            last_modified: text("last-modified"),
            body: decoded(response),
        })
    }
}

/// The file itself, where the server says that it was compressed for the way: as Go's programs take
/// it, which is `gzip` and nothing else.
pub(crate) fn decoded(response: Response) -> Box<dyn Read + Send> {
    if is_coded(&response) { Box::new(MultiGzDecoder::new(response)) } else { Box::new(response) }
}

/// Whether the server says that it compressed a body for the way.
pub(crate) fn is_coded(response: &Response) -> bool {
    let coding = header(response, "content-encoding");
    coding.is_some_and(|coding| coding.trim().eq_ignore_ascii_case("gzip"))
}

/// A validator that is no header is left out: the whole answer comes then.
fn add(call: &mut Call<'_>, name: HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        call.headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use super::*;
    use crate::settings::Settings;

    /// A server that gives one answer, and returns the head of what it was asked.
    fn server(answer: impl AsRef<[u8]> + Send + 'static) -> (String, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/f", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let lines = lines.map(Result::unwrap).take_while(|line| !line.is_empty());
            let head = lines.collect::<Vec<_>>().join("\n").to_lowercase();
            stream.write_all(answer.as_ref()).unwrap();
            head
        });
        (url, thread)
    }

    fn answer(status: &str, headers: &str, body: &str) -> String {
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}Connection: close\r\n\r\n{body}"
        )
    }

    #[test]
    fn another_origin_gets_no_credential() {
        let (end, asked) = server(answer("200 OK", "ETag: \"e\"\r\n", "bytes"));
        let (start, first) = server(answer("302 Found", &format!("Location: {end}\r\n"), ""));
        let client = Client::new(Settings::default());
        let authorization = Some("Bearer tok");
        let request = WebRequest { url: &start, authorization, ..WebRequest::default() };
        let mut response = client.get(request).unwrap();
        let mut body = String::new();
        response.body.read_to_string(&mut body).unwrap();
        assert_eq!((&*body, response.etag.as_deref()), ("bytes", Some("\"e\"")));
        assert!(first.join().unwrap().contains("authorization: bearer tok"));
        assert!(!asked.join().unwrap().contains("authorization"));
    }

    #[test]
    fn what_was_compressed_for_the_way_is_the_file_and_what_is_compressed_stays() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"the file").unwrap();
        let packed = packed.finish().unwrap();
        let got = |coding: &str| {
            let length = packed.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{coding}\r\n");
            let (url, _) = server([head.as_bytes(), &packed].concat());
            let request = WebRequest { url: &url, ..WebRequest::default() };
            let mut body = Vec::new();
            let mut response = Client::new(Settings::default()).get(request).unwrap();
            response.body.read_to_end(&mut body).unwrap();
            body
        };
        assert_eq!(got("Content-Encoding: GZIP\r\n"), b"the file");
        assert_eq!(got(""), packed);
        assert_eq!(got("Content-Encoding: x-gzip\r\n"), packed);
    }

    #[test]
    fn what_has_not_changed_is_an_answer() {
        let (url, asked) = server(answer("304 Not Modified", "", ""));
        let request =
            WebRequest { url: &url, if_none_match: Some("\"e\""), ..WebRequest::default() };
        assert_eq!(Client::new(Settings::default()).get(request).unwrap().status, 304);
        assert!(asked.join().unwrap().contains("if-none-match: \"e\""));
    }

    #[test]
    fn a_server_without_tls_is_known_as_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/f", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        });
        let request = WebRequest { url: &url, ..WebRequest::default() };
        let error = Client::new(Settings::default()).get(request).unwrap_err();
        assert!(matches!(error.problem, RegistryProblem::PlainHttp), "{error}");
        server.join().unwrap();
    }

    #[test]
    fn a_refusal_is_an_error_with_its_status() {
        let (url, asked) = server(answer("404 Not Found", "", "no"));
        let request = WebRequest { url: &url, ..WebRequest::default() };
        let error = Client::new(Settings::default()).get(request).unwrap_err();
        assert_eq!(error.status(), Some(404));
        asked.join().unwrap();
    }
}
