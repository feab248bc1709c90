//! The flags of `docker run` that a command needs which is over when it ends, and the others by name.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::switch::Switch;

/// What surrounds the command
#[derive(Debug, Args)]
pub(crate) struct ContainerArgs {
    /// Show a directory or file of this machine in a place of the image
    #[arg(short, long, value_name = "SOURCE:TARGET[:ro]")]
    pub(crate) volume: Vec<Volume>,
    /// Read variables of the environment from a file, a line for each
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
    /// Fetch the image: missing, always or never
    #[arg(long, value_enum, default_value = "missing", value_name = "WHEN")]
    pub(crate) pull: PullWhen,
    /// What the command takes this machine's name for
    #[arg(long, value_name = "NAME")]
    pub(crate) hostname: Option<String>,
    /// An empty directory in memory: /PATH[:size=SIZE]
    #[arg(long, value_name = "TARGET")]
    pub(crate) tmpfs: Vec<String>,
    /// A port of the command is one of this machine: the same one
    #[arg(short, long, hide = true, value_parser = same_port, value_name = "PORT")]
    publish: Vec<String>,
    /// What it changes is forgotten, which happens anyway
    #[arg(long, value_parser = only_true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    rm: Option<String>,
    /// Accepted for scripts made for docker: nothing is left that would have a name
    #[arg(long, hide = true, value_name = "NAME")]
    name: Option<String>,
    /// Accepted for scripts made for docker: nothing is left that would have a label
    #[arg(short, long, hide = true, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// Refused: a command is over when this one is
    #[arg(short, long, hide = true, value_parser = no_detach, num_args = 0..=1, require_equals = true, default_missing_value = "")]
    detach: Option<String>,
    /// Refused: ports of the command are those of this machine
    #[arg(short = 'P', long, hide = true, value_parser = no_ports, num_args = 0..=1, require_equals = true, default_missing_value = "")]
    publish_all: Option<String>,
    /// Refused: what the command changes is forgotten, not forbidden
    #[arg(long, hide = true, value_parser = no_read_only, num_args = 0..=1, require_equals = true, default_missing_value = "")]
    read_only: Option<String>,
    /// Refused: --volume shows directories
    #[arg(long, hide = true, value_parser = no_mount, value_name = "MOUNT")]
    mount: Vec<String>,
}

/// When an image is fetched before it is run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum PullWhen {
    /// Every time
    Always,
    /// Where the store has none
    #[default]
    Missing,
    /// Not at all
    Never,
}

/// A directory or file of this machine, and where the command sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Volume {
    pub(crate) source: PathBuf,
    pub(crate) target: String,
    pub(crate) writes: Switch,
}

/// Why a text is no volume.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum VolumeError {
    #[error("{0:?} is not of the form SOURCE:TARGET[:ro]")]
    Form(String),
    #[error("the target {0:?} does not begin with a slash")]
    Relative(String),
    #[error("there are no volumes with names; {0:?} would be a directory as ./{0}")]
    Named(String),
    #[error("{0:?} is none of ro, rw, z, Z")]
    Option(String),
}

impl FromStr for Volume {
    type Err = VolumeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(':');
        let form = || VolumeError::Form(text.to_owned());
        let (source, target) = parts.next().zip(parts.next()).ok_or_else(form)?;
        let options = parts.next().unwrap_or_default();
        if source.is_empty() || parts.next().is_some() {
            return Err(form());
        }
        if !source.starts_with(['/', '.', '~']) {
            return Err(VolumeError::Named(source.to_owned()));
        }
        if !target.starts_with('/') {
            return Err(VolumeError::Relative(target.to_owned()));
        }
        let mut writes = Switch::On;
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option {
                "ro" | "readonly" => writes = Switch::Off,
                // Labels of SELinux, which nothing here gives to files.
                "rw" | "z" | "Z" => {}
                _ => return Err(VolumeError::Option(option.to_owned())),
            }
        }
        Ok(Self { source: source.into(), target: target.to_owned(), writes })
    }
}

/// A port is reached as it is: the command has the network of this machine.
fn same_port(text: &str) -> Result<String, &'static str> {
    let mut ports = text.split('/').next().unwrap_or_default().rsplit(':');
    let (inner, outer) = (ports.next(), ports.next());
    match outer {
        Some(outer) if Some(outer) != inner => Err(NO_PORTS),
        _ => Ok(text.to_owned()),
    }
}

const NO_PORTS: &str = "a command has the network of this machine, and its ports are those; have it \
    listen on the port that is wanted";

fn only_true(text: &str) -> Result<String, &'static str> {
    match text {
        "true" | "1" => Ok(text.to_owned()),
        _ => Err("what a command changes is always forgotten"),
    }
}

fn no_detach(_: &str) -> Result<String, &'static str> {
    Err("a command is over when this one is; the shell's & runs both in the background")
}

fn no_ports(_: &str) -> Result<String, &'static str> {
    Err(NO_PORTS)
}

fn no_read_only(_: &str) -> Result<String, &'static str> {
    Err("what the command changes is forgotten, not forbidden; --volume has :ro")
}

fn no_mount(_: &str) -> Result<String, &'static str> {
    Err("--volume SOURCE:TARGET[:ro] shows a directory, --tmpfs TARGET an empty one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_a_path_of_this_machine_and_one_of_the_command() {
        let volume = |text: &str| text.parse::<Volume>();
        let writes = Switch::Off;
        let expected = Volume { source: "./a".into(), target: "/b".to_owned(), writes };
        assert_eq!(volume("./a:/b:ro"), Ok(expected));
        assert_eq!(volume("/a:/b:z,rw").unwrap().writes, Switch::On);
        assert_eq!(volume("data:/b"), Err(VolumeError::Named("data".to_owned())));
        assert_eq!(volume("/a:b"), Err(VolumeError::Relative("b".to_owned())));
        assert_eq!(volume("/a:/b:cached"), Err(VolumeError::Option("cached".to_owned())));
        for text in ["/a", ":/b", "/a:/b:ro:x"] {
            assert!(matches!(volume(text), Err(VolumeError::Form(_))), "{text}");
        }
    }

    #[test]
    fn a_port_that_is_the_same_inside_needs_nothing() {
        for port in ["80", "80:80", "127.0.0.1:80:80/tcp"] {
            assert!(same_port(port).is_ok(), "{port}");
        }
        assert!(same_port("8080:80").is_err());
    }
}
