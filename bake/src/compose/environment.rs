//! The variables that Compose files see: the environment, and the file `.env` beside them.

use std::collections::BTreeMap;

use super::interpolate::interpolated;
use super::project::ProjectOptions;
use super::seen_from;
use crate::error::{Fault, Problem};
use crate::surroundings::Surroundings;

/// Whether a file has to be there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Presence {
    Optional,
    Required,
}

/// Variables by name.
#[derive(Clone)]
pub(crate) struct Environment<'a> {
    surroundings: &'a dyn Surroundings,
    file: BTreeMap<String, String>,
    /// What holds whatever the environment says.
    settled: BTreeMap<String, String>,
}

impl<'a> Environment<'a> {
    /// The environment, and what `.env` adds to it.
    pub(super) fn read(surroundings: &'a dyn Surroundings) -> Result<Self, Fault> {
        let mut environment = Self::empty(surroundings);
        environment.add(".env")?;
        Ok(environment)
    }

    /// The environment, and what files beside a project add to it.
    pub(super) fn of_project(
        options: &ProjectOptions,
        surroundings: &'a dyn Surroundings,
    ) -> Result<Self, Fault> {
        let mut environment = Self::empty(surroundings);
        for file in &options.env_files {
            if !environment.add(file)? {
                return Err(Problem::Invalid(format!("there is no file {file}")).into());
            }
        }
        if options.env_files.is_empty() {
            environment.add(&seen_from(&options.directory, ".env"))?;
        }
        Ok(environment)
    }

    /// The same, with what files say beside it: for a project that is included.
    pub(super) fn beside(&self, files: &[String], required: Presence) -> Result<Self, Fault> {
        let mut own = Self { file: BTreeMap::new(), ..self.clone() };
        for file in files {
            if !own.add(file)? && required == Presence::Required {
                return Err(Problem::Invalid(format!("there is no file {file}")).into());
            }
        }
        own.file.extend(self.file.iter().map(|(name, value)| (name.clone(), value.clone())));
        Ok(own)
    }

    fn empty(surroundings: &'a dyn Surroundings) -> Self {
        Self { surroundings, file: BTreeMap::new(), settled: BTreeMap::new() }
    }

    /// Adds what a file says, if it is there; what comes later counts more.
    fn add(&mut self, path: &str) -> Result<bool, Fault> {
        let wrong = |why: String| Problem::Invalid(format!("{path}: {why}"));
        let text = self.surroundings.file(path).map_err(wrong)?;
        let Some(text) = text else { return Ok(false) };
        let read = parse(&text, &|name| self.get(name)).map_err(wrong)?;
        self.file.extend(read);
        Ok(true)
    }

    /// Gives a variable a value, over that of the environment.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.settled.insert(name.to_owned(), value.to_owned());
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        let settled = || self.settled.get(name).cloned();
        let of_process = || self.surroundings.variable(name);
        settled().or_else(of_process).or_else(|| self.file.get(name).cloned())
    }

    /// What the files say.
    pub(super) fn into_file(self) -> BTreeMap<String, String> {
        self.file
    }
}

/// `NAME=value` lines: quotes, comments, and variables that are set before.
pub(super) fn parse(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, String> {
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    while !rest.is_empty() {
        let trimmed = rest.trim_start();
        if trimmed.is_empty() {
            break;
        }
        if trimmed.starts_with('#') {
            rest = trimmed.split_once('\n').map_or("", |(_, rest)| rest);
            continue;
        }
        let entry = trimmed.strip_prefix("export ").unwrap_or(trimmed).trim_start();
        let end = entry.find(['=', ':', '\n']).unwrap_or(entry.len());
        let name = entry[..end].trim().to_owned();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(format!("{name:?} is no name of a variable"));
        }
        if !entry[end..].starts_with(['=', ':']) {
            // A name alone takes what is set outside.
            values.extend(lookup(&name).map(|value| (name, value)));
            rest = entry.get(end + 1..).unwrap_or("");
            continue;
        }
        let known = |name: &str| lookup(name).or_else(|| values.get(name).cloned());
        let (value, after) = value(entry[end + 1..].trim_start_matches([' ', '\t']), &known)?;
        values.insert(name, value);
        rest = after;
    }
    Ok(values)
}

fn value<'a>(
    text: &'a str,
    known: &dyn Fn(&str) -> Option<String>,
) -> Result<(String, &'a str), String> {
    if let Some(quoted) = text.strip_prefix('\'') {
        let end = quoted.find('\'').ok_or("a quote is not closed")?;
        return Ok((quoted[..end].to_owned(), line_end(&quoted[end + 1..])));
    }
    if let Some(quoted) = text.strip_prefix('"') {
        let (raw, after) = double_quoted(quoted)?;
        return Ok((interpolated(&raw, known)?, line_end(after)));
    }
    let line = text.split('\n').next().unwrap_or_default();
    let bare = line.find(" #").map_or(line, |at| &line[..at]).trim();
    let value = interpolated(bare, known)?;
    Ok((value, line_end(&text[line.len()..])))
}

fn line_end(text: &str) -> &str {
    text.split_once('\n').map_or("", |(_, rest)| rest)
}

/// What stands between double quotes; a dollar behind a backslash is one that stays.
fn double_quoted(text: &str) -> Result<(String, &str), String> {
    let mut out = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((out, &text[at + 1..])),
            '\\' => match letters.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, 'r')) => out.push('\r'),
                Some((_, 't')) => out.push('\t'),
                Some((_, '$')) => out.push_str("$$"),
                Some((_, other)) => out.push(other),
                None => break,
            },
            other => out.push(other),
        }
    }
    Err("a quote is not closed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_shells_read_them() {
        let text = "# c\nA=1\nexport B=\"x ${A}\\n\" # note\nC='$A'\nD=a b # c\nE\nF: 2\nG=\n";
        let values = parse(text, &|name| (name == "E").then(|| "env".to_owned())).unwrap();
        let found: Vec<(&str, &str)> =
            values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [
            ("A", "1"),
            ("B", "x 1\n"),
            ("C", "$A"),
            ("D", "a b"),
            ("E", "env"),
            ("F", "2"),
            ("G", ""),
        ];
        assert_eq!(found, expected);
        assert!(parse("A=\"x", &|_| None).is_err());
    }
}
