//! `wythe install-docker-plugin`: the link through which docker finds this program.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::args::store::DockerPluginArgs;
use crate::failure::{Class, Failure};
use crate::plugin::NAME;
use crate::session::Session;

/// Makes the link, or removes it. What is no link of ours stays, whatever was asked for.
pub(crate) fn run(args: &DockerPluginArgs, session: &Session) -> Result<(), Failure> {
    let Some(configuration) = session.settings.docker_config() else {
        let failure = Failure::new(Class::Environment, "cannot tell where docker's plugins are");
        return Err(failure.remedy("set HOME or DOCKER_CONFIG"));
    };
    let link = configuration.with_file_name("cli-plugins").join(NAME);
    let program = std::env::current_exe();
    let program = program.map_err(|error| Failure::of(Class::Environment, &error))?;
    let failed = |error: io::Error| {
        let text = format!("cannot change {}", link.display());
        Failure::new(Class::Environment, text).because(&error)
    };
    let found = found(&link, &program).map_err(failed)?;
    if let Found::Other(what) = &found {
        let text = format!("{} is {what}, and stays", link.display());
        return Err(Failure::usage(text).remedy("move it away first"));
    }
    if args.remove.is_on() {
        return match found {
            Found::Nothing => session.print(&format!("{} is not there", link.display())),
            Found::Ours | Found::Other(_) => {
                fs::remove_file(&link).map_err(failed)?;
                session.print(&format!("{} removed", link.display()))
            }
        };
    }
    if found == Found::Ours {
        fs::remove_file(&link).map_err(failed)?;
    }
    link.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
    symlink(&program, &link).map_err(failed)?;
    session.print(&link.display().to_string())
}

/// What is in the place of the link.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Found {
    Nothing,
    /// A link to this program, or to one of its name that may have moved.
    Ours,
    /// Something else, in words.
    Other(String),
}

fn found(link: &Path, program: &Path) -> io::Result<Found> {
    let target: PathBuf = match fs::read_link(link) {
        Ok(target) => target,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) if error.kind() == ErrorKind::InvalidInput => {
            return Ok(Found::Other("another program".to_owned()));
        }
        Err(error) => return Err(error),
    };
    let is_ours = target == program || target.file_name() == program.file_name();
    Ok(if is_ours { Found::Ours } else { Found::Other(format!("a link to {}", target.display())) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_link_of_ours_is_ours() {
        let folder = tempfile::tempdir().unwrap();
        let (link, program) = (folder.path().join(NAME), Path::new("/opt/wythe"));
        assert_eq!(found(&link, program).unwrap(), Found::Nothing);
        symlink("/usr/bin/wythe", &link).unwrap();
        assert_eq!(found(&link, program).unwrap(), Found::Ours, "the program has moved");
        fs::remove_file(&link).unwrap();
        symlink("/usr/libexec/docker-buildx", &link).unwrap();
        assert!(matches!(found(&link, program).unwrap(), Found::Other(_)));
        fs::remove_file(&link).unwrap();
        fs::write(&link, "").unwrap();
        assert!(matches!(found(&link, program).unwrap(), Found::Other(_)));
    }
}
