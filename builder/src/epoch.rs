//! `SOURCE_DATE_EPOCH` where it is a name: the time of the main context, of a named context, or of a
//! stage that is something remote.

use std::borrow::Cow;

use wythe_dockerfile::ast::Dockerfile;
use wythe_dockerfile::stage::{Stage, Stages, stages};

use crate::environment::Environment;
use crate::error::BuildCause;
use crate::fetch::time;
use crate::lower::{LowerError, Surroundings, global_value, lower};
use crate::operation::Operation;
use crate::operation::copy::CopySource;
use crate::options::EPOCH;
use crate::options::{NamedContext, Options};
use crate::remote::repository::Repository;

/// The options with a number in the place of a name, and without an epoch where what is named has
/// no time of its own. `context` is the time of the main context.
///
/// A default that the Dockerfile gives before its first stage counts as well.
pub(crate) fn settle<'o>(
    env: Environment<'_>,
    around: Surroundings<'o>,
    file: &Dockerfile,
    context: Option<i64>,
) -> Result<Cow<'o, Options>, BuildCause> {
    let options = around.options;
    let value = match options.build_args.get(EPOCH) {
        Some(given) => given.clone(),
        // What is wrong with arguments is told by lowering, beside findings about them.
        None => global_value(file, around, EPOCH).unwrap_or_default().unwrap_or_default(),
    };
    if value.is_empty() {
        return Ok(Cow::Borrowed(options));
    }
    let seconds = match value.parse() {
        Ok(seconds) => Some(seconds),
        Err(_) if value == "context" => context,
        Err(_) => named(env, around, file, &value)?,
    };
    let mut settled = options.clone();
    // Empty is no epoch, and hides a default of the Dockerfile.
    let text = seconds.map(|seconds: i64| seconds.to_string()).unwrap_or_default();
    settled.build_args.insert(EPOCH.to_owned(), text);
    Ok(Cow::Owned(settled))
}

fn named(
    env: Environment<'_>,
    around: Surroundings<'_>,
    file: &Dockerfile,
    name: &str,
) -> Result<Option<i64>, BuildCause> {
    let options = around.options;
    match options.contexts.get(&name.to_lowercase()) {
        Some(NamedContext::Url(url)) => return time::of_url(env, options, url),
        Some(NamedContext::Git(address)) => {
            let repository = Repository::of_context(options, address)?;
            return time::of_repository(env, options, &repository).map(Some);
        }
        // Files of this machine have the times of whoever put them there.
        Some(_) => return Ok(None),
        None => {}
    }
    let all: Stages<'_> = stages(file);
    let Some(stage) = all.find(name) else {
        let error = LowerError::nowhere(format!("invalid {EPOCH}: {name}"))
            .help("give seconds since 1970, context, or the name of a context or stage");
        return Err(error.into());
    };
    match only_source(around, file, stage, name)? {
        CopySource::Url(url) => time::of_url(env, options, &url),
        CopySource::Git(repository) => time::of_repository(env, options, &repository).map(Some),
        CopySource::Path(_) | CopySource::Heredoc { .. } => Err(unfit(stage, name).into()),
    }
}

/// What a stage adds, if that is one thing and all that the stage is.
fn only_source(
    around: Surroundings<'_>,
    file: &Dockerfile,
    stage: &Stage<'_>,
    name: &str,
) -> Result<CopySource, LowerError> {
    let mut options = around.options.clone();
    options.build_args.insert(EPOCH.to_owned(), String::new());
    let around = Surroundings { options: &options, target: Some(name), ..around };
    let mut vertices = lower(file, around)?.graph.vertices;
    let only = vertices.pop().filter(|_| vertices.is_empty()).map(|vertex| vertex.operation);
    let source = match only {
        Some(Operation::Copy(mut step)) if step.sources.len() == 1 => step.sources.pop(),
        _ => None,
    };
    source.ok_or_else(|| unfit(stage, name))
}

fn unfit(stage: &Stage<'_>, name: &str) -> LowerError {
    let message = format!("stage {name:?} has no time that could be the {EPOCH}");
    LowerError::at(stage.instruction.span, message)
        .help("it has to be FROM scratch with one ADD of an address")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use wythe_dockerfile::parse::parse;
    use wythe_registry::client::Client;
    use wythe_registry::settings::Settings;
    use wythe_store::oci::platform::Platform;
    use wythe_store::store::{OpenOptions, Store};
    use wythe_store::timestamp::Timestamp;

    use super::*;
    use crate::bases::ImageBases;
    use crate::builder::Builder;
    use crate::remote::{HttpRequest, HttpResponse, Remote, RemoteError};

    /// Serves an archive of a directory, a file and a link, of the times 9, 7 and 8; at `/dated` with
    /// a time of its own.
    struct Server;

    impl Remote for Server {
        fn get(&self, request: &HttpRequest) -> Result<HttpResponse, RemoteError> {
            let mut archive = tar::Builder::new(Vec::new());
            let kinds =
                [tar::EntryType::Directory, tar::EntryType::Regular, tar::EntryType::Symlink];
            for ((kind, name), time) in kinds.into_iter().zip(["d", "d/f", "l"]).zip([9, 7, 8]) {
                let mut header = tar::Header::new_ustar();
                header.set_entry_type(kind);
                header.set_mtime(time);
                header.set_size(0);
                if kind == tar::EntryType::Symlink {
                    header.set_link_name("d").unwrap();
                }
                archive.append_data(&mut header, name, std::io::empty()).unwrap();
            }
            let date = "Thu, 01 Jan 1970 00:00:03 GMT".to_owned();
            Ok(HttpResponse {
                status: 200,
                etag: None,
                last_modified: request.url.ends_with("/dated").then_some(date),
                body: Box::new(Cursor::new(archive.into_inner().unwrap())),
            })
        }
    }

    /// What an epoch becomes in a Dockerfile.
    fn settled(text: &str, given: Option<&str>) -> Result<Option<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
        let builder = Builder::open(&store, Timestamp::default()).unwrap();
        let images = Client::new(Settings::default());
        let env = Environment { remote: &Server, ..builder.environment(&images, &()) };
        let platform = Platform::linux("amd64");
        let mut options = Options::new(platform.clone());
        options.build_args.extend(given.map(|value| (EPOCH.to_owned(), value.to_owned())));
        let url = |path: &str| NamedContext::Url(format!("http://h/{path}"));
        options.contexts.insert("dated".to_owned(), url("dated"));
        options.contexts.insert("archive".to_owned(), url("a.tar"));
        options.contexts.insert("local".to_owned(), NamedContext::Directory(".".into()));
        let bases = ImageBases::new(env, &options);
        let around =
            Surroundings { options: &options, bases: &bases, target: None, platform: &platform };
        let settled = settle(env, around, &parse(text).dockerfile, Some(5));
        let settled = settled.map_err(|error| error.to_string())?;
        Ok(settled.build_args.get(EPOCH).cloned())
    }

    const TEXT: &str = "ARG V=a.tar\nFROM scratch AS src\nARG V\nADD http://h/$V /\n\
        FROM scratch AS own\nCOPY a /\nFROM scratch AS two\nADD http://h/1 http://h/2 /\n";

    #[test]
    fn a_name_becomes_the_time_of_what_it_stands_for() {
        for (given, expected) in [
            ("12", "12"),
            ("context", "5"),
            ("dated", "3"),
            ("Archive", "7"),
            ("src", "7"),
            ("local", ""),
            ("", ""),
        ] {
            assert_eq!(settled(TEXT, Some(given)), Ok(Some(expected.to_owned())), "{given}");
        }
    }

    #[test]
    fn a_name_that_stands_for_no_time_is_refused() {
        for (given, expected) in [("own", "no time"), ("two", "no time"), ("abc", "invalid")] {
            let error = settled(TEXT, Some(given)).unwrap_err();
            assert!(error.contains(expected), "{given}: {error}");
        }
    }

    #[test]
    fn the_dockerfile_may_have_a_default() {
        let text = "ARG SOURCE_DATE_EPOCH=context\nFROM scratch\n";
        assert_eq!(settled(text, None), Ok(Some("5".to_owned())));
        assert_eq!(settled(text, Some("6")), Ok(Some("6".to_owned())));
        assert_eq!(settled("FROM scratch\n", None), Ok(None));
    }
}
