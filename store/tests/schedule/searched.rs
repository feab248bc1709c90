//! Searching a play for a schedule that breaks a promise.

use std::fmt;

use wythe_store::sim::crash::Fate;
use wythe_store::sim::schedule::Schedule;
use wythe_store::sim::schedule::search::Bounds;
use wythe_store::sim::schedule::stage::Run;

use crate::checks;
use crate::plays::{Performance, Play};

/// What a power cut may leave, as far as plays try it.
pub(crate) const FATES: [Fate; 7] = [
    Fate::Lost,
    Fate::NamesOnly,
    Fate::Mixed(1),
    Fate::BytesOnly,
    Fate::Mixed(2),
    Fate::Kept,
    Fate::Mixed(3),
];

/// How much has been tried.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) n_schedules: usize,
    pub(crate) n_cuts: usize,
}

/// A schedule after which something promised is not so.
#[derive(Clone, Debug)]
pub(crate) struct Breach {
    pub(crate) play: &'static str,
    pub(crate) schedule: Schedule,
    pub(crate) what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}: {}", self.play, self.schedule.to_string(), self.what)
    }
}

/// Performs a play and looks at what is left, or at what a power cut leaves of it.
pub(crate) fn replay(play: &Play, schedule: &Schedule) -> Result<Performance, Breach> {
    let done = play.perform(schedule);
    let breach = |what| Breach { play: play.name, schedule: schedule.clone(), what };
    if let Some(missed) = done.run.missed.first() {
        return Err(breach(format!("{missed} is never met")));
    }
    let checked = match &schedule.cut {
        None => checks::ended(&done),
        Some((place, fate)) => {
            let moment = done.run.moments.iter().find(|moment| moment.place == *place);
            match moment {
                None => Err(format!("{place} is never met")),
                Some(moment) => checks::cut(&done, moment.n_operations, *fate),
            }
        }
    };
    checked.map_err(breach)?;
    Ok(done)
}

/// Tries schedules of a play, and of each some power cuts; tells of each breach.
pub(crate) fn search(
    play: &Play,
    bounds: Bounds,
    seed: u64,
    tell: &mut dyn FnMut(Breach),
) -> Tally {
    let (mut search, mut tally) = (play.search(bounds, seed), Tally::default());
    while let Some(schedule) = search.next_schedule() {
        tally.n_schedules += 1;
        match replay(play, &schedule) {
            Ok(done) => {
                search.learn(&schedule, &done.run);
                for cut in some_cuts(&schedule, &done.run, tally.n_schedules) {
                    tally.n_cuts += 1;
                    check_cut(play, &done, &cut).unwrap_or_else(&mut *tell);
                }
            }
            Err(breach) => tell(breach),
        }
    }
    tally
}

/// Cuts a play at every moment, with every fate.
pub(crate) fn cut_everywhere(play: &Play) -> Result<Tally, Breach> {
    let plain = Schedule::default();
    let done = replay(play, &plain)?;
    let mut tally = Tally { n_schedules: 1, n_cuts: 0 };
    for moment in &done.run.moments {
        for fate in FATES {
            tally.n_cuts += 1;
            check_cut(play, &done, &plain.cut_at(moment.place.clone(), fate))?;
        }
    }
    Ok(tally)
}

/// The power fails when all is done, and once before, somewhere else in every run.
fn some_cuts(schedule: &Schedule, run: &Run, nth: usize) -> Vec<Schedule> {
    let n_moments = run.moments.len();
    let at = nth.wrapping_mul(0x9E37_79B9) % n_moments;
    let fate = |nth: usize| FATES[nth % FATES.len()];
    let cut = |at: usize, nth| schedule.cut_at(run.moments[at].place.clone(), fate(nth));
    vec![cut(n_moments - 1, nth), cut(at, nth / FATES.len())]
}

fn check_cut(play: &Play, done: &Performance, schedule: &Schedule) -> Result<(), Breach> {
    let (place, fate) = schedule.cut.as_ref().expect("made with a cut");
    let moment = done.run.moments.iter().find(|moment| moment.place == *place);
    let at = moment.expect("made from a moment of this run").n_operations;
    let breach = |what| Breach { play: play.name, schedule: schedule.clone(), what };
    checks::cut(done, at, *fate).map_err(breach)
}
