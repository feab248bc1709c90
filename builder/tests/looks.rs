//! What a build looks at before its first step, and what of it at the same time.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex};
use std::thread::{ThreadId, current};
use std::time::Duration;

use wythe_builder::build::build;
use wythe_builder::builder::Builder;
use wythe_builder::environment::{Clock, Environment};
use wythe_builder::input::Input;
use wythe_builder::options::Options;
use wythe_builder::remote::{HttpRequest, HttpResponse, Remote, RemoteError, RemoteProblem};
use wythe_registry::client::Client;
use wythe_registry::settings::Settings;
use wythe_store::oci::platform::Platform;
use wythe_store::store::{OpenOptions, Store};
use wythe_store::timestamp::Timestamp;

/// How long a server waits for something to happen beside it. It happens at once, or never.
const PATIENCE: Duration = Duration::from_secs(20);

/// The threads that have asked for the time, which is what every scan of a directory begins with.
#[derive(Default)]
struct Asked {
    threads: Mutex<BTreeSet<String>>,
    changed: Condvar,
}

impl Clock for Asked {
    fn now(&self) -> Timestamp {
        self.threads.lock().unwrap().insert(name(current().id()));
        self.changed.notify_all();
        Timestamp::default()
    }
}

fn name(thread: ThreadId) -> String {
    format!("{thread:?}")
}

/// A server that answers once another thread than the one that asks has begun to scan.
struct Late<'a>(&'a Asked);

impl Remote for Late<'_> {
    fn get(&self, request: &HttpRequest) -> Result<HttpResponse, RemoteError> {
        let own = name(current().id());
        let alone = |threads: &mut BTreeSet<String>| threads.iter().all(|thread| *thread == own);
        let threads = self.0.threads.lock().unwrap();
        let waited = self.0.changed.wait_timeout_while(threads, PATIENCE, alone).unwrap();
        if waited.1.timed_out() {
            return Err(RemoteError::new(&request.url, RemoteProblem::Status(503)));
        }
        let body = Box::new(&b"fetched"[..]);
        Ok(HttpResponse { status: 200, etag: None, last_modified: None, body })
    }
}

#[test]
fn directories_are_scanned_while_a_server_is_asked_for_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let context = folder.path().join("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("f"), "here").unwrap();
    let store = Store::open(&folder.path().join("store"), &OpenOptions::default()).unwrap();
    let builder = Builder::open(&store, Timestamp::default()).unwrap();
    let images = Client::new(Settings::default());
    let asked = Asked::default();
    let late = Late(&asked);
    let env = Environment { remote: &late, clock: &asked, ..builder.environment(&images, &()) };
    let dockerfile = "FROM scratch\nCOPY f /\nADD https://r.example/g /\n".into();
    let input = Input { dockerfile, context: Some(context), ..Input::default() };
    build(&input, &Options::new(Platform::linux("amd64")), env).unwrap();
}
