//! The flags of the commands about images.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum as _};
use wythe_store::oci::platform::Platform;

use super::build::NetworkArg;
use super::call::AnswerFormat;
use super::container::ContainerArgs;
use super::create_repository::RepositoryArgs;
use super::emit::EmitArg;
use super::every_build::StepArgs;
use super::format::ListFormat;
use super::image_attributes::CompressionArg;
use super::image_filter::ImageFilter;
use super::key_value::KeyValue;
use super::location::{Destination, ImageLocation};
use super::output::Format;
use super::runtime::RuntimeArgs;
use super::switch::Switch;
use crate::failure::Failure;

/// Fetch an image from a registry into the store
#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// Which image, for instance debian:bookworm
    pub(crate) image: String,
    #[command(flatten)]
    pub(crate) which: Which,
    /// Fetch the images of all platforms, and what is stated about them
    #[arg(long, conflicts_with = "platform")]
    pub(crate) all_platforms: Switch,
    /// Show no progress
    #[arg(short, long)]
    pub(crate) quiet: Switch,
}

/// Which image, where a name stands for several.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The image for one platform alone, where the name stands for several
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
}

impl Which {
    /// The platform, where one was given.
    pub(crate) fn platform(&self) -> Result<Option<Platform>, Failure> {
        Ok(self.platform.as_deref().map(str::parse).transpose()?)
    }
}

/// Send an image of the store to its registry
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// Which image
    pub(crate) image: String,
    /// Where to, if not to where the name says
    #[arg(conflicts_with = "all_tags")]
    pub(crate) destination: Option<String>,
    /// Send all that the store has under the name, whatever its tag
    #[arg(short, long)]
    pub(crate) all_tags: Switch,
    /// Show no progress
    #[arg(short, long)]
    pub(crate) quiet: Switch,
    #[command(flatten)]
    pub(crate) which: Which,
    /// How layers built here are compressed, and those that were loaded and are not
    #[arg(long, value_enum, value_name = "CODEC")]
    pub(crate) compression: Option<CompressionArg>,
    #[command(flatten)]
    pub(crate) service: RuntimeArgs,
    /// Write a file for a deployment:
    /// type=imagedefinitions|imagedetail|taskdef|kustomize,dest=FILE,container=NAME
    #[arg(long, value_name = "FILE", conflicts_with = "all_tags")]
    pub(crate) emit: Vec<EmitArg>,
    #[command(flatten)]
    pub(crate) repositories: RepositoryArgs,
}

/// Copy an image between registries, layouts and archives
#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// A name in the store, or a place: docker:, oci: or oci-archive:
    pub(crate) source: ImageLocation,
    /// A name in the store, or a place: docker:, oci:, oci-archive:, docker-archive:, docker-daemon:,
    /// containers-storage: (podman and buildah) or containerd:. A name with a registry in it needs docker:// or store://
    pub(crate) destination: Destination,
    #[command(flatten)]
    pub(crate) which: Which,
    /// The images of all platforms, and what is stated about them, which is what happens anyway
    #[arg(short, long, conflicts_with = "platform")]
    pub(crate) all: Switch,
    /// Between registries, layouts and archives of them, what refers to the image, too: signatures, statements and the
    /// like
    #[arg(long)]
    pub(crate) referrers: Switch,
    #[command(flatten)]
    pub(crate) repositories: RepositoryArgs,
}

/// Give an image another name
#[derive(Debug, Args)]
pub(crate) struct TagArgs {
    /// An image of the store
    pub(crate) source: String,
    /// Its further name
    pub(crate) target: String,
}

/// List the images of the store
#[derive(Debug, Args)]
pub(crate) struct ImagesArgs {
    /// Only those of this name, with any tag where it has none
    #[arg(value_name = "NAME[:TAG]")]
    pub(crate) name: Option<String>,
    /// Print the ids alone, each once
    #[arg(short, long)]
    pub(crate) quiet: Switch,
    /// Print ids in full
    #[arg(long)]
    pub(crate) no_trunc: Switch,
    /// Print digests, too
    #[arg(long)]
    pub(crate) digests: Switch,
    /// Only some: reference=PATTERN, label=KEY[=VALUE], before=IMAGE, since=IMAGE, dangling=BOOL
    #[arg(short, long, value_name = "FILTER")]
    pub(crate) filter: Vec<ImageFilter>,
    /// Print a table, one JSON array, or what a template makes, such as {{.Repository}}:{{.Tag}}
    #[arg(long, default_value = "text", value_name = "text|json|TEMPLATE")]
    pub(crate) format: ListFormat,
    /// Accepted for scripts made for docker: there are no images in between
    #[arg(short, long, hide = true)]
    all: Switch,
}

/// Remove names of images; what no name needs any more goes with the next prune
#[derive(Debug, Args)]
pub(crate) struct RmiArgs {
    /// Which names, or ids as `wythe images` prints them
    #[arg(required = true)]
    pub(crate) images: Vec<String>,
    /// A name that is not there is no failure, and an id may have several
    #[arg(short, long)]
    pub(crate) force: Switch,
    /// Accepted for scripts made for docker: what no name needs goes with the next prune
    #[arg(long, hide = true)]
    no_prune: Switch,
}

/// Print what images are as JSON, in docker's words
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Which images: names in the store, or docker: and a name in a registry
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// Print what a template makes of each, such as {{json .Config.Env}}
    #[arg(short, long, value_parser = template_or_json, conflicts_with = "raw", value_name = "json|TEMPLATE")]
    pub(crate) format: Option<ListFormat>,
    /// Accepted for scripts made for docker: there are images alone
    #[arg(long = "type", hide = true, value_parser = ["image"], value_name = "KIND")]
    kind: Option<String>,
    /// Accepted for scripts made for docker: sizes are always told
    #[arg(short, long, hide = true)]
    size: Switch,
    /// Print a document exactly as it is stored [default: the one that the name stands for]
    #[arg(long, value_name = "config|manifest", num_args = 0..=1, default_missing_value = "")]
    raw: Option<String>,
}

/// What is to be shown of an image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shown {
    /// What it is.
    Summary,
    /// The document that the name stands for.
    Root,
    /// A document of the image.
    Document(Document),
}

impl InspectArgs {
    /// Which images, and what of them. What follows `--raw` is a document or the first image.
    pub(crate) fn what(&self) -> Result<(Vec<ImageLocation>, Shown), Failure> {
        let mut images: Vec<&str> = self.images.iter().map(String::as_str).collect();
        let shown = match self.raw.as_deref() {
            None => Shown::Summary,
            Some("") => Shown::Root,
            Some(word) => {
                let document = <Document as clap::ValueEnum>::from_str(word, false);
                document.map_or_else(
                    |_| {
                        images.insert(0, word);
                        Shown::Root
                    },
                    Shown::Document,
                )
            }
        };
        if images.is_empty() {
            let failure = Failure::usage("no image is named");
            return Err(failure.remedy("say which: NAME or docker://NAME"));
        }
        // Parsing does not fail.
        let locations = images.into_iter().filter_map(|image| image.parse().ok());
        Ok((locations.collect(), shown))
    }
}

/// A document of an image.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Document {
    /// The image configuration
    Config,
    /// The manifest
    Manifest,
}

/// Say what the steps of an image were made from and why they ran, or what an error means
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// An image that was built here, the key of a step or its beginning, or the code of an error
    #[arg(value_name = "IMAGE|KEY|CODE")]
    pub(crate) what: String,
    /// Print lines or one JSON array
    #[arg(long, value_parser = format, default_value = "text", value_name = "text|json")]
    pub(crate) format: AnswerFormat,
}

/// List the instructions that made an image
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Which image
    pub(crate) image: String,
    /// Print a table, one JSON array, or what a template makes, such as {{.Size}}
    #[arg(long, default_value = "text", value_name = "text|json|TEMPLATE")]
    pub(crate) format: ListFormat,
    /// Print the instructions in full, which happens anyway
    #[arg(long)]
    no_trunc: Switch,
    /// Print the ids alone
    #[arg(short, long)]
    pub(crate) quiet: Switch,
    /// Print sizes and times for people, or exactly with =false
    #[arg(
        short = 'H',
        long,
        num_args = 0..=1,
        require_equals = true,
        default_value = "true",
        default_missing_value = "true",
        hide_default_value = true,
        value_name = "BOOL"
    )]
    pub(crate) human: bool,
}

/// Run a command in an image, on a file system that is forgotten afterwards
// Of docker's, -h is the name of the host.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct RunImageArgs {
    /// Which image, and the command in place of that of the image, flags of its own included
    // One list, because flags of ours between two positional arguments would be taken for ours.
    #[arg(
        value_name = "IMAGE [COMMAND]",
        num_args = 1..,
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<String>,
    /// Give the command a terminal
    #[arg(short, long)]
    pub(crate) tty: Switch,
    /// Hand standard input to the command, which happens anyway
    #[arg(short, long)]
    pub(crate) interactive: Switch,
    /// A variable of the environment; without a value, that of the caller
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<KeyValue>,
    /// The user, in place of that of the image
    #[arg(short, long)]
    pub(crate) user: Option<String>,
    /// The working directory, in place of that of the image
    #[arg(short, long, value_name = "DIR")]
    pub(crate) workdir: Option<String>,
    /// The program, in place of the entry point of the image
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) entrypoint: Option<String>,
    /// The network: host or none
    #[arg(
        long,
        visible_alias = "net",
        value_parser = network_of_run,
        default_value = "default",
        value_name = "NETWORK"
    )]
    pub(crate) network: NetworkArg,
    #[command(flatten)]
    pub(crate) which: Which,
    #[command(flatten)]
    pub(crate) docker: ContainerArgs,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    #[command(flatten)]
    pub(crate) steps: StepArgs,
}

/// Docker's own network, which commands reach others by, is that of this machine here.
fn network_of_run(text: &str) -> Result<NetworkArg, String> {
    let name = if text == "bridge" { "default" } else { text };
    NetworkArg::from_str(name, false).map_err(|_| format!("{text:?} is none of host and none"))
}

impl RunImageArgs {
    /// Which image; an error where a flag stands in its place that nobody knows.
    pub(crate) fn image(&self) -> Result<&str, Failure> {
        match self.words.first() {
            Some(word) if word.starts_with('-') => {
                Err(Failure::usage(format!("wythe run has no flag {word}")).remedy(
                    "`wythe run --help` lists those it has; those of the command follow the image",
                ))
            }
            first => Ok(first.map_or("", String::as_str)),
        }
    }

    /// The command in place of that of the image; empty for none.
    pub(crate) fn command(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }
}

/// Write images to an archive
#[derive(Debug, Args)]
pub(crate) struct SaveArgs {
    /// Which images
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
    /// The file [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// What docker load reads, or an OCI layout
    #[arg(long, value_parser = archive_format, default_value = "docker", value_name = "docker|oci")]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) which: Which,
}

/// Read the images of an archive or layout
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// The archive or layout directory; - is an archive on standard input
    #[arg(short, long, default_value = "-", value_name = "PATH")]
    pub(crate) input: PathBuf,
    /// Print nothing but what went wrong
    #[arg(short, long)]
    pub(crate) quiet: Switch,
    /// The name it gets [default: those that it has inside]
    #[arg(short, long, value_name = "NAME[:TAG]")]
    pub(crate) tag: Option<String>,
    /// Only one image: its tag or name inside
    #[arg(long, value_name = "NAME")]
    pub(crate) select: Option<String>,
    #[command(flatten)]
    pub(crate) which: Which,
}

/// Remember how to authenticate with a registry
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The registry
    #[arg(default_value = "docker.io")]
    pub(crate) registry: String,
    /// The user [default: asked for]
    #[arg(short, long)]
    pub(crate) username: Option<String>,
    /// The password, which everybody on this machine can read meanwhile [default: asked for]
    #[arg(short, long, conflicts_with = "password_stdin")]
    pub(crate) password: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    pub(crate) password_stdin: Switch,
}

/// Forget how to authenticate with a registry
#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// The registry
    #[arg(default_value = "docker.io")]
    pub(crate) registry: String,
}

pub(super) fn format(text: &str) -> Result<AnswerFormat, &'static str> {
    match text {
        "json" => Ok(AnswerFormat::Json),
        "text" => Ok(AnswerFormat::Text),
        _ => Err("neither text nor json"),
    }
}

fn template_or_json(text: &str) -> Result<ListFormat, String> {
    match text.parse() {
        Ok(format @ (ListFormat::Json | ListFormat::Lines(_))) => Ok(format),
        Ok(ListFormat::Table | ListFormat::TableOf(_)) => Err("one image is no table".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn archive_format(text: &str) -> Result<Format, &'static str> {
    match text {
        "docker" => Ok(Format::Docker),
        "oci" => Ok(Format::Oci),
        _ => Err("neither docker nor oci"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::command::Command;

    fn run(words: &str) -> RunImageArgs {
        let words: Vec<&str> = ["wythe"].into_iter().chain(words.split(' ')).collect();
        let Command::Run(run) = Cli::of(&words).unwrap().command else { panic!("not run") };
        *run
    }

    #[test]
    fn what_follows_the_image_is_the_commands_even_where_it_looks_like_ours() {
        let run = run("run --user 5 app --help --user 6 -- x");
        assert_eq!((run.image().unwrap(), run.user.as_deref()), ("app", Some("5")));
        assert_eq!(run.command(), ["--help", "--user", "6", "--", "x"]);
    }

    #[test]
    fn the_letters_that_everybody_types_are_taken() {
        let run = run("run -it app sh");
        assert!(run.tty.is_on() && run.interactive.is_on());
        assert_eq!((run.image().unwrap(), run.command()), ("app", &["sh".to_owned()][..]));
    }

    #[test]
    fn what_follows_raw_is_a_document_or_an_image() {
        let what = |words: &str| {
            let words: Vec<&str> =
                ["wythe", "inspect"].into_iter().chain(words.split(' ')).collect();
            let Command::Inspect(args) = Cli::of(&words).unwrap().command else { panic!("not it") };
            args.what()
        };
        let app = || ImageLocation::Store("app:1".to_owned());
        let config = Shown::Document(Document::Config);
        for (words, shown) in [
            ("app:1", Shown::Summary),
            ("--raw app:1", Shown::Root),
            ("app:1 --raw", Shown::Root),
            ("--raw config app:1", config),
            ("app:1 --raw=config", config),
        ] {
            assert_eq!(what(words).unwrap(), (vec![app()], shown), "{words}");
        }
        assert!(what("--raw config").is_err());
        let there = ImageLocation::Registry("r.io/a".to_owned());
        assert_eq!(what("--raw docker://r.io/a app:1").unwrap(), (vec![there, app()], Shown::Root));
    }

    #[test]
    fn an_unknown_flag_is_no_image() {
        assert!(run("run --usr 5 app").image().is_err());
    }

    #[test]
    fn a_command_line_of_docker_is_taken_as_far_as_it_can_be() {
        let idle = run("run --init -q --restart no -a stdout --net bridge -h box --read-only app");
        assert!(idle.docker.read_only.is_on());
        let run = run("run --rm --name x -v /tmp:/t:ro -p 80:80 --pull never app sh");
        assert_eq!((run.image().unwrap(), run.command()), ("app", &["sh".to_owned()][..]));
        for refused in ["--rm=false", "-d", "-p 8080:80", "-v data:/d", "--net other", "-P"] {
            let words = ["wythe", "run"].into_iter().chain(refused.split(' ')).chain(["app"]);
            assert!(Cli::of(&words.collect::<Vec<_>>()).is_err(), "{refused}");
        }
    }
}
