//! Files that name other files: `include` and `extends`.

use super::Environment;
use super::environment::Presence;
use super::interpolate::interpolated;
use super::merge::{merged, normal};
use super::seen_from;
use super::yaml::{self, Data, Node};
use crate::error::{Fault, Problem};
use crate::path;
use crate::source::{DefinitionFile, FileId, Sources};
use crate::surroundings::Surroundings;

/// The longest chain of files and services that name each other.
const MAX_CHAIN: usize = 32;

/// Keys of builds and secrets that are paths, where they are not URLs or names.
const PATHS: [&str; 3] = ["context", "file", "env_file"];

/// Reads files, and the files that they name.
pub(super) struct Loader<'a> {
    sources: &'a mut Sources,
    surroundings: &'a dyn Surroundings,
    environment: &'a Environment<'a>,
    depth: usize,
}

impl<'a> Loader<'a> {
    pub(super) fn new(
        sources: &'a mut Sources,
        surroundings: &'a dyn Surroundings,
        environment: &'a Environment<'a>,
    ) -> Self {
        Self { sources, surroundings, environment, depth: 0 }
    }

    /// A file as one tree, its paths seen from the working directory.
    pub(super) fn file(&mut self, file: FileId, directory: &str) -> Result<Node, Fault> {
        let mut whole: Option<Node> = None;
        for document in yaml::parse(self.sources, file)? {
            let document = self.document(document, file, directory)?;
            whole = Some(match whole {
                Some(before) => merged(before, document, ""),
                None => document,
            });
        }
        whole.ok_or_else(|| Problem::Invalid("the file is empty".to_owned()).into())
    }

    fn document(&mut self, node: Node, file: FileId, directory: &str) -> Result<Node, Fault> {
        if !matches!(node.data, Data::Mapping(_)) {
            return Err(node.wanted("a mapping with services"));
        }
        let mut node = self.interpolate(node)?;
        rebase(&mut node, directory);
        let included = self.included(&node, directory)?;
        let extended = self.extended(node, file, directory)?;
        Ok(match included {
            Some(base) => merged(base, extended, ""),
            None => extended,
        })
    }

    fn interpolate(&self, node: Node) -> Result<Node, Fault> {
        let Node { data, span, tag } = node;
        let data = match data {
            Data::Null => Data::Null,
            Data::Scalar { text, is_plain } => {
                let lookup = |name: &str| self.environment.get(name);
                let text =
                    interpolated(&text, &lookup).map_err(|why| Problem::Invalid(why).at(span))?;
                Data::Scalar { text, is_plain }
            }
            Data::Sequence(items) => Data::Sequence(
                items.into_iter().map(|item| self.interpolate(item)).collect::<Result<_, _>>()?,
            ),
            Data::Mapping(members) => {
                let pair = |(name, node)| Ok((name, self.interpolate(node)?));
                Data::Mapping(members.into_iter().map(pair).collect::<Result<_, Fault>>()?)
            }
        };
        Ok(Node { data, span, tag })
    }

    /// What `include` at the top brings in.
    fn included(&mut self, node: &Node, directory: &str) -> Result<Option<Node>, Fault> {
        let Some(Data::Sequence(items)) = node.get("include").map(|one| &one.data) else {
            return Ok(None);
        };
        let mut whole: Option<Node> = None;
        for item in items {
            let paths = match &item.data {
                Data::Scalar { .. } => vec![item],
                _ => match item.get("path").map(|one| (&one.data, one)) {
                    Some((Data::Sequence(paths), _)) => paths.iter().collect(),
                    Some((_, path)) => vec![path],
                    None => return Err(item.wanted("a path")),
                },
            };
            let Some((mut included, place)) = self.inclusion(item, &paths, directory)? else {
                continue;
            };
            give_contexts(&mut included, &place);
            whole = Some(match whole {
                Some(before) => merged(before, included, ""),
                None => included,
            });
        }
        Ok(whole)
    }

    /// The files of one inclusion as one tree, and the directory that they are seen from: that of the first, unless
    /// it is told. They have variables of their own beside those of who includes them.
    fn inclusion(
        &mut self,
        item: &Node,
        paths: &[&Node],
        directory: &str,
    ) -> Result<Option<(Node, String)>, Fault> {
        let mut names = Vec::new();
        for path in paths {
            let text = yaml::text(path).ok_or_else(|| path.wanted("a path"))?;
            names.push(seen_from(directory, &text));
        }
        let Some(first) = names.first() else { return Ok(None) };
        let told = item.get("project_directory").and_then(yaml::text);
        let place = told.map_or_else(|| path::directory(first), |text| seen_from(directory, &text));
        let files = match item.get("env_file") {
            Some(node) => {
                yaml::text(node).map_or_else(|| yaml::texts(node), |one| Ok(vec![one]))?
            }
            None => Vec::new(),
        };
        let named: Vec<String> = files.iter().map(|file| seen_from(directory, file)).collect();
        let environment = if named.is_empty() {
            self.environment.beside(&[seen_from(&place, ".env")], Presence::Optional)
        } else {
            self.environment.beside(&named, Presence::Required)
        };
        let environment = environment.map_err(|fault| fault.or_at(item.span))?;
        let mut whole: Option<Node> = None;
        for (name, at) in names.iter().zip(paths) {
            let file = self.open(name, at)?;
            let node = self.deeper(at, |loader| {
                let (surroundings, depth) = (loader.surroundings, loader.depth);
                let sources = &mut *loader.sources;
                let mut own = Loader { sources, surroundings, environment: &environment, depth };
                own.file(file, &place)
            })?;
            whole = Some(match whole {
                Some(before) => merged(before, node, ""),
                None => node,
            });
        }
        Ok(whole.map(|whole| (whole, place)))
    }

    fn open(&mut self, name: &str, at: &Node) -> Result<FileId, Fault> {
        let text = self.surroundings.file(name);
        let text = text.map_err(|why| Problem::Invalid(format!("{name}: {why}")).at(at.span))?;
        let text =
            text.ok_or_else(|| Problem::Invalid(format!("there is no file {name}")).at(at.span))?;
        Ok(self.sources.add(DefinitionFile { name: name.to_owned(), text }))
    }

    fn deeper<T>(
        &mut self,
        at: &Node,
        run: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if self.depth == MAX_CHAIN {
            let what = "a service, or a file,".to_owned();
            return Err(Problem::Cycle { what }.at(at.span));
        }
        self.depth += 1;
        let result = run(self);
        self.depth -= 1;
        result
    }

    /// The same file, each service with what it extends.
    fn extended(&mut self, node: Node, file: FileId, directory: &str) -> Result<Node, Fault> {
        let Some(services) = node.get("services").cloned() else { return Ok(node) };
        let mut extended = Vec::new();
        for (name, service) in services.members() {
            extended.push((name.clone(), self.service(service, &services, (file, directory))?));
        }
        let mut node = node;
        if let Data::Mapping(members) = &mut node.data {
            for (name, member) in members {
                if name == "services" {
                    *member = Node::mapping(std::mem::take(&mut extended), member.span);
                }
            }
        }
        Ok(node)
    }

    fn service(
        &mut self,
        service: &Node,
        services: &Node,
        from: (FileId, &str),
    ) -> Result<Node, Fault> {
        let Some(extends) = service.get("extends") else { return Ok(service.clone()) };
        let text = |node: &Node| match &node.data {
            Data::Scalar { text, .. } => Some(text.clone()),
            _ => None,
        };
        let named = text(extends).or_else(|| extends.get("service").and_then(text));
        let named = named.ok_or_else(|| extends.wanted("the name of a service"))?;
        let missing = || {
            Problem::Invalid(format!("there is no service {named:?} to extend")).at(extends.span)
        };
        let base = match extends.get("file").and_then(text) {
            None => {
                let base = services.get(&named).ok_or_else(missing)?;
                self.deeper(extends, |loader| loader.service(base, services, from))?
            }
            Some(path) => {
                let name = seen_from(from.1, &path);
                let file = self.open(&name, extends)?;
                let directory = path::directory(&name);
                let whole = self.deeper(extends, |loader| loader.file(file, &directory))?;
                whole.get("services").and_then(|all| all.get(&named)).ok_or_else(missing)?.clone()
            }
        };
        Ok(merged(base, service.clone(), "service"))
    }
}

/// Builds without a context have the directory of their project as theirs.
fn give_contexts(project: &mut Node, directory: &str) {
    let Data::Mapping(sections) = &mut project.data else { return };
    for (_, services) in sections.iter_mut().filter(|(name, _)| name == "services") {
        let Data::Mapping(services) = &mut services.data else { continue };
        for (_, service) in services {
            let Data::Mapping(members) = &mut service.data else { continue };
            for (_, build) in members.iter_mut().filter(|(name, _)| name == "build") {
                let (span, is_given) = (build.span, build.get("context").is_some());
                if let Data::Mapping(keys) = &mut build.data
                    && !is_given
                {
                    keys.push(("context".to_owned(), Node::scalar(directory, span)));
                }
            }
        }
    }
}

/// Paths of a file of another directory, as they are seen from the working directory.
fn rebase(node: &mut Node, directory: &str) {
    let Data::Mapping(members) = &mut node.data else { return };
    for (section, entries) in members {
        let Data::Mapping(entries) = &mut entries.data else { continue };
        for (_, entry) in entries {
            match section.as_str() {
                "secrets" => rebase_members(entry, directory),
                "services" => {
                    rebase_members(entry, directory);
                    let Data::Mapping(members) = &mut entry.data else { continue };
                    for (_, build) in members.iter_mut().filter(|(name, _)| name == "build") {
                        *build = normal(build.clone(), "build");
                        rebase_members(build, directory);
                    }
                }
                _ => {}
            }
        }
    }
}

fn rebase_members(node: &mut Node, directory: &str) {
    let Data::Mapping(members) = &mut node.data else { return };
    for (name, member) in members {
        if name == "additional_contexts" {
            *member = normal(member.clone(), name);
            let Data::Mapping(contexts) = &mut member.data else { continue };
            for (_, context) in contexts {
                rebase_path(context, directory);
            }
        } else if PATHS.contains(&name.as_str()) {
            rebase_path(member, directory);
        }
    }
}

fn rebase_path(node: &mut Node, directory: &str) {
    match &mut node.data {
        Data::Scalar { text, .. } if !is_remote(text) => *text = seen_from(directory, text),
        Data::Sequence(items) => items.iter_mut().for_each(|item| rebase_path(item, directory)),
        Data::Mapping(members) => {
            let paths = members.iter_mut().filter(|(name, _)| name == "path");
            paths.for_each(|(_, path)| rebase_path(path, directory));
        }
        Data::Null | Data::Scalar { .. } => {}
    }
}

/// Whether text is a URL, an image or a target, and no path.
pub(super) fn is_remote(text: &str) -> bool {
    text.is_empty()
        || text.contains("://")
        || text.starts_with("git@")
        || text.starts_with("github.com/")
        || text.starts_with("target:")
        || text.starts_with("service:")
        || text.starts_with("docker-image:")
}
