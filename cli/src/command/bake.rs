//! `wythe bake`: the targets of a definition, each a build, all of them beside each other.

mod crew;
mod files;
mod flags;
mod list;
mod outside;

use serde_json::{Map, Value};
use wythe_bake::definition::Definition;
use wythe_bake::error::{BakeError, Problem};
use wythe_bake::overrides::Override;
use wythe_bake::plan::Plan;
use wythe_bake::target::Target;

use self::crew::Crew;
use self::outside::Outside;
use crate::args::bake::BakeArgs;
use crate::args::call::Method;
use crate::command::build;
use crate::failure::Failure;
use crate::session::Session;

/// Shows, asks or builds.
pub(crate) fn run(args: &BakeArgs, session: &Session) -> Result<(), Failure> {
    refuse_remote(args)?;
    let outside = Outside::new(&args.definition.var, &session.settings)?;
    let files = files::read(&args.definition.files, &session.settings)?;
    let definition = Definition::read(files, &outside).map_err(|error| failure(&error))?;
    if let Some(list) = args.definition.list {
        return list::print(list, &definition, session);
    }
    for warning in definition.warnings() {
        session.remark(&warning.to_string());
    }
    let overrides = overrides(args)?;
    let default = ["default".to_owned()];
    let targets = if args.targets.is_empty() { &default[..] } else { &args.targets };
    let plan = definition.plan(targets, &overrides, &outside).map_err(|error| failure(&error))?;
    if args.definition.print.is_on() {
        return session.print(&plan.to_json());
    }
    grant(&plan, &args.allow)?;
    let asked: Vec<&Target> = plan.in_order().into_iter().filter(|one| is_asked(one)).collect();
    for target in &asked {
        ask(target, args, session)?;
    }
    if asked.len() == plan.targets.len() {
        return Ok(());
    }
    let metadata = Crew::new(&plan, args, session)?.build()?;
    if let Some(path) = &args.result.metadata_file {
        let all: Map<String, Value> = metadata.into_iter().collect();
        build::deliver::write_text(path, &format!("{:#}\n", Value::Object(all)))?;
    }
    Ok(())
}

/// Definitions of repositories are not fetched.
fn refuse_remote(args: &BakeArgs) -> Result<(), Failure> {
    match args.targets.first() {
        Some(first) if flags::is_remote(first) => {
            let text = format!("definitions are not fetched: {first}");
            Err(Failure::usage(text).remedy("clone the repository, and run this in it"))
        }
        _ => Ok(()),
    }
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
    let method = if args.check.is_on() { Some(Method::Check) } else { method };
    texts.extend(method.map(|method| format!("*.call={}", name(method))));
    let parsed = texts.iter().map(|text| Override::parse(text).map_err(problem));
    parsed.collect()
}

fn attestation(kind: &str, text: &str) -> String {
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
fn ask(target: &Target, args: &BakeArgs, session: &Session) -> Result<(), Failure> {
    let asked = flags::of(target, args, &flags::Asked::Question)?;
    session.print(&target.name)?;
    if let Some(description) = target.description.as_ref().filter(|text| !text.is_empty()) {
        session.print(description)?;
    }
    session.print("")?;
    build::ask(&asked, target.dockerfile_inline.as_deref(), session)
        .map_err(|failure| failure.within(target.name.clone()))?;
    session.print("")
}

/// Refuses what targets may do beyond the usual, unless it is granted.
fn grant(plan: &Plan, granted: &[String]) -> Result<(), Failure> {
    for target in plan.targets.values() {
        for wanted in target.entitlements.iter().flatten() {
            if !granted.contains(wanted) {
                let text = format!("the target {} asks for {wanted}", target.name);
                let remedy = format!("grant it with --allow {wanted}");
                return Err(Failure::usage(text).remedy(remedy));
            }
        }
    }
    Ok(())
}

/// What is wrong with a definition: its line, then why.
fn failure(error: &BakeError) -> Failure {
    let remedy = error.remedy();
    let shown = error.place.as_ref().map(|place| format!("{} | {}", place.line, place.text));
    let text = error.to_string();
    let clean = |line: String| {
        crate::render::sanitize::text(line.as_bytes(), crate::render::sanitize::Medium::Log)
    };
    Failure::usage(text).exhibit(shown.map(clean)).advised(remedy)
}

fn problem(problem: Problem) -> Failure {
    failure(&BakeError { place: None, problem })
}
