//! `--create-repo`: whether and how repositories of ECR are made before something is pushed to them.

use std::str::FromStr;

use clap::Args;
use wythe_aws::ecr::{RepositoryOptions, Scan, Tags};

/// The flags about repositories that something is pushed to.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct RepositoryArgs {
    /// Make repositories of ECR where they are missing: =scan-on-push,immutable-tags says how
    #[arg(
        long,
        value_name = "OPTION,…",
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true",
        hide_default_value = true
    )]
    pub(crate) create_repo: CreateRepository,
}

/// One `--create-repo`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum CreateRepository {
    /// They have to be there.
    #[default]
    No,
    /// They are made where they are missing.
    Yes(RepositoryOptions),
}

/// A word says nothing of how repositories are made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is none of scan-on-push, immutable-tags")]
pub(crate) struct CreateRepositoryError(String);

impl FromStr for CreateRepository {
    type Err = CreateRepositoryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut options = RepositoryOptions::default();
        for word in text.split(',') {
            match word {
                "false" => return Ok(Self::No),
                "true" => {}
                "scan-on-push" => options.scan = Scan::OnPush,
                "immutable-tags" => options.tags = Tags::Immutable,
                other => return Err(CreateRepositoryError(other.to_owned())),
            }
        }
        Ok(Self::Yes(options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::command::Command;

    #[track_caller]
    fn parse(flag: &str) -> Option<CreateRepository> {
        let words = ["wythe", "push", "r.example/app"].into_iter();
        let words: Vec<&str> = words.chain(Some(flag).filter(|flag| !flag.is_empty())).collect();
        let Command::Push(push) = Cli::of(&words).ok()?.command else { panic!("not a push") };
        Some(push.repositories.create_repo)
    }

    #[test]
    fn the_flag_alone_makes_repositories_and_its_words_say_how() {
        let yes = |scan, tags| Some(CreateRepository::Yes(RepositoryOptions { scan, tags }));
        assert_eq!(parse(""), Some(CreateRepository::No));
        assert_eq!(parse("--create-repo"), yes(Scan::Unsaid, Tags::Mutable));
        assert_eq!(parse("--create-repo=false"), Some(CreateRepository::No));
        let both = "--create-repo=scan-on-push,immutable-tags";
        assert_eq!(parse(both), yes(Scan::OnPush, Tags::Immutable));
        assert_eq!(parse("--create-repo=kms"), None);
    }
}
