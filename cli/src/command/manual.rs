//! `wythe manual`.

use std::io;

use crate::args::Cli;
use crate::args::store::ManualArgs;
use crate::failure::{Class, Failure};
use crate::session::Session;

/// Prints the manual page of the program or of one of its commands.
pub(crate) fn run(args: &ManualArgs, session: &Session) -> Result<(), Failure> {
    let command = described(args.command.as_deref()).ok_or_else(|| {
        Failure::new(Class::Usage, "there is no such command").remedy("`wythe --help` lists them")
    })?;
    let page = page(command).map_err(|error| Failure::of(Class::Environment, &error))?;
    session.write(&page)
}

/// What is known of a command, under the name that its page has.
fn described(name: Option<&str>) -> Option<clap::Command> {
    let mut program = Cli::definition();
    let Some(name) = name else { return Some(program) };
    program.build();
    let command = program.find_subcommand(name)?.clone();
    Some(command.display_name(format!("wythe-{name}")))
}

fn page(command: clap::Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: Option<&str>) -> String {
        String::from_utf8(page(described(name).unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn a_command_has_a_page_with_its_flags() {
        let page = text(Some("build"));
        assert!(page.contains(".TH wythe-build 1"), "{page}");
        assert!(page.contains("build\\-context"), "{page}");
        assert!(text(None).contains("wythe\\-build(1)"));
        assert!(described(Some("brew")).is_none());
    }
}
