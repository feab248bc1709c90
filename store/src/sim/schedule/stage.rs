//! The stage: actors as threads, and the baton that only one of them holds.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::sim::Sim;
use crate::sim::schedule::staged::Staged;
use crate::sim::schedule::{Deviation, Schedule, SwitchPoint};
use crate::vfs::Vfs;

/// A run of more moments than this does not end: the longest honest ones have some hundreds.
const MAX_MOMENTS: usize = 20_000;

/// What an actor does. An error is what it would tell its user.
pub type Script<'play> = dyn Fn(&Actor) -> Result<(), String> + Sync + 'play;

/// An actor and its part.
pub struct Role<'play> {
    /// What schedules call it.
    pub name: &'static str,
    /// What it does.
    pub script: &'play Script<'play>,
}

/// A process of a play, as its script sees it.
#[derive(Debug)]
pub struct Actor {
    number: usize,
    stage: Arc<Stage>,
    vfs: Arc<Staged>,
}

/// One moment of a run, before the operation it names.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Who is about to do what.
    pub place: SwitchPoint,
    /// How much had been done to the disk.
    pub n_operations: usize,
    /// Who else could have gone first, by number.
    pub others: Vec<usize>,
    /// Whether others could notice when it is done.
    pub weight: Weight,
}

/// How much an operation matters to other actors.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Weight {
    /// Only the actor itself can see it.
    Private,
    /// It looks at what others change, or changes what they look at in passing.
    Shared,
    /// It decides something: journal, leases, locks, syncs, and names that appear and vanish.
    Heavy,
}

/// How an actor's part ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ending {
    /// As it should.
    Done,
    /// With an error, or a panic.
    Failed(String),
    /// It was killed.
    Killed,
}

/// A play that has been performed.
#[derive(Debug)]
pub struct Run {
    /// Every moment, in order.
    pub moments: Vec<Moment>,
    /// How each actor ended, in the order of the roles.
    pub endings: Vec<Ending>,
    /// Deviations of the schedule that were not met.
    pub missed: Vec<Deviation>,
    /// Why it was broken off.
    pub stuck: Option<Stuck>,
}

/// Why a play cannot go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stuck {
    /// Everybody waits for a lock.
    Deadlock,
    /// It goes on and on.
    Endless,
}

/// What all actors of a play share.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) sim: Sim,
    names: Vec<&'static str>,
    scene: Mutex<Scene>,
    turn: Condvar,
}

#[derive(Debug)]
struct Scene {
    current: usize,
    standing: Vec<Standing>,
    held: BTreeMap<String, Holder>,
    n_locks: u64,
    counts: BTreeMap<(usize, String), u32>,
    /// When each name was made, so that names from random numbers come in the same order again.
    made: BTreeMap<String, usize>,
    deviations: Vec<Deviation>,
    moments: Vec<Moment>,
    stuck: Option<Stuck>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Holder {
    actor: usize,
    token: u64,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Standing {
    Ready,
    Waiting(String),
    Dead,
    Gone,
}

/// Performs a play on a disk, which is changed by it.
pub fn perform(sim: &Sim, roles: &[Role<'_>], schedule: &Schedule) -> Run {
    let stage = Arc::new(Stage::new(sim, roles, schedule));
    let endings = std::thread::scope(|scope| {
        let play = |(number, role)| {
            let actor = Actor::new(number, &stage);
            scope.spawn(move || actor.play(role))
        };
        let threads: Vec<_> = roles.iter().enumerate().map(play).collect();
        let ended = |thread: std::thread::ScopedJoinHandle<'_, Ending>| {
            thread.join().unwrap_or(Ending::Failed("panic".to_owned()))
        };
        threads.into_iter().map(ended).collect()
    });
    let mut scene = stage.scene();
    let (moments, missed) =
        (std::mem::take(&mut scene.moments), std::mem::take(&mut scene.deviations));
    Run { moments, endings, missed, stuck: scene.stuck }
}

impl Actor {
    fn new(number: usize, stage: &Arc<Stage>) -> Self {
        let vfs = Arc::new(Staged::new(number, Arc::clone(stage)));
        Self { number, stage: Arc::clone(stage), vfs }
    }

    fn play(&self, role: &Role<'_>) -> Ending {
        self.stage.wait_for_turn(self.number);
        let ended = catch_unwind(AssertUnwindSafe(|| (role.script)(self)));
        let killed = self.stage.leave(self.number);
        match ended {
            _ if killed => Ending::Killed,
            Ok(Ok(())) => Ending::Done,
            Ok(Err(message)) => Ending::Failed(message),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                Ending::Failed(format!("panic: {}", text.unwrap_or("?")))
            }
        }
    }

    /// The disk as this process has it.
    pub fn vfs(&self) -> Arc<dyn Vfs> {
        Arc::<Staged>::clone(&self.vfs)
    }

    /// How much has been done to the disk so far; `None` for the dead, who tell nobody anything.
    pub fn n_operations(&self) -> Option<usize> {
        let alive = self.stage.scene().standing[self.number] != Standing::Dead;
        alive.then(|| self.stage.sim.n_operations())
    }
}

impl Stage {
    fn new(sim: &Sim, roles: &[Role<'_>], schedule: &Schedule) -> Self {
        let scene = Scene {
            current: 0,
            standing: vec![Standing::Ready; roles.len()],
            held: BTreeMap::new(),
            n_locks: 0,
            counts: BTreeMap::new(),
            made: BTreeMap::new(),
            deviations: schedule.deviations.clone(),
            moments: Vec::new(),
            stuck: None,
        };
        let names = roles.iter().map(|role| role.name).collect();
        Self { sim: sim.clone(), names, scene: Mutex::new(scene), turn: Condvar::new() }
    }

    fn scene(&self) -> MutexGuard<'_, Scene> {
        self.scene.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offers the baton before an operation; an error means that the actor is dead, and the
    /// operation not done.
    pub(super) fn reach(&self, actor: usize, operation: &str, weight: Weight) -> io::Result<()> {
        self.offer(actor, operation, weight, Standing::Ready).map(drop)
    }

    /// As [`reach`](Self::reach), and takes a lock as soon as it is free.
    pub(super) fn acquire(&self, actor: usize, operation: &str, path: &str) -> io::Result<u64> {
        let wish = Standing::Waiting(path.to_owned());
        let mut scene = self.offer(actor, operation, Weight::Heavy, wish)?;
        Ok(scene.take(actor, path))
    }

    /// Takes a lock if it is free. Its moment has been reached.
    pub(super) fn try_acquire(&self, actor: usize, path: &str) -> Option<u64> {
        let mut scene = self.scene();
        (!scene.held.contains_key(path)).then(|| scene.take(actor, path))
    }

    /// Gives a lock back, unless a kill has done so.
    pub(super) fn release(&self, actor: usize, path: &str, token: u64) {
        let mut scene = self.scene();
        if scene.held.get(path) == Some(&Holder { actor, token }) {
            scene.held.remove(path);
        }
    }

    /// Remembers when a name was made.
    pub(super) fn made(&self, path: &str) {
        let mut scene = self.scene();
        let order = scene.made.len();
        scene.made.insert(path.to_owned(), order);
    }

    /// Sorts names of a directory by when they were made, older ones by name.
    pub(super) fn in_order_of_making(&self, directory: &str, names: &mut [String]) {
        let scene = self.scene();
        names.sort_by_key(|name| scene.made.get(&format!("{directory}/{name}")).map(|at| at + 1));
    }

    fn offer(
        &self,
        actor: usize,
        operation: &str,
        weight: Weight,
        standing: Standing,
    ) -> io::Result<MutexGuard<'_, Scene>> {
        let mut scene = self.scene();
        if scene.is_dead(actor) {
            return Err(killed());
        }
        scene.standing[actor] = standing;
        let place = scene.moment(self, actor, operation, weight);
        let met = scene.deviations.iter().position(|deviation| *deviation.place() == place);
        let deviation = met.map(|at| scene.deviations.remove(at));
        let wanted = match deviation {
            Some(Deviation::Kill(_)) => {
                scene.kill(actor);
                None
            }
            Some(Deviation::Switch(_, to)) => self.names.iter().position(|name| *name == to),
            None => Some(actor),
        };
        scene.pass(wanted);
        self.turn.notify_all();
        let mut scene = self.wait(scene, actor);
        if scene.is_dead(actor) {
            return Err(killed());
        }
        scene.standing[actor] = Standing::Ready;
        Ok(scene)
    }

    fn wait_for_turn(&self, actor: usize) {
        drop(self.wait(self.scene(), actor));
    }

    fn wait<'stage>(
        &'stage self,
        scene: MutexGuard<'stage, Scene>,
        actor: usize,
    ) -> MutexGuard<'stage, Scene> {
        let waits = |scene: &mut Scene| scene.current != actor && !scene.is_dead(actor);
        self.turn.wait_while(scene, waits).unwrap_or_else(PoisonError::into_inner)
    }

    /// The actor's part is over; says whether it was killed.
    fn leave(&self, actor: usize) -> bool {
        let mut scene = self.scene();
        let killed = scene.standing[actor] == Standing::Dead;
        scene.held.retain(|_, holder| holder.actor != actor);
        if !killed {
            scene.moment(self, actor, "leave:stage", Weight::Private);
            scene.standing[actor] = Standing::Gone;
            scene.pass(None);
        }
        self.turn.notify_all();
        killed
    }
}

impl Scene {
    /// Records a moment.
    fn moment(
        &mut self,
        stage: &Stage,
        actor: usize,
        operation: &str,
        weight: Weight,
    ) -> SwitchPoint {
        let count = self.counts.entry((actor, operation.to_owned())).or_default();
        *count += 1;
        let (nth, operation) = (*count, operation.to_owned());
        let place = SwitchPoint { actor: stage.names[actor].to_owned(), operation, nth };
        let everybody = 0..self.standing.len();
        let others = everybody.filter(|other| *other != actor && self.can_run(*other)).collect();
        let n_operations = stage.sim.n_operations();
        self.moments.push(Moment { place: place.clone(), n_operations, others, weight });
        if self.moments.len() > MAX_MOMENTS {
            self.stuck = Some(Stuck::Endless);
        }
        place
    }

    fn can_run(&self, actor: usize) -> bool {
        match &self.standing[actor] {
            Standing::Ready => true,
            Standing::Waiting(path) => !self.held.contains_key(path),
            Standing::Dead | Standing::Gone => false,
        }
    }

    /// Once the play is stuck nobody does anything any more.
    fn is_dead(&self, actor: usize) -> bool {
        self.standing[actor] == Standing::Dead || self.stuck.is_some()
    }

    fn kill(&mut self, actor: usize) {
        self.standing[actor] = Standing::Dead;
        self.held.retain(|_, holder| holder.actor != actor);
    }

    /// Hands the baton to whom it is wanted for, or else to the first who can run.
    fn pass(&mut self, wanted: Option<usize>) {
        let wanted = wanted.filter(|actor| self.can_run(*actor));
        let mut everybody = 0..self.standing.len();
        match wanted.or_else(|| everybody.find(|actor| self.can_run(*actor))) {
            Some(next) => self.current = next,
            None if self
                .standing
                .iter()
                .any(|standing| matches!(standing, Standing::Waiting(_))) =>
            {
                self.stuck.get_or_insert(Stuck::Deadlock);
            }
            None => {}
        }
    }

    fn take(&mut self, actor: usize, path: &str) -> u64 {
        self.n_locks += 1;
        let holder = Holder { actor, token: self.n_locks };
        self.held.insert(path.to_owned(), holder);
        holder.token
    }
}

impl std::fmt::Debug for Role<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Role").field("name", &self.name).finish_non_exhaustive()
    }
}

fn killed() -> io::Error {
    io::Error::other("the process was killed")
}
