//! The flags of the commands about the files of images.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::call::AnswerFormat;
use super::image::{Which, format};

/// Copy files out of an image
#[derive(Debug, Args)]
pub(crate) struct CopyOutArgs {
    /// A file or directory of an image
    #[arg(value_name = "IMAGE:PATH")]
    pub(crate) source: FileOfImage,
    /// Where to; a directory that is there gets it under its name. - is a tar stream on standard output
    #[arg(value_name = "DEST")]
    pub(crate) destination: PathBuf,
    #[command(flatten)]
    pub(crate) which: Which,
}

/// Say in what the files and the configuration of two images differ
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// An image
    pub(crate) one: String,
    /// Another
    pub(crate) other: String,
    /// Say in what times differ, too
    #[arg(long)]
    pub(crate) times: super::switch::Switch,
    /// Print lines or one JSON array
    #[arg(long, value_parser = format, default_value = "text", value_name = "text|json")]
    pub(crate) format: AnswerFormat,
}

/// A path in an image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FileOfImage {
    pub(crate) image: String,
    pub(crate) path: String,
}

/// A text names no file of an image.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not of the form IMAGE:/PATH")]
pub(crate) struct FileOfImageError;

impl FromStr for FileOfImage {
    type Err = FileOfImageError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Neither a port nor a tag begins with a slash.
        let (image, path) = text.split_once(":/").ok_or(FileOfImageError)?;
        if image.is_empty() {
            return Err(FileOfImageError);
        }
        Ok(Self { image: image.to_owned(), path: format!("/{path}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_begins_at_the_first_colon_before_a_slash() {
        let read = |text: &str| text.parse::<FileOfImage>().map(|found| (found.image, found.path));
        let pair = |one: &str, other: &str| Ok((one.to_owned(), other.to_owned()));
        assert_eq!(read("app:/etc"), pair("app", "/etc"));
        assert_eq!(read("host:5000/app:1:/a:/b"), pair("host:5000/app:1", "/a:/b"));
        for text in ["app", "app:etc", ":/etc", "/etc"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
