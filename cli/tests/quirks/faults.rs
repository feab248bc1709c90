//! A fault at each request of push and pull: once, it stops nobody.

use crate::bench::{Bench, shared, try_each};

/// The requests of a push, and those of a pull.
const STEPS: [&[&str]; 2] = [
    &["token", "head-blob", "begin-upload", "put-blob", "put-manifest"],
    &["get-manifest", "get-blob"],
];

/// What goes wrong once and not again.
const KINDS: [&str; 8] = [
    "reset-before",
    "lost-answer",
    "reset-after-headers",
    "half-body",
    "slow",
    "500",
    "503",
    "429",
];

#[test]
fn a_fault_at_any_request_is_got_over() {
    let mut all = Vec::new();
    for kind in KINDS {
        // A push with one fault is followed by a pull with another.
        for (number, step) in STEPS[0].iter().enumerate() {
            let pull = STEPS[1][number % STEPS[1].len()];
            all.push([format!("{step}:{kind}"), format!("{pull}:{kind}")]);
        }
    }
    try_each(&all, tried);
}

fn tried(faults: &[String; 2]) -> Vec<String> {
    let (store, image) = shared();
    let [push, pull] = faults;
    let switches = [("auth", "bearer"), ("retry-after", "1"), ("fail", push), ("fail", pull)];
    let bench = Bench::new(&switches);
    let name = bench.name("team/app:1");
    let fresh = bench.store("fresh");
    let outcomes = [
        (push, bench.run(store, &["push", "app:1", &name])),
        (pull, bench.run(&fresh, &["pull", &name])),
    ];
    bench.assert_no_strays();
    let failed =
        outcomes.into_iter().filter(|(_, it)| !it.works || it.output.trim() != image.digest);
    failed.map(|(fault, it)| format!("{fault}: {}{}", it.output, it.complaint)).collect()
}

#[test]
fn a_wrong_byte_is_never_taken_for_the_image() {
    let (store, image) = shared();
    for step in ["get-manifest", "get-blob"] {
        let fault = format!("{step}:wrong-bytes:100");
        let bench = Bench::new(&[("fail", &fault)]);
        let name = bench.name("team/app:1");
        bench.run(store, &["push", "app:1", &name]).assert_works(&fault);
        let fresh = bench.store("fresh");
        let outcome = bench.run(&fresh, &["pull", &name]);
        assert!(!outcome.works, "{fault}: {}", outcome.output);
        let listed = bench.run(&fresh, &["images"]);
        assert!(!listed.output.contains(&image.digest[7..19]), "{}", listed.output);
    }
}

#[test]
fn a_repository_that_is_not_there_is_named() {
    let (store, _) = shared();
    let bench = Bench::new(&[("ecr", "")]);
    let name = bench.name("new/app:1");
    let outcome = bench.run(store, &["push", "app:1", &name]);
    assert!(
        !outcome.works && outcome.complaint.contains("does not exist"),
        "{}",
        outcome.complaint
    );
}

#[test]
fn a_tag_that_stays_what_it_is_may_be_written_as_it_is() {
    let (store, _) = shared();
    let bench = Bench::new(&[("immutable-tags", "")]);
    let name = bench.name("team/app:1");
    for _ in 0..2 {
        bench.run(store, &["push", "app:1", &name]).assert_works("push");
    }
}
