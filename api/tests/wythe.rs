//! Images between a store and a registry, by the one value that programs hold.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use wythe_api::{BuildRequest, Cancel, Event, Image, Progress, Wythe, WytheError};
use wythe_registry::fake::{FakeRegistry, Quirks};
use wythe_store::oci::transfer::{Transfer, TransferState};

fn request(directory: &Path, dockerfile: &str) -> BuildRequest {
    let context = directory.join("context");
    std::fs::create_dir_all(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), dockerfile).unwrap();
    std::fs::write(context.join("greeting"), "hello").unwrap();
    std::fs::write(context.join("long"), noise(3 << 20)).unwrap();
    BuildRequest::read(&context).unwrap()
}

/// Bytes that no compression makes fewer.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}

const FILES: &str = "FROM scratch\nCOPY greeting long /etc/\nCOPY greeting /etc/other\n";

fn built(wythe: &Wythe, directory: &Path) -> Image {
    wythe.build(&request(directory, FILES)).unwrap()
}

#[test]
fn what_one_pushes_another_pulls_and_reads() {
    let folder = tempfile::tempdir().unwrap();
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let name = format!("{}/team/app:1", registry.host());
    let here = Wythe::open(&folder.path().join("here")).unwrap();
    let there = Wythe::open(&folder.path().join("there")).unwrap();
    let digest = here.push(&built(&here, folder.path()), &name).unwrap();
    assert!(matches!(there.find(&name), Ok(None)));
    let image = there.pull(&name).unwrap();
    assert_eq!(image.digest(), digest);
    assert_eq!(there.read(&image, "/etc/greeting").unwrap(), b"hello");
    assert_eq!(there.read(&image, "etc/../etc/long").unwrap(), noise(3 << 20));
    let found = there.find(&name).unwrap().unwrap();
    assert_eq!(found.digest(), digest);
    assert_eq!(there.push(&found, &name).unwrap(), digest);
    let missing = there.read(&found, "/etc/no").unwrap_err();
    assert!(matches!(missing, WytheError::NoSuchFile { .. }), "{missing}");
    assert_eq!(missing.to_string(), "there is no /etc/no");
    assert!(matches!(there.read(&found, "/etc"), Err(WytheError::NotAFile { .. })));
    assert!(matches!(there.pull("UPPER CASE"), Err(WytheError::Reference(_))));
}

#[test]
fn an_image_is_kept_under_the_names_of_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let wythe = Wythe::open(&folder.path().join("store")).unwrap();
    let mut request = request(
        folder.path(),
        "FROM scratch AS one\nCOPY greeting /\nFROM one AS two\nLABEL a=b\n",
    );
    request.names.push("example.org/app:2".parse().unwrap());
    let image = wythe.build(&request).unwrap();
    assert_eq!(image.name, "two");
    assert_eq!(wythe.find("example.org/app:2").unwrap().unwrap().digest(), image.digest());
    request.options.targets = vec!["one".to_owned(), "two".to_owned()];
    let images = wythe.build_each(&request).unwrap();
    let names: Vec<&str> = images.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(images[1].digest(), image.digest());
}

#[test]
fn an_archive_holds_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let wythe = Wythe::open(&folder.path().join("store")).unwrap();
    let mut archive = Vec::new();
    wythe.save(&built(&wythe, folder.path()), &mut archive).unwrap();
    let has = |name: &[u8]| archive.windows(name.len()).any(|part| part == name);
    assert!(has(b"manifest.json") && has(b"oci-layout"));
}

#[test]
fn one_that_is_cancelled_takes_no_other_along() {
    let folder = tempfile::tempdir().unwrap();
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let name = format!("{}/team/app:1", registry.host());
    let wythe = Wythe::open(&folder.path().join("store")).unwrap();
    let cancel = Cancel::new().unwrap();
    let stopped = wythe.stopped_by(&cancel);
    let image = built(&stopped, folder.path());
    cancel.cancel();
    assert!(matches!(stopped.build(&request(folder.path(), FILES)), Err(WytheError::Cancelled)));
    assert!(matches!(stopped.push(&image, &name), Err(WytheError::Cancelled)));
    assert!(registry.manifest("team/app", "1").is_none());
    wythe.push(&image, &name).unwrap();
    assert!(registry.manifest("team/app", "1").is_some());
}

/// Throws a switch when the first blob is on its way, and notes what becomes of each.
struct Impatient {
    cancel: Cancel,
    seen: Mutex<Vec<TransferState>>,
}

impl Progress for Impatient {
    fn event(&self, event: &Event<'_>) {
        if let Event::Transferred { transfer: Transfer { state, .. } } = event {
            self.seen.lock().unwrap().push(*state);
            self.cancel.cancel();
        }
    }
}

#[test]
fn a_push_ends_while_a_layer_is_on_its_way() {
    let folder = tempfile::tempdir().unwrap();
    let registry = FakeRegistry::start(Quirks::default()).unwrap();
    let name = format!("{}/team/app:1", registry.host());
    let wythe = Wythe::open(&folder.path().join("store")).unwrap();
    let cancel = Cancel::new().unwrap();
    let watcher = Arc::new(Impatient { cancel: cancel.clone(), seen: Mutex::default() });
    let image = built(&wythe, folder.path());
    let pushed = wythe.stopped_by(&cancel).watched_by(watcher.clone()).push(&image, &name);
    assert!(matches!(pushed, Err(WytheError::Cancelled)), "{pushed:?}");
    assert!(watcher.seen.lock().unwrap().contains(&TransferState::Moving));
    assert!(registry.manifest("team/app", "1").is_none());
    assert!(wythe.push(&image, &name).is_ok());
}
