//! Flags of docker that are about its daemon. Scripts have them, and nothing here depends on them.

use clap::Args;

use super::switch::Switch;

/// Taken, and without effect.
#[derive(Debug, Args)]
pub(crate) struct DockerArgs {
    /// Which builder of docker's: there is one here
    #[arg(long, hide = true, value_name = "NAME")]
    builder: Option<String>,
    /// The cgroup of steps: they stay in that of the build
    #[arg(long, hide = true, value_name = "GROUP")]
    cgroup_parent: Option<String>,
    /// Compress the context on its way to the daemon
    #[arg(long, hide = true)]
    compress: Switch,
    /// Say more of the client's mistakes
    #[arg(short = 'D', long, hide = true)]
    debug: Switch,
    /// Remove containers of steps: none is left
    #[arg(long, hide = true)]
    force_rm: Switch,
    /// Which isolation: default is the only one
    #[arg(long, hide = true, value_parser = ["", "default"], value_name = "KIND")]
    isolation: Option<String>,
    /// Remove containers of steps: none is left
    #[arg(long, hide = true)]
    rm: Switch,
}

#[cfg(test)]
mod tests {
    use crate::args::Cli;

    #[test]
    fn a_command_line_of_docker_is_taken() {
        let line = "wythe build --rm --force-rm=true --compress --builder default -D \
            --cgroup-parent /x --isolation=default .";
        assert!(Cli::of(&line.split_whitespace().collect::<Vec<_>>()).is_ok());
        assert!(Cli::of(&["wythe", "build", "--isolation=hyperv", "."]).is_err());
        assert!(Cli::of(&["wythe", "build", "--memory=1g", "."]).is_err());
    }
}
