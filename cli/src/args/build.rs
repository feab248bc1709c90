//! The flags of `wythe build`, named as those of `docker buildx build`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use wythe_delivery::annotation::Annotations;

use super::annotation;
use super::cache::{CacheFrom, CacheTo};
use super::call::{Call, Method};
use super::context::{ContextSource, NamedContext};
use super::digest_file::DigestFile;
use super::docker::DockerArgs;
use super::emit::EmitArg;
use super::every_build::{CheckArgs, ReuseArgs, ShapeArgs, StepArgs};
use super::image_name::ImageName;
use super::key_value::KeyValue;
use super::network::BuildNetwork;
use super::output::OutputArg;
use super::provenance::{Attest, Provenance, ProvenanceArg};
use super::secret::SecretArg;
use super::surroundings::SurroundingsArgs;
use super::switch::Switch;

/// Build an image from a Dockerfile
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// The build context: a directory, a URL, or - for a tar stream on standard input
    #[arg(value_name = "CONTEXT")]
    pub(crate) context: ContextSource,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) result: ResultArgs,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) attestation: AttestationArgs,
    #[command(flatten)]
    pub(crate) docker: DockerArgs,
    /// Ask about the Dockerfile instead: build, check, context, outline or targets[,format=json]
    #[arg(long, value_name = "METHOD")]
    pub(crate) call: Option<Call>,
    #[command(flatten)]
    pub(crate) checks: CheckArgs,
    /// What is to be told besides, before the build.
    #[arg(skip)]
    pub(crate) remark: Option<String>,
}

/// What is built
#[derive(Debug, Args)]
pub(crate) struct InputArgs {
    /// The Dockerfile, or its address [default: CONTEXT/Dockerfile]; - reads it from standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<String>,
    /// The stage to build, or several, each an image of its own [default: the last one]
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub(crate) target: Vec<String>,
    /// Value of an ARG; without a value, that of the environment variable of that name
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) build_arg: Vec<KeyValue>,
    #[arg(
        long,
        value_name = "NAME=SOURCE",
        help = "A further context: a directory, a git repository, an archive or file behind a URL, \
                docker-image://REF or oci-layout://PATH[:TAG][@DIGEST]"
    )]
    pub(crate) build_context: Vec<NamedContext>,
    /// The platform to build for
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',')]
    pub(crate) platform: Vec<String>,
    /// A secret for RUN --mount=type=secret: id=ID[,src=FILE|,env=NAME]
    #[arg(long, value_name = "SECRET")]
    pub(crate) secret: Vec<SecretArg>,
    /// An SSH agent for RUN --mount=type=ssh: the one of the environment, another, or one for key files
    #[arg(long, value_name = "ID[=SOCKET|KEY,…]")]
    pub(crate) ssh: Vec<String>,
    /// The directory of a context that is no directory of this machine, in place of its top.
    #[arg(skip)]
    pub(crate) context_subdirectory: Option<String>,
}

/// Where the result goes
#[derive(Debug, Args)]
pub(crate) struct ResultArgs {
    /// Name of the image; with several targets, of the one it begins with, or of each with {target}
    #[arg(short, long, value_name = "[STAGE=]NAME[:TAG]")]
    pub(crate) tag: Vec<ImageName>,
    /// A label of the image
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) label: Vec<KeyValue>,
    /// An annotation of the manifest, or as index:KEY=VALUE, manifest-descriptor[linux/arm64]:KEY=VALUE
    #[arg(long, value_name = "KEY=VALUE", value_parser = annotation::parse)]
    pub(crate) annotation: Vec<Annotations>,
    /// Where the result goes: type=image|registry|oci|docker|local|tar|cacheonly[,dest=PATH,…]
    #[arg(short, long, value_name = "OUTPUT")]
    pub(crate) output: Vec<OutputArg>,
    /// Push the image under its names: short for --output=type=registry
    #[arg(long)]
    pub(crate) push: Switch,
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    /// Keep the image in the store, which is what happens anyway; called by docker, in its engine
    #[arg(long)]
    pub(crate) load: Switch,
    /// Where an image goes that has no output, or is to be loaded.
    #[arg(skip)]
    pub(crate) home: ImageHome,
    /// Write the image id (the digest of its configuration) to a file, a line for each target
    #[arg(long, value_name = "FILE")]
    pub(crate) iidfile: Option<PathBuf>,
    /// Write digests and names as JSON to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) metadata_file: Option<PathBuf>,
    /// Write a file for a deployment of what was pushed:
    /// type=imagedefinitions|imagedetail|taskdef|kustomize,dest=FILE,container=NAME
    #[arg(long, value_name = "FILE")]
    pub(crate) emit: Vec<EmitArg>,
    /// Write a page about the course of the build, its cache and its layers, for a browser [default: wythe-timings.html]
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "wythe-timings.html"
    )]
    pub(crate) timings: Option<PathBuf>,
    /// Say only the digest of the image, or what went wrong: short for --progress=quiet
    #[arg(short, long)]
    pub(crate) quiet: Switch,
    /// Files that get the digest.
    #[arg(skip)]
    pub(crate) digest_files: Vec<DigestFile>,
    #[arg(skip)]
    pub(crate) telling: Telling,
}

/// What is said of the result on standard output.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Telling {
    /// A digest for each target.
    #[default]
    Digests,
    /// Nothing: somebody else tells.
    Nothing,
}

/// What is reused
#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    /// Run every step, and keep the results for the next build
    #[arg(long)]
    pub(crate) no_cache: Switch,
    /// Run the steps of these stages
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub(crate) no_cache_filter: Vec<String>,
    /// Ask the registry for a newer base image even if one is here
    #[arg(long)]
    pub(crate) pull: Switch,
    /// Reuse what other machines made: an image name, type=registry,ref=NAME,
    /// type=local,src=DIR, type=http,url=URL or type=gha
    #[arg(long, value_name = "CACHE")]
    pub(crate) cache_from: Vec<CacheFrom>,
    /// Keep results for other machines: type=registry,ref=NAME, type=local,dest=DIR,
    /// type=http,url=URL or type=gha, each with mode=max for all steps; or type=inline. With
    /// mounts=ID;ID or mounts=all, what steps left in cache mounts is kept as well
    #[arg(long, value_name = "CACHE")]
    pub(crate) cache_to: Vec<CacheTo>,
    #[command(flatten)]
    pub(crate) reuse: ReuseArgs,
}

/// What surrounds a step
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[arg(
        long,
        default_value = "default",
        value_name = "NETWORK",
        help = "The network of RUN: default, host, none, pasta for one of its own, or allow:HOST[:PORT],… for those hosts alone"
    )]
    pub(crate) network: BuildNetwork,
    /// Grant what a Dockerfile asks for: network.host or security.insecure
    #[arg(long, value_name = "ENTITLEMENT", value_delimiter = ',')]
    pub(crate) allow: Vec<String>,
    #[command(flatten)]
    pub(crate) surroundings: SurroundingsArgs,
    #[command(flatten)]
    pub(crate) steps: StepArgs,
    /// Run a command where a step failed, with its files, mounts and variables: sh gives a shell
    #[arg(long, value_name = "COMMAND")]
    pub(crate) on_error: Option<String>,
    /// How many steps may run at once, and at most how many threads hash, compress and unpack
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<std::num::NonZeroUsize>,
}

/// Statements about the image
#[derive(Debug, Args)]
pub(crate) struct AttestationArgs {
    /// Attach a statement of how the image was built; among files it is provenance.json
    #[arg(long, value_name = "BOOL|mode=min|mode=max[,…]")]
    pub(crate) provenance: Option<ProvenanceArg>,
    /// Refused: lists of what an image holds are not made
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) sbom: Option<String>,
    /// The same in another spelling: type=provenance[,mode=max,…]
    #[arg(long, value_name = "type=TYPE[,…]")]
    pub(crate) attest: Vec<Attest>,
}

/// Where images live that nothing is said of.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum ImageHome {
    /// Docker's engine, if there is one, and the store.
    Docker,
    #[default]
    Store,
}

/// The network of a command.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum NetworkArg {
    /// That of this machine
    #[default]
    Default,
    /// That of this machine, needs no entitlement when given here
    Host,
    /// Nothing but a loopback
    None,
}

impl InputArgs {
    /// The targets, each once; the last stage is built where there is none.
    pub(crate) fn targets(&self) -> Vec<String> {
        let mut targets: Vec<String> = Vec::new();
        for name in self.target.iter().filter(|name| !name.is_empty()) {
            if !targets.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                targets.push(name.clone());
            }
        }
        targets
    }

    /// Where the Dockerfile is, if that is no file of this machine or of the context.
    pub(crate) fn file_address(&self) -> Option<&str> {
        let is_address =
            |file: &&str| ["http://", "https://"].iter().any(|scheme| file.starts_with(scheme));
        self.file.as_deref().filter(is_address)
    }
}

impl AttestationArgs {
    /// What is to be stated of how the image was built: the last `--attest` about it says so, or else
    /// `--provenance`.
    pub(crate) fn provenance(&self) -> Option<&Provenance> {
        let attested = self.attest.iter().rev().find_map(|attest| match attest {
            Attest::Provenance(asked) => Some(asked),
            Attest::NoSbom => None,
        });
        match attested.or(self.provenance.as_ref()) {
            Some(ProvenanceArg::On(asked)) => Some(asked),
            Some(ProvenanceArg::Off) | None => None,
        }
    }
}

impl BuildArgs {
    /// The same as docker means it: images are for its engine.
    pub(crate) fn of_docker(mut self) -> Self {
        self.result.home = ImageHome::Docker;
        let outputs = self.result.output.into_iter();
        let of_docker = |asked: OutputArg| OutputArg { output: asked.output.of_docker(), ..asked };
        self.result.output = outputs.map(of_docker).collect();
        self
    }

    /// What is asked; `--check` is short for a call.
    pub(crate) fn question(&self) -> Call {
        let check = Call { method: Method::Check, ..Call::default() };
        let short = self.checks.check.is_on().then_some(check);
        self.call.or(short).unwrap_or_default()
    }
}
