//! What targets may do beyond the usual, and what a definition from elsewhere may touch of this machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use wythe_bake::definition::HERE;
use wythe_bake::plan::Plan;
use wythe_bake::target::Target;

use crate::args::switch::Switch;
use crate::failure::{Class, Failure};
use crate::settings::Settings;

/// Set and true, definitions from elsewhere may touch any file.
const FREE: &str = "BAKE_ALLOW_REMOTE_FS_ACCESS";

/// Set and false, files need no grants.
const CHECKED: &str = "BUILDX_BAKE_ENTITLEMENTS_FS";

/// Refuses what targets may do beyond the usual, unless it is granted.
pub(super) fn entitlements(plan: &Plan, granted: &[String]) -> Result<(), Failure> {
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

/// Refuses what a definition from elsewhere asks for of this machine's files and keys: whoever wrote it does
/// not own them. What is below the working directory needs no grant.
pub(super) fn files(plan: &Plan, granted: &[String], settings: &Settings) -> Result<(), Failure> {
    let switch = |name: &str| settings.text(name)?.parse::<Switch>().ok();
    if switch(FREE).is_some_and(Switch::is_on) || switch(CHECKED).is_some_and(|one| !one.is_on()) {
        return Ok(());
    }
    let here = std::fs::canonicalize(".");
    let here = here.map_err(|error| Failure::of(Class::Environment, &error))?;
    for target in plan.targets.values() {
        for Asked { access, path } in asked(target) {
            let keys = [format!("fs.{}=", access.name()), "fs=".to_owned()];
            let roots = keys
                .iter()
                .flat_map(|key| granted.iter().filter_map(|one| one.strip_prefix(&**key)));
            let is_granted = |root: &str| root == "*" || is_within(&path, &here.join(root));
            if is_within(&path, &here) || roots.clone().any(is_granted) {
                continue;
            }
            let text =
                format!("the target {} is to {} {}", target.name, access.name(), path.display());
            let remedy = format!(
                "the definition is from elsewhere: grant it with --allow fs.{}={}",
                access.name(),
                path.display()
            );
            return Err(Failure::usage(text).remedy(remedy));
        }
        if target.ssh.iter().flatten().any(|one| one.paths.is_empty())
            && !granted.iter().any(|one| one == "ssh")
        {
            let text = format!("the target {} asks for the agent of your keys", target.name);
            let remedy = "the definition is from elsewhere: grant it with --allow ssh";
            return Err(Failure::usage(text).remedy(remedy));
        }
    }
    Ok(())
}

/// What is done with a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Access {
    Read,
    Write,
}

impl Access {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

#[derive(Debug, Eq, PartialEq)]
struct Asked {
    access: Access,
    path: PathBuf,
}

/// The files of this machine that a target is made from or goes to.
fn asked(target: &Target) -> Vec<Asked> {
    let mut all = Vec::new();
    let mut push = |access, path: &str| {
        if !path.is_empty() && path != "-" {
            all.push(Asked { access, path: PathBuf::from(path) });
        }
    };
    let local = [target.context.as_ref(), target.dockerfile.as_ref()].into_iter().flatten();
    let local = local.chain(target.contexts.iter().flat_map(|all| all.values()));
    for path in local {
        if let Some(path) = path.strip_prefix(HERE) {
            push(Access::Read, if path.is_empty() { "." } else { path });
        } else if let Some(layout) = path.strip_prefix("oci-layout://") {
            push(Access::Read, layout.split('@').next().unwrap_or(layout));
        }
    }
    target.secrets.iter().flatten().for_each(|one| push(Access::Read, &one.source));
    let keys = target.ssh.iter().flatten().flat_map(|one| &one.paths);
    keys.for_each(|path| push(Access::Read, path));
    for one in target.cache_from.iter().flatten() {
        push(Access::Read, one.attributes.get("src").map_or("", String::as_str));
    }
    for one in target.cache_to.iter().flatten() {
        push(Access::Write, one.attributes.get("dest").map_or("", String::as_str));
    }
    target.outputs.iter().flatten().for_each(|one| push(Access::Write, &one.destination));
    all
}

/// Whether a path, links followed as far as there are any, is below a directory.
fn is_within(path: &Path, root: &Path) -> bool {
    let root = real(root);
    real(path).starts_with(root)
}

/// The path that is meant: of what is not there yet, where it would be.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut missing: Vec<OsString> = Vec::new();
    for above in path.ancestors() {
        if let Ok(found) = above.canonicalize() {
            // What is above nothing cannot be followed; a step up from there leads out of every directory.
            let mut whole = found;
            for name in missing.iter().rev() {
                if name == ".." {
                    whole.pop();
                } else {
                    whole.push(name);
                }
            }
            return whole;
        }
        let last = above.components().next_back();
        missing.extend(last.map(|last| last.as_os_str().to_owned()));
    }
    path
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use wythe_bake::target::entry::{Output, Secret, Ssh};

    use super::*;

    fn plan(target: Target) -> Plan {
        Plan { targets: [("app".to_owned(), target)].into(), ..Plan::default() }
    }

    #[track_caller]
    fn refused(target: Target, expected: &str) {
        let failure = files(&plan(target), &[], &Settings::of(&[])).unwrap_err();
        assert!(failure.lines().join("\n").contains(expected), "{failure:?}");
    }

    #[test]
    fn files_outside_of_the_working_directory_are_granted_or_refused() {
        let secret = |source: &str| {
            let one = Secret { id: "s".to_owned(), source: source.to_owned(), ..Secret::default() };
            Target { secrets: Some(vec![one]), ..Target::default() }
        };
        refused(secret("/etc/passwd"), "--allow fs.read=/etc/passwd");
        refused(secret("../x"), "--allow fs.read=../x");
        let grants = |texts: &[&str]| texts.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let settings = Settings::of(&[]);
        for granted in [&["fs.read=/etc"], &["fs=/etc/passwd"], &["fs=*"]] {
            assert!(files(&plan(secret("/etc/passwd")), &grants(granted), &settings).is_ok());
        }
        let write = grants(&["fs.write=/etc"]);
        assert!(files(&plan(secret("/etc/passwd")), &write, &settings).is_err());
        assert!(files(&plan(secret("src/x")), &[], &settings).is_ok());
        let free = Settings::of(&[(FREE, "1")]);
        assert!(files(&plan(secret("/etc/passwd")), &[], &free).is_ok());
    }

    #[test]
    fn outputs_contexts_and_agents_are_asked_about_as_well() {
        let output =
            Output { kind: "local".to_owned(), destination: "/x".to_owned(), ..Output::default() };
        refused(Target { outputs: Some(vec![output]), ..Target::default() }, "fs.write=/x");
        refused(Target { context: Some("cwd://..".to_owned()), ..Target::default() }, "fs.read=..");
        let agent = Ssh { id: "default".to_owned(), paths: Vec::new() };
        refused(Target { ssh: Some(vec![agent]), ..Target::default() }, "--allow ssh");
        let inside = Target { context: Some("..".to_owned()), ..Target::default() };
        assert!(
            files(&plan(inside), &[], &Settings::of(&[])).is_ok(),
            "it is one of the repository"
        );
    }

    #[test]
    fn a_link_is_where_it_leads() {
        let folder = tempfile::tempdir().unwrap();
        symlink("/etc", folder.path().join("link")).unwrap();
        assert!(!is_within(&folder.path().join("link/passwd"), folder.path()));
        assert!(!is_within(&folder.path().join("nowhere/../../x"), folder.path()));
        assert!(is_within(&folder.path().join("not/there/yet"), folder.path()));
    }
}
