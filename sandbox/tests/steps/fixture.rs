//! An image with busybox, and steps on it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use wythe_sandbox::step::{RootFs, Scratch};
use wythe_sandbox::{Cancel, Outcome, Output, Step, StepError, Stream};

/// Directories for layers, removed at the end.
pub(crate) struct Fixture {
    directory: TempDir,
    n_made: AtomicUsize,
}

/// What a step printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) upper: PathBuf,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let fixture = Self { directory, n_made: AtomicUsize::new(0) };
        let bin = fixture.path("base/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
        for applet in APPLETS.split_ascii_whitespace() {
            symlink("busybox", bin.join(applet)).unwrap();
        }
        for name in ["tmp", "etc", "work"] {
            fs::create_dir(fixture.path("base").join(name)).unwrap();
        }
        fixture
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A new empty directory.
    pub(crate) fn fresh(&self) -> PathBuf {
        let number = self.n_made.fetch_add(1, Ordering::Relaxed);
        let path = self.path(&number.to_string());
        fs::create_dir(&path).unwrap();
        path
    }

    pub(crate) fn scratch(&self) -> Scratch {
        Scratch { upper: self.fresh(), work: self.fresh() }
    }

    /// The image, and a new directory for changes.
    pub(crate) fn root(&self) -> RootFs {
        RootFs::Layers { lowers: vec![self.path("base")], scratch: self.scratch() }
    }

    /// A step that runs a shell script on the image.
    pub(crate) fn step(&self, script: &str) -> Step {
        self.step_on(&[self.path("base")], script)
    }

    pub(crate) fn step_on(&self, lowers: &[PathBuf], script: &str) -> Step {
        let root = RootFs::Layers { lowers: lowers.to_vec(), scratch: self.scratch() };
        let argv = ["/bin/sh", "-c", script].map(|word| word.as_bytes().to_vec());
        let mut step = Step::new(root, argv.to_vec());
        step.env = vec![(b"PATH".to_vec(), b"/bin".to_vec())];
        step
    }

    /// Runs a script and returns what it printed, which must be a success.
    pub(crate) fn sh(&self, script: &str) -> String {
        succeed(&self.step(script)).stdout
    }
}

#[derive(Default)]
struct Capture {
    streams: Mutex<(Vec<u8>, Vec<u8>)>,
}

impl Output for Capture {
    fn write(&self, stream: Stream, bytes: &[u8]) {
        let mut streams = self.streams.lock().unwrap();
        match stream {
            Stream::Stdout => streams.0.extend_from_slice(bytes),
            Stream::Stderr => streams.1.extend_from_slice(bytes),
        }
    }
}

pub(crate) fn attempt(step: &Step) -> Result<Ran, StepError> {
    attempt_until(step, &Cancel::new().unwrap())
}

pub(crate) fn attempt_until(step: &Step, cancel: &Cancel) -> Result<Ran, StepError> {
    let capture = Capture::default();
    let outcome = wythe_sandbox::run(step, &capture, cancel)?;
    let (stdout, stderr) = capture.streams.into_inner().unwrap();
    Ok(Ran {
        outcome,
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
        upper: step.root.changed().to_owned(),
    })
}

/// Runs a step that has to start.
#[track_caller]
pub(crate) fn run(step: &Step) -> Ran {
    match attempt(step) {
        Ok(ran) => ran,
        Err(error) => panic!("{error}: {}", error.cause),
    }
}

/// Runs a step that has to succeed.
#[track_caller]
pub(crate) fn succeed(step: &Step) -> Ran {
    let ran = run(step);
    assert!(ran.outcome.is_success(), "{ran:?}");
    ran
}

/// All that is in a directory, sorted, relative.
pub(crate) fn listing(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    collect(directory, directory, &mut found);
    found.sort();
    found
}

fn collect(top: &Path, directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.strip_prefix(top).unwrap().to_str().unwrap().to_owned());
        if path.symlink_metadata().unwrap().is_dir() {
            collect(top, &path, found);
        }
    }
}

const APPLETS: &str = "sh echo cat env id hostname pwd ls grep mount unshare sleep setsid yes head \
    touch mkdir rm stat readlink test wc kill ulimit ip df dd chown chmod ln cp cut mv tar find sort \
    true false mknod chroot tee nc nslookup timeout";
