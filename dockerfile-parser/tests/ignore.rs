//! Random ignore files beside a plain matcher that tries everything and keeps a list per directory.

use proptest::prelude::*;
use wythe_dockerfile::pattern::PatternSet;

/// Few names, so that patterns meet them.
const NAMES: [&str; 5] = ["a", "b", "ab", "y.txt", ".env"];

#[derive(Clone, Debug)]
struct Line {
    kept: bool,
    parts: Vec<&'static str>,
}

fn line() -> impl Strategy<Value = Line> {
    let parts = vec!["a", "b", "ab", "y.txt", ".env", "*", "a*", "?", "*t", "[ab]", "**", "**"];
    let parts = prop::collection::vec(prop::sample::select(parts), 1..4);
    (any::<bool>(), parts).prop_map(|(kept, parts)| Line { kept, parts })
}

fn path() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(&NAMES[..]), 1..5)
}

fn text(lines: &[Line]) -> String {
    let line =
        |line: &Line| format!("{}{}\n", if line.kept { "!" } else { "" }, line.parts.join("/"));
    lines.iter().map(line).collect()
}

/// Whether a path is left out: from the top down, every line in order, each knowing whether it
/// matched the directory above, and asked only where it would change what is so far.
fn excludes(lines: &[Line], path: &[&str]) -> bool {
    let mut above = vec![false; lines.len()];
    let mut excluded = false;
    for end in 1..=path.len() {
        excluded = false;
        for (line, matched) in lines.iter().zip(&mut above) {
            let asked = line.kept == excluded;
            *matched |= asked && parts(&line.parts, &path[..end]);
            if *matched {
                excluded = !line.kept;
            }
        }
    }
    excluded
}

fn parts(pattern: &[&str], path: &[&str]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        // At the end it is everything below, and not the directory itself.
        Some((&"**", rest)) if rest.iter().all(|part| *part == "**") => !path.is_empty(),
        Some((&"**", rest)) => (0..=path.len()).any(|skip| parts(rest, &path[skip..])),
        Some((part, rest)) => path
            .split_first()
            .is_some_and(|(name, below)| is_named(part, name) && parts(rest, below)),
    }
}

fn is_named(part: &str, name: &str) -> bool {
    match part {
        "*" => true,
        "a*" => name.starts_with('a'),
        "?" => name.len() == 1,
        "*t" => name.ends_with('t'),
        "[ab]" => name == "a" || name == "b",
        plain => plain == name,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn an_ignore_file_leaves_out_what_a_plain_matcher_does(
        lines in prop::collection::vec(line(), 1..6),
        paths in prop::collection::vec(path(), 1..20),
    ) {
        let text = text(&lines);
        let set = PatternSet::parse_ignore_file(&text).unwrap();
        for path in paths {
            let (joined, expected) = (path.join("/"), excludes(&lines, &path));
            prop_assert_eq!(set.excludes(&joined), expected, "{} in\n{}", joined, text);
        }
    }

    #[test]
    fn what_is_kept_below_a_directory_that_is_left_out_is_foreseen(
        lines in prop::collection::vec(line(), 1..6),
        path in path(),
    ) {
        let set = PatternSet::parse_ignore_file(&text(&lines)).unwrap();
        let mut level = set.top();
        let joined = path.join("/");
        for (end, _) in joined.match_indices('/') {
            level = set.enter(&level, &joined[..end]);
            if !set.excludes(&joined) {
                prop_assert!(level.may_keep_below(), "{} in\n{}", joined, text(&lines));
            }
        }
    }
}
