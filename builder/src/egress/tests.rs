//! Who is let where, and what arrives there.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::mpsc::Receiver;
use std::thread::{self, JoinHandle};

use super::address::is_outer;
use super::gate::{Proxy, Told};
use super::record::{decode, encode};
use super::request::{self, Body, Kind, Request};
use super::{Contact, EgressList, Refusal, Verdict};

#[track_caller]
fn admits(list: &str, host: &str, port: u16) {
    assert_eq!(
        list.parse::<EgressList>().unwrap().admits(host, port),
        Ok(()),
        "{list} {host}:{port}"
    );
}

#[track_caller]
fn refuses(list: &str, host: &str, port: u16) {
    let admitted = list.parse::<EgressList>().unwrap().admits(host, port);
    assert_eq!(admitted, Err(Refusal::Unlisted), "{list} {host}:{port}");
}

#[test]
fn a_list_admits_what_it_names_and_nothing_else() {
    admits("deb.debian.org", "deb.debian.org", 80);
    admits("deb.debian.org", "deb.debian.org", 443);
    refuses("deb.debian.org", "deb.debian.org", 22);
    admits("Deb.Debian.ORG.", "deb.debian.org", 80);
    refuses("debian.org", "deb.debian.org", 80);
    admits("*.example.org:443,x", "a.b.example.org", 443);
    refuses("*.example.org:443,x", "a.example.org", 80);
    refuses("*.example.org", "example.org", 443);
    refuses("*.example.org", "badexample.org", 443);
    admits("*", "anything.example", 443);
    admits("*:*", "anything.example", 9418);
    refuses("*.0.0.1", "127.0.0.1", 80);
    admits("10.0.0.0/8:5000", "10.1.2.3", 5000);
    refuses("10.0.0.0/8:5000", "11.1.2.3", 5000);
    refuses("[fd00::/8]:5000", "fd00::1", 443);
    admits("[fd00::/8]:5000", "fd00::1", 5000);
    admits("::1", "::1", 80);
}

#[test]
fn what_was_reached_with_another_list_is_judged_by_this_one() {
    let list: EgressList = "a.example".parse().unwrap();
    let contact = |host: &str, verdict| Contact { host: host.to_owned(), port: 80, verdict };
    let refused = contact("b.example", Verdict::Refused(Refusal::Unlisted));
    assert!(list.admits_all(&[contact("a.example", Verdict::Reached), refused]));
    assert!(!list.admits_all(&[contact("b.example", Verdict::Reached)]));
}

#[test]
fn what_is_no_list_is_refused_by_its_entry() {
    let wrong = [
        "",
        ",",
        "http://a",
        "a/b",
        "a b",
        "a..b",
        "*a",
        "a:0",
        "a:65536",
        "a:b",
        "10.0.0.0/33",
        "[fd00::]/8",
        "[::1",
    ];
    for text in wrong {
        let parsed = text.parse::<EgressList>();
        assert!(parsed.is_err(), "{text:?} is {parsed:?}");
    }
    let error = "deb.debian.org,a:99999".parse::<EgressList>().unwrap_err();
    assert!(error.to_string().contains("\"a:99999\""), "{error}");
}

#[test]
fn addresses_that_are_no_part_of_the_internet_are_known() {
    let inner = "127.0.0.1 10.0.0.1 172.31.255.255 192.168.1.1 169.254.169.254 169.254.170.2 100.100.100.200 \
        168.63.129.16 0.0.0.0 255.255.255.255 224.0.0.1 192.0.0.192 ::1 :: fe80::1 fc00::1 fd00:ec2::254 ff02::1 \
        ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 2002:7f00:1:: \
        2001::1 2001:db8::1 fec0::1 100::1";
    for text in inner.split_ascii_whitespace() {
        assert!(!is_outer(text.parse().unwrap()), "{text}");
    }
    let outer = "1.1.1.1 172.15.0.1 172.32.0.1 100.63.255.255 100.128.0.1 151.101.2.132 2606:4700::1111 2a04:4e42::644 \
        ::ffff:1.1.1.1 64:ff9b::101:101 2002:101:101::";
    for text in outer.split_ascii_whitespace() {
        assert!(is_outer(text.parse().unwrap()), "{text}");
    }
}

#[test]
fn a_name_that_leads_inside_is_refused_unless_the_address_is_listed() {
    let address: IpAddr = "10.1.2.3".parse().unwrap();
    let list: EgressList = "*".parse().unwrap();
    assert_eq!(list.admits_address(address, 80), Err(Refusal::Inner(address)));
    let list: EgressList = "internal.example,10.0.0.0/8".parse().unwrap();
    assert_eq!(list.admits_address(address, 80), Ok(()));
    assert_eq!(list.admits_address(address, 8080), Err(Refusal::Inner(address)));
    let mapped: IpAddr = "::ffff:10.1.2.3".parse().unwrap();
    assert_eq!(list.admits_address(mapped, 80), Ok(()));
}

#[track_caller]
fn forwarded(head: &str) -> (String, u16, String, Body) {
    match request::parse(head.replace('\n', "\r\n").as_bytes()).unwrap() {
        Request { host, port, kind: Kind::Forward { head, body } } => {
            (host, port, String::from_utf8(head).unwrap().replace("\r\n", "\n"), body)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_is_sent_on_without_what_is_about_its_connection() {
    let head = "GET http://u:p@A.example:8080/p?q HTTP/1.1\nHost: other\nConnection: keep-alive, X-Hop\n\
        X-Hop: 1\nProxy-Authorization: Basic x\nAccept: */*\n\n";
    let expected = "GET /p?q HTTP/1.1\nHost: A.example:8080\nAccept: */*\nConnection: close\n\n";
    let sent = ("a.example".to_owned(), 8080, expected.to_owned(), Body::Bytes(0));
    assert_eq!(forwarded(head), sent);
    let (_, port, head, body) =
        forwarded("POST HTTP://a?x HTTP/1.0\nContent-Length: 5\nConnection: content-length\n\n");
    assert_eq!((port, body), (80, Body::Bytes(5)));
    assert!(head.starts_with("POST /?x HTTP/1.1\nHost: a\n"), "{head}");
    assert!(head.contains("Content-Length: 5\n"), "{head}");
    assert_eq!(
        forwarded("PUT http://[::1]/ HTTP/1.1\nTransfer-Encoding: chunked\n\n").3,
        Body::Chunked
    );
}

#[test]
fn what_is_no_request_for_a_proxy_is_refused() {
    let wrong = [
        "GET / HTTP/1.1\n\n",
        "GET https://a/ HTTP/1.1\n\n",
        "GET ftp://a/ HTTP/1.1\n\n",
        "CONNECT a HTTP/1.1\n\n",
        "CONNECT a:0 HTTP/1.1\n\n",
        "CONNECT :443 HTTP/1.1\n\n",
        "CONNECT a\u{e4}:443 HTTP/1.1\n\n",
        "CONNECT [::1:443 HTTP/1.1\n\n",
        "POST http://a/ HTTP/1.1\nContent-Length: 1\nContent-Length: 2\n\n",
        "POST http://a/ HTTP/1.1\nContent-Length: 1\nTransfer-Encoding: chunked\n\n",
        "POST http://a/ HTTP/1.1\nContent-Length: +1\n\n",
        "nonsense\n\n",
    ];
    for head in wrong {
        let parsed = request::parse(head.replace('\n', "\r\n").as_bytes());
        assert!(parsed.is_err(), "{head}: {parsed:?}");
    }
}

#[test]
fn a_head_may_come_in_pieces_and_has_an_end() {
    struct Slow<'a>(&'a [u8]);
    impl std::io::Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            (buffer[0], self.0) = (*first, rest);
            Ok(1)
        }
    }
    let read = request::read_head(&mut Slow(b"a\r\n\r\nb"), Vec::new()).unwrap();
    assert_eq!(read, (b"a\r\n\r\n".to_vec(), Vec::new()));
    let read = request::read_head(&mut Slow(b""), b"a\r\n\r\nb".to_vec()).unwrap();
    assert_eq!(read, (b"a\r\n\r\n".to_vec(), b"b".to_vec()));
    assert!(request::read_head(&mut Slow(b"a\r\n\r"), Vec::new()).is_err());
    assert!(request::read_head(&mut &vec![b'x'; 1 << 20][..], Vec::new()).is_err());
}

#[test]
fn what_a_step_asked_for_is_kept_as_it_was() {
    let contact = |host: &str, verdict| Contact { host: host.to_owned(), port: 443, verdict };
    let inner = Verdict::Refused(Refusal::Inner("fd00::1".parse().unwrap()));
    let all = [
        contact("a.example", Verdict::Reached),
        contact("::1", inner),
        contact("b", Verdict::Unreachable),
        contact("c", Verdict::Refused(Refusal::Unlisted)),
        contact("d", Verdict::Refused(Refusal::TooMany)),
    ];
    assert_eq!(decode(&encode(&all)), Some(all.to_vec()));
    assert_eq!(decode(&encode(&[])), Some(Vec::new()));
    assert_eq!(decode(b"\x02"), None);
}

/// A server that answers each request with what it was sent, and says so itself how that ends.
fn echo() -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let (head, rest) = request::read_head(&mut client, Vec::new()).unwrap();
        client
            .write_all(
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n",
            )
            .unwrap();
        client.write_all(&head).unwrap();
        client.write_all(&rest).unwrap();
    });
    (port, serving)
}

/// A proxy with a list, and where it listens.
fn proxy(list: &str, names: &[(&str, &str)]) -> (Proxy, Receiver<Told>, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let names = names.iter().map(|(name, given)| ((*name).to_owned(), given.parse().unwrap()));
    let (proxy, told) = Proxy::start(listener, &list.parse().unwrap(), names.collect()).unwrap();
    (proxy, told, port)
}

/// Everything that comes back for what is sent.
fn asked(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn contacts(told: &Receiver<Told>) -> Vec<(String, Verdict)> {
    let contact = |told| match told {
        Told::Contact(contact) => Some((contact.host, contact.verdict)),
        Told::SoFar(_) | Told::End => None,
    };
    told.try_iter().filter_map(contact).collect()
}

#[test]
fn an_answer_comes_back_and_ends_its_connection() {
    let (server, serving) = echo();
    let (_proxy, told, port) = proxy("a.example:*", &[("A.example", "127.0.0.1")]);
    let answer = asked(
        port,
        &format!(
            "GET http://a.example:{server}/x HTTP/1.1\r\n\r\nGET http://b.example/ HTTP/1.1\r\n\r\n"
        ),
    );
    serving.join().unwrap();
    let expected = format!(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\
        GET /x HTTP/1.1\r\nHost: a.example:{server}\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(answer, expected, "and nothing of a second request");
    assert_eq!(contacts(&told), [("a.example".to_owned(), Verdict::Reached)]);
}

#[test]
fn a_body_arrives_whole_and_no_longer_than_it_is() {
    let (server, serving) = echo();
    let (_proxy, _told, port) = proxy(&format!("127.0.0.1:{server}"), &[]);
    let head = format!("POST http://127.0.0.1:{server}/ HTTP/1.1\r\nContent-Length: 4\r\n\r\n");
    let answer = asked(port, &format!("{head}bodymore"));
    serving.join().unwrap();
    assert!(
        answer.ends_with("Connection: close\r\n\r\nbody")
            || answer.ends_with("Connection: close\r\n\r\n")
    );
    assert!(!answer.contains("more"), "{answer}");
}

#[test]
fn a_tunnel_carries_what_it_is_given() {
    let (server, serving) = echo();
    let (_proxy, _told, port) = proxy("127.0.0.0/8:*", &[]);
    let answer =
        asked(port, &format!("CONNECT 127.0.0.1:{server} HTTP/1.1\r\n\r\nanything\r\n\r\n"));
    serving.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 Connection established\r\n\r\n"), "{answer}");
    assert!(answer.ends_with("anything\r\n\r\n"), "{answer}");
}

#[test]
fn who_is_refused_is_told_why_and_each_host_is_told_once() {
    let (_proxy, told, port) = proxy("*,listed:81", &[("listed", "127.0.0.1")]);
    for _ in 0..2 {
        let answer = asked(port, "CONNECT localhost:443 HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden (localhost:443: "), "{answer}");
        assert!(answer.contains("is no address of the internet"), "{answer}");
    }
    let answer = asked(port, "GET http://listed:82/ HTTP/1.1\r\n\r\n");
    assert!(answer.contains("wythe: listed:82: it is not on the list"), "{answer}");
    let answer = asked(port, "GET http://127.1/ HTTP/1.1\r\n\r\n");
    assert!(answer.contains("403"), "{answer}");
    assert!(asked(port, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let told: Vec<_> = contacts(&told).into_iter().map(|(host, _)| host).collect();
    assert_eq!(told, ["localhost", "listed", "127.1"]);
}

#[test]
fn a_proxy_that_ends_closes_its_connections() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = server.local_addr().unwrap().port();
    let (proxy, told, port) = proxy("127.0.0.1:*", &[]);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(format!("CONNECT 127.0.0.1:{at} HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
    let mut peer = server.accept().unwrap().0;
    drop(proxy);
    assert_eq!(peer.read_to_end(&mut Vec::new()).unwrap(), 0);
    assert!(stream.read_to_end(&mut Vec::new()).is_ok());
    assert!(matches!(told.iter().last(), Some(Told::End)) || told.try_recv().is_err());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "nobody listens any more");
}
