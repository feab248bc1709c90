//! Instructions in the spelling of an image's history.
//!
//! Tools parse these lines, so they are those of BuildKit to the byte. All words are expanded.

pub mod duration;
mod quote;

use std::fmt::Write as _;

use wythe_store::oci::config::Healthcheck;

use self::duration::Duration;

/// What marks an entry as made by a Dockerfile's instruction.
pub const COMMENT: &str = "buildkit.dockerfile.v0";

/// `ARG`: names with the values they got.
pub fn arg(items: &[(String, Option<String>)]) -> String {
    let word = |(name, value): &(String, Option<String>)| match value {
        Some(value) => format!("{name}={value}"),
        None => name.clone(),
    };
    format!("ARG {}", items.iter().map(word).collect::<Vec<_>>().join(" "))
}

/// `ENV` and `LABEL`: pairs without quotes.
pub fn pairs(keyword: &str, pairs: &[(String, String)]) -> String {
    format!("{keyword} {}", assignments(pairs))
}

/// An instruction of one word: `WORKDIR`, `USER`, `STOPSIGNAL`, `MAINTAINER`.
pub fn word(keyword: &str, word: &str) -> String {
    format!("{keyword} {word}")
}

/// `EXPOSE`, `SHELL` and `VOLUME`: words in brackets.
pub fn list<'a>(keyword: &str, words: impl IntoIterator<Item = &'a String>) -> String {
    let words: Vec<&str> = words.into_iter().map(String::as_str).collect();
    format!("{keyword} [{}]", words.join(" "))
}

/// `CMD` and `ENTRYPOINT`: quoted words in brackets.
pub fn command(keyword: &str, words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quote::quoted(word)).collect();
    format!("{keyword} [{}]", words.join(" "))
}

/// `RUN`: the declared arguments in order of declaration, then the command.
pub fn run(args: &[(String, String)], argv: &[String]) -> String {
    let mut text = "RUN ".to_owned();
    if !args.is_empty() {
        let _ = write!(text, "|{} {} ", args.len(), assignments(args));
    }
    text + &argv.join(" ") + " # buildkit"
}

/// The flags of a `COPY` or `ADD` that history shows.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CopyFlags {
    /// Whether directories on the way to a source are recreated.
    pub layout: crate::copy::Layout,
    /// `--chown`
    pub chown: Option<String>,
    /// `--chmod`
    pub chmod: Option<String>,
}

/// `COPY` and `ADD`; a heredoc is a source `<<NAME`.
pub fn copy(keyword: &str, flags: &CopyFlags, sources: &[String], destination: &str) -> String {
    let mut text = keyword.to_owned();
    if flags.layout == crate::copy::Layout::Parents {
        text += " --parents";
    }
    for (flag, value) in [("chown", &flags.chown), ("chmod", &flags.chmod)] {
        if let Some(value) = value {
            let _ = write!(text, " --{flag}={value}");
        }
    }
    format!("{text} {} {destination} # buildkit", sources.join(" "))
}

/// `HEALTHCHECK`: the check as Go prints the structure.
pub fn healthcheck(check: &Healthcheck) -> String {
    format!(
        "HEALTHCHECK {{Test:[{}] Interval:{} Timeout:{} StartPeriod:{} StartInterval:{} Retries:{}}}",
        check.test.join(" "),
        Duration(check.interval),
        Duration(check.timeout),
        Duration(check.start_period),
        Duration(check.start_interval),
        check.retries,
    )
}

fn assignments(pairs: &[(String, String)]) -> String {
    let words: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn arguments_without_a_value_show_their_name_only() {
        let items = [("W".to_owned(), Some("9".to_owned())), ("X".to_owned(), None)];
        assert_eq!(arg(&items), "ARG W=9 X");
    }

    #[test]
    fn pairs_lose_their_quotes() {
        assert_eq!(pairs("ENV", &[pair("A", "1"), pair("B", "two words")]), "ENV A=1 B=two words");
    }

    #[test]
    fn a_run_shows_how_many_arguments_it_sees() {
        let argv = owned(&["/bin/sh", "-c", "cmd"]);
        assert_eq!(run(&[pair("V", "1")], &argv), "RUN |1 V=1 /bin/sh -c cmd # buildkit");
        assert_eq!(run(&[], &argv), "RUN /bin/sh -c cmd # buildkit");
    }

    #[test]
    fn commands_are_quoted_and_other_lists_are_not() {
        assert_eq!(command("CMD", &owned(&["a", "b c"])), r#"CMD ["a" "b c"]"#);
        assert_eq!(list("SHELL", &owned(&["/bin/sh", "-c"])), "SHELL [/bin/sh -c]");
    }

    #[test]
    fn a_copy_shows_the_flags_that_change_what_is_written() {
        let chown = Some("1:2".to_owned());
        let flags = CopyFlags { chown, layout: crate::copy::Layout::Parents, chmod: None };
        let text = copy("COPY", &flags, &owned(&["a", "<<F"]), "/d/");
        assert_eq!(text, "COPY --parents --chown=1:2 a <<F /d/ # buildkit");
    }

    #[test]
    fn a_health_check_is_shown_as_go_prints_it() {
        let check = Healthcheck {
            test: owned(&["CMD-SHELL", "foo"]),
            interval: 5_000_000_000,
            retries: 2,
            ..Healthcheck::default()
        };
        let expected = "HEALTHCHECK {Test:[CMD-SHELL foo] Interval:5s Timeout:0s StartPeriod:0s \
                        StartInterval:0s Retries:2}";
        assert_eq!(healthcheck(&check), expected);
    }
}
