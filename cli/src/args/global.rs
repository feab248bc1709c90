//! Flags of every command, accepted before and after its name.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::args::layer_limit::LayerLimit;

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
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum ProgressForm {
    /// A live view on a terminal, a log elsewhere
    #[default]
    Auto,
    /// One JSON object per event
    #[value(alias = "rawjson")]
    Json,
    /// A log
    Plain,
    /// Nothing but errors
    #[value(alias = "none")]
    Quiet,
    /// A live view
    Tty,
}
