//! What the environment says, read once and here only.

pub(crate) mod cache_table;
pub(crate) mod file;
pub(crate) mod flag_table;
pub(crate) mod project;
mod registry_table;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::args::budget::Bounds;
use crate::build_record::bounds::HistoryTable;
use crate::failure::code::ErrorCode;
use crate::failure::{Class, Failure};
use crate::settings::file::{Configuration, FileError, FileOwner, FlagFile};

/// The environment of the process, as far as this program looks at it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    variables: BTreeMap<OsString, OsString>,
    /// The configuration file of the project that this is about, if there is one.
    project: Option<PathBuf>,
}

/// The variable that names the configuration file.
const CONFIG: &str = "WYTHE_CONFIG";

/// The proxy variables, which `docker build` hands to a build as well.
const PROXIES: [&str; 4] = ["http_proxy", "https_proxy", "no_proxy", "all_proxy"];

impl Settings {
    /// Reads the environment; these variables stand over what it says.
    pub(crate) fn of_process(variables: Vec<(OsString, OsString)>) -> Self {
        let variables = std::env::vars_os().chain(variables).collect();
        Self { variables, project: Some(PathBuf::from(project::FILE)) }
    }

    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        let pair = |(key, value): &(&str, &str)| (key.into(), value.into());
        Self { variables: pairs.iter().map(pair).collect(), project: None }
    }

    #[cfg(test)]
    pub(crate) fn with_project(self, file: &Path) -> Self {
        Self { project: Some(file.to_owned()), ..self }
    }

    /// A variable that is set and not empty.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        let value = self.variables.get(OsStr::new(name))?;
        (!value.is_empty()).then(|| PathBuf::from(value))
    }

    /// A variable, as text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.variables.get(OsStr::new(name)).and_then(|value| value.to_str()).map(str::to_owned)
    }

    /// A variable, as bytes.
    pub(crate) fn raw(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// The variables whose names begin so, and that are text.
    pub(crate) fn beginning_with(&self, start: &str) -> BTreeMap<String, String> {
        let pairs = self.variables.iter().filter_map(|(name, value)| {
            let name = name.to_str().filter(|name| name.starts_with(start))?;
            Some((name.to_owned(), value.to_str()?.to_owned()))
        });
        pairs.collect()
    }

    /// Where this program keeps what it can get again.
    pub(crate) fn cache_folder(&self) -> Option<PathBuf> {
        let home = || Some(self.path("HOME")?.join(".cache"));
        let folder = self.path("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        Some(folder.or_else(home)?.join("wythe"))
    }

    /// Where the store is, unless a flag says so; `None` where there is no home either.
    pub(crate) fn store(&self) -> Option<PathBuf> {
        let data = || self.path("XDG_DATA_HOME").filter(|path| path.is_absolute());
        let home = || Some(self.path("HOME")?.join(".local/share"));
        let beneath = |folder: PathBuf| folder.join("wythe");
        self.path("WYTHE_STORE").or_else(|| data().or_else(home).map(beneath))
    }

    /// The folder where a user's programs keep their settings.
    pub(crate) fn config_folder(&self) -> Option<PathBuf> {
        let home = || Some(self.path("HOME")?.join(".config"));
        self.path("XDG_CONFIG_HOME").filter(|path| path.is_absolute()).or_else(home)
    }

    /// The files with this program's settings: the one that the environment names, and else the user's and that
    /// of the machine.
    pub(crate) fn configuration_files(&self) -> Vec<PathBuf> {
        if let Some(path) = self.path(CONFIG) {
            return vec![path];
        }
        let folders = [self.config_folder(), Some(PathBuf::from("/etc"))].into_iter().flatten();
        folders.map(|folder| folder.join("wythe/config.toml")).collect()
    }

    /// What those files say, the most telling first.
    ///
    /// # Errors
    ///
    /// With the file that makes no sense, or that is named and not there.
    pub(crate) fn configurations(&self) -> Result<Vec<(PathBuf, Configuration)>, Failure> {
        let mut found = Vec::new();
        for path in self.configuration_files() {
            let Some(text) = self.text_of(&path)? else { continue };
            let folder = path.parent().unwrap_or(Path::new("/"));
            let parsed = file::parse(&text, folder).map_err(|error| unusable(&path, &error))?;
            found.push((path, parsed));
        }
        Ok(found)
    }

    /// What files say of flags, the most telling first: that of the project, and then as
    /// [`Self::configurations`]. Where the environment names a file, it is the only one.
    ///
    /// # Errors
    ///
    /// As there, and with what a project may not say.
    pub(crate) fn flag_files(&self) -> Result<Vec<FlagFile>, Failure> {
        let project = self.project.clone().filter(|_| self.path(CONFIG).is_none());
        let project = project.map(|path| (path, FileOwner::Project));
        let own = self.configuration_files().into_iter().map(|path| (path, FileOwner::Own));
        let mut found = Vec::new();
        for (path, owner) in project.into_iter().chain(own) {
            let text = match owner {
                FileOwner::Own => self.text_of(&path)?,
                FileOwner::Project => {
                    project::read(&path).map_err(|error| cannot_use(&path).because(&error))?
                }
            };
            let Some(text) = text else { continue };
            let flags = file::flags(&text, owner).map_err(|error| unusable(&path, &error))?;
            found.push(FlagFile { path, owner, flags });
        }
        Ok(found)
    }

    /// Whether there are variables of ours.
    pub(crate) fn has_own(&self) -> bool {
        self.variables.keys().any(|name| name.as_encoded_bytes().starts_with(b"WYTHE_"))
    }

    /// The text of a configuration file; `None` where there is none, and none has to be.
    fn text_of(&self, path: &Path) -> Result<Option<String>, Failure> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(_) if is_out_of_reach(path) && self.path(CONFIG).is_none() => Ok(None),
            Err(error) => Err(cannot_use(path).because(&error)),
        }
    }

    /// What the environment says of the store's budget.
    ///
    /// # Errors
    ///
    /// With the variable that makes no sense.
    pub(crate) fn bounds(&self) -> Result<Bounds, String> {
        let mut bounds = Bounds::default();
        for name in Bounds::NAMES {
            let variable = format!("WYTHE_{}", name.replace('-', "_").to_uppercase());
            if let Some(text) = self.text(&variable).filter(|text| !text.is_empty()) {
                bounds.set(name, &text).map_err(|why| format!("{variable}: {why}"))?;
            }
        }
        Ok(bounds)
    }

    /// What the environment says of how many records of builds are kept.
    ///
    /// # Errors
    ///
    /// With the variable that makes no sense.
    pub(crate) fn history(&self) -> Result<HistoryTable, String> {
        let mut table = HistoryTable::default();
        for name in HistoryTable::NAMES {
            let variable = format!("WYTHE_HISTORY_{}", name.replace('-', "_").to_uppercase());
            if let Some(text) = self.text(&variable).filter(|text| !text.is_empty()) {
                table.set(name, &text).map_err(|why| format!("{variable}: {why}"))?;
            }
        }
        Ok(table)
    }

    /// Where docker keeps its configuration, credentials among it.
    pub(crate) fn docker_config(&self) -> Option<PathBuf> {
        let home = || Some(self.path("HOME")?.join(".docker"));
        Some(self.path("DOCKER_CONFIG").or_else(home)?.join("config.json"))
    }

    /// Where podman, buildah and skopeo keep credentials: what they are told, else where they log in
    /// until the next boot, then for good.
    pub(crate) fn container_auths(&self) -> Vec<PathBuf> {
        if let Some(path) = self.path("REGISTRY_AUTH_FILE") {
            return vec![path];
        }
        let home = || Some(self.path("HOME")?.join(".config"));
        let folders = [self.path("XDG_RUNTIME_DIR"), self.path("XDG_CONFIG_HOME").or_else(home)];
        folders.into_iter().flatten().map(|folder| folder.join("containers/auth.json")).collect()
    }

    /// The proxy variables that are set, in both spellings.
    pub(crate) fn proxies(&self) -> Vec<(String, String)> {
        let both = PROXIES.into_iter().flat_map(|name| [name.to_owned(), name.to_uppercase()]);
        both.filter_map(|name| Some((name.clone(), self.text(&name)?))).collect()
    }

    /// The newest time a file in an image may carry, which a build takes as a build argument.
    pub(crate) fn source_date_epoch(&self) -> Option<String> {
        self.text("SOURCE_DATE_EPOCH").filter(|text| !text.is_empty())
    }
}

/// Whether nothing is there, or it lies where this user may not look, as in the home of whoever called `su`.
fn is_out_of_reach(path: &Path) -> bool {
    let none = [ErrorKind::NotFound, ErrorKind::PermissionDenied];
    path.symlink_metadata().is_err_and(|error| none.contains(&error.kind()))
}

fn cannot_use(path: &Path) -> Failure {
    let text = format!("cannot use {}", path.display());
    Failure::new(Class::Usage, text).known_as(ErrorCode::Settings)
}

fn unusable(path: &Path, error: &FileError) -> Failure {
    cannot_use(path).because(error).advised(error.remedy.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_the_environment_are_refused_by_the_name_of_the_variable() {
        let bounds = Settings::of(&[("WYTHE_MAX_USED_SPACE", "1g"), ("WYTHE_KEEP_DURATION", "")]);
        let mut expected = Bounds::default();
        expected.set("max-used-space", "1g").unwrap();
        assert_eq!(bounds.bounds(), Ok(expected));
        let told = Settings::of(&[("WYTHE_MIN_FREE_SPACE", "much")]).bounds().unwrap_err();
        assert!(told.contains("WYTHE_MIN_FREE_SPACE") && told.contains("much"), "{told}");
    }

    #[test]
    fn bounds_of_the_history_are_refused_by_the_name_of_the_variable() {
        let told = Settings::of(&[("WYTHE_HISTORY_MAX_BUILDS", "3")]).history().unwrap();
        assert_eq!(told.max_builds, Some(3));
        let told = Settings::of(&[("WYTHE_HISTORY_KEEP_DURATION", "long")]).history().unwrap_err();
        assert!(told.contains("WYTHE_HISTORY_KEEP_DURATION") && told.contains("long"), "{told}");
    }

    #[test]
    fn the_configuration_is_where_it_is_named_or_where_such_are_kept() {
        let files = |pairs: &[(&str, &str)]| Settings::of(pairs).configuration_files();
        let system = PathBuf::from("/etc/wythe/config.toml");
        let of = |path: &str| vec![PathBuf::from(path), system.clone()];
        assert_eq!(files(&[("HOME", "/h")]), of("/h/.config/wythe/config.toml"));
        assert_eq!(files(&[("XDG_CONFIG_HOME", "/c")]), of("/c/wythe/config.toml"));
        assert_eq!(files(&[]), std::slice::from_ref(&system));
        let named = [("WYTHE_CONFIG", "/w.toml"), ("HOME", "/h")];
        assert_eq!(files(&named), [PathBuf::from("/w.toml")]);
        let told = Settings::of(&named).configurations().unwrap_err().sentence();
        assert!(told.contains("/w.toml"), "{told}");
    }

    #[test]
    fn a_configuration_that_makes_no_sense_is_named_with_its_line_and_what_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.toml");
        std::fs::write(&path, "[registry.\"r.io\"]\nmirror = []\n").unwrap();
        let settings = Settings::of(&[("WYTHE_CONFIG", path.to_str().unwrap())]);
        let told = settings.configurations().unwrap_err().lines().join("\n");
        for word in ["own.toml", "line 2", "`mirror`", "help: ", "`mirrors`"] {
            assert!(told.contains(word), "{word}: {told}");
        }
    }

    #[test]
    fn variables_are_found_by_how_they_begin() {
        let settings = Settings::of(&[("AWS_REGION", "r"), ("HOME", "/h"), ("XAWS_", "x")]);
        let expected = [("AWS_REGION".to_owned(), "r".to_owned())];
        assert_eq!(settings.beginning_with("AWS_"), expected.into());
        assert_eq!(settings.cache_folder(), Some(PathBuf::from("/h/.cache/wythe")));
        let other = Settings::of(&[("XDG_CACHE_HOME", "/c")]);
        assert_eq!(other.cache_folder(), Some(PathBuf::from("/c/wythe")));
    }

    #[track_caller]
    fn store(pairs: &[(&str, &str)], expected: Option<&str>) {
        assert_eq!(Settings::of(pairs).store(), expected.map(PathBuf::from), "{pairs:?}");
    }

    #[test]
    fn the_store_is_where_the_most_specific_variable_says() {
        let home = ("HOME", "/home/ada");
        store(&[home], Some("/home/ada/.local/share/wythe"));
        store(&[home, ("XDG_DATA_HOME", "/data")], Some("/data/wythe"));
        store(&[home, ("XDG_DATA_HOME", "relative")], Some("/home/ada/.local/share/wythe"));
        store(&[home, ("WYTHE_STORE", "/s")], Some("/s"));
        store(&[], None);
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        store(&[("HOME", "/h"), ("WYTHE_STORE", "")], Some("/h/.local/share/wythe"));
    }

    #[test]
    fn the_files_of_podman_are_found_where_it_keeps_them() {
        let found = |pairs: &[(&str, &str)]| Settings::of(pairs).container_auths();
        let (home, runtime) = (("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/u"));
        let for_good = PathBuf::from("/h/.config/containers/auth.json");
        assert_eq!(found(&[home]), [PathBuf::from("/h/.config/containers/auth.json")]);
        assert_eq!(found(&[home, runtime]), ["/run/u/containers/auth.json".into(), for_good]);
        assert_eq!(
            found(&[home, ("XDG_CONFIG_HOME", "/c")]),
            [PathBuf::from("/c/containers/auth.json")]
        );
        assert_eq!(found(&[home, runtime, ("REGISTRY_AUTH_FILE", "/a")]), [PathBuf::from("/a")]);
    }

    #[test]
    fn proxies_are_found_in_both_spellings() {
        let settings = Settings::of(&[("HTTP_PROXY", "a"), ("no_proxy", "b"), ("OTHER", "c")]);
        let expected = [("HTTP_PROXY", "a"), ("no_proxy", "b")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(settings.proxies(), expected);
    }
}
