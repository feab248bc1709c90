//! Objects, against a server that answers as S3 does.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Mutex;

use super::*;
use crate::chain::Origin;
use crate::fake_service::{Asked, FakeService, Given, given};

/// A server of one bucket, with the conditions of S3 if it is to know them.
#[derive(Default)]
struct Server {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    parts: Mutex<BTreeMap<u32, Vec<u8>>>,
}

impl Server {
    fn answer(&self, asked: &Asked, conditions: Conditions) -> Given {
        let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        let key = path.strip_prefix("/b/").unwrap_or_default().to_owned();
        let mut objects = self.objects.lock().unwrap();
        let wants =
            !asked.header("if-none-match").is_empty() || !asked.header("if-match").is_empty();
        if wants && conditions == Conditions::Unknown {
            return given(501, "<Error><Code>NotImplemented</Code><Message>no</Message></Error>");
        }
        match (&*asked.method, query) {
            ("POST", "uploads=") => given(200, "<R><UploadId>u/1</UploadId></R>"),
            ("PUT", part) if part.starts_with("partNumber=") => {
                let number = part["partNumber=".len()..].split('&').next().unwrap();
                self.parts.lock().unwrap().insert(number.parse().unwrap(), asked.body.clone());
                Given(200, vec![("ETag".to_owned(), format!("\"p{number}\""))], Vec::new())
            }
            ("POST", "uploadId=u%2F1") => {
                let parts = std::mem::take(&mut *self.parts.lock().unwrap());
                objects.insert(key, parts.into_values().flatten().collect());
                given(200, "<R/>")
            }
            ("PUT", _) => {
                let there = objects.get(&key).map(|bytes| format!("\"{}\"", sha256(bytes)));
                let (absent, unchanged) = (asked.header("if-none-match"), asked.header("if-match"));
                let refused = (absent == "*" && there.is_some())
                    || (!unchanged.is_empty() && there.as_deref() != Some(unchanged));
                if refused {
                    return given(412, "<Error><Code>PreconditionFailed</Code></Error>");
                }
                objects.insert(key, asked.body.clone());
                given(200, "")
            }
            ("GET" | "HEAD", _) => match objects.get(&key) {
                Some(bytes) => {
                    let range = asked.header("range").strip_prefix("bytes=");
                    let range = range.and_then(|range| range.split_once('-'));
                    let bytes = match range {
                        Some((start, end)) => {
                            let (start, end): (usize, usize) =
                                (start.parse().unwrap(), end.parse().unwrap());
                            bytes[start..=end.min(bytes.len() - 1)].to_vec()
                        }
                        None => bytes.clone(),
                    };
                    let modified = "Sat, 28 Feb 2026 00:00:00 GMT".to_owned();
                    let tag = ("ETag".to_owned(), format!("\"{}\"", sha256(&bytes)));
                    Given(200, vec![("Last-Modified".to_owned(), modified), tag], bytes)
                }
                None => given(404, "<Error><Code>NoSuchKey</Code></Error>"),
            },
            _ => given(400, "<Error><Code>Unexpected</Code></Error>"),
        }
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Conditions {
    Known,
    Unknown,
}

fn server(conditions: Conditions) -> (Bucket, FakeService) {
    let server = Server::default();
    let service = FakeService::start(move |asked: &Asked| server.answer(asked, conditions));
    (bucket(&service, Addressing::Path), service)
}

fn bucket(service: &FakeService, addressing: Addressing) -> Bucket {
    let around = Arc::new(Surroundings::bare(&[]));
    let keys = Keys::new("AKID", "hush");
    let chain = Arc::new(Chain::new(around.clone(), Origin::Given(keys)));
    let (name, region) = ("b".to_owned(), "eu-west-1".parse().unwrap());
    let endpoint = Some(service.url.clone());
    Bucket::new(around, chain, BucketOptions { name, region, endpoint, addressing })
}

fn put(bucket: &Bucket, key: &str, bytes: &[u8], condition: Condition<'_>) -> Put {
    let open = || Ok(Box::new(bytes) as Box<dyn Read + Send + '_>);
    let digest = digest_of(bytes);
    let (size, sha256) = (bytes.len() as u64, Some(&*digest));
    let body = ObjectBody { open: &open, size, sha256, media_type: "text/plain" };
    bucket.put(key, &body, (condition, 2)).unwrap()
}

fn get(bucket: &Bucket, key: &str, range: Option<Range<u64>>) -> Option<Vec<u8>> {
    let (_, mut answer) = bucket.get(key, range).unwrap()?;
    let mut bytes = Vec::new();
    answer.body.read_to_end(&mut bytes).unwrap();
    Some(bytes)
}

#[test]
fn an_object_is_written_found_and_read_in_part() {
    let (bucket, service) = server(Conditions::Known);
    assert_eq!(bucket.head("a b/x").unwrap(), None);
    assert_eq!(put(&bucket, "a b/x", b"0123456789", Condition::Always), Put::Written);
    assert_eq!(get(&bucket, "a b/x", None).as_deref(), Some(&b"0123456789"[..]));
    assert_eq!(get(&bucket, "a b/x", Some(2..5)).as_deref(), Some(&b"234"[..]));
    assert_eq!(get(&bucket, "gone", None), None);
    let info = bucket.head("a b/x").unwrap().unwrap();
    assert_eq!(
        (info.size, info.modified.unwrap().to_string()),
        (Some(10), "2026-02-28T00:00:00Z".to_owned())
    );
    let asked = service.asked();
    let written = asked.iter().find(|asked| asked.method == "PUT").unwrap();
    assert_eq!(written.target, "/b/a%20b/x");
    assert_eq!(written.header("x-amz-content-sha256"), sha256(b"0123456789"));
    assert!(written.header("authorization").contains("/eu-west-1/s3/aws4_request"));
}

#[test]
fn conditions_are_held_to() {
    let (bucket, _service) = server(Conditions::Known);
    assert_eq!(put(&bucket, "x", b"one", Condition::IfAbsent), Put::Written);
    assert_eq!(put(&bucket, "x", b"two", Condition::IfAbsent), Put::Refused);
    let tag = bucket.head("x").unwrap().unwrap().tag.unwrap();
    assert_eq!(put(&bucket, "x", b"two", Condition::IfUnchanged(&tag)), Put::Written);
    assert_eq!(put(&bucket, "x", b"three", Condition::IfUnchanged(&tag)), Put::Refused);
    assert_eq!(put(&bucket, "y", b"three", Condition::IfUnchanged(&tag)), Put::Refused);
    assert_eq!(get(&bucket, "x", None).as_deref(), Some(&b"two"[..]));
}

#[test]
fn a_server_without_conditions_is_asked_for_them_once() {
    let (bucket, service) = server(Conditions::Unknown);
    assert_eq!(put(&bucket, "x", b"one", Condition::IfAbsent), Put::WrittenAnyway);
    assert_eq!(put(&bucket, "y", b"two", Condition::IfAbsent), Put::WrittenAnyway);
    assert_eq!(service.asked().len(), 3);
}

#[test]
fn a_long_object_goes_in_parts_and_arrives_whole() {
    let (bucket, service) = server(Conditions::Known);
    let bytes: Vec<u8> = (0..MIN_IN_PARTS + 5).map(|n| u8::try_from(n % 251).unwrap()).collect();
    assert_eq!(put(&bucket, "long", &bytes, Condition::IfAbsent), Put::Written);
    assert!(get(&bucket, "long", None).unwrap() == bytes);
    let asked = service.asked();
    let parts = asked.iter().filter(|asked| asked.target.contains("partNumber=")).count();
    assert_eq!(parts, 9);
    let last = asked
        .iter()
        .find(|asked| asked.target.ends_with("uploadId=u%2F1") && asked.method == "POST");
    let last = last.unwrap();
    assert_eq!(last.header("if-none-match"), "*");
    assert!(last.text().contains("<Part><PartNumber>9</PartNumber><ETag>\"p9\"</ETag></Part>"));
}

#[test]
fn an_upload_that_fails_is_cancelled() {
    let service = FakeService::start(|asked: &Asked| match (&*asked.method, &*asked.target) {
        ("POST", "/b/x?uploads=") => given(200, "<R><UploadId>u</UploadId></R>"),
        ("DELETE", "/b/x?uploadId=u") => given(204, ""),
        _ => given(403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"),
    });
    let bytes = vec![0_u8; usize::try_from(MIN_IN_PARTS).unwrap()];
    let open = || Ok(Box::new(&*bytes) as Box<dyn Read + Send + '_>);
    let (size, media_type) = (MIN_IN_PARTS, "text/plain");
    let body = ObjectBody { open: &open, size, sha256: None, media_type };
    let bucket = bucket(&service, Addressing::Path);
    let error = bucket.put("x", &body, (Condition::Always, 2)).unwrap_err();
    assert!(matches!(error.problem, AwsProblem::Denied { .. }), "{error}");
    assert_eq!(service.asked().last().unwrap().method, "DELETE");
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let count = Mutex::new(0);
    let service = FakeService::start(move |_| {
        let mut count = count.lock().unwrap();
        *count += 1;
        match *count {
            1 | 2 => given(503, "<Error><Code>SlowDown</Code></Error>"),
            _ => given(200, "late"),
        }
    });
    assert_eq!(get(&bucket(&service, Addressing::Path), "x", None).as_deref(), Some(&b"late"[..]));
}

#[test]
fn keys_that_are_not_to_be_had_are_not_searched_for_again_and_again() {
    let sts = FakeService::start(|_| given(503, "<Error><Code>ServiceUnavailable</Code></Error>"));
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "hush").unwrap();
    let around = Arc::new(Surroundings::bare(&[
        ("AWS_ENDPOINT_URL", &sts.url),
        ("AWS_ROLE_ARN", "arn"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
    ]));
    let region: Region = "eu-west-1".parse().unwrap();
    let chain = Arc::new(Chain::new(around.clone(), Origin::Search(region.clone())));
    let (name, addressing) = ("b".to_owned(), Addressing::Path);
    let options = BucketOptions { name, region, endpoint: None, addressing };
    assert!(Bucket::new(around, chain, options).head("x").is_err());
    assert_eq!(sts.asked().len(), 5);
}

#[test]
fn a_bucket_of_another_region_says_which() {
    let service = FakeService::start(|_| {
        let region = ("x-amz-bucket-region".to_owned(), "eu-north-1".to_owned());
        Given(301, vec![region], Vec::new())
    });
    let error = bucket(&service, Addressing::Path).head("x").unwrap_err().to_string();
    assert!(error.contains("eu-north-1"), "{error}");
}

#[test]
fn a_bucket_that_is_missing_is_no_missing_object() {
    let service = FakeService::start(|_| {
        given(404, "<Error><Code>NoSuchBucket</Code><Message>m</Message></Error>")
    });
    assert!(bucket(&service, Addressing::Path).get("x", None).is_err());
}

#[test]
fn the_name_of_a_bucket_stands_where_it_can_be_reached() {
    let url = |name: &str, endpoint: Option<&str>, addressing| {
        let around = Arc::new(Surroundings::bare(&[]));
        let chain = Arc::new(Chain::new(around.clone(), Origin::Given(Keys::new("A", "s"))));
        let (name, region) = (name.to_owned(), "eu-west-1".parse().unwrap());
        let endpoint = endpoint.map(str::to_owned);
        let options = BucketOptions { name, region, endpoint, addressing };
        Bucket::new(around, chain, options).url().to_owned()
    };
    assert_eq!(url("b", None, Addressing::Host), "https://b.s3.eu-west-1.amazonaws.com");
    assert_eq!(url("b.c", None, Addressing::Host), "https://s3.eu-west-1.amazonaws.com/b.c");
    assert_eq!(url("b", Some("http://minio:9000/"), Addressing::Path), "http://minio:9000/b");
}
