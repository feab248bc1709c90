//! Schedules that broke a promise once, each with the fault that it showed.

use crate::plays::Play;
use crate::searched::replay;

/// Performs a kept schedule. Where the code has changed so much that one of its places is never
/// met, it has to be searched for anew.
#[track_caller]
fn holds(play: &str, schedule: &str) {
    if let Err(breach) = replay(&Play::of(play), &schedule.parse().unwrap()) {
        panic!("{breach}");
    }
}

#[test]
fn a_cached_build_that_starts_while_a_collector_marks_loses_nothing() {
    holds("cached-prune-all", "collector/lock:journal#1>builder builder/lock:journal#1>collector");
}

#[test]
fn a_commit_after_a_condemnation_keeps_the_packs_it_refers_to() {
    holds("build-prune", "collector/list:leases#2>builder");
    holds(
        "build-prune",
        "collector/lock:journal#1>builder builder/lock:journal#1>collector \
         collector/list:leases#2>builder",
    );
}

#[test]
fn a_blob_that_is_pulled_again_is_condemned_no_longer() {
    holds("pull-prune", "collector/sync:journal#2>puller");
    holds("pull-prune", "collector/list:leases#2>puller puller/lock:journal#1>collector");
}

#[test]
fn what_a_killed_process_has_published_is_synced_by_who_counts_on_it() {
    holds("build-build", "first/lock:journal#1! @second/leave:stage#1=Lost");
    holds("pull-pull", "first/syncdir:blobs#1! @second/leave:stage#1=Lost");
}

#[test]
fn the_slower_of_two_recoveries_undoes_nothing() {
    holds("recover-build", "slow/lock:journal#1>builder");
    holds("recover-cached", "slow/replace:quarantine#1>builder");
}

#[test]
fn a_pack_that_comes_again_does_not_pass_for_synced() {
    holds(
        "build-prune",
        "collector/lock:journal#2! builder/lock:journal#1! @builder/lock:journal#1=NamesOnly",
    );
}

#[test]
fn rows_of_packs_go_with_them() {
    holds("prune-prune", "collector/lock:journal#2!");
}

#[test]
fn nothing_goes_before_its_condemnation_is_on_disk() {
    holds(
        "prune-prune",
        "collector/open:packs#2>other collector/sync:journal#2! @other/leave:stage#1=NamesOnly",
    );
}

#[test]
fn a_step_that_counts_on_a_pack_of_which_nothing_is_said_goes_with_it() {
    holds(
        "build-build",
        "first/open:FORMAT#1>second second/lock:journal#2>first @first/holes:work#1=BytesOnly",
    );
}

#[test]
fn a_layer_whose_blob_a_power_cut_took_goes_with_it() {
    holds(
        "pull-pull",
        "first/syncdir:blobs#1! second/sync:journal#2! @second/syncdir:blobs#1=Mixed3",
    );
}

#[test]
fn a_generation_of_the_journal_is_named_on_disk_before_a_durable_commit_to_it() {
    holds("fold-build", "folder/syncdir:journal#2! @builder/leave:stage#1=Lost");
}
