//! What a build tells about itself while it runs: a closed set of events, given to a sink.

use std::sync::Mutex;
use std::time::Duration;

use wythe_dockerfile::diagnostic::Diagnostic;
use wythe_dockerfile::span::Span;
use wythe_store::digest::DiffId;
use wythe_store::oci::transfer::{Transfer, Transfers};
use wythe_store::record_origin::RecordOrigin;

use crate::egress::Contact;
use crate::reason::Reason;

/// A vertex of the build graph in events: its position in the graph, from 1.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StepId(pub usize);

/// Where a step's output came from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Stream {
    /// Standard error.
    Err,
    /// Standard output.
    Out,
}

/// Why a step's result was reused.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Hit {
    /// Another machine has made it.
    Cache,
    /// Its inputs differ from last time, but hold the same content.
    Content,
    /// Its definition is known: nothing was read.
    Definition,
}

/// How steps are kept apart.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Isolation {
    /// They have namespaces and ids of their own.
    Userns,
    /// They have namespaces and one id; all others are emulated.
    SingleId,
    /// They have another root directory, and nothing more.
    Chroot,
    /// Not enough: none is run.
    Refused,
}

/// What a step of the graph does.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum StepKind {
    /// It is what a stage starts from.
    Base,
    /// It adds files.
    Copy,
    /// It runs a command.
    Run,
    /// It makes a working directory.
    Workdir,
}

/// A step of the graph, before anything is known of what becomes of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StepOutline<'a> {
    /// Which step.
    pub step: StepId,
    /// Its name, for instance `[build 2/3] RUN make`.
    pub name: &'a str,
    /// What it does.
    pub kind: StepKind,
    /// Where the Dockerfile asks for it.
    pub span: Span,
    /// The steps that it is made of: what lies below it, if anything does, and then the others.
    pub inputs: Vec<StepId>,
}

/// Something a person watching a build would want to know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// How steps are kept apart, before any of them begins.
    Isolated {
        /// How.
        isolation: Isolation,
        /// Why not better.
        reason: Option<&'a str>,
    },
    /// The graph: every step that images are made of, also those whose results nobody will need.
    Graph {
        /// The steps, inputs before their users.
        steps: &'a [StepOutline<'a>],
    },
    /// The graph is known. Steps that need nothing of what is looked at may have begun before.
    Planned {
        /// How many steps the target needs.
        steps: usize,
    },
    /// A step began.
    Started {
        /// Which step.
        step: StepId,
        /// Its name, for instance `[build 2/3] RUN make`.
        name: &'a str,
    },
    /// A step was answered from the cache; no other event of it follows.
    Cached {
        /// Which step.
        step: StepId,
        /// Its name.
        name: &'a str,
        /// How it was found.
        hit: Hit,
        /// How long it took when it ran; zero where that is not known.
        saved: Duration,
        /// Where another machine made it and from which source, as far as the cache says so.
        origin: Option<&'a RecordOrigin>,
    },
    /// A step wrote something.
    Output {
        /// Which step.
        step: StepId,
        /// On which stream.
        stream: Stream,
        /// The bytes: neither whole lines nor UTF-8 are promised.
        bytes: &'a [u8],
    },
    /// A step whose network is a list of hosts asked for one, for the first time.
    Egress {
        /// Which step.
        step: StepId,
        /// Which host, and what came of it.
        contact: &'a Contact,
    },
    /// Why a step was not answered from the cache.
    Explained {
        /// Which step.
        step: StepId,
        /// What differs from the nearest earlier result, or why there is none.
        reason: &'a Reason,
    },
    /// A step ended well.
    Finished {
        /// Which step.
        step: StepId,
        /// How long it took.
        elapsed: Duration,
    },
    /// A step was stopped, because another one failed or the build was interrupted.
    Cancelled {
        /// Which step.
        step: StepId,
        /// How long it took.
        elapsed: Duration,
    },
    /// A step failed; the build ends with the error that says why.
    Failed {
        /// Which step.
        step: StepId,
        /// How long it took.
        elapsed: Duration,
    },
    /// The layer of a step is final, and an image has it. It may be told of more than once, and before the step is.
    Layer {
        /// Which step.
        step: StepId,
        /// What its tar stream is called.
        diff_id: DiffId,
        /// How long that is, in bytes.
        size: u64,
    },
    /// A blob of an image came further on its way from a registry, or to one.
    Transferred {
        /// Which blob, and how far.
        transfer: Transfer<'a>,
    },
    /// A cache of other machines could not do what it was asked for; the build goes on without it.
    CacheFailed {
        /// Which, and why, as a sentence.
        reason: &'a str,
    },
    /// Something in the Dockerfile deserves attention.
    Warning {
        /// The finding, with its place.
        diagnostic: &'a Diagnostic,
    },
}

/// Receives events. Called from several threads at once; must be quick.
pub trait Progress: Sync {
    /// Takes one event.
    fn event(&self, event: &Event<'_>);

    /// Whether [`Event::Explained`] is of interest. For a reason the store is asked about the last
    /// time, so that who shows none should say so.
    fn is_curious(&self) -> bool {
        true
    }

    /// Whether caches of other machines are to be asked for the last time as well, which costs a request for each
    /// step that is not known.
    fn asks_caches(&self) -> bool {
        self.is_curious()
    }
}

/// Tells of transfers as events.
pub struct AsEvents<'a>(pub &'a dyn Progress);

impl std::fmt::Debug for AsEvents<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("AsEvents").finish_non_exhaustive()
    }
}

impl Transfers for AsEvents<'_> {
    fn transferred(&self, transfer: &Transfer<'_>) {
        self.0.event(&Event::Transferred { transfer: *transfer });
    }
}

/// Ignores everything.
impl Progress for () {
    fn event(&self, _: &Event<'_>) {}

    fn is_curious(&self) -> bool {
        false
    }
}

/// The last output of a step, kept for the error message.
#[derive(Debug, Default)]
pub struct Tail {
    bytes: Mutex<Vec<u8>>,
}

impl Tail {
    /// How much of a step's output an error repeats, in bytes: enough for a stack trace, little
    /// enough to hold for every running step.
    pub const LIMIT: usize = 16 * 1024;

    /// Adds output and forgets what is older than [`Self::LIMIT`].
    pub fn push(&self, bytes: &[u8]) {
        let mut kept = self.bytes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.extend_from_slice(bytes);
        if kept.len() > 2 * Self::LIMIT {
            let surplus = kept.len() - Self::LIMIT;
            kept.drain(..surplus);
        }
    }

    /// The last lines, at most `count`.
    pub fn lines(&self, count: usize) -> Vec<String> {
        let kept = self.bytes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(count)..].iter().map(|&line| line.to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_are_kept() {
        let tail = Tail::default();
        tail.push(b"one\ntwo\nthr");
        tail.push(b"ee\n");
        assert_eq!(tail.lines(2), ["two", "three"]);
    }

    #[test]
    fn a_talkative_step_does_not_grow_without_limit() {
        let tail = Tail::default();
        for _ in 0..100 {
            tail.push(&[b'x'; 1000]);
        }
        assert!(tail.bytes.lock().unwrap().len() <= 2 * Tail::LIMIT);
    }
}
