//! What flags are that nobody gives: of what the environment, the file of the project, that of the user and that
//! of the machine say, the first counts. A list counts as a whole.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use clap::parser::ValueSource;
use clap::{ArgMatches, Command, ValueEnum as _};
use wythe_dockerfile::suggest::nearest;

use crate::args::configurable::{self, ConfigurableFlag};
use crate::args::equivalents;
use crate::args::global::ProgressForm;
use crate::failure::code::ErrorCode;
use crate::failure::{Class, Failure};
use crate::settings::Settings;
use crate::settings::file::{FileOwner, FlagFile};
use crate::settings::flag_table::WrittenFlag;
use crate::settings::project;

/// The variable that docker has for progress.
const DOCKER_PROGRESS: &str = "BUILDKIT_PROGRESS";

const CACHE_FROM: &str = "WYTHE_CACHE_FROM";
const CACHE_TO: &str = "WYTHE_CACHE_TO";
const SIGN_KEY: &str = "WYTHE_CACHE_SIGN_KEY";
const VERIFY_KEY: &str = "WYTHE_CACHE_VERIFY_KEY";

/// Flags that have further variables, which the commands look at: they stand over files, as all do.
const OTHERS: [(&[&str], &str); 10] = [
    (&["bake", "cache-sign-key"], SIGN_KEY),
    (&["bake", "cache-verify-key"], VERIFY_KEY),
    (&["build", "cache-from"], CACHE_FROM),
    (&["build", "cache-sign-key"], SIGN_KEY),
    (&["build", "cache-to"], CACHE_TO),
    (&["build", "cache-verify-key"], VERIFY_KEY),
    (&["compose", "build", "cache-sign-key"], SIGN_KEY),
    (&["compose", "build", "cache-verify-key"], VERIFY_KEY),
    (&["limit"], "WYTHE_LIMITS"),
    (&["progress"], DOCKER_PROGRESS),
];

/// A flag and what it is where nobody gives it.
#[derive(Clone, Debug)]
pub(crate) struct FlagDefault {
    flag: ConfigurableFlag,
    values: Vec<OsString>,
    /// Who says so.
    source: String,
}

/// Whether the settings say nothing of any flag; not where they make no sense.
pub(crate) fn are_none(settings: &Settings) -> bool {
    let says_nothing = |files: Vec<FlagFile>| files.iter().all(|file| file.flags.is_empty());
    !settings.has_own() && settings.flag_files().is_ok_and(says_nothing)
}

/// What the settings say of the flags of a command line.
///
/// # Errors
///
/// With the place of what is unknown, makes no sense, or is not for a project to say.
pub(crate) fn chosen(
    definition: &Command,
    settings: &Settings,
) -> Result<Vec<FlagDefault>, Failure> {
    let files = settings.flag_files()?;
    let flags = configurable::flags(definition);
    for file in &files {
        file.flags.iter().try_for_each(|written| known(&flags, file, written))?;
    }
    let mut found = Vec::new();
    for flag in flags {
        let told = of_environment(&flag, settings).or_else(|| of_files(&flag, &files, settings));
        let Some((values, source)) = told else { continue };
        flag.accepts(&values).map_err(|why| {
            let text = format!("{source}: --{} cannot be that: {why}", flag.name);
            let help = format!("`wythe {} --help` says what it takes", flag.command.join(" "));
            Failure::usage(text).known_as(ErrorCode::Settings).remedy(help.replace("  ", " "))
        })?;
        found.push(FlagDefault { flag, values, source });
    }
    Ok(found)
}

/// What a variable says; one that is empty says nothing.
fn of_environment(flag: &ConfigurableFlag, settings: &Settings) -> Option<(Vec<OsString>, String)> {
    let name = flag.variable();
    let value = settings.raw(&name).filter(|value| !value.is_empty())?;
    let values = if flag.is_list() {
        let lines = value.as_bytes().split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| OsString::from_vec(line.to_vec())).collect()
    } else {
        vec![value.to_owned()]
    };
    Some((values, name))
}

/// What the first file says that says anything, where no older variable of the same flag does.
fn of_files(
    flag: &ConfigurableFlag,
    files: &[FlagFile],
    settings: &Settings,
) -> Option<(Vec<OsString>, String)> {
    if is_said_by_another(flag, settings) {
        return None;
    }
    let path = flag.path();
    files.iter().find_map(|file| {
        let written = file.flags.iter().find(|written| written.path == path)?;
        let values = written.values.as_ref()?.iter().map(OsString::from).collect();
        Some((values, format!("{}: {}", file.path.display(), written.place.trim_end_matches(": "))))
    })
}

/// Whether the environment says a flag by a name that is older than its variable.
fn is_said_by_another(flag: &ConfigurableFlag, settings: &Settings) -> bool {
    let path = flag.path();
    let known = OTHERS.iter().find(|(other, _)| path.iter().eq(other.iter()));
    let Some((_, variable)) = known else { return false };
    let Some(said) = settings.text(variable) else { return false };
    match *variable {
        // Who sets it to nonsense is not heard.
        DOCKER_PROGRESS => ProgressForm::from_str(&said, true).is_ok(),
        // Empty says that there is none.
        CACHE_FROM | CACHE_TO => true,
        _ => !said.is_empty(),
    }
}

/// Refuses what there is no flag for, and what a project may not say.
fn known(
    flags: &[ConfigurableFlag],
    file: &FlagFile,
    written: &WrittenFlag,
) -> Result<(), Failure> {
    let unusable = |what: String| {
        let text = format!("cannot use {}: {}{what}", file.path.display(), written.place);
        Failure::new(Class::Usage, text).known_as(ErrorCode::Settings)
    };
    let Some(values) = &written.values else {
        let is_known = flags.iter().any(|flag| flag.command.starts_with(&written.path));
        let text = || format!("no command {} has flags", written.path.join(" "));
        return if is_known {
            Ok(())
        } else {
            Err(unusable(text()).advised(similar(flags, written)))
        };
    };
    if !flags.iter().any(|flag| flag.path() == written.path) {
        let name = written.path.last().map(String::as_str).unwrap_or_default();
        return Err(unusable(format!("no flag --{name}")).advised(similar(flags, written)));
    }
    if file.owner == FileOwner::Project {
        let help = "set it in your own file, or give the flag: the file of a project comes with it";
        let key = written.path.join(".");
        let Some(permitted) = project::permitted(&written.path) else {
            let text = format!("a project may not set flags.{key}");
            return Err(unusable(text).remedy(help));
        };
        if let Some(what) = values.iter().find_map(|value| permitted.refuses(OsStr::new(value))) {
            let text = format!("a project may set flags.{key} to {what} alone");
            return Err(unusable(text).remedy(help));
        }
    }
    Ok(())
}

/// What may have been meant.
fn similar(flags: &[ConfigurableFlag], written: &WrittenFlag) -> Option<String> {
    let (name, above) = written.path.split_last()?;
    let beside = flags.iter().filter(|flag| flag.command.starts_with(above));
    let names: Vec<String> =
        beside.filter_map(|flag| flag.path().get(above.len()).cloned()).collect();
    let near = nearest(name, names.iter().map(String::as_str));
    let near = near.map(|near| format!("did you mean `{near}`?"));
    let words = above.join(" ");
    near.or_else(|| Some(format!("`wythe {words} --help` lists flags").replace("  ", " ")))
}

/// The definition with these values where nobody gives others, in docker's groups as well.
pub(crate) fn applied(definition: Command, defaults: &[FlagDefault]) -> Command {
    defaults.iter().fold(definition, |definition, default| {
        let command: Vec<&str> = default.flag.command.iter().map(String::as_str).collect();
        let others = equivalents::of(&command);
        std::iter::once(command)
            .chain(others)
            .fold(definition, |definition, path| with(definition, &path, default))
    })
}

fn with(command: Command, path: &[&str], default: &FlagDefault) -> Command {
    if let Some((name, rest)) = path.split_first() {
        return command.mut_subcommand(name, |inner| with(inner, rest, default));
    }
    let id = default.flag.arg.get_id();
    if !command.get_arguments().any(|arg| arg.get_id() == id) {
        return command;
    }
    command.mut_arg(id, |arg| arg.required(false).default_values(default.values.clone()))
}

/// Those that contradict no flag that was given.
///
/// # Errors
///
/// Where two of the settings contradict each other.
pub(crate) fn compatible(
    definition: &Command,
    given: &ArgMatches,
    defaults: Vec<FlagDefault>,
) -> Result<Vec<FlagDefault>, Failure> {
    let (mut command, mut given) = (definition, given);
    let mut path = Vec::new();
    while let Some((name, inner)) = given.subcommand() {
        let Some(found) = command.find_subcommand(name) else { break };
        path.push(found.get_name());
        (command, given) = (found, inner);
    }
    let path = equivalents::ours(&path);
    let is_of = |default: &FlagDefault| default.flag.command.iter().eq(path.iter());
    let is_given = |id: &clap::Id| {
        given.try_contains_id(id.as_str()).is_ok_and(|is_there| is_there)
            && given.value_source(id.as_str()) == Some(ValueSource::CommandLine)
    };
    let explicit: Vec<_> =
        command.get_arguments().filter(|arg| is_given(arg.get_id())).cloned().collect();
    let mut kept: Vec<FlagDefault> = Vec::new();
    for default in defaults {
        if !is_of(&default) {
            kept.push(default);
            continue;
        }
        if explicit.iter().any(|arg| contradict(command, &default.flag.arg, arg)) {
            continue;
        }
        let other = kept.iter().filter(|other| is_of(other));
        let mut other =
            other.filter(|other| contradict(command, &default.flag.arg, &other.flag.arg));
        if let Some(other) = other.next() {
            let text = format!("{} contradicts {}", default.source, other.source);
            return Err(Failure::usage(text).remedy("leave one of them out"));
        }
        kept.push(default);
    }
    Ok(kept)
}

fn contradict(command: &Command, one: &clap::Arg, other: &clap::Arg) -> bool {
    let of = |arg: &clap::Arg, with: &clap::Arg| {
        command.get_arg_conflicts_with(arg).iter().any(|known| known.get_id() == with.get_id())
    };
    of(one, other) || of(other, one)
}

#[cfg(test)]
mod tests;
