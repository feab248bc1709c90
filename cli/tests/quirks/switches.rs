//! Each switch of the table with push, pull and copy.

use std::collections::BTreeSet;

use wythe_quirks::switch::SWITCHES;

use crate::bench::{Bench, Outcome, shared, try_each};

/// Switches that are tried together, and what is expected of push, pull and copy.
struct Row {
    switches: &'static [(&'static str, &'static str)],
    endings: [Ending; 3],
}

/// What is expected of a command.
#[derive(Clone, Copy)]
enum Ending {
    Works,
    /// It fails, and says this.
    Refused(&'static str),
    /// What it would need is not there.
    Left,
}

use Ending::{Left, Refused, Works};

const fn works(switches: &'static [(&'static str, &'static str)]) -> Row {
    Row { switches, endings: [Works, Works, Works] }
}

const ROWS: &[Row] = &[
    works(&[]),
    works(&[("ecr", "")]),
    works(&[("ghcr", "")]),
    works(&[("quay", "")]),
    works(&[("gitlab", "")]),
    works(&[("zot", "")]),
    works(&[("gar", "")]),
    works(&[("distribution-2", "")]),
    works(&[("auth", "basic")]),
    works(&[("auth", "bearer")]),
    works(&[("auth", "oauth")]),
    works(&[("auth", "bearer"), ("token-ttl", "1")]),
    // Several uploads share a token: with fewer uses, one may be gone before it is shown for the first time.
    works(&[("auth", "bearer"), ("token-uses", "8")]),
    works(&[("auth", "bearer"), ("first-scope-only", "")]),
    works(&[("auth", "bearer"), ("relative-realm", "")]),
    Row {
        switches: &[("tls", ""), ("auth", "bearer"), ("realm", "http://sso.example/token")],
        endings: [
            Refused("to ask http://sso.example/token for a token: it leaves https"),
            Left,
            Left,
        ],
    },
    works(&[("auth", "bearer"), ("guests", "")]),
    works(&[("tls", "")]),
    works(&[("client-certificates", ""), ("auth", "bearer"), ("redirect-blobs", "")]),
    works(&[("client-certificates", ""), ("auth", "bearer"), ("location", "other-host")]),
    works(&[("location", "absolute")]),
    works(&[("location", "relative")]),
    works(&[("auth", "bearer"), ("location", "other-host")]),
    works(&[("auth", "basic"), ("redirect-blobs", "")]),
    works(&[("auth", "bearer"), ("redirect-blobs", ""), ("storage-uses", "1")]),
    works(&[("mount", "off")]),
    works(&[("mount", "401")]),
    works(&[("mount", "403")]),
    works(&[("mount", "404")]),
    works(&[("mount", "405")]),
    works(&[("mount-needs-from", "")]),
    works(&[("no-create", "")]),
    Row { switches: &[("deny", "ecr:PutImage")], endings: [Refused("ecr:PutImage"), Left, Left] },
    works(&[("no-subject", "405")]),
    works(&[("no-artifact-type", "405")]),
    works(&[("subject-first", "")]),
    works(&[("subject-lie", ""), ("referrers", "off")]),
    works(&[("referrers", "html")]),
    works(&[("page", "1")]),
    works(&[("page", "1"), ("link", "relative")]),
    works(&[("chunk-bug", "")]),
    works(&[("patch-created", "")]),
    works(&[("chunk-limit", "1000")]),
    works(&[("min-chunk", "100000")]),
    Row { switches: &[("max-body", "50000")], endings: [Refused("413"), Left, Left] },
    works(&[("no-patch", "")]),
    works(&[("put-no-content", "")]),
    works(&[("no-cancel", "")]),
    works(&[("no-resume", "")]),
    works(&[("immutable-tags", "")]),
    works(&[("oci-only", "")]),
    works(&[("strict-accept", "")]),
    works(&[("plain-type", "")]),
    works(&[("no-digest", "")]),
    works(&[("no-head", "")]),
    works(&[("no-ranges", ""), ("reset-after", "100000:1")]),
    works(&[("wrong-range", ""), ("reset-after", "100000:1")]),
    Row { switches: &[("max-manifest", "100")], endings: [Refused("413"), Left, Left] },
    works(&[("no-delete", "")]),
    works(&[("busy", "2")]),
    works(&[("busy", "2"), ("retry-after", "1")]),
    works(&[("busy", "1"), ("retry-after", "date:1")]),
    works(&[("rate-limit", "5")]),
    works(&[("warning", "this registry will be gone")]),
    works(&[("collected", "1")]),
    works(&[("reset-after", "100000:1")]),
    works(&[("upload-reset-after", "100000:1")]),
    works(&[("rate", "400000")]),
    works(&[("empty-put", "")]),
    // Faults have a matrix of their own.
    works(&[("fail", "ping:500")]),
];

/// Switches with which everything works.
pub(crate) fn working() -> Vec<&'static [(&'static str, &'static str)]> {
    let works = |row: &&Row| row.endings.iter().all(|ending| matches!(ending, Works));
    ROWS.iter().filter(works).map(|row| row.switches).collect()
}

#[test]
fn every_switch_is_in_a_row() {
    let tried: BTreeSet<_> =
        ROWS.iter().flat_map(|row| row.switches).map(|(name, _)| name).collect();
    let missing: Vec<_> =
        SWITCHES.iter().map(|row| row.name).filter(|it| !tried.contains(it)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_registries_are_like_stops_no_push_pull_or_copy() {
    try_each(ROWS, tried);
}

/// What did not end as expected.
fn tried(row: &Row) -> Vec<String> {
    let (store, image) = shared();
    let bench = Bench::new(row.switches);
    let (name, other) = (bench.name("team/app:1"), bench.name("team/other:2"));
    let (from, to) = (format!("docker://{name}"), format!("docker://{other}"));
    let fresh = bench.store("fresh");
    let third = bench.store("third");
    let commands: [(&str, &std::path::Path, &[&str]); 3] = [
        ("push", store, &["push", "app:1", &name]),
        ("pull", &fresh, &["pull", &name]),
        ("copy", &third, &["copy", &from, &to]),
    ];
    let mut failures = Vec::new();
    for ((what, store, words), ending) in commands.into_iter().zip(row.endings) {
        if matches!(ending, Left) {
            continue;
        }
        let outcome = bench.run(store, words);
        let is_expected = match ending {
            Works => outcome.works && outcome.output.trim() == image.digest,
            Refused(text) => !outcome.works && outcome.complaint.contains(text),
            Left => true,
        };
        if !is_expected {
            let Outcome { output, complaint, .. } = outcome;
            failures.push(format!("{:?} {what}: {output}{complaint}", row.switches));
        }
    }
    if bench.server.counts().strays != 0 {
        failures.push(format!("{:?}: credentials went to the storage", row.switches));
    }
    failures
}
