//! Flags that commands have in common which build: of one image, or of all targets of a definition.

use clap::Args;

use super::cache::key::KeyPlace;
use super::create_repository::RepositoryArgs;
use super::image_attributes::CompressionArg;
use super::isolation::{IsolationArg, SnapshotterArg};
use super::quota::QuotaArgs;
use super::runtime::RuntimeArgs;
use super::switch::Switch;

/// How steps are run, which is no part of what they are
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct StepArgs {
    #[command(flatten)]
    pub(crate) quota: QuotaArgs,
    /// How steps are kept apart; auto takes the strongest kind that this machine allows, and says which
    #[arg(long, value_enum, default_value = "auto", value_name = "KIND")]
    pub(crate) isolation: IsolationArg,
    /// Where steps get their files from
    #[arg(long, value_enum, default_value = "auto", value_name = "KIND")]
    pub(crate) snapshotter: SnapshotterArg,
}

const SIGN_KEY: &str =
    "Sign what is kept for other machines with an Ed25519 key in PEM: a file, or env://VARIABLE";
const VERIFY_KEY: &str = "Reuse of other machines only what was signed with this key: \
    a file with public keys in PEM, or env://VARIABLE";

/// Whose results are reused, and why not
#[derive(Clone, Debug, Args)]
pub(crate) struct ReuseArgs {
    // A key in its place begins with hyphens, and is to be refused without being shown.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true, help = SIGN_KEY)]
    pub(crate) cache_sign_key: Option<KeyPlace>,
    #[arg(long, value_name = "KEY", allow_hyphen_values = true, help = VERIFY_KEY)]
    pub(crate) cache_verify_key: Vec<KeyPlace>,
    /// Say for every step that runs why no earlier result would do
    #[arg(long)]
    pub(crate) explain: Switch,
}

/// In which form images leave
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ShapeArgs {
    #[command(flatten)]
    pub(crate) repositories: RepositoryArgs,
    /// How layers are compressed when they leave the store
    #[arg(long, value_enum, value_name = "CODEC")]
    pub(crate) compression: Option<CompressionArg>,
    #[command(flatten)]
    pub(crate) service: RuntimeArgs,
    /// Do not wait for the disk: after a power cut the results of this build may be gone
    #[arg(long)]
    pub(crate) no_durable: Switch,
}

/// What checks of Dockerfiles come to
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct CheckArgs {
    /// Short for --call=check
    #[arg(long)]
    pub(crate) check: Switch,
    /// Fail for every finding of the build checks, those of our own rules as well
    #[arg(long)]
    pub(crate) strict: Switch,
}

/// All of them
#[derive(Clone, Debug, Args)]
pub(crate) struct CommonArgs {
    #[command(flatten)]
    pub(crate) steps: StepArgs,
    #[command(flatten)]
    pub(crate) reuse: ReuseArgs,
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    #[command(flatten)]
    pub(crate) checks: CheckArgs,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::args::Cli;

    /// What definitions say of each target by a key of theirs, and bake changes by `--set`.
    const KEYS: [&str; 23] = [
        "add-host",
        "allow",
        "annotation",
        "attest",
        "build-arg",
        "build-context",
        "cache-from",
        "cache-to",
        "call",
        "file",
        "label",
        "load",
        "network",
        "no-cache",
        "no-cache-filter",
        "output",
        "platform",
        "provenance",
        "pull",
        "push",
        "secret",
        "shm-size",
        "ssh",
    ];

    /// The same, where the name of the flag is that of the key.
    const MORE_KEYS: [&str; 3] = ["tag", "target", "ulimit"];

    /// What is of one image, or of one person who looks at it.
    const OF_ONE_IMAGE: [&str; 5] = ["emit", "iidfile", "on-error", "quiet", "timings"];

    fn flags(command: &str) -> BTreeSet<String> {
        let definition = Cli::definition();
        let mut found = &definition;
        for name in command.split(' ') {
            found = found.find_subcommand(name).unwrap();
        }
        let shown = found.get_arguments().filter(|arg| !arg.is_hide_set());
        shown.filter_map(|arg| arg.get_long().map(str::to_owned)).collect()
    }

    #[track_caller]
    fn check(command: &str, left_out: &[&str]) {
        let (all, own) = (flags("build"), flags(command));
        let lacks = all.iter().filter(|flag| !own.contains(*flag));
        let lacks: Vec<&String> = lacks.filter(|flag| !left_out.contains(&flag.as_str())).collect();
        assert_eq!(lacks, [""; 0], "{command} lacks flags of build");
        let gone: Vec<_> = left_out.iter().filter(|flag| !all.contains(**flag)).collect();
        assert_eq!(gone, [&""; 0], "these are no flags of build");
    }

    #[test]
    fn every_flag_of_build_is_one_of_bake_and_compose_or_a_key_of_targets() {
        let left_out = [&KEYS[..], &MORE_KEYS, &OF_ONE_IMAGE].concat();
        check("bake", &left_out);
        check("compose build", &left_out);
    }

    #[test]
    fn a_command_in_an_image_is_kept_apart_and_limited_as_steps_are() {
        let run = flags("run");
        for flag in ["isolation", "snapshotter", "memory", "cpus", "pids-limit", "timeout"] {
            assert!(run.contains(flag), "{flag}");
        }
    }
}
