//! `wythe compose build`: the services of a Compose project that are built, without docker.

mod files;

use std::collections::BTreeMap;

use wythe_bake::compose::project::{Dependencies, ImagesGo, Project};
use wythe_bake::definition::HERE;
use wythe_bake::overrides::Override;
use wythe_bake::plan::Plan;

use crate::args::Cli;
use crate::args::bake::BakeArgs;
use crate::args::compose::{ComposeArgs, ComposeBuildArgs, ComposeCommand, ProjectArgs};
use crate::args::key_value::KeyValue;
use crate::command::Command;
use crate::command::bake::flags::Origin;
use crate::command::bake::outside::Outside;
use crate::command::bake::{self, remote};
use crate::command::build;
use crate::failure::{Class, Failure};
use crate::session::Session;

/// Shows or builds.
pub(crate) fn run(args: &ComposeArgs, session: &Session) -> Result<(), Failure> {
    let ComposeCommand::Build(asked) = &args.command;
    if !asked.print.is_on() {
        build::settle(&asked.common.steps, session)?;
    }
    let outside = Outside::new(&[], (None, HERE), &session.settings)?;
    let (found, options) = files::project(&args.project, &outside, session)?;
    let project =
        Project::read(found, &options, &outside).map_err(|error| bake::failure(&error))?;
    let plan = plan(&project, asked, &outside, session)?;
    if plan.targets.is_empty() {
        session.remark("no service is built here");
        return Ok(());
    }
    if asked.print.is_on() {
        return session.print(&plan.to_json());
    }
    let secrets = remote::secret_flags(&session.settings);
    let origin = Origin { url: None, secrets: &secrets, variables: Some(project.variables()) };
    bake::carry_out(&plan, (None, origin), &flags(&args.project, asked)?, session)
}

fn plan(
    project: &Project,
    build: &ComposeBuildArgs,
    outside: &Outside<'_>,
    session: &Session,
) -> Result<Plan, Failure> {
    let needs =
        if build.with_dependencies.is_on() { Dependencies::All } else { Dependencies::Contexts };
    let images = if build.push.is_on() { ImagesGo::Pushed } else { ImagesGo::Nowhere };
    let value =
        |name: &str| session.settings.text(name).or_else(|| project.variables().get(name).cloned());
    let overrides = overrides(build, &value);
    let overrides = overrides.iter().map(|text| Override::parse(text).map_err(bake::problem));
    let overrides: Vec<Override> = overrides.collect::<Result<_, _>>()?;
    let plan = project.plan(&build.services, (needs, images), &overrides, outside);
    plan.map_err(|error| bake::failure(&error))
}

/// What the flags change of every service, as `--set` of bake says it.
fn overrides(build: &ComposeBuildArgs, value: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut texts = Vec::new();
    for KeyValue { key, value: given } in &build.build_arg {
        let value = given.clone().or_else(|| value(key));
        texts.extend(value.map(|value| format!("*.args.{key}={value}")));
    }
    texts.extend(build.ssh.iter().map(|text| format!("*.ssh+={text}")));
    for (key, switch) in [("pull", build.pull), ("no-cache", build.no_cache)] {
        if switch.is_on() {
            texts.push(format!("*.{key}=true"));
        }
    }
    if build.common.checks.check.is_on() {
        texts.push("*.call=check".to_owned());
    }
    for (kind, text) in [("provenance", &build.provenance), ("sbom", &build.sbom)] {
        texts.extend(text.as_ref().map(|text| bake::attestation(kind, text)));
    }
    texts
}

/// The flags of bake that say the same.
fn flags(project: &ProjectArgs, build: &ComposeBuildArgs) -> Result<BakeArgs, Failure> {
    let mut words = vec!["wythe".to_owned(), "bake".to_owned()];
    let parallel = project.parallel.filter(|parallel| *parallel > 0).map(|n| n.to_string());
    let jobs = build.jobs.map(|jobs| jobs.to_string()).or(parallel);
    words.extend(jobs.map(|jobs| format!("--jobs={jobs}")));
    let metadata = build.metadata_file.as_ref();
    words.extend(metadata.map(|path| format!("--metadata-file={}", path.display())));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match Cli::of(&words).map(|cli| cli.command) {
        Ok(Command::Bake(args)) => Ok(BakeArgs { common: build.common.clone(), ..*args }),
        Ok(_) => Err(Failure::new(Class::Internal, "these are no flags of bake")),
        Err(error) => Err(Failure::usage(error.to_string())),
    }
}

/// Variables of files, for what looks for them beside those of the environment.
pub(crate) type Variables = BTreeMap<String, String>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_change_every_service() {
        let words = "wythe compose build --build-arg A=1 --build-arg B --build-arg C --pull --check \
                     --ssh default --provenance=mode=max";
        let words: Vec<&str> = words.split_whitespace().collect();
        let Command::Compose(args) = Cli::of(&words).unwrap().command else {
            panic!("not compose")
        };
        let ComposeCommand::Build(build) = args.command;
        let found = overrides(&build, &|name| (name == "B").then(|| "b".to_owned()));
        let expected = [
            "*.args.A=1",
            "*.args.B=b",
            "*.ssh+=default",
            "*.pull=true",
            "*.call=check",
            "*.attest=type=provenance,mode=max",
        ];
        assert_eq!(found, expected);
    }
}
