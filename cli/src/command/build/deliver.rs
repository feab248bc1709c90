//! The results of a build to where the flags say they go.

mod destination;
pub(crate) mod metadata;
mod pushed;
mod report;
mod target;
mod tree;

use std::io;

use rayon::ThreadPool;
use wythe_builder::built::Built;
use wythe_delivery::archive::{write_archive, write_layout};
use wythe_delivery::files::FilesLayout;
use wythe_delivery::image::OutgoingImage;
use wythe_delivery::options::{LayerOptions, LazyIndex};
use wythe_registry::delivered::Delivered;
use wythe_store::image::tar_output;
use wythe_store::layer::aside::Aside;
use wythe_store::lease::Lease;
use wythe_store::oci::archive::Flavour;
use wythe_store::oci::transfer::Transfers;
use wythe_store::tree::entry::Tree;

pub(crate) use self::destination::write_text;
use self::destination::write_to;
use self::metadata::ToldOfBuild;
use self::report::{TargetReport, to_stdout};
use self::target::TargetOutput;
use self::tree::file_tree;
use crate::args::build::{BuildArgs, ImageHome, ResultArgs};
use crate::args::image_attributes::ImageAttributes;
use crate::args::location::ImagesOf;
use crate::args::output::{Destination, Format, Need, Output, OutputArg, Push};
use crate::args::runtime::{Statement, Wish, refuse_index};
use crate::aws::check_repositories;
use crate::failure::{Class, Failure};
use crate::neighbour::Neighbour;
use crate::session::Session;
use crate::stored_image::this_machine;
use crate::{archive_file, files, handover};

/// Refuses what cannot be delivered as it is asked for, before anything is built for it, or found to be built.
pub(crate) fn refuse(args: &BuildArgs, session: &Session) -> Result<(), Failure> {
    refuse_undeliverable(&args.result, session)?;
    refuse_for_runtime(args)
}

/// Refuses archives on standard output that a person would see, engines that do not answer, and repositories that
/// nobody makes, before anything is built for them.
fn refuse_undeliverable(args: &ResultArgs, session: &Session) -> Result<(), Failure> {
    let outputs = outputs(args);
    for asked in &outputs {
        if let Output::Engine { program, need: Need::Must, .. } = asked.output {
            Neighbour::find(program, &session.settings)?;
        }
    }
    if outputs.iter().any(to_stdout) {
        archive_file::refuse_terminal(&io::stdout())?;
    }
    let pushed = pushed::names(args, &outputs)?;
    if !args.emit.is_empty() && pushed.is_empty() {
        let failure = Failure::usage("--emit is about what was pushed, and nothing is");
        return Err(failure.remedy("give --push"));
    }
    handover::check(&args.emit)?;
    check_repositories(&pushed, args.shape.repositories.create_repo)
}

/// Refuses what the runtime that is to run the image does not take, and an index over layers that can have none.
fn refuse_for_runtime(args: &BuildArgs) -> Result<(), Failure> {
    let outputs = outputs(&args.result);
    let images: Vec<&ImageAttributes> =
        outputs.iter().filter_map(|asked| asked.output.image_attributes()).collect();
    let layers: Vec<LayerOptions> = images.iter().map(|image| image.layers(&args.result)).collect();
    for (image, layers) in images.iter().zip(&layers) {
        refuse_index(*layers)?;
        if image.start_trace.is_some() && layers.are_known_ahead() {
            let text = "start-trace orders layers that have a table of contents";
            let remedy = "say compression=estargz or compression=zstd:chunked";
            return Err(Failure::usage(text).remedy(remedy));
        }
    }
    let Some(runtime) = args.result.shape.service.runtime else { return Ok(()) };
    let compressions = args.result.shape.compression.into_iter();
    let said = images.iter().filter_map(|image| image.compression);
    let compressions: Vec<_> = compressions.chain(said).collect();
    let is_indexed = layers.iter().any(|layers| layers.index == LazyIndex::Soci);
    let is_stated = args.attestation.provenance().is_some();
    runtime.check(&Wish {
        platforms: &args.input.platform,
        host: &this_machine(),
        compressions: &compressions,
        statement: if is_stated { Statement::Attached } else { Statement::None },
        index: if is_indexed { LazyIndex::Soci } else { LazyIndex::None },
    })
}

/// The outputs that the flags ask for; images in the store if they ask for none.
pub(crate) fn outputs(args: &ResultArgs) -> Vec<OutputArg> {
    let mut outputs = args.output.clone();
    let for_all = |push| OutputArg { target: None, output: Output::image(push) };
    if args.push.is_on() {
        outputs.push(for_all(Push::ByName));
    }
    if outputs.is_empty() || args.load.is_on() {
        let need = if args.load.is_on() { Need::Must } else { Need::IfThere };
        outputs.push(match args.home {
            ImageHome::Docker => {
                let (program, image) = (ImagesOf::Docker, ImageAttributes::default());
                let output = Output::Engine { program, need, image };
                OutputArg { target: None, output }
            }
            ImageHome::Store => for_all(Push::No),
        });
    }
    outputs
}

/// Whether something is pushed.
pub(crate) fn is_pushed(args: &ResultArgs) -> bool {
    let pushes = |asked: &OutputArg| {
        matches!(asked.output, Output::Image { push: Push::ByName | Push::ByDigest, .. })
    };
    outputs(args).iter().any(pushes)
}

/// What deliveries share.
#[derive(Clone, Copy)]
pub(crate) struct Routes<'a> {
    /// Where layers are compressed.
    pub(crate) pool: &'a ThreadPool,
    /// Who is told how far blobs are.
    pub(crate) transfers: &'a dyn Transfers,
    /// What registries have been seen to already.
    pub(crate) delivered: &'a Delivered,
}

/// What was built, on its way out.
pub(crate) struct Delivery<'a> {
    lease: &'a Lease,
    /// What each target came to.
    pub(crate) targets: Vec<TargetOutput<'a>>,
    /// What is told of the build beside.
    pub(crate) record: ToldOfBuild,
    args: &'a ResultArgs,
    session: &'a Session,
}

impl<'a> Delivery<'a> {
    pub(crate) fn new(
        lease: &'a Lease,
        built: &'a Built,
        args: &'a BuildArgs,
        (session, routes): (&'a Session, Routes<'a>),
    ) -> Result<Self, Failure> {
        let (args, how) = (&args.result, (session, routes));
        let targets = built.targets.iter().map(|built| TargetOutput::new(lease, built, args, how));
        let (targets, record) = (targets.collect::<Result<_, _>>()?, ToldOfBuild::default());
        Ok(Self { lease, targets, record, args, session })
    }
}

impl Delivery<'_> {
    /// Delivers to every output, and writes the files that tell what was made.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let mut reports: Vec<TargetReport> = self.targets.iter().map(TargetReport::built).collect();
        for OutputArg { target, output } in outputs(self.args) {
            let meant = |one: &&TargetOutput<'_>| {
                target.as_ref().is_none_or(|name| *name == one.built.name)
            };
            let targets: Vec<&TargetOutput<'_>> = self.targets.iter().filter(meant).collect();
            for news in self.output(&output, &targets)? {
                for report in &mut reports {
                    report.update(&news);
                }
            }
        }
        self.report(&reports)
    }

    /// Delivers to one output; each target apart where the destination says so.
    fn output(
        &self,
        output: &Output,
        targets: &[&TargetOutput<'_>],
    ) -> Result<Vec<TargetReport>, Failure> {
        let mut apart = Vec::new();
        for one in targets {
            let Some(output) = output.for_target(&one.built.name) else {
                return self.together(output, targets);
            };
            apart.extend(self.together(&output, &[*one])?);
        }
        Ok(apart)
    }

    /// Delivers targets to one destination; returns what left or was kept.
    fn together(
        &self,
        output: &Output,
        targets: &[&TargetOutput<'_>],
    ) -> Result<Vec<TargetReport>, Failure> {
        match output {
            Output::Archive { format, destination, image } => {
                archive(*format, destination, (targets, image))
            }
            Output::CacheOnly => Ok(Vec::new()),
            Output::Engine { program, need, image } => {
                targets.iter().map(|one| one.load(*program, *need, image)).collect()
            }
            Output::Files { destination, layout, stale } => {
                let aside = Aside::new(self.lease);
                let tree = file_tree(targets, layout, Some(&aside))?;
                files::write(&tree, &aside, epoch(targets), (destination, *stale))?;
                Ok(Vec::new())
            }
            Output::Image { push, image } => {
                targets.iter().map(|one| one.name(*push, image)).collect()
            }
            Output::Tar { destination, layout } => {
                self.tar(targets, (destination, layout)).map(|()| Vec::new())
            }
        }
    }

    fn tar(
        &self,
        targets: &[&TargetOutput<'_>],
        (destination, layout): (&Destination, &FilesLayout),
    ) -> Result<(), Failure> {
        let tree: Tree = file_tree(targets, layout, None)?;
        write_to(destination, |out| {
            tar_output::write(&tree, self.lease.store(), epoch(targets), out)
                .map_err(|error| Failure::of(Class::Environment, &error))
        })
    }
}

fn archive(
    format: Format,
    to: &Destination,
    (targets, image): (&[&TargetOutput<'_>], &ImageAttributes),
) -> Result<Vec<TargetReport>, Failure> {
    let (mut images, mut reports) = (Vec::new(), Vec::new());
    for one in targets {
        let (mut image, news) = one.archived(image)?;
        image.title = (targets.len() > 1).then(|| one.built.name.clone());
        images.push(image);
        reports.push(news);
    }
    let flavour = flavour(format, &images)?;
    match to {
        Destination::Directory(path) => write_layout(&images, path)?,
        Destination::File(_) | Destination::Stdout | Destination::Unsaid => {
            write_to(to, |out| Ok(write_archive(&images, (flavour, None), out)?))?;
        }
    }
    Ok(reports)
}

/// `SOURCE_DATE_EPOCH`, which is that of all images.
fn epoch(targets: &[&TargetOutput<'_>]) -> Option<i64> {
    targets.iter().flat_map(|one| &one.built.images).find_map(|image| image.epoch)
}

fn flavour(format: Format, images: &[OutgoingImage<'_>]) -> Result<Flavour, Failure> {
    match format {
        Format::Docker if images.iter().any(|one| one.root.media_type.is_index()) => {
            let text = "a docker archive holds one image alone: no other platforms, no statements, no SOCI index";
            Err(Failure::usage(text).remedy("type=oci can"))
        }
        Format::Docker => Ok(Flavour::Docker),
        Format::Oci => Ok(Flavour::Oci),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::command::Command;

    #[track_caller]
    fn check(flags: &[&str], expected: &[&str]) {
        check_of(&["wythe", "build"], flags, expected);
    }

    #[track_caller]
    fn check_of(command: &[&str], flags: &[&str], expected: &[&str]) {
        let words: Vec<&str> = command.iter().chain(flags).chain(&["."]).copied().collect();
        let command = Cli::of(&words).unwrap().command.resolved();
        let Command::Build(args) = command else { panic!("not a build") };
        let name = |asked: &OutputArg| match asked.output {
            Output::Archive { .. } => "archive",
            Output::CacheOnly => "cacheonly",
            Output::Engine { need: Need::IfThere, .. } => "engine if there",
            Output::Engine { need: Need::Must, .. } => "engine",
            Output::Files { .. } => "files",
            Output::Image { push: Push::ByDigest | Push::ByName, .. } => "push",
            Output::Image { push: Push::No, .. } => "store",
            Output::Tar { .. } => "tar",
        };
        let found: Vec<&str> = outputs(&args.result).iter().map(name).collect();
        assert_eq!(found, expected, "{flags:?}");
    }

    #[test]
    fn without_an_output_the_image_stays_in_the_store() {
        check(&[], &["store"]);
    }

    #[test]
    fn for_docker_images_are_in_its_engine_unless_they_go_elsewhere() {
        let check = |flags, expected| check_of(&["wythe", "buildx", "build"], flags, expected);
        check(&[], &["engine if there"]);
        check(&["--load"], &["engine"]);
        check(&["-o", "type=docker"], &["engine"]);
        check(&["-o", "type=docker,dest=-"], &["archive"]);
        check(&["--push"], &["push"]);
        check(&["-o", "type=image"], &["store"]);
    }

    #[test]
    fn push_and_load_are_short_for_outputs() {
        check(&["--push"], &["push"]);
        check(&["--push", "--load"], &["push", "store"]);
        check(&["-o", "type=oci,dest=x", "-o", "out"], &["archive", "files"]);
    }
}
