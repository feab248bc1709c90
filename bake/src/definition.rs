//! A definition: what files say, and what of it is chosen.

use std::collections::BTreeMap;

use wythe_dockerfile::suggest;

use crate::compose::{self, Composed};
use crate::error::{BakeError, Fault, Problem};
use crate::overrides::{self, Override};
use crate::path;
use crate::plan::Plan;
use crate::resolve;
use crate::source::{DefinitionFile, FileId, Sources};
use crate::surroundings::Surroundings;
use crate::syntax::body::Body;
use crate::syntax::{hcl, json};
use crate::target::entry::Output;
use crate::target::{Group, Target, known_once};

/// The files that are read where none is named, in this order: what comes later counts more.
pub const DEFAULT_FILES: [&str; 8] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "docker-bake.json",
    "docker-bake.hcl",
    "docker-bake.override.json",
    "docker-bake.override.hcl",
];

/// The longest chain of targets that inherit from each other, or have each other as contexts.
const MAX_CHAIN: usize = 200;

/// What the paths begin with that are seen from the working directory, wherever the definition came from.
pub const HERE: &str = "cwd://";

/// Whether a name can be one of a target.
pub(crate) fn is_target_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !name.is_empty() && name.bytes().all(is_allowed)
}

/// A variable, as `--list=variables` tells it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its type, where it has one, in words.
    pub kind: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Its value as text, lists as JSON; none if it is null.
    pub value: Option<String>,
}

/// What files say.
#[derive(Clone, Debug, Default)]
pub struct Definition {
    targets: Vec<Target>,
    groups: Vec<Group>,
    variables: Vec<Variable>,
    warnings: Vec<BakeError>,
}

impl Definition {
    /// Reads files together: what comes later counts more.
    ///
    /// # Errors
    ///
    /// If one of them is not what its name says, or says what cannot be: where, why, and what to do.
    ///
    /// # Examples
    ///
    /// ```
    /// # use wythe_bake::definition::Definition;
    /// # use wythe_bake::source::DefinitionFile;
    /// # use wythe_bake::surroundings::Surroundings;
    /// struct Nothing;
    /// impl Surroundings for Nothing {
    ///     fn variable(&self, _: &str) -> Option<String> { None }
    ///     fn file(&self, _: &str) -> Result<Option<String>, String> { Ok(None) }
    ///     fn now(&self) -> jiff::Timestamp { jiff::Timestamp::UNIX_EPOCH }
    ///     fn random(&self) -> [u8; 16] { [0; 16] }
    ///     fn home(&self) -> String { "/".to_owned() }
    ///     fn platform(&self) -> String { "linux/amd64".to_owned() }
    /// }
    /// let text = "target \"app\" {\n tags = [\"app:${1 + 1}\"]\n}\n".to_owned();
    /// let file = DefinitionFile { name: "docker-bake.hcl".to_owned(), text };
    /// let definition = Definition::read(vec![file], &Nothing)?;
    /// let plan = definition.plan(&["app".to_owned()], &[], &Nothing)?;
    /// assert_eq!(plan.targets["app"].tags.as_deref(), Some(&["app:2".to_owned()][..]));
    /// # Ok::<(), wythe_bake::error::BakeError>(())
    /// ```
    pub fn read(
        files: Vec<DefinitionFile>,
        surroundings: &dyn Surroundings,
    ) -> Result<Self, BakeError> {
        let mut sources = Sources::default();
        let files: Vec<FileId> = files.into_iter().map(|file| sources.add(file)).collect();
        Self::read_all(&mut sources, &files, surroundings).map_err(|fault| fault.told(&sources))
    }

    /// Targets that are known already, and a group of them.
    pub(crate) fn of_targets(targets: Vec<Target>, group: Group) -> Self {
        Self { targets, groups: vec![group], ..Self::default() }
    }

    fn read_all(
        sources: &mut Sources,
        files: &[FileId],
        surroundings: &dyn Surroundings,
    ) -> Result<Self, Fault> {
        let (mut composes, mut bodies) = (Vec::new(), Vec::new());
        for file in files {
            match body(sources, *file)? {
                Some(body) => bodies.push(body),
                None => composes.push(*file),
            }
        }
        let Composed { targets, group } = compose::read(sources, &composes, surroundings)?;
        let mut definition = Self::default();
        definition.groups.extend(group);
        for target in targets {
            definition.add(target);
        }
        let resolved = resolve::resolve(&bodies, surroundings)?;
        for target in resolved.targets {
            definition.add(target);
        }
        for mut group in resolved.groups {
            group.targets = known_once(group.targets);
            match definition.groups.iter_mut().find(|other| other.name == group.name) {
                Some(other) => *other = group,
                None => definition.groups.push(group),
            }
        }
        definition.groups.extend(resolved.matrices);
        definition.variables = resolved.variables;
        definition.warnings =
            resolved.ignored.into_iter().map(|fault| fault.told(sources)).collect();
        Ok(definition)
    }

    /// Adds a target, or what it says over one that is there.
    fn add(&mut self, target: Target) {
        match self.targets.iter_mut().find(|other| other.name == target.name) {
            Some(other) => other.merge(target),
            None => self.targets.push(target),
        }
    }

    /// The targets, as files say them.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The groups, those that a matrix makes among them.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The variables, by name.
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// What was left out, and is likely a mistake.
    pub fn warnings(&self) -> &[BakeError] {
        &self.warnings
    }

    /// What is to be built: targets and groups by name or pattern, and what the command line changes.
    ///
    /// # Errors
    ///
    /// If there is no such target, if targets need themselves, or if a change does not fit.
    pub fn plan(
        &self,
        wanted: &[String],
        overrides: &[Override],
        surroundings: &dyn Surroundings,
    ) -> Result<Plan, BakeError> {
        let planner = Planner { definition: self, overrides, surroundings };
        planner.plan(wanted).map_err(|problem| BakeError { place: None, problem })
    }

    fn target(&self, name: &str) -> Result<&Target, Problem> {
        let found = self.targets.iter().find(|target| target.name == name);
        found.ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> Problem {
        let targets = self.targets.iter().map(|target| target.name.as_str());
        let groups = self.groups.iter().map(|group| group.name.as_str());
        let similar = suggest::nearest(name, targets.chain(groups)).map(ToOwned::to_owned);
        Problem::UnknownTarget { name: name.to_owned(), similar }
    }

    /// The names that a pattern stands for; a plain name stands for itself.
    fn matching(&self, pattern: &str) -> Result<Vec<String>, Problem> {
        if !pattern.contains(['*', '?', '[', ']']) {
            return Ok(vec![pattern.to_owned()]);
        }
        let groups = self.groups.iter().map(|group| &group.name);
        let names = groups.chain(self.targets.iter().map(|target| &target.name));
        let is_match = |name: &&String| path::matches(pattern, name) == Some(true);
        let names: Vec<String> = names.filter(is_match).cloned().collect();
        if names.is_empty() { Err(self.unknown(pattern)) } else { Ok(names) }
    }

    /// The targets of a group, and the groups in it; a target stands for itself.
    fn expand(&self, name: &str, within: &mut Vec<String>, into: &mut (Vec<String>, Vec<String>)) {
        let group = self.groups.iter().find(|group| group.name == name);
        // A group's name in the group itself is that of a target.
        let group = group.filter(|_| !within.iter().any(|other| other == name));
        match group {
            Some(_) if into.1.iter().any(|other| other == name) => {}
            Some(group) => {
                within.push(name.to_owned());
                into.1.push(name.to_owned());
                group.targets.iter().for_each(|target| self.expand(target, within, into));
                within.pop();
            }
            None => into.0.push(name.to_owned()),
        }
    }
}

/// The body of a file, if it is no Compose file.
fn body(sources: &Sources, file: FileId) -> Result<Option<Body>, Fault> {
    let DefinitionFile { name, text } = sources.file(file);
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
    match ending.as_deref() {
        Some("yml" | "yaml") => return Ok(None),
        Some("json") => return json::parse(text, file).map(Some),
        Some("hcl") => return hcl::parse(text, file).map(Some),
        _ => {}
    }
    if text.trim_start().starts_with('{') {
        // Compose's own files may be JSON as well.
        if compose::is_compose(sources, file) {
            Ok(None)
        } else {
            json::parse(text, file).map(Some)
        }
    } else {
        match hcl::parse(text, file) {
            Err(_) if compose::is_compose(sources, file) => Ok(None),
            parsed => parsed.map(Some),
        }
    }
}

/// Makes a plan.
struct Planner<'a> {
    definition: &'a Definition,
    overrides: &'a [Override],
    surroundings: &'a dyn Surroundings,
}

impl Planner<'_> {
    fn plan(&self, wanted: &[String]) -> Result<Plan, Problem> {
        self.refuse_unmatched()?;
        let mut names = Vec::new();
        for pattern in wanted {
            names.extend(self.definition.matching(&pattern.replace('.', "_"))?);
        }
        let names = known_once(names);
        let mut plan = Plan::default();
        for name in &names {
            let mut expanded = (Vec::new(), Vec::new());
            self.definition.expand(name, &mut Vec::new(), &mut expanded);
            for target in known_once(expanded.0) {
                if !plan.targets.contains_key(&target) {
                    plan.targets.insert(target.clone(), self.resolved(&target)?);
                }
            }
            let groups = &self.definition.groups;
            for name in known_once(expanded.1) {
                let group = groups.iter().find(|group| group.name == name).cloned();
                plan.groups.extend(group.map(|group| (name, group)));
            }
        }
        Self::default_group(&names, &mut plan);
        for name in plan.targets.keys().cloned().collect::<Vec<_>>() {
            self.link(&name, &mut plan, &mut Vec::new())?;
        }
        for target in plan.targets.values_mut() {
            self.finish(target);
        }
        Ok(plan)
    }

    /// A pattern of `--set` that nothing matches is a mistake.
    fn refuse_unmatched(&self) -> Result<(), Problem> {
        for one in self.overrides {
            let mut is_for_any = false;
            for target in &self.definition.targets {
                is_for_any |= one.is_for(&target.name)?;
            }
            if !is_for_any {
                return Err(self.definition.unknown(one.pattern()));
            }
        }
        Ok(())
    }

    /// What was asked for, as the group `default`.
    fn default_group(names: &[String], plan: &mut Plan) {
        for name in names {
            if name == "default" && plan.groups.contains_key("default") {
                continue;
            }
            let new = || Group { name: "default".to_owned(), ..Group::default() };
            let group = plan.groups.entry("default".to_owned()).or_insert_with(new);
            group.targets.push(name.clone());
        }
        if let Some(group) = plan.groups.get_mut("default") {
            group.targets = known_once(std::mem::take(&mut group.targets));
            group.targets.sort();
        }
    }

    fn resolved(&self, name: &str) -> Result<Target, Problem> {
        let mut target = self.inherited(name, &mut BTreeMap::new(), 0)?.unwrap_or_default();
        name.clone_into(&mut target.name);
        target.inherits.clear();
        target.context.get_or_insert_with(|| ".".to_owned());
        let dockerfile = target.dockerfile.take().filter(|path| !path.is_empty());
        target.dockerfile = dockerfile.or_else(|| Some("Dockerfile".to_owned()));
        Ok(target)
    }

    /// A target over those that it inherits from. One that is being worked out already adds nothing.
    fn inherited(
        &self,
        name: &str,
        visited: &mut BTreeMap<String, Option<Target>>,
        depth: usize,
    ) -> Result<Option<Target>, Problem> {
        if let Some(known) = visited.get(name) {
            return Ok(known.clone());
        }
        if depth > MAX_CHAIN {
            return Err(Problem::Cycle { what: format!("the target {name}") });
        }
        visited.insert(name.to_owned(), None);
        let own = self.definition.target(name)?;
        let mut target = Target::default();
        for base in &own.inherits {
            if let Some(base) = self.inherited(base, visited, depth + 1)? {
                target.merge(base);
            }
        }
        target.merge(own.clone());
        name.clone_into(&mut target.name);
        let mut mine = Vec::new();
        for one in self.overrides {
            if one.is_for(name)? {
                mine.push(one);
            }
        }
        overrides::apply(&mut target, &mine, &|name| self.surroundings.variable(name))?;
        target.normalise();
        visited.insert(name.to_owned(), Some(target.clone()));
        Ok(Some(target))
    }

    /// Adds the targets that a target has as contexts.
    fn link(&self, name: &str, plan: &mut Plan, path: &mut Vec<String>) -> Result<(), Problem> {
        let Some(target) = plan.targets.get(name) else { return Ok(()) };
        let links: Vec<String> = target.links().map(ToOwned::to_owned).collect();
        path.push(name.to_owned());
        for link in links {
            if path.contains(&link) || path.len() > MAX_CHAIN {
                let what = format!("the target {link}, as a context of {name},");
                return Err(Problem::Cycle { what });
            }
            if !plan.targets.contains_key(&link) {
                let mut linked = self.resolved(&link)?;
                let kind = "cacheonly".to_owned();
                linked.outputs = Some(vec![Output { kind, ..Output::default() }]);
                linked.is_linked = true;
                plan.targets.insert(link.clone(), linked);
            }
            self.link(&link, plan, path)?;
            Self::join(name, &link, plan)?;
        }
        path.pop();
        Ok(())
    }

    /// What a target takes over from one that is its context, and what they have to have in common.
    fn join(name: &str, link: &str, plan: &mut Plan) -> Result<(), Problem> {
        let Some(linked) = plan.targets.get(link) else { return Ok(()) };
        let entitlements = linked.entitlements.clone().unwrap_or_default();
        let theirs = linked.platforms.clone().unwrap_or_default();
        let Some(target) = plan.targets.get_mut(name) else { return Ok(()) };
        if !entitlements.is_empty() {
            let mine = target.entitlements.take().unwrap_or_default();
            target.entitlements = Some(known_once([mine, entitlements].concat()));
        }
        let mine = target.platforms.as_deref().unwrap_or_default();
        let lacking = mine.iter().find(|platform| !theirs.contains(platform));
        match lacking {
            Some(platform) if mine.len() > 1 && theirs.len() > 1 => Err(Problem::Invalid(format!(
                "{name} is built for {platform}, and its context {link} is not"
            ))),
            _ => Ok(()),
        }
    }

    /// What holds for every target, whatever it says itself.
    fn finish(&self, target: &mut Target) {
        let args = target.args.get_or_insert_default();
        if !args.contains_key("SOURCE_DATE_EPOCH")
            && let Some(epoch) =
                self.surroundings.variable("SOURCE_DATE_EPOCH").filter(|epoch| !epoch.is_empty())
        {
            args.insert("SOURCE_DATE_EPOCH".to_owned(), Some(epoch));
        }
        if let Some(context) = &mut target.context {
            *context = self.placed(context);
        }
    }

    /// A context as it is seen from the working directory, or from where the definition came from: there
    /// `cwd://` stays with what is in the working directory all the same.
    fn placed(&self, context: &str) -> String {
        match (context.strip_prefix(HERE), self.surroundings.origin()) {
            (Some(local), None) => path::clean(local),
            (Some(local), Some(_)) => format!("{HERE}{}", path::clean(local)),
            (None, _) if is_url(context) => context.to_owned(),
            (None, origin) => match (path::clean(context), origin) {
                (cleaned, Some(origin)) if cleaned == "." => origin,
                (cleaned, _) => cleaned,
            },
        }
    }
}

/// Whether a context is somewhere else.
fn is_url(context: &str) -> bool {
    ["http://", "https://", "git://", "ssh://", "git@", "github.com/"]
        .iter()
        .any(|start| context.starts_with(start))
}
