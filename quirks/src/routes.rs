//! From a request to what answers it.

use std::io::{self, Read as _};

use crate::access;
use crate::answer::{Answer, Content};
use crate::blobs;
use crate::journal::Origin;
use crate::manifests;
use crate::quirks::{Flag, Location, RetryAfter};
use crate::referrers;
use crate::request::{Body, Request};
use crate::server::Shared;
use crate::step::Step;
use crate::uploads;

/// What a path names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place<'a> {
    Ping,
    Token,
    /// The sums of the journal, for who cannot read it.
    Counts,
    /// A repository, for who makes one that is not there.
    Made(&'a str),
    /// Where people sign in.
    SignIn,
    Manifest(&'a str, &'a str),
    Blob(&'a str, &'a str),
    Uploads(&'a str),
    Upload(&'a str, &'a str),
    Referrers(&'a str, &'a str),
    Tags(&'a str),
    Unknown,
}

impl<'a> Place<'a> {
    pub(crate) fn of(path: &'a str) -> Self {
        match path {
            "/v2/" | "/v2" => return Self::Ping,
            "/token" => return Self::Token,
            "/-/counts" => return Self::Counts,
            "/signin" => return Self::SignIn,
            _ => {}
        }
        if let Some(name) = path.strip_prefix("/-/repositories/") {
            return Self::Made(name);
        }
        let Some(rest) = path.strip_prefix("/v2/") else { return Self::Unknown };
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Self::Tags(name);
        }
        if let Some((name, id)) = rest.rsplit_once("/blobs/uploads/") {
            return if id.is_empty() { Self::Uploads(name) } else { Self::Upload(name, id) };
        }
        if let Some(name) = rest.strip_suffix("/blobs/uploads") {
            return Self::Uploads(name);
        }
        let Some((rest, last)) = rest.rsplit_once('/') else { return Self::Unknown };
        match rest.rsplit_once('/') {
            Some((name, "manifests")) => Self::Manifest(name, last),
            Some((name, "blobs")) => Self::Blob(name, last),
            Some((name, "referrers")) => Self::Referrers(name, last),
            _ => Self::Unknown,
        }
    }

    /// What a request for it is for.
    pub(crate) fn step(&self, method: &str) -> Step {
        match (self, method) {
            (Self::Ping, _) => Step::Ping,
            (Self::Token, _) => Step::Token,
            (Self::Manifest(..), "HEAD") => Step::HeadManifest,
            (Self::Manifest(..), "GET") => Step::GetManifest,
            (Self::Manifest(..), "PUT") => Step::PutManifest,
            (Self::Blob(..), "HEAD") => Step::HeadBlob,
            (Self::Blob(..), "GET") => Step::GetBlob,
            (Self::Uploads(_), "POST") => Step::BeginUpload,
            (Self::Upload(..), "PATCH") => Step::Patch,
            (Self::Upload(..), "PUT") => Step::PutBlob,
            (Self::Upload(..), "GET") => Step::UploadStatus,
            (Self::Upload(..), "DELETE") => Step::Cancel,
            (Self::Referrers(..), "GET") => Step::Referrers,
            (Self::Tags(_), "GET") => Step::Tags,
            (Self::Manifest(..) | Self::Blob(..), "DELETE") => Step::Delete,
            _ => Step::Other,
        }
    }
}

/// A request, and what is needed to answer it.
pub(crate) struct Exchange<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) origin: Origin,
    pub(crate) request: &'a Request,
}

impl Exchange<'_> {
    /// The value of `Link` for the next page of a listing.
    pub(crate) fn link(&self, path: &str) -> String {
        let place = match self.shared.quirks.links {
            Location::Absolute => self.shared.url(Origin::Registry, path),
            Location::Relative => path.to_owned(),
            Location::OtherHost => self.shared.url(Origin::Storage, path),
        };
        format!("<{place}>; rel=\"next\"")
    }

    /// The answer. An error is a connection that broke, or is to.
    pub(crate) fn answer(&self, body: &mut Body<'_>) -> io::Result<Answer> {
        let place = Place::of(self.request.path());
        let step = place.step(&self.request.method);
        let answer = match self.objection(&place, step) {
            Some(answer) => answer,
            None => self.of_place(&place, step, body)?,
        };
        Ok(self.labelled(step, answer))
    }

    /// Why a request is not even looked at.
    fn objection(&self, place: &Place<'_>, step: Step) -> Option<Answer> {
        let quirks = &self.shared.quirks;
        if matches!(place, Place::Counts | Place::Made(_) | Place::SignIn) {
            return None;
        }
        {
            let mut contents = self.shared.contents();
            if 0 < contents.busy {
                contents.busy -= 1;
                return Some(self.refused(429));
            }
        }
        let refusal = access::objection(self, place, step);
        if refusal.is_some() {
            return refusal;
        }
        let head = matches!(step, Step::HeadBlob | Step::HeadManifest);
        (head && quirks.has(Flag::NoHead)).then(|| unsupported(405))
    }

    fn of_place(&self, place: &Place<'_>, step: Step, body: &mut Body<'_>) -> io::Result<Answer> {
        match (*place).clone() {
            Place::Ping => Ok(Answer::json(&serde_json::json!({}))),
            Place::Counts => Ok(Answer::json(&self.shared.journal.counts().json())),
            Place::Made(name) => {
                self.shared.contents().repositories.entry(name.to_owned()).or_default();
                Ok(Answer::status(201))
            }
            Place::SignIn => Ok(page("<html><body>Sign in</body></html>")),
            Place::Token => {
                let mut form = String::new();
                body.take(1 << 16).read_to_string(&mut form)?;
                Ok(access::token(self, &form))
            }
            Place::Manifest(name, reference) if step == Step::PutManifest => {
                manifests::take(self, (name, reference), body)
            }
            Place::Manifest(name, reference) if step == Step::Delete => {
                Ok(manifests::delete(self, name, reference))
            }
            Place::Manifest(name, reference) if step != Step::Other => {
                Ok(manifests::give(self, name, reference))
            }
            Place::Blob(name, digest) if step == Step::Delete => {
                Ok(blobs::delete(self, name, digest))
            }
            Place::Blob(name, digest) if step != Step::Other => Ok(blobs::give(self, name, digest)),
            Place::Uploads(name) if step == Step::BeginUpload => uploads::begin(self, name, body),
            Place::Upload(name, id) if step != Step::Other => {
                uploads::go_on(self, (name, id), step, body)
            }
            Place::Referrers(name, digest) => Ok(referrers::list(self, name, digest)),
            Place::Tags(name) => Ok(manifests::tags(self, name)),
            Place::Manifest(..) | Place::Blob(..) | Place::Uploads(_) | Place::Upload(..) => {
                Ok(unsupported(405))
            }
            Place::Unknown => Ok(Answer::error(404, "NAME_INVALID", "there is nothing here")),
        }
    }

    /// What every answer has beside its own.
    fn labelled(&self, step: Step, mut answer: Answer) -> Answer {
        let quirks = &self.shared.quirks;
        if let Some(text) = &quirks.warning {
            answer = answer.with("Warning", format!("299 - \"{text}\""));
        }
        if let Some(left) = quirks.rate_limit
            && matches!(step, Step::HeadManifest | Step::GetManifest)
        {
            answer = answer.with("RateLimit-Limit", "100;w=21600");
            answer = answer.with("RateLimit-Remaining", format!("{left};w=21600"));
        }
        answer
    }

    /// A refusal that says when to come again, where one does.
    pub(crate) fn refused(&self, status: u16) -> Answer {
        let code = if status == 429 { "TOOMANYREQUESTS" } else { "UNKNOWN" };
        let answer = Answer::error(status, code, "not now");
        match self.shared.quirks.retry_after {
            _ if !matches!(status, 429 | 503) => answer,
            RetryAfter::None => answer,
            RetryAfter::Seconds(seconds) => answer.with("Retry-After", seconds.to_string()),
            // A date counts from the clock of who gives it: any will do.
            RetryAfter::Date(seconds) => answer
                .with("Date", "Mon, 05 Jan 2026 10:00:00 GMT")
                .with("Retry-After", format!("Mon, 05 Jan 2026 10:00:{:02} GMT", seconds.min(59))),
        }
    }
}

/// A page for people.
pub(crate) fn page(text: &str) -> Answer {
    let body = Content::Bytes(text.as_bytes().to_vec());
    Answer { body, ..Answer::status(200) }.with("Content-Type", "text/html")
}

/// A request that a registry does not do.
pub(crate) fn unsupported(status: u16) -> Answer {
    Answer::error(status, "UNSUPPORTED", "this is not supported")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_from_its_end() {
        for (path, place) in [
            ("/v2/", Place::Ping),
            ("/v2/a/manifests/1", Place::Manifest("a", "1")),
            ("/v2/a/manifests/manifests/1", Place::Manifest("a/manifests", "1")),
            ("/v2/a/b/blobs/sha256:0", Place::Blob("a/b", "sha256:0")),
            ("/v2/a/blobs/uploads/", Place::Uploads("a")),
            ("/v2/a/blobs/uploads/7", Place::Upload("a", "7")),
            ("/v2/a/tags/list", Place::Tags("a")),
            ("/v2/a/referrers/sha256:0", Place::Referrers("a", "sha256:0")),
            ("/v2/a", Place::Unknown),
            ("/", Place::Unknown),
        ] {
            assert_eq!(Place::of(path), place, "{path}");
        }
    }
}
