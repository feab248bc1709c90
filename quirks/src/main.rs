//! `wythe-quirks`: a registry with the peculiarities of real ones.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use wythe_quirks::certificates::FILES;
use wythe_quirks::fault::KINDS;
use wythe_quirks::quirks::Quirks;
use wythe_quirks::server::{IDENTITY_TOKEN, PASSWORD, Place, Server, USER};
use wythe_quirks::step::STEPS;
use wythe_quirks::switch::{self, Effect, SWITCHES};

fn main() -> ExitCode {
    let matches = definition().get_matches();
    let done = match matches.subcommand() {
        Some(("serve", matches)) => serve(matches),
        Some((_, matches)) => list(matches),
        None => Ok(()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nowhere else to say so.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn definition() -> Command {
    let address = |name, text| {
        Arg::new(name)
            .long(name)
            .value_name("ADDRESS:PORT")
            .value_parser(value_parser!(SocketAddr))
            .default_value(text)
    };
    let path = |name| Arg::new(name).long(name).value_parser(value_parser!(PathBuf));
    let called = |name| Arg::new(name).long(name).value_name("HOST");
    let serve = Command::new("serve")
        .about("Listen until killed")
        .after_help(format!(
            "The user is {USER}, the password {PASSWORD}, the identity token {IDENTITY_TOKEN}.\n\
             GET /-/counts gives the sums of what was asked, PUT /-/repositories/NAME makes one of those that are not there."
        ))
        .arg(address("listen", "127.0.0.1:5000").help("Where the registry is"))
        .arg(address("storage", "127.0.0.2:5001").help("Where its storage is"))
        .arg(
            path("directory")
                .value_name("DIR")
                .help("Where blobs are kept [default: that of temporary files]"),
        )
        .arg(path("journal").value_name("FILE").help("Write a line of JSON for each request"))
        .arg(called("name").help("What the registry is called in addresses and its certificate, where a proxy leads here"))
        .arg(called("storage-name").help("The same of the storage"))
        .arg(Arg::new("user").long("user").value_name("USER:PASSWORD").help("Who is let in in place of that user"))
        .arg(path("certificates").value_name("DIR").help(format!(
            "Where {} are written, if TLS is spoken [default: where blobs are kept]",
            FILES.join(", ")
        )));
    let serve = SWITCHES.iter().fold(serve, |serve, row| {
        let arg =
            Arg::new(row.name).long(row.name).help(format!("{} ({})", row.imitates, row.source));
        serve.arg(match row.effect {
            Effect::Value(form, _) => arg.value_name(form).action(ArgAction::Append),
            Effect::On(_) | Effect::Profile(_) => arg.action(ArgAction::SetTrue),
        })
    });
    let markdown = Arg::new("markdown").long("markdown").action(ArgAction::SetTrue);
    let list = Command::new("list")
        .about("Print the table of switches")
        .arg(markdown.help("As a page has it"));
    Command::new("wythe-quirks")
        .about("A registry with the peculiarities of real ones, for testing clients")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .subcommand(serve)
        .subcommand(list)
}

/// Profiles come first, whatever the order: what is named by itself counts.
fn quirks(matches: &ArgMatches) -> Result<Quirks, switch::SwitchError> {
    let mut quirks = Quirks::default();
    for row in SWITCHES {
        match row.effect {
            Effect::Value(..) => {
                let values = matches.get_many::<String>(row.name).unwrap_or_default();
                values.into_iter().try_for_each(|value| quirks.set(row.name, value))?;
            }
            Effect::On(_) | Effect::Profile(_) if matches.get_flag(row.name) => {
                quirks.set(row.name, "")?;
            }
            Effect::On(_) | Effect::Profile(_) => {}
        }
    }
    Ok(quirks)
}

fn serve(matches: &ArgMatches) -> Result<(), Box<dyn Error>> {
    let quirks = quirks(matches)?;
    let address = |name| matches.get_one::<SocketAddr>(name).copied();
    let path = |name| matches.get_one::<PathBuf>(name).cloned();
    let journal = path("journal").map(File::create).transpose()?;
    let directory = path("directory").unwrap_or_else(std::env::temp_dir);
    let certificates = path("certificates");
    let mut place = Place { journal, certificates, ..Place::here(directory) };
    place.registry = address("listen").unwrap_or(place.registry);
    place.storage = address("storage").unwrap_or(place.storage);
    let text = |name| matches.get_one::<String>(name).cloned();
    (place.name, place.storage_name) = (text("name"), text("storage-name"));
    if let Some((user, password)) = text("user").as_deref().and_then(|user| user.split_once(':')) {
        place.user = (user.to_owned(), password.to_owned());
    }
    let server = Server::start(quirks, place)?;
    writeln!(io::stdout(), "registry {} storage {}", server.registry(), server.storage())?;
    io::stdout().flush()?;
    loop {
        thread::park();
    }
}

fn list(matches: &ArgMatches) -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout().lock();
    if matches.get_flag("markdown") {
        return Ok(out.write_all(switch::markdown().as_bytes())?);
    }
    for row in SWITCHES {
        let value = if let Effect::Value(form, _) = row.effect { form } else { "" };
        writeln!(out, "--{} {value}\n    {}\n    {}", row.name, row.imitates, row.source)?;
    }
    let names = |all: &mut dyn Iterator<Item = &'static str>| all.collect::<Vec<_>>().join(" ");
    writeln!(out, "\nsteps: {}", names(&mut STEPS.iter().map(|(_, name)| *name)))?;
    writeln!(out, "kinds: {} 400-599", names(&mut KINDS.iter().map(|(_, name)| *name)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_switch_is_a_flag() {
        definition().debug_assert();
        let words =
            ["wythe-quirks", "serve", "--auth=open", "--ecr", "--fail=ping:500", "--fail=tags:503"];
        let matches = definition().get_matches_from(words);
        let quirks = quirks(matches.subcommand_matches("serve").unwrap()).unwrap();
        assert_eq!(quirks.faults.len(), 2);
        assert_eq!(quirks.door, wythe_quirks::quirks::Door::Open);
    }
}
