//! Searches the plays of `store/tests/schedule` for schedules that break a promise, for longer than a
//! test may take:
//!
//! ```text
//! cargo run --release --package wythe-store --example explore -- MINUTES [PLAY [SEED]]
//! ```
//!
//! Every breach is printed as a line that a test can keep. The exit code is 1 where there was one.
#![expect(clippy::print_stdout, reason = "a program to look at")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up has nothing to explore")]

#[path = "../tests/schedule/checks.rs"]
mod checks;
#[path = "../tests/schedule/fixtures.rs"]
mod fixtures;
#[path = "../tests/schedule/plays.rs"]
mod plays;
#[path = "../tests/schedule/searched.rs"]
mod searched;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use wythe_store::sim::schedule::search::{Bounds, Kills};
use wythe_store::sim::schedule::stage::Weight;

use crate::plays::Play;
use crate::searched::{Breach, Tally, cut_everywhere, search};

/// So many schedules of a play are tried before the next play has its turn.
const PORTION: usize = 1000;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let minutes: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1);
    let only = arguments.next();
    let first: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1);
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    let plays = only.map_or_else(plays::all, |name| vec![Play::of(&name)]);
    let (mut whole, mut breaches) = (Tally::default(), Breaches::default());
    let mut seed = first;
    'search: loop {
        for play in &plays {
            if Instant::now() >= end {
                break 'search;
            }
            if seed == first {
                match cut_everywhere(play) {
                    Ok(tally) => whole = whole.and(tally),
                    Err(breach) => breaches.tell(&breach),
                }
            }
            whole =
                whole.and(search(play, bounds(seed), seed, &mut |breach| breaches.tell(&breach)));
        }
        seed += 1;
    }
    let (n_schedules, n_cuts) = (whole.n_schedules, whole.n_cuts);
    println!("{n_schedules} schedules and {n_cuts} power cuts tried, {} breaches", breaches.count);
    ExitCode::from(u8::from(breaches.count > 0))
}

/// Two deviations in the first round, three in the second, and so on in turn.
fn bounds(seed: u64) -> Bounds {
    let deviations = if seed.is_multiple_of(2) { 3 } else { 2 };
    let (first, later, kills) = (Weight::Shared, Weight::Shared, Kills::Heavy);
    Bounds { deviations, first, later, kills, most: PORTION }
}

impl Tally {
    fn and(self, other: Self) -> Self {
        let n_schedules = self.n_schedules + other.n_schedules;
        Self { n_schedules, n_cuts: self.n_cuts + other.n_cuts }
    }
}

/// What was found, each kind printed once for each play.
#[derive(Default)]
struct Breaches {
    kinds: BTreeMap<(&'static str, String), usize>,
    count: usize,
}

impl Breaches {
    fn tell(&mut self, breach: &Breach) {
        self.count += 1;
        let kind = self.kinds.entry((breach.play, breach.what.clone())).or_default();
        *kind += 1;
        if *kind == 1 {
            println!("{breach}");
        }
    }
}
