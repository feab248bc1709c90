//! Words that only this machine knows. Nothing is locked for them, nobody on the network is asked, and who cannot
//! be asked knows none.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use wythe_bake::definition::Definition;
use wythe_dockerfile::parse::parse;
use wythe_dockerfile::stage::stages;

use crate::args::Cli;
use crate::args::global::GlobalArgs;
use crate::command::bake::files;
use crate::command::bake::outside::Outside;
use crate::command::build::dockerfile::{Dockerfile, USUAL};
use crate::docker_image::spoken;
use crate::failure::Failure;
use crate::session::Session;
use crate::settings::Settings;

/// The arguments that are names of images: the command, the argument, and how many of its words are.
pub(super) const IMAGES: [(&str, &str, usize); 12] = [
    ("copy", "source", 1),
    ("diff", "one", 1),
    ("diff", "other", 2),
    ("du", "images", usize::MAX),
    ("explain", "what", 1),
    ("history", "image", 1),
    ("images", "name", 1),
    ("inspect", "images", usize::MAX),
    ("push", "image", 1),
    ("rmi", "images", usize::MAX),
    ("run", "words", 1),
    ("save", "images", usize::MAX),
];

/// Those that are names of stages.
pub(super) const STAGES: [(&str, &str); 2] = [("build", "target"), ("build", "no_cache_filter")];

/// The words of a command line, and what else there is to look at.
pub(crate) struct LocalWords<'a> {
    pub(super) settings: &'a Settings,
    pub(super) words: &'a [String],
}

impl LocalWords<'_> {
    /// What there is for an argument of a command, of which there were so many words.
    pub(super) fn known(&self, path: &[&str], (id, places): (&str, usize)) -> Vec<String> {
        let &[command] = path else { return Vec::new() };
        let is_image = |(of, name, count): &(&str, &str, usize)| {
            *of == command && *name == id && places < *count
        };
        let found = if STAGES.contains(&(command, id)) {
            self.stages()
        } else if (command, id) == ("bake", "targets") {
            self.targets()
        } else if (command, id) == ("tag", "source") || IMAGES.iter().any(is_image) {
            self.images()
        } else {
            return Vec::new();
        };
        // A shell has no place for what went wrong.
        found.unwrap_or_default()
    }

    /// The names of the stages of the Dockerfile that the words name.
    fn stages(&self) -> Result<Vec<String>, Failure> {
        let said = self.said();
        let context = text(said.as_ref(), "context").filter(|text| Path::new(text).is_dir());
        let context = PathBuf::from(context.unwrap_or_else(|| ".".to_owned()));
        let usual = || USUAL.iter().map(|name| context.join(name)).find(|path| path.is_file());
        let named = text(said.as_ref(), "file").map(PathBuf::from);
        let Some(file) = named.or_else(usual) else { return Ok(Vec::new()) };
        let Some(path) = file.to_str().filter(|_| file.is_file()) else { return Ok(Vec::new()) };
        let parsed = parse(&Dockerfile::alone(path)?.source.text);
        let stages = stages(&parsed.dockerfile).stages;
        let names = stages.iter().filter_map(|stage| stage.from.name.as_ref());
        Ok(names.map(|name| name.value.clone()).collect())
    }

    /// The groups and targets of the bake files that the words name.
    fn targets(&self) -> Result<Vec<String>, Failure> {
        let said = self.said();
        let named = said.as_ref().and_then(|said| said.try_get_many::<String>("files").ok()?);
        let named: Vec<String> = named.map(|names| names.cloned().collect()).unwrap_or_default();
        // Standard input is the shell's.
        if named.iter().any(|name| name == "-") {
            return Ok(Vec::new());
        }
        let files = files::read(&named, None, self.settings)?;
        let outside = Outside::new(&[], (None, ""), self.settings)?;
        let Ok(definition) = Definition::read(files, &outside) else { return Ok(Vec::new()) };
        let groups = definition.groups().iter().map(|group| group.name.clone());
        Ok(groups.chain(definition.targets().iter().map(|target| target.name.clone())).collect())
    }

    /// The names of the images of the store, as people write them and in full.
    fn images(&self) -> Result<Vec<String>, Failure> {
        let store = self.root().and_then(|said| text(Some(&said), "store")).map(PathBuf::from);
        let global = GlobalArgs { store, ..GlobalArgs::default() };
        let session = Session::new(global, self.settings.clone(), None);
        let mut names = Vec::new();
        for (name, _) in session.store_that_is_there()?.list_refs()? {
            let (repository, tag) = spoken(&name);
            names.push(format!("{repository}:{tag}"));
            names.push(name);
        }
        Ok(names)
    }

    /// What the words say of the command they lead to, mistakes left out.
    fn said(&self) -> Option<ArgMatches> {
        let mut said = self.root()?;
        while let Some((_, inner)) = said.remove_subcommand() {
            said = inner;
        }
        Some(said)
    }

    fn root(&self) -> Option<ArgMatches> {
        let words = std::iter::once("wythe").chain(self.words.iter().map(String::as_str));
        Cli::definition().ignore_errors(true).try_get_matches_from(words).ok()
    }
}

fn text(said: Option<&ArgMatches>, id: &str) -> Option<String> {
    let value = said?.try_get_raw(id).ok().flatten()?.next()?;
    value.to_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
