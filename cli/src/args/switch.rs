//! Flags that are on or off, with docker's spelling: `--push`, `--push=true`, `--push=false`.

use std::any::TypeId;
use std::str::FromStr;

use clap::Arg;

/// A flag that may be given a value, as Go's flag packages allow.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Switch {
    #[default]
    Off,
    On,
}

impl Switch {
    /// Whether the flag is on.
    pub(crate) fn is_on(self) -> bool {
        self == Self::On
    }
}

/// Why a text is not a [`Switch`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("neither true nor false")]
pub(crate) struct ParseSwitchError;

impl FromStr for Switch {
    type Err = ParseSwitchError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(Self::On),
            "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(Self::Off),
            _ => Err(ParseSwitchError),
        }
    }
}

/// Gives an argument of type [`Switch`] its grammar; others pass unchanged.
pub(crate) fn complete(arg: Arg) -> Arg {
    if arg.get_value_parser().type_id() != TypeId::of::<Switch>() {
        return arg;
    }
    arg.num_args(0..=1)
        .require_equals(true)
        .required(false)
        .default_value("false")
        .default_missing_value("true")
        .hide_default_value(true)
        .value_name("BOOL")
}

#[cfg(test)]
mod tests {
    use crate::args::Cli;
    use crate::command::Command;

    #[track_caller]
    #[expect(clippy::fn_params_excessive_bools, reason = "what a switch is, is a bool")]
    fn check(flag: &str, expected: bool) {
        let cli = Cli::of(&["wythe", "build", flag, "."]).unwrap();
        let Command::Build(build) = cli.command else { panic!("not a build") };
        assert_eq!(build.result.push.is_on(), expected, "{flag}");
    }

    #[test]
    fn a_flag_alone_is_on_and_does_not_eat_the_context() {
        check("--push", true);
        check("--no-cache", false);
        check("-q", false);
    }

    #[test]
    fn a_value_is_accepted_after_an_equals_sign() {
        check("--push=true", true);
        check("--push=0", false);
        assert!(Cli::of(&["wythe", "build", "--push=maybe", "."]).is_err());
    }
}
