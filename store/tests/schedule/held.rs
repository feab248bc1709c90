//! What holds in every schedule that a test has time for.

use wythe_store::sim::schedule::search::{Bounds, Kills};
use wythe_store::sim::schedule::stage::Weight;

use crate::plays::Play;
use crate::searched::{cut_everywhere, search};

/// Searches a play for as long as a test may take.
#[track_caller]
fn holds(play: &str) {
    let bounds = Bounds {
        deviations: 2,
        first: Weight::Shared,
        later: Weight::Heavy,
        kills: Kills::Heavy,
        most: 200,
    };
    let mut breaches = Vec::new();
    let tally = search(&Play::of(play), bounds, 1, &mut |breach| breaches.push(breach));
    assert!(breaches.is_empty(), "{tally:?}, {} breaches, first {}", breaches.len(), breaches[0]);
    assert!(tally.n_schedules >= 200 && tally.n_cuts >= 2 * tally.n_schedules, "{tally:?}");
}

#[test]
fn builders_and_collectors_do_each_other_no_harm() {
    for play in ["build-prune-all", "build-prune", "cached-prune-all", "cached-prune"] {
        holds(play);
    }
}

#[test]
fn pullers_and_collectors_do_each_other_no_harm() {
    for play in ["image-prune-all", "pull-prune-all", "pull-prune"] {
        holds(play);
    }
}

#[test]
fn two_of_a_kind_do_each_other_no_harm() {
    for play in ["build-build", "pull-pull", "prune-prune", "fold-build"] {
        holds(play);
    }
}

#[test]
fn a_name_goes_while_another_is_given_to_the_same_image() {
    for play in ["remove-prune-all", "remove-build", "remove-prune-build"] {
        holds(play);
    }
}

#[test]
fn three_do_each_other_no_harm() {
    for play in ["build-cached-prune-all", "build-pull-prune"] {
        holds(play);
    }
}

#[test]
fn after_a_power_cut_any_number_may_come() {
    for play in ["recover-build", "recover-cached", "recover-prune", "recover-cached-pull"] {
        holds(play);
    }
}

#[test]
fn the_power_may_fail_at_every_moment_of_two_builds() {
    for play in ["build-build", "remove-build"] {
        let tally = cut_everywhere(&Play::of(play)).unwrap_or_else(|breach| panic!("{breach}"));
        assert!(tally.n_cuts > 500, "{tally:?}");
    }
}

#[test]
fn the_same_schedule_gives_the_same_play() {
    let play = Play::of("build-prune");
    let schedule = "collector/lock:journal#1>builder builder/sync:journal#1!".parse().unwrap();
    let moments = || {
        let run = play.perform(&schedule).run;
        run.moments.into_iter().map(|moment| moment.place.to_string()).collect::<Vec<_>>()
    };
    let first = moments();
    for _ in 0..20 {
        assert_eq!(moments(), first);
    }
}
