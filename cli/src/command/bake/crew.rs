//! The builds of a plan, beside each other: a target begins when those are there that it has as contexts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rayon::ThreadPool;
use serde_json::Value;
use wythe_bake::plan::Plan;
use wythe_bake::target::Target;
use wythe_builder::options::{GivenImage, NamedContext, NetworkMode, STEPS_AT_ONCE};
use wythe_builder::progress::{Event, Progress as _};
use wythe_builder::shared_steps::SharedSteps;
use wythe_registry::delivered::Delivered;
use wythe_sandbox::Cancel;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;
use wythe_store::store::Store;

use super::flags::{self, Asked, Origin};
use super::remote::RemoteDefinition;
use super::{dockerfile, is_asked};
use crate::args::bake::{BakeArgs, Execution};
use crate::cloud::tell_reach;
use crate::command::build;
use crate::command::build::company::Company;
use crate::failure::{Class, Failure};
use crate::host;
use crate::limits::tell_keeper;
use crate::render::screen::{PausedProgress, Screen};
use crate::render::tally::Tally;
use crate::render::together::Together;
use crate::render::unexplained::Unexplained;
use crate::session::Session;

/// Who builds the targets of a plan.
pub(super) struct Crew<'a> {
    plan: &'a Plan,
    /// Where the definition came from, with what is there.
    remote: Option<&'a RemoteDefinition>,
    origin: Origin<'a>,
    args: &'a BakeArgs,
    session: &'a Session,
    store: Store,
    pool: Arc<ThreadPool>,
    steps: SharedSteps,
    delivered: Arc<Delivered>,
    jobs: NonZeroUsize,
    cancel: Cancel,
    board: Mutex<Board>,
    change: Condvar,
}

/// Where every target stands.
#[derive(Default)]
struct Board {
    /// Targets, and the contexts that they wait for.
    waiting: BTreeMap<String, BTreeSet<String>>,
    ready: BTreeSet<String>,
    running: usize,
    made: BTreeMap<String, Descriptor>,
    /// What keeps images that others are made of, which have no names, from being collected.
    leases: Vec<Arc<Lease>>,
    failed: Vec<(String, Failure)>,
    metadata: BTreeMap<String, Value>,
}

/// What became of the targets.
pub(super) struct Outcome {
    /// What there is to tell of each that was built.
    pub(super) metadata: BTreeMap<String, Value>,
    /// Why not all of them were.
    pub(super) failure: Option<Failure>,
}

impl<'a> Crew<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        (remote, origin): (Option<&'a RemoteDefinition>, Origin<'a>),
        args: &'a BakeArgs,
        session: &'a Session,
    ) -> Result<Self, Failure> {
        let built = plan.targets.values().filter(|target| !is_asked(target));
        let links = |target: &Target| target.links().map(ToOwned::to_owned).collect();
        let waiting = built.map(|target| (target.name.clone(), links(target))).collect();
        let mut board = Board { waiting, ..Board::default() };
        board.release();
        let jobs = args.jobs.unwrap_or(STEPS_AT_ONCE);
        let durability = build::durability(args.common.shape.no_durable);
        let store = session.store_with(durability, args.jobs)?;
        let pool = Arc::new(host::threads_for(args.jobs)?);
        let above = match remote {
            Some(remote) => remote.cancel().clone(),
            None => session.cancel()?,
        };
        let cancel = above.below().map_err(|error| Failure::of(Class::Environment, &error))?;
        let (steps, board, change) = (SharedSteps::new(jobs), Mutex::new(board), Condvar::new());
        let delivered = Arc::default();
        Ok(Self {
            plan,
            remote,
            origin,
            args,
            session,
            store,
            pool,
            steps,
            delivered,
            jobs,
            cancel,
            board,
            change,
        })
    }

    /// Builds everything.
    pub(super) fn build(self) -> Outcome {
        let common = &self.args.common;
        tell_keeper(&common.steps.quota.quota(), self.session);
        let mut progress = self.session.progress();
        if !common.reuse.explain.is_on() {
            progress = Box::new(Unexplained(progress));
        }
        let screen = Screen::default();
        let progress = Tally::new(PausedProgress { progress, screen: &screen });
        let (isolation, reason) = self.session.isolation();
        progress.event(&Event::Isolated { isolation, reason: reason.as_deref() });
        if self.plan.targets.values().any(has_network_of_machine) {
            tell_reach(NetworkMode::Default, self.session);
        }
        let together = Together::new(&progress, self.session);
        let workers = self.plan.targets.len().min(self.jobs.get());
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| self.work(&together));
            }
        });
        let summary = progress.summary();
        drop(progress);
        let mut board = self.lock();
        let failed = std::mem::take(&mut board.failed);
        if failed.is_empty() || self.args.execution == Execution::DeferError {
            self.session.summarise(&summary);
        }
        let failure = self.failure(failed, &board.made);
        Outcome { metadata: std::mem::take(&mut board.metadata), failure }
    }

    /// Why not everything is built: the first failure. Tells of the others, and of what they cost.
    fn failure(
        &self,
        failed: Vec<(String, Failure)>,
        made: &BTreeMap<String, Descriptor>,
    ) -> Option<Failure> {
        let is_lost = |name: &&String| {
            !made.contains_key(*name) && !failed.iter().any(|(other, _)| other == *name)
        };
        let built = self.plan.targets.values().filter(|target| !is_asked(target));
        let lost: Vec<&str> =
            built.map(|target| &target.name).filter(is_lost).map(String::as_str).collect();
        let mut failed = failed.into_iter();
        let (name, failure) = failed.next()?;
        // A step that several need fails in each of them.
        let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, failure) in failed {
            told.entry(failure.sentence()).or_default().push(name);
        }
        for (sentence, names) in told {
            self.session.remark(&format!("{} failed: {sentence}", names.join(", ")));
        }
        if self.args.execution == Execution::DeferError {
            let built = format!("{} targets are built", made.len());
            let lost = if lost.is_empty() {
                String::new()
            } else {
                format!("; not begun: {}", lost.join(", "))
            };
            self.session.remark(&format!("{built}{lost}"));
        }
        Some(failure.within(format!("the target {name} is not built")))
    }

    fn work(&self, together: &Together<'_>) {
        while let Some(name) = self.next() {
            let result = match self.plan.targets.get(&name) {
                Some(target) => self.target(target, together),
                None => continue,
            };
            let mut board = self.lock();
            board.running -= 1;
            match result {
                Ok((root, metadata)) => {
                    board.made.insert(name.clone(), root);
                    if let Some(metadata) = metadata {
                        board.metadata.insert(name.clone(), metadata);
                    }
                    board.finish(&name);
                }
                Err(failure) => self.give_up(&mut board, name, failure),
            }
            self.change.notify_all();
        }
    }

    /// The next target to build; waits while others may still free one.
    fn next(&self) -> Option<String> {
        let mut board = self.lock();
        loop {
            if let Some(name) = board.ready.pop_first() {
                board.running += 1;
                return Some(name);
            }
            if board.running == 0 {
                return None;
            }
            board = self.change.wait(board).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give_up(&self, board: &mut Board, name: String, failure: Failure) {
        match self.args.execution {
            Execution::FailFast => {
                board.ready.clear();
                board.waiting.clear();
                self.cancel.cancel();
            }
            Execution::DeferError => board.abandon(&name),
        }
        // What ends because another one failed is no news.
        if failure.class != Class::Cancelled || board.failed.is_empty() {
            board.failed.push((name, failure));
        }
    }

    fn target(
        &self,
        target: &Target,
        together: &Together<'_>,
    ) -> Result<(Descriptor, Option<Value>), Failure> {
        let lease = Arc::new(self.store.lease()?);
        let metadata = lease.work_dir().join(format!("bake-{}.json", target.name));
        let asked = Asked::Build { metadata: metadata.clone() };
        let args = flags::of(target, (self.args, self.origin), &asked)?;
        let is_fetched = self.origin.place(target).is_of(self.origin);
        let company = Company {
            lease: Arc::clone(&lease),
            pool: Arc::clone(&self.pool),
            cancel: self.cancel.clone(),
            steps: &self.steps,
            delivered: Arc::clone(&self.delivered),
            together,
            name: &target.name,
            contexts: self.contexts(target)?,
            context: self.remote.filter(|_| is_fetched).map(|remote| remote.context().clone()),
            dockerfile: dockerfile(target, self.origin)?,
            git_agent: self.remote.and_then(RemoteDefinition::git_agent),
        };
        let built = build::beside(&args, self.session, &company)?;
        if self.plan.targets.values().any(|other| other.links().any(|link| link == target.name)) {
            self.lock().leases.push(lease);
        }
        let [made] = built.as_slice() else {
            return Err(Failure::new(Class::Internal, "a target came to several images"));
        };
        // Where nothing was told of it there is nothing to tell.
        let told = fs::read_to_string(&metadata).ok();
        let told = told.and_then(|text| serde_json::from_str(&text).ok());
        Ok((made.root.clone(), told))
    }

    /// The images of other targets, under the names that this one has for them.
    fn contexts(&self, target: &Target) -> Result<BTreeMap<String, NamedContext>, Failure> {
        let board = self.lock();
        let mut contexts = BTreeMap::new();
        for (name, source) in target.contexts.iter().flatten() {
            let Some(link) = source.strip_prefix("target:") else { continue };
            let Some(root) = board.made.get(link) else {
                let text = format!("the target {link}, a context of {}, is not built", target.name);
                return Err(Failure::usage(text));
            };
            let image = GivenImage { name: shown(link, root)?, root: root.clone() };
            let context = NamedContext::Stored(Box::new(image));
            contexts.insert(name.to_lowercase(), context);
        }
        Ok(contexts)
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether steps of a target have the network of this machine.
fn has_network_of_machine(target: &Target) -> bool {
    let network = target.network.as_deref();
    network.is_none_or(|network| network != "none" && !network.starts_with("allow:"))
}

/// What the image of a target is called in messages.
fn shown(target: &str, root: &Descriptor) -> Result<Reference, Failure> {
    let plain: String = target
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
        .collect();
    let plain = plain.to_lowercase();
    let plain = Some(plain.trim_matches('-')).filter(|name| !name.is_empty());
    Ok(format!("target/{}@{}", plain.unwrap_or("unnamed"), root.digest).parse()?)
}

impl Board {
    /// Takes over what waits for nothing any more.
    fn release(&mut self) {
        let free = self.waiting.iter().filter(|(_, links)| links.is_empty());
        let free: Vec<String> = free.map(|(name, _)| name.clone()).collect();
        for name in free {
            self.waiting.remove(&name);
            self.ready.insert(name);
        }
    }

    fn finish(&mut self, name: &str) {
        for links in self.waiting.values_mut() {
            links.remove(name);
        }
        self.release();
    }

    /// Gives up what needs a target that failed.
    fn abandon(&mut self, name: &str) {
        let lost = self.waiting.iter().filter(|(_, links)| links.contains(name));
        let lost: Vec<String> = lost.map(|(name, _)| name.clone()).collect();
        for name in lost {
            self.waiting.remove(&name);
            self.abandon(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(links: &[(&str, &[&str])]) -> Board {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let waiting = links.iter().map(|(name, links)| ((*name).to_owned(), names(links)));
        let mut board = Board { waiting: waiting.collect(), ..Board::default() };
        board.release();
        board
    }

    #[test]
    fn a_target_begins_when_its_contexts_are_there() {
        let mut board = board(&[("app", &["base", "tools"]), ("base", &[]), ("tools", &["base"])]);
        assert_eq!(board.ready.pop_first().as_deref(), Some("base"));
        assert_eq!(board.ready.pop_first(), None);
        board.finish("base");
        assert_eq!(board.ready.pop_first().as_deref(), Some("tools"));
        board.finish("tools");
        assert_eq!(board.ready.pop_first().as_deref(), Some("app"));
    }

    #[test]
    fn what_needs_a_target_that_failed_is_given_up_with_all_above_it() {
        let mut board =
            board(&[("a", &["b"]), ("b", &["c"]), ("c", &[]), ("d", &["e"]), ("e", &[])]);
        board.abandon("c");
        assert_eq!(board.waiting.keys().collect::<Vec<_>>(), ["d"]);
    }
}
