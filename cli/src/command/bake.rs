//! `wythe bake`: the targets of a definition, each a build, all of them beside each other.

mod crew;
pub(crate) mod files;
pub(crate) mod flags;
mod grant;
mod list;
pub(crate) mod outside;
pub(crate) mod remote;

use serde_json::{Map, Value};
use wythe_bake::definition::{Definition, HERE};
use wythe_bake::error::{BakeError, Problem};
use wythe_bake::overrides::Override;
use wythe_bake::plan::Plan;
use wythe_bake::target::Target;

use self::crew::Crew;
use self::flags::{Origin, Place};
use self::outside::Outside;
use self::remote::{RemoteDefinition, Words};
use crate::args::bake::{BakeArgs, Execution};
use crate::args::call::Method;
use crate::args::global::ProgressForm;
use crate::command::build;
use crate::command::build::deliver::metadata::WARNINGS;
use crate::command::build::dockerfile::Dockerfile;
use crate::failure::Failure;
use crate::failure::code::ErrorCode;
use crate::session::Session;

/// Shows, asks or builds.
pub(crate) fn run(args: &BakeArgs, session: &Session) -> Result<(), Failure> {
    if args.builds() {
        build::settle(&args.common.steps, session)?;
    }
    let words = Words::of(&args.targets);
    let remote = words.url.map(|url| RemoteDefinition::fetch(url, args, session)).transpose()?;
    let remote = remote.as_ref();
    let place = (remote, words.context);
    let outside = Outside::new(&args.definition.var, place, &session.settings)?;
    let files = files::read(&args.definition.files, remote, &session.settings)?;
    let definition = Definition::read(files, &outside).map_err(|error| failure(&error))?;
    if let Some(list) = args.definition.list {
        return list::print(list, &definition, session);
    }
    for warning in definition.warnings() {
        session.remark(&warning.to_string());
    }
    let overrides = overrides(args)?;
    let default = ["default".to_owned()];
    let targets = if words.targets.is_empty() { &default[..] } else { words.targets };
    let plan = definition.plan(targets, &overrides, &outside).map_err(|error| failure(&error))?;
    if args.definition.print.is_on() {
        return session.print(&plan.to_json());
    }
    // A program that reads this form has asked whom it has to ask: as with buildx, nothing is refused to it.
    if session.global.progress != ProgressForm::RawJson {
        grant::entitlements(&plan, &args.allow)?;
    }
    if remote.is_some() {
        grant::files(&plan, &args.allow, &session.settings)?;
    }
    let secrets = remote::secret_flags(&session.settings);
    let url = remote.and_then(RemoteDefinition::origin);
    let origin = Origin { url, secrets: &secrets, variables: None };
    carry_out(&plan, (remote, origin), args, session)
}

/// Asks what is asked about Dockerfiles, and builds the rest.
pub(crate) fn carry_out(
    plan: &Plan,
    (remote, origin): (Option<&RemoteDefinition>, Origin<'_>),
    args: &BakeArgs,
    session: &Session,
) -> Result<(), Failure> {
    let asked: Vec<&Target> = plan.in_order().into_iter().filter(|one| is_asked(one)).collect();
    for target in &asked {
        ask(target, (args, origin), session)?;
    }
    // Of what is not built there is nothing to tell, and Compose looks for its name.
    let nothing = |target: &&Target| (target.name.clone(), Value::Object(Map::new()));
    let mut metadata: Vec<(String, Value)> = asked.iter().map(nothing).collect();
    let mut failure = None;
    if asked.len() < plan.targets.len() {
        let outcome = Crew::new(plan, (remote, origin), args, session)?.build();
        metadata.extend(outcome.metadata);
        failure = outcome.failure;
    }
    // Of those that went on after a failure there is something to tell.
    let is_told = failure.is_none() || args.execution == Execution::DeferError;
    if let Some(path) = args.result.metadata_file.as_ref().filter(|_| is_told) {
        build::deliver::write_text(path, &format!("{:#}\n", told(metadata)))?;
    }
    failure.map_or(Ok(()), Err)
}

/// What is told of the targets, by their names. Their findings are told together, as buildx has them.
fn told(metadata: impl IntoIterator<Item = (String, Value)>) -> Value {
    let (mut all, mut findings) = (Map::new(), Vec::new());
    for (name, mut entry) in metadata {
        let own = entry.as_object_mut().and_then(|entry| entry.remove(WARNINGS));
        if let Some(Value::Array(own)) = own {
            findings.extend(own);
        }
        all.insert(name, entry);
    }
    if !findings.is_empty() {
        all.insert(WARNINGS.to_owned(), findings.into());
    }
    Value::Object(all)
}

/// What the command line changes: `--set`, and the flags that are short for it.
fn overrides(args: &BakeArgs) -> Result<Vec<Override>, Failure> {
    let mut texts = args.definition.set.clone();
    if let Some(provenance) = &args.result.provenance {
        texts.push(attestation("provenance", provenance));
    }
    if let Some(sbom) = &args.result.sbom {
        texts.push(attestation("sbom", sbom));
    }
    for (key, switch) in [("no-cache", args.no_cache), ("pull", args.pull)] {
        texts.extend(switch.map(|is_on| format!("*.{key}={is_on}")));
    }
    if args.result.push.is_on() {
        texts.push("*.push=true".to_owned());
    }
    if args.result.load.is_on() {
        texts.push("*.load=true".to_owned());
    }
    let method = args.call.map(|call| call.method);
    let method = if args.common.checks.check.is_on() { Some(Method::Check) } else { method };
    texts.extend(method.map(|method| format!("*.call={}", name(method))));
    let parsed = texts.iter().map(|text| Override::parse(text).map_err(problem));
    parsed.collect()
}

pub(crate) fn attestation(kind: &str, text: &str) -> String {
    match text {
        "true" | "1" => format!("*.attest=type={kind}"),
        "false" | "0" => format!("*.attest=type={kind},disabled=true"),
        text => format!("*.attest=type={kind},{text}"),
    }
}

fn name(method: Method) -> &'static str {
    match method {
        Method::Build => "build",
        Method::Check => "check",
        Method::Context => "context",
        Method::Describe => "subrequests.describe",
        Method::Outline => "outline",
        Method::Targets => "targets",
    }
}

/// Whether something is asked about the Dockerfile, and nothing built.
fn is_asked(target: &Target) -> bool {
    target.call.as_deref().is_some_and(|call| !call.is_empty() && call != "build")
}

/// Prints the answer about one target, below its name.
fn ask(
    target: &Target,
    (args, origin): (&BakeArgs, Origin<'_>),
    session: &Session,
) -> Result<(), Failure> {
    let asked = flags::of(target, (args, origin), &flags::Asked::Question)?;
    session.print(&target.name)?;
    if let Some(description) = target.description.as_ref().filter(|text| !text.is_empty()) {
        session.print(description)?;
    }
    session.print("")?;
    let dockerfile = dockerfile(target, origin)?;
    build::ask(&asked, dockerfile, session)
        .map_err(|failure| failure.within(target.name.clone()))?;
    session.print("")
}

/// The Dockerfile of a target that is not where its context is.
fn dockerfile(target: &Target, origin: Origin<'_>) -> Result<Option<Dockerfile>, Failure> {
    if let Some(text) = &target.dockerfile_inline {
        return Dockerfile::of_bytes("Dockerfile", text.as_bytes()).map(Some);
    }
    let here = target.dockerfile.as_deref().and_then(|path| path.strip_prefix(HERE));
    match (here, origin.place(target)) {
        (Some(path), Place::Elsewhere(_) | Place::Within { .. }) => {
            Dockerfile::alone(path).map(Some)
        }
        (Some(_), Place::Directory(_)) | (None, _) => Ok(None),
    }
}

/// What is wrong with a definition: its line, then why.
pub(crate) fn failure(error: &BakeError) -> Failure {
    let remedy = error.remedy();
    let shown = error.place.as_ref().map(|place| format!("{} | {}", place.line, place.text));
    let text = error.to_string();
    let clean = |line: String| {
        crate::render::sanitize::text(line.as_bytes(), crate::render::sanitize::Medium::Log)
    };
    let failure = Failure::usage(text).known_as(ErrorCode::Definition);
    failure.exhibit(shown.map(clean)).advised(remedy)
}

pub(crate) fn problem(problem: Problem) -> Failure {
    failure(&BakeError { place: None, problem })
}
