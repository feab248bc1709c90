//! What a shell offers behind the words of a command line: commands, flags and their values, and what only this
//! machine knows: stages of the Dockerfile, targets of bake files, names of images.

mod known;

use clap::builder::PossibleValue;
use clap::{Arg, ArgAction, Command};
use clap_complete::Shell;

use crate::args::equivalents;
use crate::settings::Settings;

pub(crate) use self::known::LocalWords;

/// Something that may follow, and what is said of it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Candidate {
    pub(crate) word: String,
    pub(crate) help: String,
}

/// The script of a shell that asks this program, where there is one.
pub(crate) fn script(shell: Shell) -> Option<&'static str> {
    match shell {
        Shell::Bash => Some(include_str!("completion/wythe.bash")),
        Shell::Fish => Some(include_str!("completion/wythe.fish")),
        Shell::Zsh => Some(include_str!("completion/wythe.zsh")),
        Shell::Elvish | Shell::PowerShell | _ => None,
    }
}

/// Where in a command line something is to follow.
struct Position<'a> {
    /// The command that the words before lead to.
    command: &'a Command,
    /// Its names, in our words.
    path: Vec<&'a str>,
    /// The flag whose value comes next.
    flag: Option<&'a Arg>,
    /// How many words there were that are no flags.
    places: usize,
    /// Whether only words follow that are no flags.
    is_past_flags: bool,
}

/// What may stand in place of the last of these words, without the name of the program. Each is the whole word.
pub(crate) fn candidates(
    definition: &Command,
    words: &[String],
    settings: &Settings,
) -> Vec<Candidate> {
    let Some((current, before)) = words.split_last() else { return Vec::new() };
    let position = position(definition, before);
    let places = LocalWords { settings, words };
    let mut found = if let Some(flag) = position.flag {
        values(flag, (&position, &places), current, "")
    } else if let Some((name, value)) =
        current.strip_prefix("--").and_then(|rest| rest.split_once('='))
    {
        let mut all = position.command.get_arguments().chain(definition.get_arguments());
        let flag = all.find(|arg| is_called(arg, name));
        let start = format!("--{name}=");
        flag.map(|flag| values(flag, (&position, &places), value, &start)).unwrap_or_default()
    } else if current.starts_with('-') && !position.is_past_flags {
        flags(definition, position.command)
    } else {
        let mut found = commands(&position);
        if let Some(arg) = at(&position) {
            found.extend(values(arg, (&position, &places), current, ""));
        }
        found
    };
    found.retain(|candidate| candidate.word.starts_with(current.as_str()));
    found.sort();
    found.dedup();
    found
}

/// Follows the words as far as they are known.
fn position<'a>(definition: &'a Command, words: &[String]) -> Position<'a> {
    let mut at = Position {
        command: definition,
        path: Vec::new(),
        flag: None,
        places: 0,
        is_past_flags: false,
    };
    for word in words {
        if at.flag.take().is_some() {
            continue;
        }
        if word == "--" {
            at.is_past_flags = true;
        } else if let Some(flag) = word.strip_prefix("--").filter(|_| !at.is_past_flags) {
            let all = at.command.get_arguments().chain(definition.get_arguments());
            at.flag = all.into_iter().find(|arg| is_called(arg, flag) && awaits_value(arg));
        } else if word.len() > 1 && word.starts_with('-') && !at.is_past_flags {
            let last = word.chars().next_back();
            let mut all = at.command.get_arguments();
            at.flag = all.find(|arg| arg.get_short() == last && awaits_value(arg));
        } else if let Some(inner) = at.command.find_subcommand(word).filter(|_| at.places == 0) {
            at.command = inner;
            at.path.push(inner.get_name());
        } else {
            at.places += 1;
            // What follows the image is the command in it.
            at.is_past_flags |= at.path == ["run"];
        }
    }
    at.path = equivalents::ours(&at.path);
    at
}

fn is_called(arg: &Arg, name: &str) -> bool {
    arg.get_long() == Some(name)
        || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
}

/// Whether the next word is the value of a flag.
fn awaits_value(arg: &Arg) -> bool {
    let takes = matches!(arg.get_action(), ArgAction::Append | ArgAction::Set);
    takes && !arg.is_require_equals_set()
}

/// The argument that a word that is no flag would be.
fn at<'a>(position: &Position<'a>) -> Option<&'a Arg> {
    let mut all = position.command.get_positionals();
    let last = position.command.get_positionals().last();
    all.nth(position.places).or_else(|| last.filter(|arg| takes_several(arg)))
}

fn takes_several(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

fn commands(position: &Position<'_>) -> Vec<Candidate> {
    if position.places > 0 {
        return Vec::new();
    }
    let shown = position.command.get_subcommands().filter(|command| !command.is_hide_set());
    let candidate = |command: &Command| Candidate {
        word: command.get_name().to_owned(),
        help: first_line(command.get_about().map(ToString::to_string)),
    };
    shown.map(candidate).collect()
}

fn flags(definition: &Command, command: &Command) -> Vec<Candidate> {
    let of_all = definition.get_arguments().filter(|arg| arg.is_global_set());
    let shown = command.get_arguments().chain(of_all).filter(|arg| !arg.is_hide_set());
    let candidate = |arg: &Arg| {
        let help = first_line(arg.get_help().map(ToString::to_string));
        let word = |name| format!("--{name}");
        arg.get_long().map(|name| Candidate { word: word(name), help })
    };
    let help = Candidate { word: "--help".to_owned(), help: "Print help".to_owned() };
    shown.filter_map(candidate).chain([help]).collect()
}

/// The values of an argument behind what stands before them. Of a list with commas, the last is wanted.
fn values(
    arg: &Arg,
    (position, places): (&Position<'_>, &LocalWords<'_>),
    current: &str,
    start: &str,
) -> Vec<Candidate> {
    let listed = arg
        .get_value_delimiter()
        .and_then(|comma| current.rsplit_once(comma).map(|(done, _)| format!("{done}{comma}")));
    let start = format!("{start}{}", listed.unwrap_or_default());
    let possible = arg.get_possible_values();
    let said = possible.iter().filter(|value| !value.is_hide_set()).map(|value: &PossibleValue| {
        let help = first_line(value.get_help().map(ToString::to_string));
        Candidate { word: value.get_name().to_owned(), help }
    });
    let known = places.known(&position.path, (arg.get_id().as_str(), position.places));
    let known = known.into_iter().map(|word| Candidate { word, help: String::new() });
    let mut found: Vec<Candidate> = said.chain(known).collect();
    for candidate in &mut found {
        candidate.word.insert_str(0, &start);
    }
    found
}

fn first_line(text: Option<String>) -> String {
    text.unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
