//! A server in this process that keeps what it is given in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::{Buf as _, Bytes};
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use wythe_cache::protobuf::{Field, Writer, fields};

#[derive(Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    pub(crate) actions: BTreeMap<String, Vec<u8>>,
    /// The methods that were called.
    pub(crate) calls: Vec<String>,
    /// How many connections are closed before any call is answered.
    pub(crate) hangs_up: u32,
    /// The status of every call, unless it is zero.
    pub(crate) refuses: u32,
}

/// Starts a server that ends with the process, and says its address.
pub(crate) fn start(shelf: &Arc<Mutex<Shelf>>) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("grpc://{}/team", listener.local_addr().unwrap());
    listener.set_nonblocking(true).unwrap();
    let shelf = shelf.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let mut held = shelf.lock().unwrap();
                if held.hangs_up > 0 {
                    held.hangs_up -= 1;
                    continue;
                }
                drop(held);
                tokio::spawn(serve(stream, shelf.clone()));
            }
        });
    });
    url
}

async fn serve(stream: TcpStream, shelf: Arc<Mutex<Shelf>>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(answer(request, respond, shelf.clone()));
    }
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    shelf: Arc<Mutex<Shelf>>,
) {
    let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
    assert_eq!(request.headers()["te"], "trailers");
    let mut body = request.into_body();
    let mut all = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
        all.extend_from_slice(&data);
    }
    let mut messages = Vec::new();
    let mut rest = Bytes::from(all);
    while rest.len() >= 5 {
        rest.advance(1);
        let length = rest.get_u32() as usize;
        messages.push(rest.split_to(length));
    }
    let answer = shelf.lock().unwrap().call(&method, &messages);
    let mut send = respond.send_response(Response::new(()), false).unwrap();
    let code = match answer {
        Ok(answers) => {
            for answer in answers {
                let length = u32::try_from(answer.len()).unwrap().to_be_bytes();
                let framed = [&[0][..], &length, &answer].concat();
                send.send_data(framed.into(), false).unwrap();
            }
            0
        }
        Err(code) => code,
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.to_string().parse().unwrap());
    send.send_trailers(trailers).unwrap();
}

fn bytes(message: &[u8], wanted: u64) -> Vec<Vec<u8>> {
    let found = fields(message).unwrap().into_iter().filter_map(|field| match field {
        (number, Field::Bytes(bytes)) if number == wanted => Some(bytes.to_vec()),
        _ => None,
    });
    found.collect()
}

fn hash(name: &[u8]) -> String {
    String::from_utf8(bytes(name, 1).remove(0)).unwrap()
}

impl Shelf {
    fn call(&mut self, method: &str, messages: &[Bytes]) -> Result<Vec<Vec<u8>>, u32> {
        self.calls.push(method.to_owned());
        if self.refuses != 0 {
            return Err(self.refuses);
        }
        let message = &messages[0];
        match method {
            "GetCapabilities" => {
                let cache = Writer::default().number(4, 2 << 20).bytes(6, &[0, 1]);
                Ok(vec![Writer::default().message(1, cache).finish()])
            }
            "FindMissingBlobs" => {
                let lacks = |name: &Vec<u8>| !self.blobs.contains_key(&hash(name));
                let names = bytes(message, 2).into_iter().filter(lacks);
                let add = |all: Writer, name: Vec<u8>| all.bytes(2, &name);
                Ok(vec![names.fold(Writer::default(), add).finish()])
            }
            "BatchUpdateBlobs" => {
                let mut all = Writer::default();
                for one in bytes(message, 2) {
                    let name = bytes(&one, 1).remove(0);
                    self.blobs.insert(hash(&name), bytes(&one, 2).pop().unwrap_or_default());
                    all = all.message(1, Writer::default().bytes(1, &name));
                }
                Ok(vec![all.finish()])
            }
            "BatchReadBlobs" => {
                let mut all = Writer::default();
                for name in bytes(message, 2) {
                    let one = Writer::default().bytes(1, &name);
                    let one = match self.blobs.get(&hash(&name)) {
                        Some(data) => one.bytes(2, data),
                        None => one.message(3, Writer::default().number(1, 5)),
                    };
                    all = all.message(1, one);
                }
                Ok(vec![all.finish()])
            }
            "GetActionResult" => {
                let name = hash(&bytes(message, 2)[0]);
                self.actions.get(&name).map(|result| vec![result.clone()]).ok_or(5)
            }
            "UpdateActionResult" => {
                let result = bytes(message, 3).remove(0);
                for file in bytes(&result, 2) {
                    assert!(
                        self.blobs.contains_key(&hash(&bytes(&file, 2)[0])),
                        "blobs come first"
                    );
                }
                self.actions.insert(hash(&bytes(message, 2)[0]), result.clone());
                Ok(vec![result])
            }
            "Write" => {
                let name = String::from_utf8(bytes(message, 1).remove(0)).unwrap();
                let pieces = messages.iter().flat_map(|message| bytes(message, 10));
                let mut data: Vec<u8> = pieces.flatten().collect();
                if name.contains("/compressed-blobs/zstd/") {
                    data = zstd::decode_all(&*data).unwrap();
                }
                let size = data.len() as u64;
                self.blobs.insert(name.rsplit('/').nth(1).unwrap().to_owned(), data);
                Ok(vec![Writer::default().number(1, size).finish()])
            }
            "Read" => {
                let name = String::from_utf8(bytes(message, 1).remove(0)).unwrap();
                let number =
                    |wanted| match fields(message).unwrap().iter().find(|one| one.0 == wanted) {
                        Some((_, Field::Number(number))) => usize::try_from(*number).unwrap(),
                        _ => 0,
                    };
                let data = self.blobs.get(name.rsplit('/').nth(1).unwrap()).ok_or(5_u32)?;
                let end = data.len().min(number(2) + number(3));
                let pieces = data[number(2)..end].chunks(300_000);
                Ok(pieces.map(|piece| Writer::default().bytes(10, piece).finish()).collect())
            }
            _ => Err(12),
        }
    }
}
