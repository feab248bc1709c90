//! Large blobs: in several parts at once, through connections that break.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use wythe_registry::client::Client;
use wythe_registry::fake::timing::InstantTiming;
use wythe_registry::learned::Learned;
use wythe_registry::notice::{Notice, Notices};
use wythe_registry::settings::Settings;
use wythe_registry::traffic::Traffic;
use wythe_store::digest::Digest;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::ImageSource;

const MIB: usize = 1 << 20;

/// What a server tells with every answer.
const TOLD: &str = "Warning: 299 - \"this goes away\"\r\nRateLimit-Remaining: 3;w=3600\r\n";

/// What a server makes of ranges.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ranges {
    Served,
    Ignored,
    Refused,
    /// The answer is another part, and says so.
    Mistaken,
}

/// A server of one blob.
#[derive(Clone)]
struct BlobServer {
    host: String,
    blob: Arc<Vec<u8>>,
    ranges: Ranges,
    /// After how many bytes an answer breaks off, and how often.
    cut: usize,
    cuts: Arc<AtomicU64>,
    asked: Arc<Mutex<Vec<String>>>,
    /// What clients have learnt of it.
    learned: Arc<Learned>,
    traffic: Arc<Traffic>,
    heard: Arc<Heard>,
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<String>>);

impl Notices for Heard {
    fn notice(&self, notice: &Notice) {
        self.0.lock().unwrap().push(notice.to_string());
    }
}

impl BlobServer {
    fn start(size: usize, ranges: Ranges, cut: usize, cuts: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut blob = vec![0; size];
        for (number, block) in (0_u32..).zip(blob.chunks_mut(4096)) {
            let number = number.to_le_bytes();
            let length = number.len().min(block.len());
            block[..length].copy_from_slice(&number[..length]);
        }
        let server = Self {
            host: listener.local_addr().unwrap().to_string(),
            blob: Arc::new(blob),
            ranges,
            cut,
            cuts: Arc::new(AtomicU64::new(cuts)),
            asked: Arc::default(),
            learned: Arc::default(),
            traffic: Arc::default(),
            heard: Arc::default(),
        };
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || drop(serving.serve(stream)));
            }
        });
        server
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let lines = BufReader::new(stream.try_clone()?).lines();
        let head: Vec<String> =
            lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let range = head.iter().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("range")
                .then(|| value.trim_start_matches("bytes=").to_owned())
        });
        // What does not begin with the bytes of HTTP is the question whether TLS is spoken.
        if !head.first().is_some_and(|line| line.starts_with("GET ")) {
            return Ok(());
        }
        self.asked.lock().unwrap().push(range.clone().unwrap_or_default());
        let size = self.blob.len();
        let (status, from, to) = match (range, self.ranges) {
            (None, _) | (Some(_), Ranges::Ignored) => ("200 OK", 0, size),
            (Some(_), Ranges::Refused) => ("416 Range Not Satisfiable", 0, 0),
            (Some(range), Ranges::Served | Ranges::Mistaken) => {
                let (from, last) = range.split_once('-').unwrap();
                let to = last.parse::<usize>().map_or(size, |last| last + 1);
                let early = if self.ranges == Ranges::Mistaken { 100 } else { 0 };
                let from: usize = from.parse().unwrap();
                ("206 Partial Content", from.max(early) - early, to - early)
            }
        };
        let place = format!("Content-Range: bytes {from}-{}/{size}\r\n", to.max(1) - 1);
        let place = if status.starts_with("206") { place } else { String::new() };
        let length = to - from;
        write!(
            stream,
            "HTTP/1.1 {status}\r\nConnection: close\r\n{TOLD}{place}Content-Length: {length}\r\n\r\n"
        )?;
        let take = |left: u64| left.checked_sub(1);
        let breaks = self.cut < length
            && self.cuts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        let end = if breaks { from + self.cut } else { to };
        stream.write_all(&self.blob[from..end])
    }

    fn reader(&self) -> Box<dyn Read + Send> {
        let timing = Arc::new(InstantTiming::default());
        let learned = self.learned.clone();
        let (traffic, notices) = (self.traffic.clone(), self.heard.clone());
        let settings = Settings { learned, timing, traffic, notices, ..Settings::default() };
        let client = Client::new(settings);
        let name: Reference = format!("{}/app:1", self.host).parse().unwrap();
        let blob =
            Descriptor::new(MediaType::LAYER, Digest::of(&self.blob), self.blob.len() as u64);
        // A reader may not outlive its source, and tests have few.
        Box::leak(Box::new(client)).blob(&name, &blob).unwrap()
    }

    fn check(&self) -> Vec<String> {
        let mut read = Vec::new();
        self.reader().read_to_end(&mut read).unwrap();
        assert!(read == *self.blob, "the bytes of the blob in their order");
        self.asked.lock().unwrap().clone()
    }
}

#[test]
fn a_large_blob_comes_in_parts_each_asked_for_once() {
    let mut asked = BlobServer::start(50 * MIB + 7, Ranges::Served, usize::MAX, 0).check();
    asked.sort_by_key(|range| range.split_once('-').unwrap().0.parse::<u64>().unwrap());
    let last = (50 * MIB + 6).to_string();
    assert_eq!(asked.len(), 7);
    assert_eq!(asked[0], "0-8388607");
    assert!(asked[6] == "50331648-" || asked[6].ends_with(&last), "{asked:?}");
}

#[test]
fn what_every_answer_tells_is_told_once() {
    let server = BlobServer::start(33 * MIB, Ranges::Served, usize::MAX, 0);
    server.check();
    server.check();
    let mut heard = server.heard.0.lock().unwrap().clone();
    heard.sort();
    assert!(heard[0].contains("answers 3 more requests for images in 60 minutes"), "{heard:?}");
    assert!(heard[1].ends_with("warns: this goes away"), "{heard:?}");
    assert_eq!(heard.len(), 2);
}

#[test]
fn a_blob_below_the_limit_comes_at_once() {
    assert_eq!(BlobServer::start(31 * MIB, Ranges::Served, usize::MAX, 0).check(), [""]);
}

#[test]
fn a_server_that_takes_no_notice_of_ranges_sends_the_blob_once() {
    let server = BlobServer::start(40 * MIB, Ranges::Ignored, usize::MAX, 0);
    assert_eq!(server.check(), ["0-8388607"]);
    // And is known for that.
    assert_eq!(server.check(), ["0-8388607", ""]);
    let heard = server.heard.0.lock().unwrap();
    assert_eq!(heard.iter().filter(|line| line.contains("remembered")).count(), 1, "{heard:?}");
}

#[test]
fn a_server_that_refuses_ranges_is_asked_for_everything() {
    let asked = BlobServer::start(40 * MIB, Ranges::Refused, usize::MAX, 0).check();
    assert_eq!(asked, ["0-8388607", ""]);
}

#[test]
fn a_server_that_answers_with_another_part_is_asked_for_everything() {
    // Of a part from the beginning nothing is wrong until one after it is asked for.
    let server = BlobServer::start(30 * MIB, Ranges::Mistaken, MIB, 1);
    assert_eq!(server.check(), ["", "1048576-", ""]);
}

#[test]
fn a_blob_comes_through_twenty_resets_and_nothing_is_sent_twice() {
    for (size, ranges) in [(40 * MIB, Ranges::Served), (30 * MIB, Ranges::Served)] {
        let server = BlobServer::start(size, ranges, MIB + 1, 20);
        let asked = server.check();
        let parts = if size < 32 * MIB { 1 } else { 5 };
        assert_eq!(asked.len(), parts + 20, "{asked:?}");
        let mut begun: Vec<u64> = asked
            .iter()
            .map(|range| range.split_once('-').map_or(0, |(from, _)| from.parse().unwrap()))
            .collect();
        begun.sort_unstable();
        begun.dedup();
        assert_eq!(begun.len(), parts + 20, "each goes on where another broke off");
    }
}

#[test]
fn a_blob_that_never_comes_further_fails() {
    let server = BlobServer::start(40 * MIB, Ranges::Served, 1000, u64::MAX);
    let mut read = Vec::new();
    assert!(server.reader().read_to_end(&mut read).is_err());
}

#[test]
fn a_reader_that_is_left_leaves_no_room_taken() {
    let server = BlobServer::start(40 * MIB, Ranges::Served, usize::MAX, 0);
    for _ in 0..20 {
        let mut first = [0; 10];
        server.reader().read_exact(&mut first).unwrap();
        assert_eq!(first, server.blob[..10]);
    }
    server.check();
}
