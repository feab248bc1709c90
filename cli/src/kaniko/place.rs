//! Where kaniko's contexts are.

use std::path::{Path, PathBuf};

use crate::args::context::{ArchivePlace, ContextSource};
use crate::args::kaniko::KanikoArgs;
use crate::failure::Failure;
use crate::settings::Settings;

/// Where kaniko's image has its context.
const USUAL: &str = "/workspace/";

/// The context of a build.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// An archive in a file or a bucket.
    Archive(ArchivePlace),
    /// A directory.
    Directory(PathBuf),
    /// A git repository, with what of it is meant.
    Git(String),
    /// Standard input, or an address of a file.
    Other(String),
}

impl Place {
    /// The one that the flags name.
    pub(super) fn of(args: &KanikoArgs, settings: &Settings) -> Result<Self, Failure> {
        let bucket = args.text(&["bucket"]).map(|name| {
            if name.contains("://") { name.to_owned() } else { format!("gs://{name}") }
        });
        let given = args.text(&["context"]).map(str::to_owned).or(bucket);
        let given = given.unwrap_or_else(|| USUAL.to_owned());
        let Some((scheme, rest)) = given.split_once("://") else {
            return Ok(Self::Directory(within(&given, args)));
        };
        match scheme {
            "dir" => Ok(Self::Directory(within(rest, args))),
            "git" => Ok(Self::Git(repository(rest, args, settings)?)),
            "http" | "https" => Ok(Self::Other(given)),
            "s3" => match rest.split_once('/') {
                Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
                    let (bucket, key) = (bucket.to_owned(), key.to_owned());
                    Ok(Self::Archive(ArchivePlace::Bucket { bucket, key }))
                }
                _ => Err(Failure::usage(format!("--context: {given} is not s3://BUCKET/KEY"))),
            },
            "tar" if rest == "stdin" => Ok(Self::Other("-".to_owned())),
            "tar" => Ok(Self::Archive(ArchivePlace::File(rest.into()))),
            _ => Err(Failure::usage(format!("--context: contexts of {scheme}:// are not fetched"))
                .remedy("known are dir://, tar://, git://, s3://, https:// and http://")),
        }
    }

    /// The argument of `wythe build`; an archive takes its place later.
    pub(super) fn word(&self) -> String {
        match self {
            Self::Archive(_) => "-".to_owned(),
            Self::Directory(path) => path.to_string_lossy().into_owned(),
            Self::Git(address) | Self::Other(address) => address.clone(),
        }
    }

    /// The archive, where it is one.
    pub(super) fn archive(&self) -> Option<ContextSource> {
        match self {
            Self::Archive(place) => Some(ContextSource::Archive(place.clone())),
            Self::Directory(_) | Self::Git(_) | Self::Other(_) => None,
        }
    }

    /// The directory of an archive that is meant; others have it in their own name.
    pub(super) fn subdirectory(&self, args: &KanikoArgs) -> Option<String> {
        match self {
            Self::Archive(_) | Self::Other(_) => subdirectory(args).map(str::to_owned),
            Self::Directory(_) | Self::Git(_) => None,
        }
    }

    /// Where the Dockerfile is: from where the program runs, or else in the context.
    pub(super) fn dockerfile(&self, given: &str) -> String {
        match self {
            Self::Directory(context) if !Path::new(given).is_file() => {
                context.join(given).to_string_lossy().into_owned()
            }
            Self::Archive(_) | Self::Directory(_) | Self::Git(_) | Self::Other(_) => {
                given.to_owned()
            }
        }
    }
}

fn subdirectory(args: &KanikoArgs) -> Option<&str> {
    args.text(&["context-sub-path"])
}

fn within(directory: &str, args: &KanikoArgs) -> PathBuf {
    let directory = PathBuf::from(directory);
    subdirectory(args).map_or(directory.clone(), |below| directory.join(below))
}

/// The address of a repository, which kaniko gives as `HOST/PATH[#REF[#COMMIT]]` and fetches over https.
fn repository(rest: &str, args: &KanikoArgs, settings: &Settings) -> Result<String, Failure> {
    let mut parts = rest.split('#');
    let address = parts.next().unwrap_or_default().trim_end_matches('/');
    let mut revision = parts.rfind(|part| !part.is_empty()).map(str::to_owned);
    for option in args.all("git").flat_map(|value| value.split(',')) {
        match option.split_once('=').unwrap_or((option, "true")) {
            ("branch", "")
            | ("single-branch" | "recurse-submodules", _)
            | ("insecure-skip-tls", "false") => {}
            ("branch", name) => revision = Some(name.to_owned()),
            ("insecure-skip-tls", _) => {
                return Err(Failure::usage(
                    "--git: repositories are fetched from servers that are known",
                )
                .remedy("name the authority of the server with SSL_CERT_FILE"));
            }
            (other, _) => {
                return Err(Failure::usage(format!("--git: {other:?} is not an option"))
                    .remedy("known are branch, single-branch, recurse-submodules"));
            }
        }
    }
    let scheme = settings.text("GIT_PULL_METHOD").filter(|scheme| scheme == "http");
    let scheme = scheme.as_deref().unwrap_or("https");
    let end =
        if Path::new(address).extension().is_some_and(|end| end == "git") { "" } else { ".git" };
    let below = subdirectory(args).map(|path| format!(":{path}")).unwrap_or_default();
    let fragment = format!("{}{below}", revision.unwrap_or_default());
    let mark = if fragment.is_empty() { "" } else { "#" };
    Ok(format!("{scheme}://{address}{end}{mark}{fragment}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::command::Command;

    fn place(flags: &[&str], environment: &[(&str, &str)]) -> Result<Place, Failure> {
        let words = [&["wythe", "kaniko"], flags].concat();
        let Command::Kaniko(args) = Cli::of(&words).unwrap().command else { panic!("not kaniko") };
        Place::of(&args, &Settings::of(environment))
    }

    #[track_caller]
    fn word(flags: &[&str], expected: &str) {
        assert_eq!(place(flags, &[]).unwrap().word(), expected, "{flags:?}");
    }

    #[test]
    fn a_scheme_says_where_a_context_is() {
        word(&[], "/workspace/");
        word(&["-c", "dir:///a"], "/a");
        word(&["-c", "a", "--context-sub-path", "b"], "a/b");
        word(&["--context=tar://stdin"], "-");
        word(&["--context=https://h/x.tar.gz"], "https://h/x.tar.gz");
        let file = Place::Archive(ArchivePlace::File("/a/x.tar".into()));
        assert_eq!(place(&["--context=tar:///a/x.tar"], &[]).unwrap(), file);
        let (bucket, key) = ("b".to_owned(), "k/x.tar.gz".to_owned());
        let object = Place::Archive(ArchivePlace::Bucket { bucket, key });
        assert_eq!(place(&["--bucket=s3://b/k/x.tar.gz"], &[]).unwrap(), object);
    }

    #[test]
    fn a_repository_is_fetched_over_https_as_kaniko_does() {
        word(&["-c", "git://h/a/b.git"], "https://h/a/b.git");
        word(&["-c", "git://h/a/b"], "https://h/a/b.git");
        word(&["-c", "git://h/a.git#refs/heads/x"], "https://h/a.git#refs/heads/x");
        word(&["-c", "git://h/a.git#refs/heads/x#0123"], "https://h/a.git#0123");
        let below = ["-c", "git://h/a.git", "--context-sub-path", "b", "--git", "branch=x"];
        word(&below, "https://h/a.git#x:b");
        word(&["-c", "git://h/a.git", "--context-sub-path=b"], "https://h/a.git#:b");
        let plain = place(&["-c", "git://h/a.git"], &[("GIT_PULL_METHOD", "http")]).unwrap();
        assert_eq!(plain.word(), "http://h/a.git");
    }

    #[test]
    fn what_is_not_fetched_is_refused_by_name() {
        for (flags, named) in [
            (["-c", "gs://b/x"], "gs://"),
            (["-b", "b"], "gs://"),
            (["-c", "s3://b"], "s3://BUCKET/KEY"),
            (["--context=git://h/a", "--git=depth=1"], "depth"),
            (["--context=git://h/a", "--git=insecure-skip-tls=true"], "--git"),
        ] {
            let told = place(&flags, &[]).unwrap_err().lines().join("\n");
            assert!(told.contains(named), "{told}");
        }
    }
}
