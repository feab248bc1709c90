//! The HTTP library for callers that wait: a thread of its own drives its connections, and whoever calls takes part in
//! nothing but their own request.

use std::io::{self, Read};
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::{Buf as _, Bytes};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};
use url::Url;

use crate::pieces::{self, Feed};

/// Sends requests by a client of the library.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    client: Client,
    driver: Arc<Driver>,
}

/// The thread that drives connections. It ends with the last who needs one.
#[derive(Debug)]
struct Driver {
    handle: Handle,
    _end: oneshot::Sender<()>,
}

impl Driver {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        std::thread::Builder::new().name("http".to_owned()).spawn(move || {
            // Whether it was told to end or nobody can tell it any more is the same.
            let _ = runtime.block_on(ended);
            // A name that is being looked up is no longer wanted.
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, _end: end })
    }
}

/// What a server has answered, whose body is still to be read.
#[derive(Debug)]
pub(crate) struct Response {
    answer: reqwest::Response,
    piece: Bytes,
    driver: Arc<Driver>,
}

impl Agent {
    /// An agent that sends by this client.
    ///
    /// # Errors
    ///
    /// If there can be no thread for it.
    pub(crate) fn new(client: Client) -> io::Result<Self> {
        Ok(Self { client, driver: Arc::new(Driver::start()?) })
    }

    /// A request to be sent by this agent.
    pub(crate) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends a request, with what it carries in memory.
    pub(crate) fn send(&self, request: RequestBuilder) -> reqwest::Result<Response> {
        self.begin(request).wait()
    }

    /// Sends a request whose body is read on this thread, piece by piece: so many bytes, where that is known. What
    /// cannot be read ends the body where it is.
    pub(crate) fn stream(
        &self,
        request: RequestBuilder,
        length: Option<u64>,
        open: impl FnOnce(&mut dyn FnMut(&mut dyn Read) -> io::Result<()>) -> io::Result<()>,
    ) -> (io::Result<Fed>, reqwest::Result<Response>) {
        let (feed, pieces) = pieces::channel(length);
        let mut exchange = self.begin(request.body(reqwest::Body::wrap(pieces)));
        let mut fed = Fed::Whole;
        let opened = open(&mut |from| {
            fed = exchange.feed(&feed, from)?;
            Ok(())
        });
        drop(feed);
        (opened.map(|()| fed), exchange.wait())
    }

    fn begin(&self, request: RequestBuilder) -> Exchange<'_> {
        // To begin with it is for the thread of the driver, too: there is a clock.
        let answer = self.driver.handle.spawn(async { request.send().await });
        Exchange { driver: &self.driver, state: State::Open(answer) }
    }
}

/// How much of a body was taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fed {
    Whole,
    /// Nobody takes the rest: the other side refuses it, or is gone.
    CutOff,
}

/// A request under way.
struct Exchange<'a> {
    driver: &'a Arc<Driver>,
    state: State,
}

/// How far a request is.
enum State {
    Open(JoinHandle<reqwest::Result<reqwest::Response>>),
    Answered(reqwest::Result<reqwest::Response>),
}

impl Exchange<'_> {
    /// Feeds the body, unless the other side says before its end what it makes of it: of a refusal nobody hears better
    /// by sending on.
    fn feed(&mut self, feed: &Feed, from: &mut dyn Read) -> io::Result<Fed> {
        while let Some(piece) = Feed::next(from)? {
            if !self.hand_over(feed, piece) {
                return Ok(Fed::CutOff);
            }
        }
        Ok(Fed::Whole)
    }

    /// Whether there is use for more pieces.
    fn hand_over(&mut self, feed: &Feed, piece: Bytes) -> bool {
        let state = &mut self.state;
        self.driver.handle.block_on(async {
            let mut handing = pin!(feed.hand_over(piece));
            std::future::poll_fn(|context| {
                if let State::Open(answer) = state
                    && let Poll::Ready(answer) = Pin::new(answer).poll(context)
                {
                    *state = State::Answered(joined(answer));
                }
                if matches!(state, State::Answered(answer) if !is_success(answer)) {
                    return Poll::Ready(false);
                }
                handing.as_mut().poll(context)
            })
            .await
        })
    }

    fn wait(self) -> reqwest::Result<Response> {
        let answer = match self.state {
            State::Answered(answer) => answer,
            State::Open(answer) => joined(self.driver.handle.block_on(answer)),
        };
        let (piece, driver) = (Bytes::new(), Arc::clone(self.driver));
        answer.map(|answer| Response { answer, piece, driver })
    }
}

fn is_success(answer: &reqwest::Result<reqwest::Response>) -> bool {
    answer.as_ref().is_ok_and(|answer| answer.status().is_success())
}

/// What a task has come to. Nobody breaks one off while it is waited for, so that one without an end has panicked.
fn joined<T>(ended: Result<T, JoinError>) -> T {
    ended.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

impl Response {
    /// The status.
    pub(crate) fn status(&self) -> StatusCode {
        self.answer.status()
    }

    /// The headers.
    pub(crate) fn headers(&self) -> &HeaderMap {
        self.answer.headers()
    }

    /// The address that answered.
    pub(crate) fn url(&self) -> &Url {
        self.answer.url()
    }
}

impl Read for Response {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !bytes.is_empty() {
            let next = self.driver.handle.block_on(self.answer.chunk());
            match next.map_err(io::Error::other)? {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = self.piece.len().min(bytes.len());
        self.piece.copy_to_slice(&mut bytes[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::settings::Settings;
    use crate::tls::{self, Tls};

    /// Longer than what sockets hold.
    const LENGTH: u64 = 64 << 20;

    fn agent() -> Agent {
        let tls = tls::config(&Settings::default(), &Tls::default()).unwrap();
        let client = Client::builder().tls_backend_preconfigured(tls).no_proxy();
        Agent::new(client.build().unwrap()).unwrap()
    }

    /// Serves one request by `answer`, behind its head.
    fn server(
        answer: impl FnOnce(BufReader<TcpStream>, String) + Send + 'static,
    ) -> (Url, std::thread::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let serving = std::thread::spawn(move || {
            let (mut stream, mut head) =
                (BufReader::new(listener.accept().unwrap().0), String::new());
            while !head.ends_with("\r\n\r\n") {
                stream.read_line(&mut head).unwrap();
            }
            answer(stream, head);
        });
        (url, serving)
    }

    fn say(stream: &mut BufReader<TcpStream>, answer: &str) {
        stream.get_mut().write_all(answer.as_bytes()).unwrap();
    }

    #[test]
    fn a_refusal_before_the_end_of_the_body_is_heard_though_nobody_reads_that() {
        let (done, ended): (_, Receiver<()>) = channel();
        let (url, serving) = server(move |mut stream, _| {
            say(&mut stream, "HTTP/1.1 413 Too Long\r\nContent-Length: 2\r\n\r\nno");
            // It stays, and reads nothing, until the refusal was heard.
            let _ = ended.recv();
        });
        let agent = agent();
        let request = agent.request(Method::PUT, url);
        let (fed, answer) =
            agent.stream(request, Some(LENGTH), |feed| feed(&mut io::repeat(7).take(LENGTH)));
        let (mut answer, mut said) = (answer.unwrap(), String::new());
        answer.read_to_string(&mut said).unwrap();
        assert_eq!((answer.status().as_u16(), &*said), (413, "no"));
        assert_eq!(fed.unwrap(), Fed::CutOff);
        drop(done);
        serving.join().unwrap();
    }

    #[test]
    fn a_body_is_sent_as_a_whole_though_its_success_is_told_early() {
        let (url, serving) = server(|mut stream, head| {
            assert!(head.to_ascii_lowercase().contains("content-length: 67108864"), "{head}");
            say(&mut stream, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
            assert_eq!(io::copy(&mut stream.take(LENGTH), &mut io::sink()).unwrap(), LENGTH);
        });
        let agent = agent();
        let request = agent.request(Method::PUT, url).header("content-length", LENGTH);
        let (fed, answer) =
            agent.stream(request, Some(LENGTH), |feed| feed(&mut io::repeat(7).take(LENGTH)));
        assert_eq!(fed.unwrap(), Fed::Whole);
        assert_eq!(answer.unwrap().status().as_u16(), 201);
        serving.join().unwrap();
    }

    #[test]
    fn a_success_of_who_goes_before_the_end_of_the_body_is_not_of_all_of_it() {
        let (url, serving) = server(|mut stream, _| {
            say(&mut stream, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
        });
        let agent = agent();
        let request = agent.request(Method::PUT, url).header("content-length", LENGTH);
        let (fed, answer) =
            agent.stream(request, Some(LENGTH), |feed| feed(&mut io::repeat(7).take(LENGTH)));
        assert!(answer.is_err() || fed.unwrap() == Fed::CutOff);
        serving.join().unwrap();
    }

    #[test]
    fn what_cannot_be_read_is_told_and_taken_by_nobody_for_whole() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let (url, serving) = server(|stream, _| {
            let come = io::copy(&mut stream.take(LENGTH), &mut io::sink());
            assert!(come.is_ok_and(|come| come < LENGTH));
        });
        let agent = agent();
        let request = agent.request(Method::PUT, url).header("content-length", LENGTH);
        let (fed, answer) = agent.stream(request, Some(LENGTH), |feed| {
            feed(&mut io::repeat(7).take(1 << 20).chain(Broken))
        });
        assert_eq!(fed.unwrap_err().to_string(), "broken");
        assert!(answer.is_err());
        serving.join().unwrap();
    }

    #[test]
    fn an_answer_outlives_who_asked() {
        let (url, serving) = server(|mut stream, _| {
            say(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
            std::thread::sleep(std::time::Duration::from_millis(20));
            say(&mut stream, "llo");
        });
        let (agent, mut said) = (agent(), String::new());
        let mut answer = agent.send(agent.request(Method::GET, url)).unwrap();
        drop(agent);
        answer.read_to_string(&mut said).unwrap();
        assert_eq!(said, "hello");
        serving.join().unwrap();
    }
}
