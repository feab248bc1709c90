//! Builds that the cache answers whole, which most builds of a day are: they need no namespaces, and
//! so are over before those would be entered.

use std::path::Path;
use std::sync::Arc;

use wythe_builder::build::build;
use wythe_builder::options::Misses;
use wythe_builder::progress::AsEvents;
use wythe_registry::delivered::Delivered;
use wythe_sandbox::Cancel;

use super::annotate::Annotated;
use super::dockerfile::{Dockerfile, USUAL};
use super::resources::BuildResources;
use super::{
    Results, Routes, deliver, durability, input, options, project, show, summarise, targets,
};
use crate::args::build::BuildArgs;
use crate::args::context::ContextSource;
use crate::args::output::Output;
use crate::args::secret::{SecretArg, SecretSource};
use crate::build_record::recorder::Recorded;
use crate::build_record::recording::Recording;
use crate::failure::{Class, Failure};
use crate::host;
use crate::render::held::Held;
use crate::render::tally::Tally;
use crate::session::Session;

/// How much of a build the cache answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// Not all of it. Nothing was done or shown.
    InPart,
    /// All of it, and the build is over.
    Whole,
}

/// Whether a build may be answered whole, and may be begun twice if it is not: what it reads must be
/// there the second time. Files that a step may have owned by anybody are written as root of a
/// namespace.
pub(crate) fn is_possible(args: &BuildArgs) -> bool {
    let ContextSource::Directory(context) = &args.context else { return false };
    let (file, cache) = (args.input.file.as_deref(), &args.cache);
    let named = file.into_iter().flat_map(|file| [file.into(), context.join(file)]);
    let mut read = named.chain(USUAL.map(|name| context.join(name)));
    let reuses = !cache.no_cache.is_on() && cache.no_cache_filter.is_empty() && !cache.pull.is_on();
    let mut outputs = deliver::outputs(&args.result).into_iter();
    reuses
        && file != Some("-")
        && args.input.ssh.is_empty()
        && read.all(|path| can_be_read_again(&path))
        && args.input.secret.iter().all(secret_can_be_read_again)
        && !outputs.any(|asked| matches!(asked.output, Output::Files { .. }))
}

fn secret_can_be_read_again(secret: &SecretArg) -> bool {
    match &secret.source {
        SecretSource::Env(_) | SecretSource::EnvOrGiven { .. } => true,
        SecretSource::EnvOrFile(name) => can_be_read_again(Path::new(name)),
        SecretSource::File(path) => can_be_read_again(path),
    }
}

/// Pipes cannot.
fn can_be_read_again(path: &Path) -> bool {
    path.metadata().map_or(true, |about| about.is_file())
}

/// Builds and delivers what the flags ask for if no step has to run for it.
///
/// What fails before it is clear fails once more in the build that follows, which tells why.
pub(super) fn run(args: &BuildArgs, session: &Session) -> Result<Answer, Failure> {
    let Some(dockerfile) = Dockerfile::local(args)? else { return Ok(Answer::InPart) };
    targets::refuse_unclear(args)?;
    deliver::refuse(args, session)?;
    let store = session.store_with(durability(args.result.shape.no_durable), args.run.jobs)?;
    let mut options = options::options(args, &session.settings)?;
    options.misses = Misses::Refuse;
    options.project = project::project(args, dockerfile.path.as_deref());
    let lease = store.lease()?;
    // Signals end the process while there is nothing to clear up.
    let cancel = Cancel::new().map_err(|error| Failure::of(Class::Environment, &error))?;
    let resources = BuildResources::new(session, cancel, args.run.jobs)?;
    let recording = Recording::begin(args, (&dockerfile, &options), session)?;
    let (screen, source) = (Arc::default(), dockerfile.source.clone());
    let progress = Held::new(|| show(args, session, &source, &screen));
    let recorder = recording.as_ref().map(Recording::recorder);
    let progress = Tally::new(Recorded { progress, recorder });
    let (input, started) = (input(args, dockerfile), host::date());
    let built = build(&input, &options, resources.environment(&lease, &progress));
    // What steps left can only be collected where they ran.
    let Some(built) = built.ok().filter(|_| session.is_calm(&store).is_ok_and(|calm| calm)) else {
        return Ok(Answer::InPart);
    };
    session.interrupts(resources.cancel())?;
    let (id, findings) = (recording.as_ref().map(Recording::id), progress.findings());
    let (input, options) = (&input, &options);
    let results = Results { built: &built, input, options, started, id, findings };
    let (transfers, delivered) = (&AsEvents(&progress), &Delivered::default());
    let routes = Routes { pool: resources.pool(), transfers, delivered };
    let delivered = results.deliver((&lease, routes), args, session);
    if delivered.is_ok() {
        let annotated = Annotated { source: &source, path: input.path.as_deref() };
        annotated.write(&progress.findings(), None, session);
        summarise(&progress.summary(), args, session);
    }
    if let Some(recording) = recording {
        recording.end(delivered.as_ref().map(|()| &built.targets[..]), args, session);
    }
    delivered.map(|()| Answer::Whole)
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;
    use crate::args::Cli;
    use crate::command::Command;

    fn is_tried(context: &Path, flags: &[&str]) -> bool {
        let context = context.to_str().unwrap();
        let words = ["wythe", "build"].into_iter().chain(flags.iter().copied());
        let words: Vec<&str> = words.chain([context]).collect();
        let Command::Build(args) = Cli::of(&words).unwrap().command else { panic!("not a build") };
        is_possible(&args)
    }

    #[test]
    fn what_is_to_run_or_cannot_be_read_twice_is_not_tried() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("Dockerfile"), "").unwrap();
        std::fs::write(path("s"), "").unwrap();
        mknodat(CWD, path("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let pipe = path("pipe").to_str().unwrap().to_owned();
        let from = |name: &str| format!("id=x,src={}", path(name).to_str().unwrap());
        for flags in
            [&[][..], &["--push", "-t", "n"], &["--secret", &from("s")], &["-o", "type=oci,dest=x"]]
        {
            assert!(is_tried(folder.path(), flags), "{flags:?}");
        }
        for flags in [
            &["--no-cache"][..],
            &["--pull"],
            &["-f", "-"],
            &["-f", &pipe],
            &["-o", "out"],
            &["--secret", &from("pipe")],
            &["--ssh", "default=x"],
        ] {
            assert!(!is_tried(folder.path(), flags), "{flags:?}");
        }
        assert!(!is_tried(Path::new("-"), &[]));
    }
}
