//! Requests that this program does not make.

use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use wythe_quirks::server::{PASSWORD, USER};

/// The status and body of an answer. The registry's user asks.
pub(crate) fn ask(
    host: &str,
    (method, target): (&str, &str),
    (kind, body): (&str, &[u8]),
) -> (u16, String) {
    let mut stream = TcpStream::connect(host).unwrap();
    let (length, who) = (body.len(), BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}")));
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: {kind}\r\n\
         Authorization: Basic {who}\r\nAccept: */*\r\nContent-Length: {length}\r\n\r\n"
    )
    .unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer[9..12].parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    (status, body)
}
