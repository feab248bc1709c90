//! Bytes on their way from a client to a server and back.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread;

use super::request::{Body, IsFinal, answer, read_head};

/// Copies both ways until both sides are done. `rest` is what the client has sent already.
pub(super) fn tunnel(
    (client, rest): (TcpStream, Vec<u8>),
    mut server: TcpStream,
) -> io::Result<()> {
    server.write_all(&rest)?;
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    thread::scope(|scope| {
        let there = thread::Builder::new().stack_size(STACK);
        let there = there.spawn_scoped(scope, move || pass(from, to));
        if let Err(error) = there {
            // Nobody would read what the client says.
            let _ = client.shutdown(Shutdown::Both);
            return Err(error);
        }
        pass(server, client);
        Ok(())
    })
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    // Either side may hang up at any time; then the other is told.
    let copied = io::copy(&mut from, &mut to);
    let ended = if copied.is_ok() { Shutdown::Write } else { Shutdown::Both };
    let _ = to.shutdown(ended);
}

/// Sends a request on, and its answer back.
pub(super) fn forward(
    (mut client, rest): (TcpStream, Vec<u8>),
    mut server: TcpStream,
    (head, body): (&[u8], Body),
) -> io::Result<()> {
    server.write_all(head)?;
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    thread::scope(|scope| {
        let sending = thread::Builder::new().stack_size(STACK);
        // What comes beyond the body would be another request, perhaps for another host.
        let sending = sending.spawn_scoped(scope, move || send(body, (rest, from), to));
        let answered = sending.and_then(|_| receive(&mut server, &mut client));
        // A body that nobody waits for any more is not waited for either.
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
        answered
    })
}

fn send(body: Body, (rest, from): (Vec<u8>, TcpStream), mut to: TcpStream) {
    let mut all = io::Cursor::new(rest).chain(from);
    let sent = match body {
        Body::Bytes(0) => return,
        Body::Bytes(length) => io::copy(&mut all.take(length), &mut to),
        Body::Chunked => io::copy(&mut all, &mut to),
    };
    if let Err(error) = sent {
        tracing::debug!(%error, "a request broke off");
    }
}

/// Passes an answer on, which ends with its connection.
fn receive(server: &mut TcpStream, client: &mut TcpStream) -> io::Result<()> {
    let mut rest = Vec::new();
    loop {
        let (head, beyond) = read_head(server, rest)?;
        let (head, is_final) = answer(&head).ok_or(io::ErrorKind::InvalidData)?;
        client.write_all(&head)?;
        if is_final == IsFinal::Yes {
            client.write_all(&beyond)?;
            return io::copy(server, client).map(drop);
        }
        rest = beyond;
    }
}

/// Threads copy, and nothing more.
const STACK: usize = 256 << 10;
