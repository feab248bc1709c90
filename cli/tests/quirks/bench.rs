//! A registry with its quirks, a program to show them to, and a place for both.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::thread;

use tempfile::TempDir;
use wythe_quirks::quirks::Quirks;
use wythe_quirks::server::{IDENTITY_TOKEN, PASSWORD, Place, Server, USER};

use crate::image::{self, Image};

/// Sizes of layers that are sent from memory.
const SMALL: [usize; 2] = [60 << 10, 200 << 10];

/// A registry, and a machine that talks to it.
pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) folder: TempDir,
}

/// What became of a command.
pub(crate) struct Outcome {
    pub(crate) output: String,
    pub(crate) complaint: String,
    pub(crate) works: bool,
}

impl Bench {
    /// A registry with these switches; the machine knows the user's password there.
    pub(crate) fn new(switches: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let quirks = Quirks::of(switches).unwrap();
        let certificates = folder.path().join("certificates");
        std::fs::create_dir(&certificates).unwrap();
        let place = Place::here(folder.path().to_owned());
        let place = Place { certificates: Some(certificates.clone()), ..place };
        let server = Server::start(quirks, place).unwrap();
        let bench = Self { server, folder };
        let oauth = switches.contains(&("auth", "oauth"));
        let entry = if oauth {
            format!(r#"{{"identitytoken": "{IDENTITY_TOKEN}"}}"#)
        } else {
            use base64::Engine as _;
            let text = base64::prelude::BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"));
            format!(r#"{{"auth": "{text}"}}"#)
        };
        let config = format!(r#"{{"auths": {{"{}": {entry}}}}}"#, bench.server.registry());
        std::fs::create_dir(bench.folder.path().join("docker")).unwrap();
        std::fs::write(bench.folder.path().join("docker/config.json"), config).unwrap();
        // Empty where no TLS is spoken.
        std::fs::create_dir(bench.folder.path().join("docker/certs.d")).unwrap();
        std::fs::rename(certificates, bench.certificates()).unwrap();
        bench
    }

    /// What the machine believes of the registry, and shows it.
    pub(crate) fn certificates(&self) -> PathBuf {
        self.folder.path().join("docker/certs.d").join(self.server.registry())
    }

    /// A name at the registry.
    pub(crate) fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.server.registry())
    }

    /// Runs the program on a store of this machine.
    pub(crate) fn run(&self, store: &Path, words: &[&str]) -> Outcome {
        let output = Command::new(env!("CARGO_BIN_EXE_wythe"))
            .env_clear()
            .env("HOME", self.folder.path())
            .env("TMPDIR", self.folder.path())
            .env("DOCKER_CONFIG", self.folder.path().join("docker"))
            .arg("--store")
            .arg(store)
            .args(words)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (output, complaint, works) =
            (text(&output.stdout), text(&output.stderr), output.status.success());
        let told = |secret| output.contains(secret) || complaint.contains(secret);
        assert!(!told(PASSWORD) && !told(IDENTITY_TOKEN), "{words:?} told a secret: {complaint}");
        Outcome { output, complaint, works }
    }

    /// A store of its own.
    pub(crate) fn store(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// No credentials have gone anywhere but to the registry.
    #[track_caller]
    pub(crate) fn assert_no_strays(&self) {
        assert_eq!(self.server.counts().strays, 0, "{:?}", self.server.entries());
    }
}

impl Outcome {
    #[track_caller]
    pub(crate) fn assert_works(&self, what: &str) {
        assert!(self.works, "{what}: {}", self.complaint);
    }
}

/// Tries each of these, four at a time: what is wrong with them is what fails the test.
#[track_caller]
pub(crate) fn try_each<T: Sync>(all: &[T], tried: impl Fn(&T) -> Vec<String> + Sync) {
    let (next, failures) = (Mutex::new(all.iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let one = next.lock().unwrap().next();
                    let Some(one) = one else { return };
                    let found = tried(one);
                    failures.lock().unwrap().extend(found);
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A store with an image of small layers, called `app:1` there, made once.
pub(crate) fn shared() -> (&'static Path, &'static Image) {
    static SHARED: OnceLock<(PathBuf, Image)> = OnceLock::new();
    let (store, image) = SHARED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("quirks");
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
        let image = image::write(&folder.join("layout"), &SMALL);
        let store = folder.join("store");
        let source = format!("oci:{}:1", folder.join("layout").display());
        let bench = Bench::new(&[]);
        bench.run(&store, &["copy", &source, "app:1"]).assert_works("loading");
        (store, image)
    });
    (store, image)
}
