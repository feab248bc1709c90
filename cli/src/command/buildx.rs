//! `docker buildx`: what it asks of builders, which here is one and needs no daemon.

use serde_json::{Value, json};

use crate::args::buildx::{
    BuildxCommand, CreateBuilderArgs, ImagetoolsArgs, ImagetoolsCommand, InspectBuilderArgs,
    ListBuildersArgs,
};
use crate::args::call::AnswerFormat;
use crate::command::{manifest, past_builds};
use crate::failure::Failure;
use crate::plugin;
use crate::render::table::Table;
use crate::session::Session;
use crate::{host, stored_image};

/// Does what is not a command of ours under another name.
pub(crate) fn run(command: &BuildxCommand, session: &Session) -> Result<(), Failure> {
    match command {
        BuildxCommand::Create(args) => create(args, session),
        BuildxCommand::History(args) => past_builds::run(&args.command, session),
        BuildxCommand::Imagetools(ImagetoolsArgs { command: ImagetoolsCommand::Inspect(args) }) => {
            manifest::imagetools_inspect(args, session)
        }
        BuildxCommand::Inspect(args) => inspect(args, session),
        BuildxCommand::Ls(args) => list(args, session),
        BuildxCommand::Rm(args) => {
            args.names.iter().try_for_each(|name| session.print(&format!("{name} removed")))
        }
        BuildxCommand::Version(_) => session.print(&version()),
        // Commands of ours under other names; nothing runs, there is one builder, and docker asks it as long as the plugin is there.
        BuildxCommand::Bake(_)
        | BuildxCommand::Build(_)
        | BuildxCommand::Du(_)
        | BuildxCommand::Imagetools(_)
        | BuildxCommand::Install
        | BuildxCommand::Prune(_)
        | BuildxCommand::Stop(_)
        | BuildxCommand::Uninstall
        | BuildxCommand::Use(_) => Ok(()),
    }
}

/// The version in the form in which programs look for it: a module, a version and a revision.
fn version() -> String {
    format!("github.com/docker/buildx {} wythe-{}", plugin::SPOKEN, env!("CARGO_PKG_VERSION"))
}

fn create(args: &CreateBuilderArgs, session: &Session) -> Result<(), Failure> {
    let idle = args.without_effect();
    if !idle.is_empty() {
        session.remark(&format!("builds run here, whatever is said of {}", idle.join(", ")));
    }
    session.print(args.name.as_deref().unwrap_or(NAME))
}

/// What the builder is called where nobody calls it anything.
const NAME: &str = "default";

/// What a builder is, and what is behind it: one node, the store.
struct Builder {
    endpoint: String,
    platforms: Vec<String>,
}

impl Builder {
    fn of(session: &Session) -> Result<Self, Failure> {
        let emulators = host::emulators(&session.settings);
        let emulated = emulators.architectures().into_iter().map(|name| format!("linux/{name}"));
        let own = stored_image::this_machine().to_string();
        let platforms = [own.clone()].into_iter().chain(emulated.filter(|name| *name != own));
        let endpoint = session.store_path()?.display().to_string();
        Ok(Self { endpoint, platforms: platforms.collect() })
    }
}

fn inspect(args: &InspectBuilderArgs, session: &Session) -> Result<(), Failure> {
    let (name, Builder { endpoint, platforms }) = (&args.name, Builder::of(session)?);
    let (buildkit, platforms) = (plugin::BUILDKIT, platforms.join(", "));
    session.print(&format!("Name:   {name}\nDriver: docker-container\n\nNodes:"))?;
    session.print(&format!("Name:             {name}\nEndpoint:         {endpoint}"))?;
    session.print(&format!("Status:           running\nBuildKit version: {buildkit}"))?;
    session.print(&format!("Platforms:        {platforms}"))
}

fn list(args: &ListBuildersArgs, session: &Session) -> Result<(), Failure> {
    let Builder { endpoint, platforms } = Builder::of(session)?;
    let buildkit = plugin::BUILDKIT;
    match args.format {
        AnswerFormat::Json => {
            let node = json!({
                "Name": NAME,
                "Endpoint": endpoint,
                "Status": "running",
                "Version": buildkit,
                "Platforms": platforms,
            });
            let builder: Value = json!({
                "Name": NAME,
                "Driver": "docker-container",
                "Dynamic": false,
                "Current": true,
                "Nodes": [node],
            });
            session.print(&builder.to_string())
        }
        AnswerFormat::Text => {
            let heading = ["NAME/NODE", "DRIVER/ENDPOINT", "STATUS", "BUILDKIT", "PLATFORMS"];
            let mut table = Table::new(heading);
            let [empty, running] = ["", "running"].map(str::to_owned);
            let driver = "docker-container".to_owned();
            table.push([format!("{NAME}*"), driver, empty.clone(), empty.clone(), empty]);
            let (node, platforms) = (format!(" \\_ {NAME}"), platforms.join(", "));
            let endpoint = format!(" \\_ {endpoint}");
            table.push([node, endpoint, running, buildkit.to_owned(), platforms]);
            table.lines().iter().try_for_each(|line| session.print(line))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_find_the_version_where_they_look_for_it() {
        // The toolkit of the GitHub actions takes the first word that is a version.
        let text = version();
        let mut words = text.split(' ');
        assert_eq!(words.next(), Some("github.com/docker/buildx"));
        let numbers = words.next().unwrap().trim_start_matches('v').split('.');
        let numbers: Vec<u32> = numbers.map(|number| number.parse().unwrap()).collect();
        assert!(numbers >= vec![0, 17, 0], "{text}");
    }
}
