//! A command line of kaniko, as the command line of `wythe build` that means the same.

mod line;
mod place;
mod registries;

use std::ffi::OsString;
use std::path::Path;

use crate::args::Cli;
use crate::args::global::ProgressForm;
use crate::args::kaniko::{KanikoArgs, Meaning};
use crate::command::Command;
use crate::failure::Failure;
use crate::settings::Settings;

use self::line::Line;

/// What the program is called where it stands in for kaniko's.
const EXECUTOR: &str = "executor";

/// The words of a command line; a program called as kaniko's executor has that command.
pub(crate) fn spelt_out(mut words: Vec<OsString>) -> Vec<OsString> {
    let called = words.first().and_then(|name| Path::new(name).file_name());
    // The one command that kaniko has is one here, too.
    let has_command = words.get(1).is_some_and(|word| word == "version");
    if called.is_some_and(|name| name == EXECUTOR) && !has_command {
        words.insert(1, "kaniko".into());
    }
    words
}

/// The command line that is meant: that of `wythe build` for one of kaniko, and every other as it is.
pub(crate) fn adapted(cli: Cli, settings: &Settings) -> Result<Cli, Failure> {
    let Cli { mut global, command } = cli;
    let Command::Kaniko(args) = &command else { return Ok(Cli { global, command }) };
    let line = Line::of(args, settings)?;
    let mut build = line.parsed()?;
    global.insecure_registry.extend(line.insecure);
    global.registries = registries::registries(args, settings)?;
    if global.progress == ProgressForm::Auto {
        global.progress = line.progress;
    }
    if let Some(archive) = line.archive {
        build.context = archive;
    }
    build.input.context_subdirectory = line.subdirectory;
    build.result.digest_files = line.digest_files;
    build.remark = ineffective(args);
    Ok(Cli { global, command: Command::Build(Box::new(build)) })
}

/// What is told of flags that mean nothing.
fn ineffective(args: &KanikoArgs) -> Option<String> {
    let names: Vec<String> =
        args.given(Meaning::Nothing).map(|flag| format!("--{}", flag.name)).collect();
    let mean = if names.len() == 1 { "means" } else { "mean" };
    (!names.is_empty())
        .then(|| format!("{} {mean} nothing here: see docs/from-kaniko.md", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_called_executor_takes_the_flags_of_kaniko() {
        let spelt = |line: &str| {
            let words = spelt_out(line.split(' ').map(OsString::from).collect());
            words.join("|".as_ref()).into_string().unwrap()
        };
        assert_eq!(spelt("/kaniko/executor --no-push"), "/kaniko/executor|kaniko|--no-push");
        assert_eq!(spelt("executor version"), "executor|version");
        assert_eq!(spelt("/bin/wythe build"), "/bin/wythe|build");
    }

    #[test]
    fn other_commands_stay_as_they_are() {
        let cli = adapted(Cli::of(&["wythe", "version"]).unwrap(), &Settings::default()).unwrap();
        assert!(matches!(cli.command, Command::Version(_)));
    }

    #[test]
    fn flags_without_a_meaning_are_told_and_global_ones_are_kept() {
        let words = ["wythe", "kaniko", "--no-push", "--cleanup", "--force=true", "--store=/s"];
        let words = [&words[..], &["--insecure-registry=r:1", "-v", "error"]].concat();
        let cli = adapted(Cli::of(&words).unwrap(), &Settings::default()).unwrap();
        assert_eq!(cli.global.store, Some("/s".into()));
        assert_eq!(cli.global.insecure_registry, ["r:1"]);
        assert_eq!(cli.global.progress, ProgressForm::Quiet);
        let Command::Build(build) = cli.command else { panic!("not a build") };
        assert!(build.remark.unwrap().starts_with("--cleanup, --force mean nothing here"));
    }
}
