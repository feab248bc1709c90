//! The flags of `docker run` that a command needs which is over when it ends, and the others by name.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::attributes::{AttributeError, Attributes};
use super::surroundings::SurroundingsArgs;
use super::switch::Switch;

/// What surrounds the command
#[derive(Debug, Args)]
pub(crate) struct ContainerArgs {
    /// Show a directory or file of this machine in a place of the image
    #[arg(short, long, value_name = "SOURCE:TARGET[:ro]")]
    volume: Vec<Volume>,
    /// Read variables of the environment from a file, a line for each
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
    /// Fetch the image: missing, always or never
    #[arg(long, value_enum, default_value = "missing", value_name = "WHEN")]
    pub(crate) pull: PullWhen,
    /// What the command takes this machine's name for
    #[arg(short = 'h', long, value_name = "NAME")]
    pub(crate) hostname: Option<String>,
    #[command(flatten)]
    pub(crate) surroundings: SurroundingsArgs,
    /// An empty directory in memory: /PATH[:size=SIZE]
    #[arg(long, value_name = "TARGET")]
    tmpfs: Vec<String>,
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
    #[command(flatten)]
    idle: IdleArgs,
    /// Refused: a command is over when this one is
    #[arg(short, long, hide = true, value_parser = no_detach, num_args = 0..=1, require_equals = true, default_missing_value = "")]
    detach: Option<String>,
    /// Refused: ports of the command are those of this machine
    #[arg(short = 'P', long, hide = true, value_parser = no_ports, num_args = 0..=1, require_equals = true, default_missing_value = "")]
    publish_all: Option<String>,
    /// Let the command change nothing but volumes and directories in memory
    #[arg(long)]
    pub(crate) read_only: Switch,
    /// The same as --volume and --tmpfs, in docker's other spelling: type=bind,source=PATH,target=PATH[,readonly]
    #[arg(long, value_name = "MOUNT")]
    mount: Vec<ShownMount>,
}

/// Flags of `docker run` about containers that go on, or a daemon that has them: scripts have them, and
/// nothing here depends on them.
#[derive(Debug, Args)]
struct IdleArgs {
    /// Both streams are passed on
    #[arg(short, long, hide = true, value_name = "STREAM")]
    attach: Vec<String>,
    /// What a command leaves running ends with it
    #[arg(long, hide = true)]
    init: Switch,
    #[arg(long, hide = true, value_name = "DRIVER")]
    log_driver: Option<String>,
    #[arg(long, hide = true, value_name = "OPTION")]
    log_opt: Vec<String>,
    #[arg(long, hide = true, value_name = "BYTES")]
    memory_swap: Option<String>,
    #[arg(long, hide = true)]
    no_healthcheck: Switch,
    #[arg(short, long, hide = true)]
    quiet: Switch,
    #[arg(long, hide = true, value_name = "POLICY")]
    restart: Option<String>,
    #[arg(long, hide = true)]
    sig_proxy: Switch,
    #[arg(long, hide = true, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    #[arg(long, hide = true, value_name = "SECONDS")]
    stop_timeout: Option<String>,
}

impl ContainerArgs {
    /// What of this machine is shown.
    pub(crate) fn volumes(&self) -> impl Iterator<Item = &Volume> {
        let mounted = self.mount.iter().filter_map(|mount| match mount {
            ShownMount::Bind(volume) => Some(volume),
            ShownMount::Tmpfs(_) => None,
        });
        self.volume.iter().chain(mounted)
    }

    /// The empty directories in memory, each with its options.
    pub(crate) fn in_memory(&self) -> impl Iterator<Item = &str> {
        let mounted = self.mount.iter().filter_map(|mount| match mount {
            ShownMount::Tmpfs(text) => Some(text),
            ShownMount::Bind(_) => None,
        });
        self.tmpfs.iter().chain(mounted).map(String::as_str)
    }
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

/// What `--mount` shows the command.
#[derive(Clone, Debug, Eq, PartialEq)]
enum ShownMount {
    /// A directory or file of this machine.
    Bind(Volume),
    /// An empty directory, as `--tmpfs` has it.
    Tmpfs(String),
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
    #[error("type={0} is none of bind and tmpfs")]
    Kind(String),
    #[error(transparent)]
    Attributes(#[from] AttributeError),
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

impl FromStr for ShownMount {
    type Err = VolumeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut attributes = Attributes::parse(text)?;
        // Docker's is a volume with a name where nothing is said.
        let kind = attributes.take("type").unwrap_or_else(|| "volume".to_owned());
        let target = attributes.take_any(&["target", "dst", "destination"]);
        let target = target.ok_or(AttributeError::Missing("target"))?;
        if !target.starts_with('/') {
            return Err(VolumeError::Relative(target));
        }
        let mount = match kind.as_str() {
            "bind" => {
                let source = attributes.take_any(&["source", "src"]);
                let source = source.ok_or(AttributeError::Missing("source"))?.into();
                let is_shown = attributes.take_bool("readonly")?.or(attributes.take_bool("ro")?);
                let writes = if is_shown == Some(true) { Switch::Off } else { Switch::On };
                // How mounts are passed on and cached means nothing where there is one command.
                attributes.take_any(&["bind-propagation", "consistency"]);
                Self::Bind(Volume { source, target, writes })
            }
            "tmpfs" => {
                attributes.take("tmpfs-mode");
                let size = attributes.take("tmpfs-size");
                Self::Tmpfs(match size {
                    Some(size) => format!("{target}:size={size}"),
                    None => target,
                })
            }
            _ => return Err(VolumeError::Kind(kind)),
        };
        attributes.finish(&["type", "source", "target", "readonly", "tmpfs-size"])?;
        Ok(mount)
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
    fn a_mount_is_a_volume_or_a_directory_in_memory() {
        let mount = |text: &str| text.parse::<ShownMount>();
        let shown = |source: &str, writes| {
            let (source, target) = (source.into(), "/b".to_owned());
            Ok(ShownMount::Bind(Volume { source, target, writes }))
        };
        assert_eq!(mount("type=bind,source=/a,target=/b"), shown("/a", Switch::On));
        assert_eq!(mount("type=bind,src=a,dst=/b,readonly"), shown("a", Switch::Off));
        let long = "type=bind,\"source=a,1\",destination=/b,ro=true,bind-propagation=rslave";
        assert_eq!(mount(long), shown("a,1", Switch::Off));
        assert_eq!(mount("type=tmpfs,target=/t"), Ok(ShownMount::Tmpfs("/t".to_owned())));
        let sized = "type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770";
        assert_eq!(mount(sized), Ok(ShownMount::Tmpfs("/t:size=1m".to_owned())));
        for named in ["source=data,target=/b", "type=volume,target=/b", "type=npipe,target=/b"] {
            assert!(matches!(mount(named), Err(VolumeError::Kind(_))), "{named}");
        }
        assert!(matches!(mount("type=bind,source=/a"), Err(VolumeError::Attributes(_))));
        assert!(matches!(mount("type=bind,target=/b"), Err(VolumeError::Attributes(_))));
        assert!(matches!(mount("type=tmpfs,target=/b,x=y"), Err(VolumeError::Attributes(_))));
        assert!(matches!(mount("type=tmpfs,target=b"), Err(VolumeError::Relative(_))));
    }

    #[test]
    fn a_port_that_is_the_same_inside_needs_nothing() {
        for port in ["80", "80:80", "127.0.0.1:80:80/tcp"] {
            assert!(same_port(port).is_ok(), "{port}");
        }
        assert!(same_port("8080:80").is_err());
    }
}
