//! A build that is being recorded: what is known of it when it begins, and what is kept of it at its end.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use wythe_builder::built::BuiltTarget;
use wythe_builder::options::Options;

use super::bounds::HistoryBounds;
use super::discretion::Discretion;
use super::id::BuildId;
use super::log::BuildLog;
use super::recorder::{Recorder, micros};
use super::shelf::{Announced, BuildShelf};
use super::{
    BuildRecord, BuildStatus, RecordedError, RecordedFile, RecordedResult, VERSION, title,
};
use crate::args::build::BuildArgs;
use crate::args::context::{ArchivePlace, ContextSource};
use crate::args::output::Output;
use crate::command::build::deliver::{outputs, write_text};
use crate::command::build::dockerfile::Dockerfile;
use crate::command::build::project;
use crate::failure::{Class, Failure};
use crate::host;
use crate::layer_files;
use crate::render::stopwatch::Stopwatch;
use crate::render::timings::{self, Subject};
use crate::session::Session;
use crate::telemetry::Telemetry;

/// The longest Dockerfile that is kept, in bytes.
const MOST_OF_DOCKERFILE: usize = 1 << 20;

/// A build and who listens to it.
#[derive(Debug)]
pub(crate) struct Recording {
    recorder: Recorder,
    shelf: BuildShelf,
    bounds: HistoryBounds,
    /// Where a page is to be written.
    page: Option<PathBuf>,
    /// Where a trace is to be sent.
    telemetry: Option<Telemetry>,
    /// What is known at the beginning.
    begun: BuildRecord,
    /// That it is seen to be running.
    announced: Option<Announced>,
}

impl Recording {
    /// Begins to listen, unless nobody wants to know.
    ///
    /// # Errors
    ///
    /// Where the configuration makes no sense.
    pub(crate) fn begin(
        args: &BuildArgs,
        (dockerfile, options): (&Dockerfile, &Options),
        session: &Session,
    ) -> Result<Option<Self>, Failure> {
        let bounds = session.history()?;
        let page = args.result.timings.clone();
        let telemetry = Telemetry::of(&session.settings).unwrap_or_else(|why| {
            session.remark(&format!("no trace of the build is sent: {why}"));
            None
        });
        if bounds.builds == 0 && page.is_none() && telemetry.is_none() {
            return Ok(None);
        }
        let discretion = Discretion::of(options);
        let shelf = BuildShelf::of_store(&session.store_path()?);
        let begun = begun(args, (dockerfile, options), &discretion);
        let recorder = Recorder::new(Stopwatch::start(), dockerfile.source.clone(), discretion);
        Ok(Some(Self { recorder, shelf, bounds, page, telemetry, begun, announced: None }))
    }

    /// Has others see that the build runs. Where that cannot be written they see it when it is over.
    pub(crate) fn announce(mut self) -> Self {
        if self.bounds.builds > 0 {
            let running = BuildRecord { status: BuildStatus::Running, ..self.begun.clone() };
            self.announced = self.shelf.announce(&running).ok();
        }
        self
    }

    /// What the record is called.
    pub(crate) fn id(&self) -> &BuildId {
        &self.begun.id
    }

    /// Who listens.
    pub(crate) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Keeps what was heard of the build, and what it came to. The build is over whatever comes of this.
    pub(crate) fn end(
        self,
        outcome: Result<&[BuiltTarget], &Failure>,
        args: &BuildArgs,
        session: &Session,
    ) {
        let (record, log) = self.record(outcome, args);
        let now = record.completed();
        if let Err(error) = self.shelf.put(&record, &log, (self.bounds, now)) {
            session.remark(&format!("the build was not recorded: {error}"));
        }
        if let Some(path) = &self.page {
            match write_page(path, (&record, &log), session) {
                Ok(()) => session.remark(&format!("timings: {}", path.display())),
                Err(failure) => session.remark(&format!("no timings: {}", failure.sentence())),
            }
        }
        if let Some(telemetry) = &self.telemetry {
            telemetry.send(&record, session);
        }
    }

    fn record(
        &self,
        outcome: Result<&[BuiltTarget], &Failure>,
        args: &BuildArgs,
    ) -> (BuildRecord, BuildLog) {
        let heard = self.recorder.take();
        let mut record = self.begun.clone();
        record.duration = micros(self.recorder.elapsed());
        record.steps = heard.steps();
        record.transfers = heard.transfers();
        record.warnings = heard.warnings;
        match outcome {
            Ok(built) => {
                record.results = built.iter().map(|target| result(target, args)).collect();
                let materials = built.iter().flat_map(|target| &target.materials);
                record.materials = materials
                    .map(|found| format!("{}@{}", found.reference.canonical(), found.digest))
                    .collect();
                record.materials.dedup();
                if record.platforms.is_empty() {
                    record.platforms = record
                        .results
                        .first()
                        .map(|first| first.platforms.clone())
                        .unwrap_or_default();
                }
            }
            Err(failure) => {
                let is_stopped = failure.class == Class::Cancelled;
                record.status =
                    if is_stopped { BuildStatus::Canceled } else { BuildStatus::Failed };
                let lines = failure.lines();
                let lines = lines.iter().map(|line| self.recorder.discreet(line)).collect();
                record.error =
                    Some(RecordedError { class: failure.class.name().to_owned(), lines });
            }
        }
        (record, heard.log)
    }
}

fn write_page(
    path: &Path,
    (record, log): (&BuildRecord, &BuildLog),
    session: &Session,
) -> Result<(), Failure> {
    let files = layer_files::of_build(&session.store_to_read()?, record)?;
    let text = timings::page(&Subject { record, log, files });
    write_text(path, &text)
}

/// What is known of a build before anything of it is done.
fn begun(
    args: &BuildArgs,
    (dockerfile, options): (&Dockerfile, &Options),
    discretion: &Discretion,
) -> BuildRecord {
    let started = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or_default();
    let mut text = discretion.owned(&dockerfile.source.text);
    text.truncate(text.floor_char_boundary(MOST_OF_DOCKERFILE));
    let path = dockerfile.path.as_deref().map(project::absolute);
    let targets = args.input.targets();
    let (error, steps, transfers, warnings, results, materials) = Default::default();
    BuildRecord {
        version: VERSION,
        id: BuildId::from_random(host::random()),
        name: discretion.owned(&name(args, path.as_deref(), options)),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        started,
        duration: 0,
        status: BuildStatus::Completed,
        error,
        context: discretion.owned(&context(&args.context)),
        repository: directory(args).and_then(project::repository),
        dockerfile: RecordedFile {
            name: dockerfile.source.name.clone(),
            path: path.map(|path| path.display().to_string()),
            text,
        },
        targets,
        platforms: options.platforms.iter().map(ToString::to_string).collect(),
        build_args: discretion.build_args(options),
        steps,
        transfers,
        warnings,
        results,
        materials,
    }
}

/// The directory that is the context, if one is.
fn directory(args: &BuildArgs) -> Option<&Path> {
    if let ContextSource::Directory(path) = &args.context { Some(path) } else { None }
}

fn name(args: &BuildArgs, dockerfile: Option<&Path>, options: &Options) -> String {
    if let Some(given) = options.build_args.get(title::GIVEN).filter(|name| !name.is_empty()) {
        return given.clone();
    }
    let targets = args.input.targets();
    if let Some(directory) = directory(args) {
        return title::of_directory(&project::absolute(directory), dockerfile, &targets);
    }
    let is_stdin = args.context == ContextSource::Stdin;
    let name = if is_stdin { String::new() } else { context(&args.context) };
    title::with_targets(name, &targets)
}

/// A context as people name it.
fn context(source: &ContextSource) -> String {
    let path = |path: &PathBuf| project::absolute(path).display().to_string();
    match source {
        ContextSource::Archive(ArchivePlace::Bucket { bucket, key }) => {
            format!("s3://{bucket}/{key}")
        }
        ContextSource::Archive(ArchivePlace::File(file)) => path(file),
        ContextSource::Directory(directory) => path(directory),
        ContextSource::Image(reference) => format!("docker-image://{reference}"),
        ContextSource::Layout { path: layout, .. } => format!("oci-layout://{}", path(layout)),
        ContextSource::Stdin => "-".to_owned(),
        ContextSource::Url(url) => url.clone(),
    }
}

fn result(target: &BuiltTarget, args: &BuildArgs) -> RecordedResult {
    let outputs = outputs(&args.result);
    let of_outputs = outputs.iter().flat_map(|asked| match &asked.output {
        Output::Archive { image, .. }
        | Output::Engine { image, .. }
        | Output::Image { image, .. } => image.names.as_slice(),
        Output::CacheOnly | Output::Files { .. } | Output::Tar { .. } => &[],
    });
    let names = args.result.tag.iter().chain(of_outputs).filter(|name| name.is_of(&target.name));
    let names = names.filter_map(|name| name.reference(&target.name).ok());
    let mut names: Vec<String> = names.map(|name| name.canonical()).collect();
    names.dedup();
    RecordedResult {
        target: target.name.clone(),
        digest: target.root.digest.to_string(),
        names,
        platforms: target.images.iter().map(|image| image.platform.to_string()).collect(),
    }
}
