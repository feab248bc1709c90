//! The files of a project: those that are named, by flags or variables, else those of the usual names in the
//! working directory or one above.

use std::collections::BTreeSet;
use std::path::Path;

use wythe_bake::compose::project::{self, ProjectOptions};
use wythe_bake::source::DefinitionFile;
use wythe_bake::surroundings::Surroundings as _;

use crate::args::compose::ProjectArgs;
use crate::command::bake::outside::Outside;
use crate::command::bake::{self, files};
use crate::failure::{Class, Failure};
use crate::session::Session;

/// What a Compose file is called, the first that is there.
const USUAL: [&str; 4] =
    ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// What the file beside it is called that counts more.
const OVERRIDES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// The files of the project that is meant, and what is said of it beside them.
pub(super) fn project(
    args: &ProjectArgs,
    outside: &Outside<'_>,
    session: &Session,
) -> Result<(Vec<DefinitionFile>, ProjectOptions), Failure> {
    let start = args.project_directory.as_ref().map(|path| path.to_string_lossy().into_owned());
    let env_files = env_files(args, outside);
    let mut options = ProjectOptions { env_files, ..ProjectOptions::default() };
    options.directory = start.clone().unwrap_or_else(|| ".".to_owned());
    let beside = project::variables(&options, outside).map_err(|error| bake::failure(&error))?;
    let variable = |name: &str| {
        let text = outside.variable(name).or_else(|| beside.get(name).cloned());
        text.filter(|text| !text.is_empty())
    };
    let mut named = args.files.clone();
    if named.is_empty() {
        let separator = variable("COMPOSE_PATH_SEPARATOR").unwrap_or_else(|| ":".to_owned());
        let told = variable("COMPOSE_FILE").unwrap_or_default();
        named.extend(told.split(&separator).filter(|name| !name.is_empty()).map(str::to_owned));
    }
    if named.is_empty() {
        named = usual(Path::new(&options.directory), session)?;
    }
    if start.is_none() {
        options.directory = directory(&named[0]);
    }
    options.folder = folder(&options.directory)?;
    options.name = args.project_name.clone().or_else(|| variable("COMPOSE_PROJECT_NAME"));
    let told = variable("COMPOSE_PROFILES").unwrap_or_default();
    let told = told.split(',').map(|name| name.trim().to_owned());
    let profiles: BTreeSet<String> = told.chain(args.profile.iter().cloned()).collect();
    options.profiles = profiles.into_iter().filter(|name| !name.is_empty()).collect();
    let files = named.iter().map(|name| files::file(name)).collect::<Result<_, _>>()?;
    Ok((files, options))
}

fn env_files(args: &ProjectArgs, outside: &Outside<'_>) -> Vec<String> {
    if !args.env_file.is_empty() {
        return args.env_file.clone();
    }
    let told = outside.variable("COMPOSE_ENV_FILES").unwrap_or_default();
    told.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The directory of a file, as it is seen from here; that of standard input is here.
fn directory(file: &str) -> String {
    let above = Path::new(file).parent().filter(|_| file != "-");
    let above = above.map(|path| path.to_string_lossy().into_owned());
    above.filter(|path| !path.is_empty()).unwrap_or_else(|| ".".to_owned())
}

fn folder(directory: &str) -> Result<String, Failure> {
    let path = std::fs::canonicalize(directory);
    let path = path.map_err(|error| {
        Failure::of(Class::Environment, &error).within(format!("the directory {directory}"))
    })?;
    Ok(path.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

/// The file of the usual name in a directory or above it, and the one that counts more.
fn usual(start: &Path, session: &Session) -> Result<Vec<String>, Failure> {
    let missing = || {
        let text = "there is no Compose file here, nor in a directory above";
        Failure::usage(text).remedy("write a compose.yaml, or name a file with --file")
    };
    let mut above = start.to_owned();
    let depth = std::fs::canonicalize(start).map_or(0, |path| path.components().count());
    for _ in 0..depth {
        let found = there(&above, &USUAL);
        if let Some(first) = found.first() {
            if found.len() > 1 {
                session.remark(&format!("of {} the first is read", found.join(", ")));
            }
            let over = there(&above, &OVERRIDES).into_iter().next();
            return Ok([first.clone()].into_iter().chain(over).collect());
        }
        above = if above == Path::new(".") { "..".into() } else { above.join("..") };
    }
    Err(missing())
}

fn there(directory: &Path, names: &[&str]) -> Vec<String> {
    let at = |name: &&str| {
        if directory == Path::new(".") { Path::new(name).to_owned() } else { directory.join(name) }
    };
    let found = names.iter().map(at).filter(|path| path.is_file());
    found.map(|path| path.to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_above_with_the_one_that_counts_more() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        let names = ["docker-compose.yml", "docker-compose.override.yaml"];
        for name in names {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let session = Session::new(
            crate::args::Cli::of(&["wythe", "version"]).unwrap().global,
            crate::settings::Settings::of(&[]),
            None,
        );
        let found = usual(&below, &session).unwrap();
        let expected = names.map(|name| below.join("../..").join(name).display().to_string());
        assert_eq!(found, expected);
        assert_eq!(
            (directory("-"), directory("x"), directory("a/x")),
            (".".into(), ".".into(), "a".into())
        );
    }
}
