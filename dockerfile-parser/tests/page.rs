//! `docs/dockerfile.md` has everything the parser knows. What that is, the parser itself says: in
//! its tables, and in the help it gives to who writes something unknown.

use std::fs;
use std::path::PathBuf;

use wythe_dockerfile::ast::Word;
use wythe_dockerfile::mount;
use wythe_dockerfile::parse::{DIRECTIVES, KEYWORDS, parse};
use wythe_dockerfile::span::{Span, Spanned};

fn page() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/dockerfile.md");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The part of the page under the heading of an instruction.
fn section<'a>(page: &'a str, keyword: &str) -> &'a str {
    let heading = format!("\n### {keyword}\n");
    let start = page.find(&heading).unwrap_or_else(|| panic!("no heading {keyword}"));
    let rest = &page[start + heading.len()..];
    &rest[..rest.find("\n### ").or_else(|| rest.find("\n## ")).unwrap_or(rest.len())]
}

/// What a help text lists after a few words.
fn listed(help: &str, words: &str) -> Vec<String> {
    let list = help.split_once(words).map_or("", |(_, list)| list);
    list.split(", ").filter(|one| !one.is_empty()).map(str::to_owned).collect()
}

fn flags(keyword: &str) -> Vec<String> {
    let parsed = parse(&format!("FROM a\n{keyword} --qqqqqqqq=1 b c\n"));
    let helps = parsed.diagnostics.iter().filter_map(|one| one.help.as_deref());
    helps.flat_map(|help| listed(help, "known flags are ")).collect()
}

fn mount_keys() -> Vec<String> {
    let word: Word = Spanned::new("qqqqqqqq=1".to_owned(), Span::default());
    let help = mount::parse(&word).err().and_then(|error| error.help);
    listed(&help.unwrap_or_default(), "known keys are ")
}

fn mount_types() -> Vec<String> {
    let word: Word = Spanned::new("type=qqqqqqqq".to_owned(), Span::default());
    let mount = mount::parse(&word)
        .and_then(|raw| raw.interpret(|text| Ok::<_, std::convert::Infallible>(text.to_owned())));
    let help = mount.err().and_then(|error| error.help);
    listed(&help.unwrap_or_default(), "known types are ")
}

#[test]
fn the_page_has_every_directive_and_instruction_with_an_example() {
    let page = page();
    for name in DIRECTIVES {
        assert!(page.contains(&format!("\n# {name}=")), "# {name}=");
    }
    for keyword in KEYWORDS {
        let examples = section(&page, keyword).split("\n```dockerfile").skip(1);
        let shows = |text: &str| text.contains(&format!("\n{keyword} "));
        assert!(examples.into_iter().any(shows), "{keyword}");
    }
}

#[test]
fn the_page_has_every_flag_with_its_instruction() {
    let page = page();
    let mut known = 0;
    for keyword in KEYWORDS {
        let section = section(&page, keyword);
        for flag in flags(keyword) {
            known += 1;
            assert!(section.contains(&flag), "{keyword} {flag}");
        }
    }
    // The flags of ADD, COPY, FROM, HEALTHCHECK and RUN are the least there can be.
    assert!(known > 5, "{known}");
}

#[test]
fn the_page_has_every_type_of_mount_and_uses_every_key() {
    let page = page();
    let section = section(&page, "RUN");
    let (types, keys) = (mount_types(), mount_keys());
    assert!(types.len() > 1 && keys.len() > 1, "{types:?} {keys:?}");
    for name in types {
        assert!(section.contains(&format!("`type={name}`")), "{name}");
        assert!(section.contains(&format!("RUN --mount=type={name}")), "no example of {name}");
    }
    for key in keys {
        assert!(section.contains(&format!("`{key}`")) || key == "type", "{key}");
    }
}

#[test]
fn every_block_of_the_page_is_an_example() {
    let page = page();
    let fences: Vec<&str> = page.lines().filter(|line| line.starts_with("```")).collect();
    assert!(fences.len().is_multiple_of(2));
    for pair in fences.chunks(2) {
        // The command is the one that builds the examples.
        let is_example = pair[0].starts_with("```dockerfile") || pair[0] == "```sh";
        assert!(is_example && pair[1] == "```", "{pair:?}");
    }
}
