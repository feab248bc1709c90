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
    /// Remove containers of steps: none is left
    #[arg(long, hide = true)]
    rm: Switch,
    #[command(flatten)]
    ignored: IgnoredArgs,
    /// Refused: nobody checks sources against a policy here
    #[arg(long, hide = true, value_parser = no_policy, value_name = "FILE")]
    policy: Option<String>,
    /// Refused: a shell in the result of a build is another command here
    #[arg(long, hide = true, value_parser = no_shell, value_name = "COMMAND")]
    invoke: Option<String>,
}

/// Flags that were about the builder that docker had before BuildKit. BuildKit takes them, says that
/// they do nothing, and builds; so do we.
#[derive(Debug, Args)]
struct IgnoredArgs {
    #[arg(short, long, hide = true, value_name = "NUMBER")]
    cpu_shares: Option<String>,
    #[arg(long, hide = true, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    #[arg(long, hide = true, value_name = "LIST")]
    cpuset_mems: Option<String>,
    #[arg(long, hide = true, value_name = "BYTES")]
    memory_swap: Option<String>,
    #[arg(long, hide = true, value_name = "OPTION")]
    security_opt: Vec<String>,
    #[arg(long, hide = true)]
    squash: Switch,
}

impl DockerArgs {
    /// The flags that were given and do nothing, as with docker's own builder, with what there is
    /// instead.
    pub(crate) fn without_effect(&self) -> Vec<&'static str> {
        let IgnoredArgs { security_opt, squash, .. } = &self.ignored;
        let values = &self.ignored;
        let given = [
            ("--cpu-shares", values.cpu_shares.is_some()),
            ("--cpuset-cpus", values.cpuset_cpus.is_some()),
            ("--cpuset-mems", values.cpuset_mems.is_some()),
            ("--memory-swap", values.memory_swap.is_some()),
            ("--security-opt (RUN --security=insecure)", !security_opt.is_empty()),
            ("--squash (several stages)", squash.is_on()),
        ];
        given.into_iter().filter_map(|(name, is_given)| is_given.then_some(name)).collect()
    }
}

fn no_policy(_: &str) -> Result<String, &'static str> {
    Err("sources are not checked against policies; pin them by digest instead")
}

fn no_shell(_: &str) -> Result<String, &'static str> {
    Err("`wythe run IMAGE` gives a shell in a result, `--on-error` one where a step failed")
}

#[cfg(test)]
mod tests {
    use crate::args::Cli;
    use crate::command::Command;

    #[test]
    fn a_command_line_of_docker_is_taken() {
        let line = "wythe build --rm --force-rm=true --compress --builder default -D \
            --cgroup-parent /x --isolation=default .";
        assert!(Cli::of(&line.split_whitespace().collect::<Vec<_>>()).is_ok());
        for refused in ["--isolation=hyperv", "--policy=x.rego", "--invoke=sh", "--sotre=x"] {
            assert!(Cli::of(&["wythe", "build", refused, "."]).is_err(), "{refused}");
        }
    }

    #[test]
    fn what_docker_ignores_is_ignored_and_named() {
        let ignored = |words: &str| {
            let cli = Cli::of(&words.split(' ').collect::<Vec<_>>()).unwrap();
            let Command::Build(args) = cli.command else { panic!("not a build") };
            args.docker.without_effect()
        };
        assert_eq!(
            ignored("wythe build -c 5 --memory-swap=1g ."),
            ["--cpu-shares", "--memory-swap"]
        );
        assert_eq!(ignored("wythe build --squash=false ."), [""; 0]);
    }
}
