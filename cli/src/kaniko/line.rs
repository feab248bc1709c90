//! Flag by flag: the words of `wythe build`, and what no word of it says.

use super::place::Place;
use crate::args::Cli;
use crate::args::build::BuildArgs;
use crate::args::context::ContextSource;
use crate::args::digest_file::{DigestFile, DigestForm};
use crate::args::global::ProgressForm;
use crate::args::kaniko::{KanikoArgs, Meaning};
use crate::args::output::Push;
use crate::args::switch::Switch;
use crate::command::Command;
use crate::failure::{Class, Failure};
use crate::settings::Settings;

/// Flags whose values go to one of `wythe build` as they are.
const SAME: [(&str, &str); 7] = [
    ("annotation", "--annotation"),
    ("build-arg", "--build-arg"),
    ("custom-platform", "--platform"),
    ("customPlatform", "--platform"),
    ("destination", "--tag"),
    ("label", "--label"),
    ("target", "--target"),
];

/// The tag of a cache: kaniko's own entries have others, and stay.
const CACHE_TAG: &str = "wythe";

/// What a command line of kaniko means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Line {
    /// Behind `wythe build`.
    words: Vec<String>,
    /// The context, where it is an archive.
    pub(super) archive: Option<ContextSource>,
    /// The directory of the context that is meant.
    pub(super) subdirectory: Option<String>,
    pub(super) insecure: Vec<String>,
    pub(super) progress: ProgressForm,
    pub(super) digest_files: Vec<DigestFile>,
}

impl Line {
    /// What the flags mean; what cannot be done is refused by name.
    pub(super) fn of(args: &KanikoArgs, settings: &Settings) -> Result<Self, Failure> {
        if let Some(flag) = args.given(Meaning::Refused).next() {
            return Err(Failure::usage(format!("--{}: {}", flag.name, flag.says)));
        }
        let place = Place::of(args, settings)?;
        let mut words = Vec::new();
        for (of_kaniko, own) in SAME {
            words.extend(args.all(of_kaniko).map(|value| format!("{own}={value}")));
        }
        words.extend(dockerfile(args, &place)?);
        words.extend(epoch(args));
        words.extend(git_token(settings, &place));
        let destinations: Vec<&str> = args.all("destination").collect();
        let push = pushes(args, settings)?;
        if push != Push::No && destinations.is_empty() {
            let failure = Failure::usage("nothing says where the image goes");
            return Err(failure.remedy("give --destination, or --no-push"));
        }
        let cache = cache_repository(args, &destinations)?;
        words.extend(cache.iter().flat_map(|repository| caches(args, repository)));
        words.extend(args.text(&["compression"]).map(|codec| format!("--compression={codec}")));
        words.extend(outputs(args, push)?);
        words.push("--".to_owned());
        words.push(place.word());
        Ok(Self {
            words,
            archive: place.archive(),
            subdirectory: place.subdirectory(args),
            insecure: insecure(args, &destinations, cache.as_deref()),
            progress: progress(args),
            digest_files: digest_files(args, &destinations)?,
        })
    }

    /// The words as `wythe build` understands them.
    pub(super) fn parsed(&self) -> Result<BuildArgs, Failure> {
        let own = self.words.iter().map(String::as_str);
        let words: Vec<&str> = ["wythe", "build"].into_iter().chain(own).collect();
        let cli = Cli::of(&words).map_err(|error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            Failure::usage(first.strip_prefix("error: ").unwrap_or(first))
        })?;
        if let Command::Build(build) = cli.command {
            return Ok(*build);
        }
        Err(Failure::new(Class::Internal, "kaniko's flags make no build"))
    }
}

fn dockerfile(args: &KanikoArgs, place: &Place) -> Result<Option<String>, Failure> {
    match args.text(&["dockerfile"]) {
        Some(address) if address.starts_with("http://") || address.starts_with("https://") => {
            Err(Failure::usage("--dockerfile: a Dockerfile is a file, not an address"))
        }
        given => Ok(given.map(|path| format!("--file={}", place.dockerfile(path)))),
    }
}

/// The time of everything, for `--reproducible`.
fn epoch(args: &KanikoArgs) -> Option<String> {
    let mut given = args.all("build-arg").filter_map(|arg| arg.split('=').next());
    let is_given = given.any(|name| name == "SOURCE_DATE_EPOCH");
    (args.is_on("reproducible") && !is_given).then(|| "--build-arg=SOURCE_DATE_EPOCH=0".to_owned())
}

/// What kaniko authenticates with at the server of a repository.
fn git_token(settings: &Settings, place: &Place) -> Option<String> {
    let is_set = |name: &&str| settings.text(name).is_some_and(|value| !value.is_empty());
    let name = ["GIT_TOKEN", "GIT_PASSWORD"].into_iter().find(is_set)?;
    matches!(place, Place::Git(_)).then(|| format!("--secret=id=GIT_AUTH_TOKEN,env={name}"))
}

/// Whether the image is pushed.
fn pushes(args: &KanikoArgs, settings: &Settings) -> Result<Push, Failure> {
    let told = settings.text("KANIKO_NO_PUSH").filter(|text| !text.is_empty());
    let told = told.map_or(Ok(Switch::Off), |text| text.parse());
    let told = told.map_err(|error| Failure::usage(format!("KANIKO_NO_PUSH: {error}")))?;
    let is_kept = args.is_on("no-push") || told.is_on();
    Ok(if is_kept { Push::No } else { Push::ByName })
}

/// Where the cache is, if there is to be one.
fn cache_repository(args: &KanikoArgs, names: &[&str]) -> Result<Option<String>, Failure> {
    if !args.is_on("cache") {
        return Ok(None);
    }
    let beside = || {
        let name = names.first()?;
        // A colon before the last slash is that of a port.
        let end = name.rfind('/').unwrap_or_default();
        let tag = name[end..].find([':', '@']).map_or(name.len(), |at| end + at);
        Some(format!("{}/cache", &name[..tag]))
    };
    let found = args.text(&["cache-repo"]).map(str::to_owned).or_else(beside);
    let missing =
        || Failure::usage("nothing says where the cache is").remedy("give --cache-repo REPOSITORY");
    found.map(Some).ok_or_else(missing)
}

/// Reading and, if it may be, writing the cache.
fn caches(args: &KanikoArgs, repository: &str) -> Vec<String> {
    let (from, to) = if let Some(path) = repository.strip_prefix("oci:") {
        let attribute = |name: &str| format!("type=local,{}", field(name, path));
        (attribute("src"), attribute("dest"))
    } else {
        let name = format!("type=registry,ref={repository}:{CACHE_TAG}");
        (name.clone(), name)
    };
    let writes = !args.is_on("no-push-cache");
    let to = writes.then(|| format!("--cache-to={to},mode=max"));
    [format!("--cache-from={from}")].into_iter().chain(to).collect()
}

/// The outputs; the push is the last, and its digest is the one that is told.
fn outputs(args: &KanikoArgs, push: Push) -> Result<Vec<String>, Failure> {
    let level = match args.text(&["compression-level"]) {
        None | Some("-1") => String::new(),
        Some(level) if level.parse::<u32>().is_ok() => format!(",compression-level={level}"),
        Some(level) => {
            return Err(Failure::usage(format!("--compression-level: {level:?} is not a level")));
        }
    };
    let times = if args.is_on("reproducible") { ",rewrite-timestamp=true" } else { "" };
    let tar = args.text(&["tar-path", "tarPath"]);
    let tar = tar.map(|path| format!("type=docker,{}", field("dest", path)));
    let layout = args.text(&["oci-layout-path"]);
    let layout = layout.map(|path| format!("type=oci,tar=false,{}", field("dest", path)));
    let push = (push != Push::No).then(|| "type=registry".to_owned());
    let mut found: Vec<String> = [tar, layout, push].into_iter().flatten().collect();
    if found.is_empty() {
        found.push("type=image".to_owned());
    }
    Ok(found.into_iter().map(|output| format!("--output={output}{level}{times}")).collect())
}

/// An attribute, in quotes where it has to be.
fn field(name: &str, value: &str) -> String {
    if value.contains([',', '"']) {
        format!("\"{name}={}\"", value.replace('"', "\"\""))
    } else {
        format!("{name}={value}")
    }
}

/// The registries that need not show who they are.
fn insecure(args: &KanikoArgs, names: &[&str], cache: Option<&str>) -> Vec<String> {
    let mut found: Vec<String> = args.all("skip-tls-verify-registry").map(str::to_owned).collect();
    if args.is_on("insecure") || args.is_on("skip-tls-verify") {
        let host = |name: &&str| name.split('/').next().unwrap_or_default().to_owned();
        let cache = cache.filter(|name| !name.starts_with("oci:"));
        found.extend(names.iter().copied().chain(cache).map(|name| host(&name)));
    }
    found
}

fn progress(args: &KanikoArgs) -> ProgressForm {
    match (args.text(&["verbosity"]), args.text(&["log-format"])) {
        (Some("error" | "fatal" | "panic"), _) => ProgressForm::Quiet,
        (_, Some("json")) => ProgressForm::Json,
        _ => ProgressForm::Auto,
    }
}

fn digest_files(args: &KanikoArgs, names: &[&str]) -> Result<Vec<DigestFile>, Failure> {
    let forms = [
        ("digest-file", DigestForm::Alone),
        ("image-name-with-digest-file", DigestForm::Named),
        ("image-name-tag-with-digest-file", DigestForm::Tagged),
    ];
    let mut found = Vec::new();
    for (flag, form) in forms {
        let Some(path) = args.text(&[flag]) else { continue };
        if form != DigestForm::Alone && names.is_empty() {
            return Err(Failure::usage(format!("--{flag}: the image has no name"))
                .remedy("give --destination"));
        }
        found.push(DigestFile { path: path.into(), form });
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
