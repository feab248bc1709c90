//! Schedules that broke a promise once, each with the fault that it shows.

use crate::plays::Play;
use crate::searched::replay;

/// Performs a kept schedule. Where the code has changed so much that one of its places is never
/// met, it has to be searched for anew.
#[track_caller]
fn breaks(play: &str, schedule: &str, what: &str) {
    let breach = replay(&Play::of(play), &schedule.parse().unwrap()).expect_err("it holds now");
    assert!(breach.what.contains(what), "{breach}");
}

#[test]
fn a_cached_build_that_starts_while_a_collector_marks_loses_what_it_counts_on() {
    breaks(
        "cached-prune-all",
        "collector/lock:journal#1>builder builder/lock:journal#1>collector",
        "layer 2 has no record",
    );
}

#[test]
fn a_commit_after_a_condemnation_refers_to_packs_that_go() {
    breaks("build-prune", "collector/list:leases#3>builder", "the tree of layer 3 is gone");
    breaks(
        "build-prune",
        "collector/lock:journal#1>builder builder/lock:journal#1>collector \
         collector/list:leases#3>builder",
        "the tree of layer 3 is gone",
    );
}

#[test]
fn a_blob_that_is_pulled_again_stays_condemned() {
    breaks("pull-prune", "collector/sync:journal#2>puller", "layer 4 has nothing");
    breaks(
        "pull-prune",
        "collector/list:leases#3>puller puller/lock:journal#1>collector",
        "layer 4 has nothing",
    );
}

#[test]
fn nobody_syncs_what_a_killed_process_has_published() {
    breaks("build-build", "first/lock:journal#1! @second/leave:stage#1=Lost", "layer 5");
    breaks("pull-pull", "first/syncdir:blobs#1! @second/leave:stage#1=Lost", "layer 5");
}

#[test]
fn the_slower_of_two_recoveries_undoes_what_the_faster_made_possible() {
    breaks("recover-build", "slow/lock:journal#1>builder", "layer 5 has no record");
    breaks("recover-cached", "slow/replace:quarantine#1>builder", "layer 5 has no record");
}

#[test]
fn a_pack_that_was_synced_before_it_was_deleted_passes_for_synced_when_it_comes_again() {
    breaks(
        "build-prune",
        "collector/lock:journal#2! builder/lock:journal#1! @builder/lock:journal#1=NamesOnly",
        "the file is cut off",
    );
}

#[test]
fn rows_of_packs_outlive_a_killed_collector() {
    breaks("prune-prune", "collector/lock:journal#2!", "2 rows of Packs are left");
}
