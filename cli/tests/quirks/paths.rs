//! Each switch with everything else that talks to a registry: builds with a base, a result and a cache there, indexes, and what
//! refers to an image. And each request of theirs with a fault.

use std::path::Path;

use wythe_quirks::step::Step;

use crate::bench::{Bench, Outcome, shared, try_each};
use crate::image;
use crate::referring::signed;
use crate::switches::working;

/// What is built in the tests: its base is at the registry.
fn context(bench: &Bench) -> String {
    let context = bench.folder.path().join("context");
    std::fs::create_dir(&context).unwrap();
    let text = format!("FROM {}\nCOPY Dockerfile /\n", bench.name("team/app:1"));
    std::fs::write(context.join("Dockerfile"), text).unwrap();
    context.display().to_string()
}

/// A build that is pushed, with a cache at the registry that has to be written.
fn build(bench: &Bench, store: &Path, (context, name): (&str, &str)) -> Outcome {
    let cache = bench.name("team/cache:1");
    let to = format!("--cache-to=type=registry,ref={cache},mode=max,ignore-error=false");
    let from = format!("--cache-from=type=registry,ref={cache}");
    let epoch = "--build-arg=SOURCE_DATE_EPOCH=1";
    let name = bench.name(name);
    bench.run(store, &["build", epoch, &to, &from, "--push", "-t", &name, context])
}

/// What went wrong of builds with all that is at the registry, and of an index.
fn tried(switches: &[(&str, &str)]) -> Vec<String> {
    let (store, _) = shared();
    let bench = Bench::new(switches);
    let mut wrong = Vec::new();
    let mut found = |what: &str, outcome: &Outcome| {
        if !outcome.works {
            wrong.push(format!("{switches:?} {what}: {}{}", outcome.output, outcome.complaint));
        }
    };
    let base = bench.name("team/app:1");
    found("base", &bench.run(store, &["push", "app:1", &base]));
    let context = context(&bench);
    let first = build(&bench, &bench.store("first"), (&context, "team/built:1"));
    found("build", &first);
    let second = build(&bench, &bench.store("second"), (&context, "other/built:1"));
    found("build elsewhere", &second);
    let (built, all) = (bench.name("team/built:1"), bench.name("all/app:1"));
    let index = bench.run(&bench.store("third"), &["index", "create", "-t", &all, &base, &built]);
    found("index", &index);
    if first.output != second.output {
        wrong.push(format!("{switches:?}: {} became {}", first.output, second.output));
    }
    if bench.server.counts().strays != 0 {
        wrong.push(format!("{switches:?}: credentials went to the storage"));
    }
    wrong
}

#[test]
fn what_registries_are_like_stops_no_build_cache_or_index() {
    try_each(&working(), |switches| tried(switches));
}

#[test]
fn what_registries_are_like_stops_nothing_that_refers_to_an_image() {
    let (from, ..) = signed();
    let from = format!("docker://{}", from.name("team/app:1"));
    try_each(&working(), |switches| {
        let (bench, on) = (Bench::new(switches), Bench::new(&[]));
        let there = format!("docker://{}", bench.name("team/app:1"));
        let to = format!("docker://{}", on.name("team/app:1"));
        let store = bench.store("store");
        let sent = bench.run(&store, &["copy", "--all", "--referrers", &from, &there]);
        // Profiles stand for switches, and two of them for this one.
        let takes_none = |(name, _): &(&str, &str)| {
            ["no-subject", "no-artifact-type", "ecr", "quay"].contains(name)
        };
        let outcome = if switches.iter().any(takes_none) {
            let told = !sent.works && sent.complaint.contains("without --referrers");
            return if told { vec![] } else { vec![format!("{switches:?}: {}", sent.complaint)] };
        } else if sent.works {
            bench.run(&store, &["copy", "--all", "--referrers", &there, &to])
        } else {
            sent
        };
        let mut wrong = Vec::new();
        if !outcome.works || !outcome.complaint.contains("refers to it: 2") {
            wrong.push(format!("{switches:?}: {}", outcome.complaint));
        }
        if bench.server.counts().strays != 0 {
            wrong.push(format!("{switches:?}: credentials went to the storage"));
        }
        wrong
    });
}

#[test]
fn a_fault_at_any_request_of_a_build_is_got_over() {
    let steps = ["token", "head-manifest", "get-manifest", "head-blob", "get-blob", "begin-upload"];
    let kinds = ["reset-before", "lost-answer", "half-body", "500", "503", "429"];
    let with = |step: &'static str| kinds.map(|kind| format!("{step}:{kind}"));
    let puts = ["put-blob", "put-manifest"].into_iter();
    let all: Vec<String> = steps.into_iter().chain(puts).flat_map(with).collect();
    try_each(&all, |fault| tried(&[("auth", "bearer"), ("retry-after", "0"), ("fail", fault)]));
}

#[test]
fn the_parts_of_a_large_blob_come_from_where_it_is_without_credentials() {
    // Longer than what is asked for in one piece.
    let bench = Bench::new(&[("auth", "bearer"), ("redirect-blobs", "")]);
    let image = image::write(&bench.store("layout"), &[33 << 20]);
    let source = format!("oci:{}:1", bench.store("layout").display());
    let name = bench.name("team/app:1");
    bench
        .run(&bench.store("store"), &["copy", &source, &format!("docker://{name}")])
        .assert_works("copy");
    let outcome = bench.run(&bench.store("fresh"), &["pull", &name]);
    outcome.assert_works("pull");
    assert_eq!(outcome.output.trim(), image.digest);
    let counts = bench.server.counts();
    assert!(5 < counts.of(Step::GetBlob), "{counts:?}");
    bench.assert_no_strays();
}
