//! Where a build runs and which source it builds, for the records that it writes.
//!
//! A machine's name and directories are nobody else's business: a run outside of CI has no address.

use wythe_store::record_origin::{RecordOrigin, invocation_address};

use crate::args::build::BuildArgs;
use crate::args::context::ContextSource;
use crate::command::build::project;
use crate::settings::Settings;

/// What CI systems call the page of a run: GitLab, `CodeBuild` of AWS, Buildkite, `CircleCI` and Jenkins, whose name for it is
/// the one that others may use for something else.
const RUNS: [&str; 5] =
    ["CI_JOB_URL", "CODEBUILD_BUILD_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL", "BUILD_URL"];

/// The parts of such an address on GitHub, Forgejo and Gitea.
const PARTS: [&str; 3] = ["GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"];

/// What is known of a build with a context that was `fetched` from there, or else is a directory; `None` where
/// nothing is.
pub(super) fn of(
    args: &BuildArgs,
    fetched: Option<RecordOrigin>,
    settings: &Settings,
) -> Option<RecordOrigin> {
    let source = fetched.or_else(|| match &args.context {
        ContextSource::Directory(path) => project::source(path),
        ContextSource::Archive(_)
        | ContextSource::Image(_)
        | ContextSource::Layout { .. }
        | ContextSource::Stdin
        | ContextSource::Url(_) => None,
    });
    let invocation = run(settings);
    RecordOrigin { invocation, ..source.unwrap_or_default() }.shown()
}

/// The address of the run that this is part of.
fn run(settings: &Settings) -> Option<String> {
    let set = |name: &&str| settings.text(name).filter(|text| !text.is_empty());
    let parts: Vec<String> = PARTS.iter().filter_map(set).collect();
    let github = || match &parts[..] {
        [server, repository, id] => Some(format!("{server}/{repository}/actions/runs/{id}")),
        _ => None,
    };
    let url = github().or_else(|| RUNS.iter().find_map(set))?;
    invocation_address(&url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_is_what_the_system_calls_its_page() {
        let told = |pairs: &[(&str, &str)]| run(&Settings::of(pairs));
        let github = [
            (PARTS[0], "https://github.com"),
            (PARTS[1], "o/r"),
            (PARTS[2], "7"),
            ("BUILD_URL", "https://other.example/"),
        ];
        assert_eq!(told(&github).as_deref(), Some("https://github.com/o/r/actions/runs/7"));
        assert_eq!(told(&github[..2]), None);
        for name in RUNS {
            let url = "https://me:secret@ci.example/a/7";
            let told = told(&[("CI_JOB_URL", ""), (name, url)]);
            assert_eq!(told.as_deref(), Some("https://ci.example/a/7"), "{name}");
        }
        assert_eq!(told(&[("BUILD_URL", "build/7"), ("HOSTNAME", "host")]), None);
    }
}
