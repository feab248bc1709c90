//! Flags of every command, accepted before and after its name.

use std::path::PathBuf;

use clap::ValueEnum;
use wythe_registry::hosts::Hosts;

use crate::args::layer_limit::LayerLimit;
use crate::settings::Settings;

/// What every command shares
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct GlobalArgs {
    /// Where images and cached results are kept
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help = "Where images and cached results are kept [default: $WYTHE_STORE or $XDG_DATA_HOME/wythe]",
        help_heading = "Global options"
    )]
    pub(crate) store: Option<PathBuf>,
    /// How progress is shown on standard error
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        value_name = "FORM",
        help_heading = "Global options"
    )]
    pub(crate) progress: ProgressForm,
    /// Speak plain HTTP, or accept any certificate, with this registry
    #[arg(long, global = true, value_name = "HOST[:PORT]", help_heading = "Global options")]
    pub(crate) insecure_registry: Vec<String>,
    /// What layers and archives may unpack to
    #[arg(
        long,
        global = true,
        value_name = "NAME=VALUE",
        help = "What layers and archives may unpack to: entries=NUMBER, unpacked=SIZE, expansion=NUMBER [$WYTHE_LIMITS, with commas]",
        help_heading = "Global options"
    )]
    pub(crate) limit: Vec<LayerLimit>,
    /// What is said of registries before any file is asked.
    #[arg(skip)]
    pub(crate) registries: Hosts,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum ProgressForm {
    /// A live view on a terminal, a log elsewhere
    #[default]
    Auto,
    /// One JSON object per event
    Json,
    /// A log
    Plain,
    /// Nothing but errors
    #[value(alias = "none")]
    Quiet,
    /// The JSON of buildx
    #[value(name = "rawjson")]
    RawJson,
    /// A live view
    Tty,
}

impl ProgressForm {
    /// The form, where the flag leaves it open, that the environment asks for: `BUILDKIT_PROGRESS` as
    /// with docker, and a log where it says that this is a CI system.
    pub(crate) fn settled(self, settings: &Settings) -> Self {
        if self != Self::Auto {
            return self;
        }
        let text = |name: &str| settings.text(name).filter(|text| !text.is_empty());
        let asked = text("BUILDKIT_PROGRESS").and_then(|form| Self::from_str(&form, true).ok());
        let is_ci = text("CI").is_some_and(|value| value != "false" && value != "0");
        match asked {
            Some(form) if form != Self::Auto => form,
            _ if is_ci => Self::Plain,
            _ => Self::Auto,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(flag: ProgressForm, variables: &[(&str, &str)], expected: ProgressForm) {
        assert_eq!(flag.settled(&Settings::of(variables)), expected, "{variables:?}");
    }

    #[test]
    fn the_environment_settles_what_the_flag_leaves_open() {
        let (auto, plain) = (ProgressForm::Auto, ProgressForm::Plain);
        check(auto, &[], auto);
        check(auto, &[("BUILDKIT_PROGRESS", "plain")], plain);
        check(auto, &[("BUILDKIT_PROGRESS", "rawjson")], ProgressForm::RawJson);
        check(auto, &[("BUILDKIT_PROGRESS", "nonsense")], auto);
        check(auto, &[("CI", "true")], plain);
        check(auto, &[("CI", "false")], auto);
        check(auto, &[("CI", "1"), ("BUILDKIT_PROGRESS", "tty")], ProgressForm::Tty);
        check(ProgressForm::Tty, &[("CI", "1"), ("BUILDKIT_PROGRESS", "plain")], ProgressForm::Tty);
    }
}
