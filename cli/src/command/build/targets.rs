//! Which target each name and each output is meant for, where there are several.

use std::collections::BTreeMap;

use wythe_store::oci::reference::Reference;

use super::deliver::outputs;
use crate::args::build::BuildArgs;
use crate::args::image_name::ImageName;
use crate::args::output::{Output, OutputArg, Push};
use crate::failure::Failure;

/// Refuses what would be found impossible only after everything was built: names of several
/// images, or of none, and pushes without a name.
pub(crate) fn refuse_unclear(args: &BuildArgs) -> Result<(), Failure> {
    let targets = lower(&args.input.targets());
    let tags: Vec<&ImageName> = args.result.tag.iter().collect();
    distinct(&tags, &targets)?;
    all_known(&tags, &targets)?;
    for OutputArg { target, output } in outputs(&args.result) {
        let chosen = match target {
            None => targets.clone(),
            Some(name) => vec![known(name, &targets)?],
        };
        let own: Vec<&ImageName> = output.names().iter().collect();
        all_known(&own, &chosen)?;
        let names = [tags.as_slice(), &own].concat();
        distinct(&names, &chosen)?;
        if matches!(output, Output::Image { push: Push::ByDigest | Push::ByName, .. }) {
            chosen.iter().try_for_each(|target| nameable(&names, target))?;
        }
    }
    Ok(())
}

/// The names of the targets as stages have them; one that nobody can write for the last stage.
fn lower(targets: &[String]) -> Vec<String> {
    match targets {
        [] => vec![String::new()],
        targets => targets.iter().map(|name| name.to_lowercase()).collect(),
    }
}

/// A target that is built.
fn known(name: String, targets: &[String]) -> Result<String, Failure> {
    if targets.contains(&name) {
        return Ok(name);
    }
    let text = format!("something is said of the target {name:?}, which is not built");
    Err(Failure::usage(text).remedy(format!("name it with --target {name}")))
}

/// Refuses a name of a target that is not built.
fn all_known(names: &[&ImageName], targets: &[String]) -> Result<(), Failure> {
    let mut named = names.iter().filter_map(|name| name.target.clone());
    named.try_for_each(|name| known(name, targets).map(drop))
}

/// Refuses a name that stands for two images.
fn distinct(names: &[&ImageName], targets: &[String]) -> Result<(), Failure> {
    let mut owners: BTreeMap<Reference, &str> = BTreeMap::new();
    for target in targets {
        for name in names.iter().filter(|name| name.is_of(target)) {
            // The last stage may be called anything, and is alone.
            let reference = name.reference(if target.is_empty() { "default" } else { target })?;
            if let Some(other) = owners.insert(reference, target).filter(|other| other != target) {
                let text = format!("{} would name the images of {other} and {target}", name.text());
                let remedy = format!("write {other}={}, or {{target}} in the name", name.text());
                return Err(Failure::usage(text).remedy(remedy));
            }
        }
    }
    Ok(())
}

/// Refuses to push an image that has no name.
fn nameable(names: &[&ImageName], target: &str) -> Result<(), Failure> {
    if names.iter().any(|name| name.is_of(target)) {
        return Ok(());
    }
    let (text, remedy) = match target {
        "" => ("an image without a name cannot be pushed".to_owned(), "give --tag".to_owned()),
        name => (
            format!("the image of {name} has no name, and cannot be pushed"),
            format!("give --tag {name}=NAME"),
        ),
    };
    Err(Failure::usage(text).remedy(remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::command::Command;

    #[track_caller]
    fn check(flags: &str, refusal: Option<&str>) {
        let words = ["wythe", "build", "."].into_iter().chain(flags.split_whitespace());
        let Command::Build(args) = Cli::of(&words.collect::<Vec<_>>()).unwrap().command else {
            panic!("not a build")
        };
        let lines = refuse_unclear(&args).err().map(|failure| failure.lines().join("\n"));
        match (refusal, lines) {
            (None, None) => {}
            (Some(text), Some(lines)) => assert!(lines.contains(text), "{flags}: {lines}"),
            (_, lines) => panic!("{flags}: {lines:?}"),
        }
    }

    #[test]
    fn a_name_stands_for_one_image() {
        check("-t app", None);
        check("--target one -t app", None);
        check("--target one,ONE -t app", None);
        check("--target one,two -t app", Some("app would name the images of one and two"));
        check("--target one --target two -t one=app -t Two=app:2 -t {target}:3", None);
        check("--target one,two -t one=app -t two=app", Some("app would name"));
        check("--target one,two -o type=image,name=app", Some("app would name"));
        check("--target one,two -o type=image,name=app,target=two", None);
        check("--target one,two -t one=app -o type=image,name=two=app", Some("app would name"));
    }

    #[test]
    fn what_is_said_of_a_target_that_is_not_built_is_a_mistake() {
        check("-t one=app", Some("\"one\", which is not built"));
        check("--target one,two -t three=app", Some("--target three"));
        check("--target one,two -o type=local,dest=d,target=three", Some("\"three\""));
    }

    #[test]
    fn every_image_that_is_pushed_has_a_name() {
        check("--push", Some("give --tag"));
        check("--target one,two --push -t one=app", Some("give --tag two=NAME"));
        check("--target one,two --push -t r/{target}", None);
        check("--target one,two -o type=registry,target=one -t one=app", None);
    }
}
