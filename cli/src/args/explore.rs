//! The flags of `wythe explore`.

use std::str::FromStr;

use clap::Args;

use super::call::AnswerFormat;
use super::image::{Which, format};
use super::limits::Size;

/// Walk through the layers of an image: their files, what they waste, and what removed it
#[derive(Debug, Args)]
pub(crate) struct ExploreArgs {
    /// An image of the store
    pub(crate) image: String,
    #[command(flatten)]
    pub(crate) which: Which,
    /// Print text or a JSON object instead, as happens where there is no terminal
    #[arg(long, value_parser = format, value_name = "text|json")]
    pub(crate) format: Option<AnswerFormat>,
    /// Fail if a smaller share of the bytes is seen by containers, for instance 0.95
    #[arg(long, value_name = "SHARE", alias = "lowestEfficiency")]
    pub(crate) lowest_efficiency: Option<Share>,
    /// Fail if more bytes are wasted, for instance 20m
    #[arg(long, value_name = "SIZE", alias = "highestWastedBytes")]
    pub(crate) highest_wasted_bytes: Option<Size>,
    /// Fail if a greater share of the layers above the lowest is wasted, for instance 0.1
    #[arg(long, value_name = "SHARE", alias = "highestUserWastedPercent")]
    pub(crate) highest_user_wasted_percent: Option<Share>,
}

/// A part of something, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Share(pub(crate) f64);

/// A text is no share.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("neither a number from 0 to 1 nor a percentage")]
pub(crate) struct ParseShareError;

impl FromStr for Share {
    type Err = ParseShareError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, whole) = match text.strip_suffix('%') {
            Some(number) => (number, 100.0),
            None => (text, 1.0),
        };
        let share = number.parse::<f64>().map_err(|_| ParseShareError)? / whole;
        if (0.0..=1.0).contains(&share) { Ok(Self(share)) } else { Err(ParseShareError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_number_or_a_percentage() {
        for (text, expected) in [("0.25", 0.25), ("25%", 0.25), ("1", 1.0), ("0", 0.0)] {
            assert_eq!(text.parse::<Share>(), Ok(Share(expected)), "{text}");
        }
        for text in ["", "2", "-0.1", "120%", "NaN", "much", "%"] {
            assert_eq!(text.parse::<Share>(), Err(ParseShareError), "{text}");
        }
    }
}
