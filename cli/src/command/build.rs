//! `wythe build`.

pub(crate) mod agents;
mod annotate;
mod attempt;
pub(crate) mod cached;
pub(crate) mod call;
pub(crate) mod company;
pub(crate) mod deliver;
pub(crate) mod dockerfile;
pub(crate) mod fetched;
pub(crate) mod on_error;
pub(crate) mod options;
pub(crate) mod project;
pub(crate) mod provenance;
mod reproduction;
pub(crate) mod resources;
pub(crate) mod secret;
mod shared;
pub(crate) mod targets;

use std::sync::Arc;

use wythe_builder::built::{Built, BuiltTarget};
use wythe_builder::environment::Environment;
use wythe_builder::input::Input;
use wythe_builder::inspect::Inspector;
use wythe_builder::options::Options;
use wythe_builder::progress::{Event, Progress};
use wythe_dockerfile::diagnostic::Diagnostic;
use wythe_sandbox::{chroot, enter};
use wythe_store::journal::Durability;
use wythe_store::lease::Lease;
use wythe_store::record_origin::RecordOrigin;

use self::agents::Agents;
use self::annotate::Annotated;
use self::attempt::{Attempt, EarlyLayers, Told, Unfinished};
use self::cached::Answer;
use self::company::Company;
use self::deliver::metadata::{MetadataWish, ToldOfBuild, WarningsWish};
use self::deliver::{Delivery, Routes};
use self::dockerfile::Dockerfile;
use self::fetched::Opened;
use self::on_error::OnErrorCommand;
use self::provenance::BuildInvocation;
use self::reproduction::reproduction;
use self::resources::BuildResources;
use self::shared::OpenedCaches;
use self::shared::mounts::{MountsToSave, tell_restored};
use self::shared::writing::CacheWriters;
use crate::args::build::BuildArgs;
use crate::args::cache::CacheTo;
use crate::args::call::Method;
use crate::args::context::ContextSource;
use crate::args::every_build::StepArgs;
use crate::args::global::ProgressForm;
use crate::args::isolation::SnapshotterArg;
use crate::args::provenance::Provenance;
use crate::args::switch::Switch;
use crate::build_record::id::BuildId;
use crate::build_record::recorder::{Recorded, Recorder};
use crate::build_record::recording::Recording;
use crate::cloud::tell_reach;
use crate::failure::Failure;
use crate::limits::tell_keeper;
use crate::render::screen::{PausedProgress, Screen};
use crate::render::solve_status;
use crate::render::source::SourceFile;
use crate::render::summary::BuildSummary;
use crate::render::tally::Tally;
use crate::render::together::OneOf;
use crate::render::unexplained::{BrieflyExplained, Unexplained};
use crate::session::Session;
use crate::{host, render};

/// Builds, or answers a question about the Dockerfile.
pub(crate) fn run(args: &BuildArgs, session: &Session) -> Result<(), Failure> {
    let call = args.question();
    if call.method == Method::Build {
        if is_answered(args, session)? {
            return Ok(());
        }
        settle(&args.run.steps, session)?;
    }
    let local = match Dockerfile::local(args)? {
        Some(dockerfile) if call.method != Method::Build => {
            return call::answer(call, dockerfile, args, session);
        }
        local => local,
    };
    let lease = Arc::new(
        session.store_with(durability(args.result.shape.no_durable), args.run.jobs)?.lease()?,
    );
    let mut resources = BuildResources::new(session, session.cancel()?, args.run.jobs)?;
    resources.snapshotter = args.run.steps.snapshotter.chosen();
    make((args, session), local, (&lease, resources), None).map(drop)
}

/// Answers a question about a Dockerfile, which may be in no file.
pub(crate) fn ask(
    args: &BuildArgs,
    dockerfile: Option<Dockerfile>,
    session: &Session,
) -> Result<(), Failure> {
    match dockerfile {
        Some(dockerfile) => call::answer(args.question(), dockerfile, args, session),
        None => run(args, session),
    }
}

/// Builds one of several, and leaves to tell of it to who builds them.
pub(crate) fn beside(
    args: &BuildArgs,
    session: &Session,
    company: &Company<'_>,
) -> Result<Vec<BuiltTarget>, Failure> {
    let local = match &company.dockerfile {
        Some(given) => Some(given.clone()),
        None => Dockerfile::local(args)?,
    };
    let (lease, pool) = (Arc::clone(&company.lease), Arc::clone(&company.pool));
    let mut resources = BuildResources::among(session, company.cancel.clone(), pool)?;
    resources.snapshotter = args.run.steps.snapshotter.chosen();
    if let Some(socket) = company.git_agent {
        resources.ask_agent(socket);
    }
    make((args, session), local, (&lease, resources), Some(company))
}

/// Builds and delivers; a question about a Dockerfile that had to be fetched is answered instead.
fn make(
    (args, session): (&BuildArgs, &Session),
    local: Option<Dockerfile>,
    (lease, mut resources): (&Arc<Lease>, BuildResources),
    company: Option<&Company<'_>>,
) -> Result<Vec<BuiltTarget>, Failure> {
    let call = args.question();
    targets::refuse_unclear(args)?;
    args.remark.iter().for_each(|text| session.remark(text));
    deliver::refuse(args, session)?;
    let mut options = options::options(args, &session.settings)?;
    options.contexts.extend(company.into_iter().flat_map(|company| company.contexts.clone()));
    let agents = Agents::new(&args.input.ssh, &session.settings, &lease.work_dir())?;
    let cache_targets = shared::targets(args, session)?;
    options.inline_cache = shared::inline(&cache_targets);
    options.agents.clone_from(&agents.sockets);
    options.project = project::project(args, local.as_ref().and_then(|one| one.path.as_deref()));
    let mut opened_caches = OpenedCaches::sharing(company.map(|company| &company.delivered));
    resources.caches = shared::sources(args, &mut opened_caches, resources.cancel(), session)?;
    let local = fetched::dockerfile(local, (args, &options), resources.environment(lease, &()))?;
    let opened = match (local, &args.context) {
        (Some(dockerfile), ContextSource::Directory(_)) => Opened::local(dockerfile),
        (given, _) => {
            let environment = resources.environment(lease, &());
            let context = match company.and_then(|company| company.context.clone()) {
                Some(context) => context,
                None => fetched::fetch((args, &options), session, environment)?,
            };
            Opened::of(context, given, args, environment)?
        }
    };
    let Opened { dockerfile, files, time, origin } = opened;
    if call.method != Method::Build {
        return call::answer(call, dockerfile, args, session).map(|()| Vec::new());
    }
    let recording = Recording::begin(args, (&dockerfile, &options), session)?;
    let recording = recording.map(Recording::announce);
    let made = Making {
        asked: (args, session),
        options: &options,
        input: Input { files, time, ..input(args, dockerfile.clone()) },
        source: &dockerfile.source,
        company,
        lease,
        id: recording.as_ref().map(Recording::id),
        origin,
    };
    let recorder = recording.as_ref().map(Recording::recorder);
    let made = made.run(recorder, (&resources, opened_caches, &cache_targets));
    if let Some(recording) = recording {
        recording.end(made.as_deref(), args, session);
    }
    made
}

/// A build of which everything is known that has to be.
struct Making<'a> {
    asked: (&'a BuildArgs, &'a Session),
    options: &'a Options,
    input: Input,
    source: &'a SourceFile,
    company: Option<&'a Company<'a>>,
    lease: &'a Arc<Lease>,
    /// What its record is called, where there is to be one.
    id: Option<&'a BuildId>,
    /// Where the context was fetched from, where it is known.
    origin: Option<RecordOrigin>,
}

impl<'a> Making<'a> {
    /// Who is shown how far it is, with the reasons that are asked for or that a live view has room for.
    fn shown(&self, screen: &Arc<Screen>) -> Box<dyn Progress + 'a> {
        let Self { asked: (args, session), source, company, .. } = *self;
        let progress: Box<dyn Progress + 'a> = match company {
            Some(Company { together, name, .. }) => {
                Box::new(OneOf::new(together, name, source.clone()))
            }
            None => show(args, session, source, screen),
        };
        let is_live = company.is_none() && render::is_live(form(args, session), session.display());
        match (args.cache.reuse.explain.is_on(), is_live) {
            (true, _) => progress,
            (false, true) => Box::new(BrieflyExplained(progress)),
            (false, false) => Box::new(Unexplained(progress)),
        }
    }

    /// Builds and delivers, and tells of it.
    fn run(
        self,
        recorder: Option<&Recorder>,
        (resources, mut opened_caches, cache_targets): (&BuildResources, OpenedCaches, &[CacheTo]),
    ) -> Result<Vec<BuiltTarget>, Failure> {
        let screen = Arc::clone(&self.asked.1.screen);
        let progress = self.shown(&screen);
        let Self { asked: (args, session), options, input, source, company, lease, id, origin } =
            self;
        let path = input.path.clone();
        let annotated = Annotated { source, path: path.as_deref() };
        let progress = PausedProgress { progress, screen: &screen };
        let progress = Tally::new(Recorded { progress, recorder });
        if company.is_none() {
            tell_keeper(&options.quota, session);
            let (isolation, reason) = session.isolation();
            progress.event(&Event::Isolated { isolation, reason: reason.as_deref() });
            tell_reach(options.network, session);
        }
        let on_error =
            args.run.on_error.as_ref().map(|command| OnErrorCommand { command, screen: &screen });
        let inspector = on_error.as_ref().map(|command| command as &dyn Inspector);
        let wanted = (lease, resources, args);
        let writers =
            CacheWriters::open(cache_targets, &mut opened_caches, wanted, origin, session)?;
        let environment = resources.environment(lease, &progress);
        let shared = company.map(|company| company.steps);
        let environment = Environment { inspector, results: &writers, shared, ..environment };
        let started = host::date();
        let early = EarlyLayers::of(args, session)?;
        let (input, started) = (&input, started.as_str());
        let delivered = &*opened_caches.delivered;
        let told = Told { id, findings: &|| progress.findings() };
        let attempt =
            Attempt { input, options, environment, args, session, started, delivered, told };
        loop {
            match attempt.run(&early) {
                // A cache did not hand over a layer that it had announced: its step runs after all.
                Err(Unfinished::Delivery(_)) if resources.caches.distrust_lost() => {
                    delivered.forget();
                }
                Err(unfinished) => {
                    writers.salvage(session);
                    let failure = Failure::from(unfinished);
                    annotated.write(&progress.findings(), Some(&failure), session);
                    return Err(failure);
                }
                Ok(built) => {
                    tell_restored(&resources.caches, session);
                    let (made, lease, pool) = (&built, &**lease, &**resources.pool());
                    writers.finish(MountsToSave { built: made, lease, pool }, session)?;
                    annotated.write(&progress.findings(), None, session);
                    let summary =
                        shared::summary(progress.summary(), &resources.caches, &opened_caches);
                    if company.is_none() {
                        summarise(&summary, args, session);
                    }
                    return Ok(built.targets);
                }
            }
        }
    }
}

/// Enters what keeps steps apart, as [`Session::enter`] does, and refuses what no chroot has.
pub(crate) fn settle(steps: &StepArgs, session: &Session) -> Result<(), Failure> {
    session.enter(steps.isolation)?;
    if chroot::is_settled() && steps.snapshotter == SnapshotterArg::Overlayfs {
        let text = "--snapshotter=overlayfs needs user namespaces, which steps do not have here";
        return Err(Failure::usage(text).remedy("leave it out: files are copied"));
    }
    Ok(())
}

/// Whether earlier results answer the whole build, which is tried once, before namespaces are entered.
fn is_answered(args: &BuildArgs, session: &Session) -> Result<bool, Failure> {
    let is_first_run = !enter::is_entered()
        && cached::is_possible(args)
        && shared::targets(args, session)?.is_empty();
    Ok(is_first_run && cached::run(args, session)? == Answer::Whole)
}

/// Says what a build came to, and which flags had no part in it, unless it is to be quiet.
fn summarise(summary: &BuildSummary, args: &BuildArgs, session: &Session) {
    let idle = args.docker.without_effect();
    if !idle.is_empty() {
        session.remark(&format!("without effect, as with BuildKit: {}", idle.join(", ")));
    }
    if !args.result.quiet.is_on() {
        session.summarise(summary);
    }
}

/// What a build that ended well came from and to.
struct Results<'a> {
    built: &'a Built,
    input: &'a Input,
    options: &'a Options,
    /// When it began.
    started: String,
    /// What its record is called, where there is to be one.
    id: Option<&'a BuildId>,
    /// What the checks of the Dockerfile have found.
    findings: Vec<Diagnostic>,
}

impl Results<'_> {
    /// Sends it where the flags say.
    fn deliver(
        self,
        (lease, routes): (&Lease, Routes<'_>),
        args: &BuildArgs,
        session: &Session,
    ) -> Result<(), Failure> {
        let record = self.record(args, session);
        let Self { built, input, options, started, .. } = self;
        let mut delivery = Delivery::new(lease, built, args, (session, routes))?;
        if let Some(asked) = args.attestation.provenance() {
            let mut images = built.targets.iter().flat_map(|target| &target.images);
            let epoch = images.any(|image| image.epoch.is_some());
            let times = (!epoch).then(|| (started, host::date()));
            let dockerfile = (input.name.as_str(), input.dockerfile.as_slice());
            let invocation = BuildInvocation { asked, options, dockerfile, times };
            for target in &mut delivery.targets {
                target.images.provenance = Some(invocation.predicate(target.built));
            }
        }
        delivery.record = record;
        delivery.run()
    }

    /// What a file that tells of the build says beside what left, where there is one.
    fn record(&self, args: &BuildArgs, session: &Session) -> ToldOfBuild {
        let mut record = ToldOfBuild::default();
        if args.result.metadata_file.is_none() {
            return record;
        }
        record.id = self.id.cloned();
        let wish = MetadataWish::of(&session.settings);
        if wish.warnings == WarningsWish::Yes {
            let text = String::from_utf8_lossy(&self.input.dockerfile).into_owned();
            let source = SourceFile { name: self.input.name.clone(), text };
            let warning = |finding| solve_status::warning(&source, finding);
            record.warnings = self.findings.iter().map(warning).collect();
        }
        if let Some(detail) = wish.provenance {
            let asked = args.attestation.provenance().cloned().unwrap_or_default();
            let asked = &Provenance { detail, ..asked };
            let dockerfile = (self.input.name.as_str(), self.input.dockerfile.as_slice());
            let times = Some((self.started.clone(), host::date()));
            let invocation = BuildInvocation { asked, options: self.options, dockerfile, times };
            for target in &self.built.targets {
                record.provenance.insert(target.name.clone(), invocation.told(target));
            }
        }
        record
    }
}

/// What commits promise.
pub(crate) fn durability(is_waived: Switch) -> Durability {
    if is_waived.is_on() { Durability::Relaxed } else { Durability::Durable }
}

/// Begins to show progress in the form that the flags ask for.
fn show(
    args: &BuildArgs,
    session: &Session,
    source: &SourceFile,
    screen: &Arc<Screen>,
) -> Box<dyn Progress + Send> {
    render::progress(form(args, session), source.clone(), screen, session.display())
}

fn form(args: &BuildArgs, session: &Session) -> ProgressForm {
    if args.result.quiet.is_on() { ProgressForm::Quiet } else { session.global.progress }
}

fn input(args: &BuildArgs, dockerfile: Dockerfile) -> Input {
    let context =
        if let ContextSource::Directory(path) = &args.context { Some(path.clone()) } else { None };
    let Dockerfile { source, path } = dockerfile;
    let (dockerfile, name) = (source.text.into_bytes(), source.name);
    Input { dockerfile, name, path, context, ..Input::default() }
}
