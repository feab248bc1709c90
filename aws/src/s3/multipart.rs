//! Long objects, in parts that are sent side by side.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};

use wythe_registry::exchange::ServiceBody;

use super::{Bucket, Condition, ObjectBody, Simple, finished, patience};
use crate::error::{AwsError, AwsProblem};
use crate::sign::{Payload, sha256};
use crate::xml;

/// A part has so many bytes, unless there would be too many parts. S3 wants 5 MiB at least.
const PART: u64 = 8 << 20;
/// An upload may have so many parts.
const MAX_PARTS: u64 = 10_000;

const OPERATION: &str = "s3:PutObject";

/// A part in memory, and its number from 1 on.
struct Part {
    number: usize,
    bytes: Vec<u8>,
}

/// An upload that was begun.
struct Upload<'a> {
    bucket: &'a Bucket,
    key: &'a str,
    id: String,
    /// The tags of the parts that are there, by their numbers.
    tags: Mutex<Vec<(usize, String)>>,
    failure: Mutex<Option<AwsError>>,
}

impl Bucket {
    /// Writes an object in parts. An upload that fails is cancelled, so that nobody pays for its parts.
    pub(super) fn put_in_parts(
        &self,
        key: &str,
        body: &ObjectBody<'_>,
        (condition, parallel): (Condition<'_>, usize),
    ) -> Result<(), AwsError> {
        let headers = [("content-type".to_owned(), body.media_type.to_owned())];
        let query = [("uploads".to_owned(), String::new())];
        let begin =
            Simple { operation: OPERATION, method: "POST", query: &query, ..Simple::get(key) };
        let answer = finished(OPERATION, self.call(&begin, &headers)?)?;
        let wrong = || AwsError::new(OPERATION, AwsProblem::Answer { what: "UploadId" });
        let id = xml::text_of(&answer, "UploadId").ok_or_else(wrong)?;
        let (tags, failure) = (Mutex::default(), Mutex::default());
        let upload = Upload { bucket: self, key, id, tags, failure };
        let done = upload.send(body, parallel).and_then(|()| upload.complete(condition));
        if done.is_err() {
            // What failed is told; a rule of the bucket for unfinished uploads does the rest.
            let _ = upload.cancel();
        }
        done
    }
}

impl Upload<'_> {
    /// Reads parts one after the other, and sends some at a time.
    fn send(&self, body: &ObjectBody<'_>, parallel: usize) -> Result<(), AwsError> {
        let size = PART.max(body.size.div_ceil(MAX_PARTS));
        let (sender, receiver) = sync_channel::<Part>(0);
        let receiver = Mutex::new(receiver);
        let read = std::thread::scope(|scope| {
            for _ in 0..parallel.max(1) {
                scope.spawn(|| self.work(&receiver));
            }
            let mut reader = (body.open)()?;
            for number in 1.. {
                let mut bytes = Vec::new();
                reader.by_ref().take(size).read_to_end(&mut bytes)?;
                let failed = lock(&self.failure).is_some();
                if bytes.is_empty() || failed || sender.send(Part { number, bytes }).is_err() {
                    break;
                }
            }
            drop(sender);
            io::Result::Ok(())
        });
        let content = |error: io::Error| AwsError::new(OPERATION, AwsProblem::Content(error));
        read.map_err(content)?;
        lock(&self.failure).take().map_or(Ok(()), Err)
    }

    fn work(&self, parts: &Mutex<Receiver<Part>>) {
        let next = || lock(parts).recv();
        while let Ok(part) = next() {
            if lock(&self.failure).is_some() {
                continue;
            }
            match self.part(&part) {
                Ok(tag) => lock(&self.tags).push((part.number, tag)),
                Err(error) => drop(lock(&self.failure).get_or_insert(error)),
            }
        }
    }

    fn part(&self, part: &Part) -> Result<String, AwsError> {
        let query = self.query(Some(part.number));
        let bytes = &*part.bytes;
        let open = || Ok(Box::new(bytes) as Box<dyn Read + Send + '_>);
        let (length, digest) = (bytes.len() as u64, sha256(bytes));
        let call = Simple {
            operation: OPERATION,
            method: "PUT",
            query: &query,
            body: ServiceBody::Stream(&open, length),
            payload: Payload::Announced(&digest),
            patience: Some(patience(length)),
            ..Simple::get(self.key)
        };
        let answer = self.bucket.call(&call, &[])?;
        let wrong = || AwsError::new(OPERATION, AwsProblem::Answer { what: "ETag" });
        answer.header("etag").map(str::to_owned).ok_or_else(wrong)
    }

    fn complete(&self, condition: Condition<'_>) -> Result<(), AwsError> {
        let mut tags = lock(&self.tags).clone();
        tags.sort();
        let mut text = "<CompleteMultipartUpload>".to_owned();
        for (number, tag) in tags {
            let tag = tag.replace('&', "&amp;").replace('<', "&lt;");
            // Writing to a string cannot fail.
            let _ =
                write!(text, "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>");
        }
        text.push_str("</CompleteMultipartUpload>");
        let (query, digest) = (self.query(None), sha256(text.as_bytes()));
        let call = Simple {
            operation: OPERATION,
            method: "POST",
            query: &query,
            body: ServiceBody::Bytes(text.as_bytes()),
            payload: Payload::Announced(&digest),
            // S3 may take minutes to put an object together.
            patience: Some(patience(0)),
            ..Simple::get(self.key)
        };
        finished(OPERATION, self.bucket.call(&call, &condition.headers())?).map(drop)
    }

    fn cancel(&self) -> Result<(), AwsError> {
        let query = self.query(None);
        let call = Simple {
            operation: "s3:AbortMultipartUpload",
            method: "DELETE",
            query: &query,
            ..Simple::get(self.key)
        };
        self.bucket.call(&call, &[]).map(drop)
    }

    fn query(&self, part: Option<usize>) -> Vec<(String, String)> {
        let part = part.map(|number| ("partNumber".to_owned(), number.to_string()));
        part.into_iter().chain([("uploadId".to_owned(), self.id.clone())]).collect()
    }
}

/// A panic while something is held leaves it as it was.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
