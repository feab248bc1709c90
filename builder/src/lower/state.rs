//! What the instructions of a stage accumulate.

use wythe_dockerfile::expand::Variables;
use wythe_store::oci::config::{ImageConfig, RunConfig};
use wythe_store::oci::platform::Platform;

use crate::graph::{InstructionRecord, VertexId};

/// The search path of images that bring none.
pub(crate) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Arguments that speak to the builder: declared, they are still no variables of steps.
const NO_VARIABLES: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// Where a stage stands after some of its instructions.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The last vertex; `None` for an empty root.
    pub(crate) top: Option<VertexId>,
    /// The configuration so far.
    pub(crate) config: ImageConfig,
    /// What was done so far, that of the stages below included.
    pub(crate) records: Vec<InstructionRecord>,
    /// Variables of steps: `ENV` and `ARG`, the latest assignment of a name.
    pub(crate) env: Vec<(String, String)>,
    /// What `ARG` declared, in order: a name, and the value it had last.
    pub(crate) declared: Vec<(String, String)>,
    /// Whether this stage has set the command itself.
    pub(crate) own_command: bool,
    /// What the programs of this stage are for.
    pub(crate) platform: Platform,
}

impl State {
    /// An empty root.
    pub(crate) fn scratch(platform: &Platform) -> Self {
        let run = RunConfig { working_dir: "/".to_owned(), ..RunConfig::default() };
        let mut config = ImageConfig { config: run, ..ImageConfig::default() };
        platform.os.clone_into(&mut config.os);
        platform.architecture.clone_into(&mut config.architecture);
        config.variant.clone_from(&platform.variant);
        Self::over(None, config, platform)
    }

    /// An image.
    pub(crate) fn over(top: Option<VertexId>, config: ImageConfig, platform: &Platform) -> Self {
        let platform = platform.clone();
        let (records, declared) = (Vec::new(), Vec::new());
        let mut state =
            Self { top, config, records, env: Vec::new(), declared, own_command: false, platform };
        if !state.config.config.env.iter().any(|pair| pair.starts_with("PATH=")) {
            state.config.config.env.push(format!("PATH={DEFAULT_PATH}"));
        }
        state.assign_environment();
        state
    }

    /// The state as a stage that starts from this one sees it: its arguments are declared there
    /// too, but the image's own variables are above them again.
    pub(crate) fn inherited(&self) -> Self {
        let mut state = Self { own_command: false, ..self.clone() };
        state.assign_environment();
        state
    }

    /// Sets the variables of the image for the steps that follow.
    fn assign_environment(&mut self) {
        for pair in self.config.config.env.clone() {
            let (name, value) = pair.split_once('=').unwrap_or((&pair, ""));
            self.assign(name, value);
        }
    }

    /// Sets a variable of the steps that follow.
    pub(crate) fn assign(&mut self, name: &str, value: &str) {
        match self.env.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.env.push((name.to_owned(), value.to_owned())),
        }
    }

    /// Sets a variable of the image; its place stays where it was.
    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        let pair = format!("{name}={value}");
        let prefix = format!("{name}=");
        let pairs = &mut self.config.config.env;
        match pairs.iter_mut().find(|old| old.starts_with(&prefix)) {
            Some(old) => *old = pair,
            None => pairs.push(pair),
        }
        self.assign(name, value);
    }

    /// Declares an argument.
    pub(crate) fn declare(&mut self, name: &str, value: Option<&str>) {
        let shown = value.unwrap_or_default().to_owned();
        match self.declared.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = shown,
            None => self.declared.push((name.to_owned(), shown)),
        }
        if let Some(value) = value.filter(|_| !NO_VARIABLES.contains(&name)) {
            self.assign(name, value);
        }
    }

    /// The declared arguments with the values steps see.
    pub(crate) fn visible_args(&self) -> Vec<(String, String)> {
        let value = |(name, value): &(String, String)| {
            (name.clone(), self.get(name).unwrap_or_else(|| value.clone()))
        };
        self.declared.iter().map(value).collect()
    }

    /// Notes an instruction without a layer.
    pub(crate) fn note(&mut self, created_by: String) {
        self.records.push(InstructionRecord { created_by, layer: None });
    }

    /// Notes an instruction whose layer `vertex` makes.
    pub(crate) fn layer(&mut self, created_by: String, vertex: VertexId) {
        self.records.push(InstructionRecord { created_by, layer: Some(vertex) });
        self.top = Some(vertex);
    }

    /// The shell of shell forms.
    pub(crate) fn shell(&self) -> Vec<String> {
        match self.config.config.shell.as_slice() {
            [] => vec!["/bin/sh".to_owned(), "-c".to_owned()],
            shell => shell.to_vec(),
        }
    }

    /// The working directory, absolute.
    pub(crate) fn working_dir(&self) -> &str {
        match self.config.config.working_dir.as_str() {
            "" => "/",
            path => path,
        }
    }

    /// A path beneath the working directory unless it is absolute, cleaned; what it ends with is
    /// kept where it says "directory".
    pub(crate) fn absolute(&self, path: &str) -> String {
        let joined = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{}/{path}", self.working_dir())
        };
        let mut cleaned = clean(&joined);
        let is_directory =
            path.is_empty() || path == "." || path.ends_with('/') || path.ends_with("/.");
        if is_directory && !cleaned.ends_with('/') {
            cleaned.push('/');
        }
        cleaned
    }
}

impl Variables for State {
    fn get(&self, name: &str) -> Option<String> {
        let found = self.env.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }

    fn names(&self) -> Vec<String> {
        self.env.iter().map(|(name, _)| name.clone()).collect()
    }
}

/// An absolute path without `.`, `..` and double slashes.
pub(crate) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_variable_keeps_its_place() {
        let mut state = State::scratch(&Platform::linux("amd64"));
        state.set_env("A", "1");
        state.set_env("B", "2");
        state.set_env("A", "3");
        let path = format!("PATH={DEFAULT_PATH}");
        assert_eq!(state.config.config.env, [path.as_str(), "A=3", "B=2"]);
    }

    #[test]
    fn paths_are_joined_cleaned_and_say_whether_they_are_directories() {
        let mut state = State::scratch(&Platform::linux("amd64"));
        state.config.config.working_dir = "/w".to_owned();
        for (path, expected) in
            [("a", "/w/a"), ("/a//b/../c/", "/a/c/"), (".", "/w/"), ("", "/w/"), ("../..", "/")]
        {
            assert_eq!(state.absolute(path), expected, "{path}");
        }
    }
}
