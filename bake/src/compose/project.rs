//! A project as `docker compose build` sees it: services, of which some are built.

use std::collections::{BTreeMap, BTreeSet};

use wythe_dockerfile::suggest;

use super::build::{Manner, built, target_name};
use super::include::Loader;
use super::interpolate::interpolated;
use super::yaml::{self, Data, Node};
use super::{Environment, merge};
use crate::definition::Definition;
use crate::error::{BakeError, Fault, Problem};
use crate::overrides::Override;
use crate::path;
use crate::plan::Plan;
use crate::source::{DefinitionFile, FileId, Sources};
use crate::surroundings::Surroundings;
use crate::target::entry::Output;
use crate::target::{Group, Target, known_once};

/// The variable that names a project, and that its files may ask for.
const NAME: &str = "COMPOSE_PROJECT_NAME";

/// The platform of what says nothing of its own.
const DEFAULT_PLATFORM: &str = "DOCKER_DEFAULT_PLATFORM";

/// The profile that stands for all.
const EVERY_PROFILE: &str = "*";

/// What is said of a project beside its files.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProjectOptions {
    /// The directory that paths of its files are seen from, as the caller sees it: `.` where it runs.
    pub directory: String,
    /// What that directory is called, as a project is that has no name.
    pub folder: String,
    /// Its name, over what its files and the environment say.
    pub name: Option<String>,
    /// Files of variables, in place of the `.env` in its directory; these have to be there.
    pub env_files: Vec<String>,
    /// The profiles that are on; `*` is all of them.
    pub profiles: BTreeSet<String>,
}

/// Where images go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ImagesGo {
    /// They stay on this machine.
    Nowhere,
    /// To their registry, if the service says under which name.
    Pushed,
}

/// Which services are built beside those that are named.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dependencies {
    /// Those that are their contexts.
    Contexts,
    /// Those that they are to run after, as well, and whatever these need.
    All,
}

/// A project.
#[derive(Clone, Debug)]
pub struct Project {
    name: String,
    services: BTreeMap<String, Service>,
    /// What its files of variables say.
    variables: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
struct Service {
    is_on: bool,
    /// The services that it runs after.
    after: Vec<String>,
    /// What its image is called, if it says so.
    image: Option<String>,
    target: Option<Target>,
}

impl Project {
    /// Reads files as one project: what comes later counts more.
    ///
    /// # Errors
    ///
    /// If a file is no Compose file, or says what cannot be: where, why, and what to do.
    pub fn read(
        files: Vec<DefinitionFile>,
        options: &ProjectOptions,
        surroundings: &dyn Surroundings,
    ) -> Result<Self, BakeError> {
        let mut sources = Sources::default();
        let files: Vec<FileId> = files.into_iter().map(|file| sources.add(file)).collect();
        let read = Self::read_all(&mut sources, &files, (options, surroundings));
        read.map_err(|fault| fault.told(&sources))
    }

    fn read_all(
        sources: &mut Sources,
        files: &[FileId],
        (options, surroundings): (&ProjectOptions, &dyn Surroundings),
    ) -> Result<Self, Fault> {
        let mut environment = Environment::of_project(options, surroundings)?;
        let name = name(sources, files, (options, &environment))?;
        environment.set(NAME, &name);
        let mut whole: Option<Node> = None;
        for file in files {
            let mut loader = Loader::new(sources, surroundings, &environment);
            let node = loader.file(*file, &options.directory)?;
            whole = Some(match whole {
                Some(before) => merge::merged(before, node, ""),
                None => node,
            });
        }
        let whole = whole.ok_or_else(|| invalid("there is no Compose file"))?;
        let reader = Reader { whole: &whole, environment: &environment, options, surroundings };
        let services = reader.services(&name)?;
        Ok(Self { name, services, variables: environment.into_file() })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its files of variables say, where the environment does not.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// Its services that are built, by name.
    pub fn built(&self) -> impl Iterator<Item = &str> {
        self.services.iter().filter(|(_, one)| one.target.is_some()).map(|(name, _)| &**name)
    }

    /// What is built: services by name, else all that are on; and what the command line changes of them.
    ///
    /// # Errors
    ///
    /// If there is no such service, or services are contexts of themselves.
    pub fn plan(
        &self,
        named: &[String],
        (dependencies, images): (Dependencies, ImagesGo),
        overrides: &[Override],
        surroundings: &dyn Surroundings,
    ) -> Result<Plan, BakeError> {
        let bare = |problem| BakeError { place: None, problem };
        let chosen = self.chosen(named, dependencies).map_err(bare)?;
        let mut group = Group { name: "default".to_owned(), ..Group::default() };
        let mut targets = Vec::new();
        for name in &chosen {
            let Some(service) = self.services.get(name) else { continue };
            let Some(mut target) = service.target.clone() else { continue };
            target.outputs = Some(vec![output(&target, service.image.as_deref(), images)]);
            group.targets.push(target.name.clone());
            targets.push(target);
        }
        if targets.is_empty() {
            return Ok(Plan::default());
        }
        let definition = Definition::of_targets(targets, group);
        definition.plan(&["default".to_owned()], overrides, surroundings)
    }

    /// The names of what is built, with what that needs.
    fn chosen(&self, named: &[String], needs: Dependencies) -> Result<BTreeSet<String>, Problem> {
        let all =
            || self.services.iter().filter(|(_, one)| one.is_on).map(|(name, _)| name.clone());
        let mut open: Vec<String> = if named.is_empty() { all().collect() } else { named.to_vec() };
        let mut chosen = BTreeSet::new();
        while let Some(name) = open.pop() {
            let service = self.services.get(&name).ok_or_else(|| self.unknown(&name))?;
            if !chosen.insert(name) {
                continue;
            }
            if needs == Dependencies::All {
                open.extend(service.after.iter().cloned());
            }
            for link in service.target.iter().flat_map(Target::links) {
                let found = self.services.keys().find(|name| target_name(name) == link);
                open.push(found.cloned().unwrap_or_else(|| link.to_owned()));
            }
        }
        Ok(chosen)
    }

    fn unknown(&self, name: &str) -> Problem {
        let names = self.services.keys().map(String::as_str);
        let similar = suggest::nearest(name, names).map(ToOwned::to_owned);
        Problem::UnknownService { name: name.to_owned(), similar }
    }
}

/// What the files of variables of a project say, which may be where its Compose files are named.
///
/// # Errors
///
/// If one that is named is not there, or one is no such file.
pub fn variables(
    options: &ProjectOptions,
    surroundings: &dyn Surroundings,
) -> Result<BTreeMap<String, String>, BakeError> {
    let read = Environment::of_project(options, surroundings);
    read.map(Environment::into_file).map_err(|fault| fault.told(&Sources::default()))
}

fn invalid(text: &str) -> Problem {
    Problem::Invalid(text.to_owned())
}

/// Where the image of a service goes.
fn output(target: &Target, image: Option<&str>, images: ImagesGo) -> Output {
    let is_pushed = images == ImagesGo::Pushed && image.is_some();
    let is_index = target.platforms.as_ref().is_some_and(|all| all.len() > 1);
    let kind = match (is_index, is_pushed) {
        (true, _) => "image",
        (false, true) => "registry",
        (false, false) => "docker",
    };
    let push = is_index.then(|| ("push".to_owned(), is_pushed.to_string()));
    let attributes = push.into_iter().collect();
    Output { kind: kind.to_owned(), destination: String::new(), attributes }
}

/// The name of a project: as it is told, else of its files, else of its directory.
fn name(
    sources: &Sources,
    files: &[FileId],
    (options, environment): (&ProjectOptions, &Environment<'_>),
) -> Result<String, Fault> {
    let told = options.name.clone().or_else(|| environment.get(NAME));
    if let Some(name) = told.filter(|name| !name.is_empty()) {
        return checked(name).map_err(Fault::from);
    }
    let mut found = None;
    for file in files {
        for document in yaml::parse(sources, *file)? {
            let Some(node) = document.get("name") else { continue };
            let Data::Scalar { text, .. } = &node.data else { return Err(node.wanted("a name")) };
            let name = interpolated(text, &|name| environment.get(name));
            let name = name.map_err(|why| Problem::Invalid(why).at(node.span))?;
            found = Some(checked(name).map_err(|problem| problem.at(node.span))?);
        }
    }
    let of_folder = || normal(&options.folder);
    let name = found.unwrap_or_else(of_folder);
    if name.is_empty() {
        return Err(invalid("the project has no name: give one with --project-name").into());
    }
    Ok(name)
}

fn checked(name: String) -> Result<String, Problem> {
    if normal(&name) == name && !name.is_empty() {
        return Ok(name);
    }
    let text = format!(
        "{name:?} cannot name a project: these have small letters, digits, _ and -, and begin with one of the first two"
    );
    Err(Problem::Invalid(text))
}

/// A name with nothing in it that names of projects do not have.
fn normal(name: &str) -> String {
    let is_allowed =
        |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    let kept: String = name.to_lowercase().chars().filter(is_allowed).collect();
    kept.trim_start_matches(['_', '-']).to_owned()
}

/// Reads the services of a merged file.
struct Reader<'a> {
    whole: &'a Node,
    environment: &'a Environment<'a>,
    options: &'a ProjectOptions,
    surroundings: &'a dyn Surroundings,
}

impl Reader<'_> {
    fn services(&self, project: &str) -> Result<BTreeMap<String, Service>, Fault> {
        let Some(services) = self.whole.get("services") else {
            return Err(invalid("a Compose file has services").at(self.whole.span));
        };
        let mut targets =
            built(self.whole, Manner::Compose, (self.environment, self.surroundings))?;
        let mut all = BTreeMap::new();
        for (name, node) in services.members() {
            let mut target = targets.remove(name);
            let image = node.get("image").and_then(yaml::text).filter(|name| !name.is_empty());
            if let Some(target) = &mut target {
                self.complete(target, (project, name), (node, image.as_deref()))?;
            }
            let profiles = node.get("profiles").map(yaml::texts).transpose()?.unwrap_or_default();
            let is_on = profiles.is_empty() || profiles.iter().any(|one| self.is_on(one));
            let after = node.get("depends_on").map(names).transpose()?.unwrap_or_default();
            all.insert(name.clone(), Service { is_on, after, image, target });
        }
        Ok(all)
    }

    fn is_on(&self, profile: &str) -> bool {
        self.options.profiles.contains(profile) || self.options.profiles.contains(EVERY_PROFILE)
    }

    /// Adds what Compose adds to a build.
    fn complete(
        &self,
        target: &mut Target,
        (project, service): (&str, &str),
        (node, image): (&Node, Option<&str>),
    ) -> Result<(), Fault> {
        // What has no context has that of the project.
        target.context.get_or_insert_with(|| path::clean(&self.options.directory));
        let image = image.map_or_else(|| format!("{project}-{service}"), ToOwned::to_owned);
        let tags = target.tags.take().unwrap_or_default();
        target.tags = Some(known_once([tags, vec![image]].concat()));
        let labels = target.labels.get_or_insert_default();
        for (name, value) in [("project", project), ("service", service)] {
            labels.insert(format!("com.docker.compose.{name}"), Some(value.to_owned()));
        }
        target.platforms = self.platforms(target.platforms.take(), node)?;
        Ok(())
    }

    /// The platforms that a service is built for; that of the service has to be one of them.
    fn platforms(
        &self,
        built: Option<Vec<String>>,
        service: &Node,
    ) -> Result<Option<Vec<String>>, Fault> {
        let built = built.filter(|all| !all.is_empty());
        let default = self.environment.get(DEFAULT_PLATFORM).filter(|text| !text.is_empty());
        let own = service.get("platform").and_then(yaml::text).filter(|text| !text.is_empty());
        for (what, wanted) in [("the service's platform", &own), (DEFAULT_PLATFORM, &default)] {
            if let (Some(wanted), Some(built)) = (wanted, &built)
                && !built.contains(wanted)
            {
                let text = format!("{what} {wanted} is not one of those that it is built for");
                return Err(Problem::Invalid(text).at(service.span));
            }
        }
        Ok(built.or_else(|| default.or(own).map(|one| vec![one])))
    }
}

/// A list of names, or a mapping by them.
fn names(node: &Node) -> Result<Vec<String>, Fault> {
    match &node.data {
        Data::Mapping(members) => Ok(members.iter().map(|(name, _)| name.clone()).collect()),
        _ => yaml::texts(node),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[derive(Default)]
    struct World(BTreeMap<&'static str, &'static str>, BTreeMap<&'static str, &'static str>);

    impl Surroundings for World {
        fn variable(&self, name: &str) -> Option<String> {
            self.0.get(name).map(|text| (*text).to_owned())
        }
        fn file(&self, path: &str) -> Result<Option<String>, String> {
            Ok(self.1.get(path).map(|text| (*text).to_owned()))
        }
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
        fn random(&self) -> [u8; 16] {
            [0; 16]
        }
        fn home(&self) -> String {
            "/".to_owned()
        }
        fn platform(&self) -> String {
            "linux/amd64".to_owned()
        }
    }

    const FILE: &str = r#"
services:
  web:
    build:
      context: web
      args: [MODE, "B=${COMPOSE_PROJECT_NAME}"]
      additional_contexts: {base: "service:base"}
      secrets: [{source: key, target: token}]
    environment: {MODE: not-this}
    depends_on: [db]
  base:
    image: me/base
    build: {dockerfile_inline: "FROM scratch", privileged: true}
    profiles: [never]
  db:
    build: {context: db, tags: [me/db:2], platforms: [linux/amd64, linux/arm64]}
    image: me/db
  tools:
    build: tools
    profiles: [tools]
  cache:
    image: redis
secrets:
  key: {environment: KEY}
"#;

    fn read(options: &ProjectOptions, world: &World) -> Project {
        let file = DefinitionFile { name: "compose.yaml".to_owned(), text: FILE.to_owned() };
        Project::read(vec![file], options, world).unwrap()
    }

    fn options(directory: &str, folder: &str) -> ProjectOptions {
        let (directory, folder) = (directory.to_owned(), folder.to_owned());
        ProjectOptions { directory, folder, ..ProjectOptions::default() }
    }

    #[track_caller]
    fn chosen(options: &ProjectOptions, named: &[&str], how: Dependencies, expected: &[&str]) {
        let world = World::default();
        let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
        let plan =
            read(options, &world).plan(&named, (how, ImagesGo::Nowhere), &[], &world).unwrap();
        assert_eq!(plan.targets.keys().collect::<Vec<_>>(), expected, "{named:?}");
    }

    #[test]
    fn services_are_chosen_by_name_by_profile_and_by_what_needs_them() {
        let plain = options(".", "p");
        chosen(&plain, &[], Dependencies::Contexts, &["base", "db", "web"]);
        chosen(&plain, &["web"], Dependencies::Contexts, &["base", "web"]);
        chosen(&plain, &["web"], Dependencies::All, &["base", "db", "web"]);
        chosen(&plain, &["tools"], Dependencies::Contexts, &["tools"]);
        chosen(&plain, &["cache"], Dependencies::Contexts, &[]);
        let tools = ProjectOptions { profiles: ["tools".to_owned()].into(), ..options(".", "p") };
        chosen(&tools, &[], Dependencies::Contexts, &["base", "db", "tools", "web"]);
        let world = World::default();
        let how = (Dependencies::All, ImagesGo::Nowhere);
        let error = read(&plain, &world).plan(&["wab".to_owned()], how, &[], &world).unwrap_err();
        assert_eq!(error.remedy().as_deref(), Some("did you mean web?"));
    }

    #[test]
    fn images_have_the_names_the_labels_and_the_places_that_compose_gives_them() {
        let world = World([("MODE", "fast")].into(), [("sub/.env", "KEY=k\nMODE=slow\n")].into());
        let project = read(&options("sub", "My.Project"), &world);
        assert_eq!(project.name(), "myproject");
        assert_eq!(project.variables()["KEY"], "k");
        let how = (Dependencies::Contexts, ImagesGo::Pushed);
        let plan = project.plan(&[], how, &[], &world).unwrap();
        let web = &plan.targets["web"];
        assert_eq!(web.context.as_deref(), Some("sub/web"));
        assert_eq!(web.tags.as_deref(), Some(&["myproject-web".to_owned()][..]));
        let args = web.args.clone().unwrap();
        assert_eq!(args["MODE"].as_deref(), Some("fast"));
        assert_eq!(args["B"].as_deref(), Some("myproject"));
        assert_eq!(web.secrets.as_ref().unwrap()[0].id, "token");
        let labels = web.labels.clone().unwrap();
        assert_eq!(labels["com.docker.compose.service"].as_deref(), Some("web"));
        let kinds = |name: &str| plan.targets[name].outputs.as_ref().unwrap()[0].to_string();
        assert_eq!(kinds("web"), "type=docker", "it has no name of its own to be pushed under");
        assert_eq!(kinds("base"), "type=registry");
        assert_eq!(kinds("db"), "type=image,push=true");
        assert_eq!(plan.targets["base"].context.as_deref(), Some("sub"));
        let insecure = ["security.insecure".to_owned()];
        assert_eq!(plan.targets["base"].entitlements.as_deref(), Some(&insecure[..]));
        let tags = ["me/db:2".to_owned(), "me/db".to_owned()];
        assert_eq!(plan.targets["db"].tags.as_deref(), Some(&tags[..]));
    }

    #[test]
    fn a_name_that_is_told_is_one_or_refused() {
        let named =
            |name: &str| ProjectOptions { name: Some(name.to_owned()), ..options(".", "x") };
        let world = World::default();
        assert_eq!(read(&named("one"), &world).name(), "one");
        let file =
            DefinitionFile { name: "-".to_owned(), text: "name: Two\nservices: {}\n".into() };
        let error = Project::read(vec![file], &options(".", "x"), &world).unwrap_err();
        assert!(error.to_string().contains("\"Two\" cannot name a project"), "{error}");
    }

    #[test]
    fn what_is_included_has_variables_and_a_directory_of_its_own() {
        let files = [
            ("sub/a.yaml", "services: {a: {build: {args: [V, W]}, image: 'a:${V}'}}"),
            ("sub/.env", "V=sub\nW=sub\n"),
            ("b.yaml", "services: {b: {build: dir, image: 'b:${V}'}}"),
            ("own", "V=own\n"),
            (".env", "W=outer\n"),
        ];
        let world = World(BTreeMap::new(), files.into());
        let text = "include:\n- sub/a.yaml\n- {path: b.yaml, project_directory: other, env_file: own}\nservices: {}\n";
        let file = DefinitionFile { name: "-".to_owned(), text: text.to_owned() };
        let project = Project::read(vec![file], &options(".", "p"), &world).unwrap();
        let how = (Dependencies::Contexts, ImagesGo::Nowhere);
        let plan = project.plan(&[], how, &[], &world).unwrap();
        let (a, b) = (&plan.targets["a"], &plan.targets["b"]);
        assert_eq!(a.tags.as_deref(), Some(&["a:sub".to_owned()][..]));
        assert_eq!(b.tags.as_deref(), Some(&["b:own".to_owned()][..]));
        assert_eq!(a.context.as_deref(), Some("sub"));
        assert_eq!(b.context.as_deref(), Some("other/dir"));
        assert_eq!(a.args.clone().unwrap()["W"].as_deref(), Some("outer"));
    }
}
