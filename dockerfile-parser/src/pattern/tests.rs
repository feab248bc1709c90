//! Published tables of patterns, and what they leave out.

use serde_json::Value;

use super::component::Glob;
use super::*;

fn table() -> Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/dockerfile/tables/patterns.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn excluded(patterns: &[String], path: &str) -> Option<bool> {
    let set = PatternSet::from_patterns(patterns).ok()?;
    Some(set.excludes(if path == "." { path } else { path.trim_end_matches('/') }))
}

#[test]
fn every_row_of_single_patterns_holds() {
    for row in table()["single"].as_array().unwrap() {
        let patterns = [row["pattern"].as_str().unwrap().to_owned()];
        let matched = excluded(&patterns, row["text"].as_str().unwrap());
        assert_eq!(matched, row["match"].as_bool(), "{row}");
    }
}

#[test]
fn every_row_of_several_patterns_holds() {
    for row in table()["several"].as_array().unwrap() {
        let matched = excluded(&strings(&row["patterns"]), row["text"].as_str().unwrap());
        assert_eq!(matched, row["match"].as_bool(), "{row}");
    }
}

#[test]
fn every_row_of_patterns_for_one_name_holds() {
    for row in table()["component"].as_array().unwrap() {
        let pattern = row["pattern"].as_str().unwrap();
        let expected = row["match"].as_bool().filter(|_| row["error"].is_null());
        let name = row["text"].as_str().unwrap();
        assert_eq!(excluded(&[pattern.to_owned()], name), expected, "{row}");
        if !name.contains('/') {
            let matched = Glob::parse(pattern).ok().map(|glob| glob.matches(name));
            assert_eq!(matched, expected, "{row}");
        }
    }
}

#[test]
fn an_ignore_file_is_read_as_published() {
    let table = table();
    let text = table["ignore_file"]["text"].as_str().unwrap();
    let error = PatternSet::parse_ignore_file(text).unwrap_err();
    assert_eq!((error.line, error.cause), (8, PatternCause::LoneBang));
    assert_eq!(error.to_string(), r#"illegal exclusion pattern: "!""#);
    let lines: Vec<&str> = text.lines().collect();
    let set = PatternSet::parse_ignore_file(&lines[..7].join("\n")).unwrap();
    let clean = |rule: &Rule| match &rule.pattern {
        PathPattern::Exact(path) if rule.outcome == Exclusion::Kept => format!("!{path}"),
        PathPattern::Exact(path) => path.clone(),
        other @ (PathPattern::Prefix(_) | PathPattern::Suffix(_) | PathPattern::Other(_)) => {
            format!("{other:?}")
        }
    };
    let patterns: Vec<String> = set.rules.iter().map(clean).collect();
    assert_eq!(patterns, strings(&table["ignore_file"]["patterns"])[..5]);
}

const TREE: [&str; 16] = [
    "a.txt",
    "b.md",
    "README.md",
    "src",
    "src/a.txt",
    "src/b.md",
    "src/foo",
    "src/deep",
    "src/deep/c.txt",
    "foo",
    "x/foo/bar",
    "temp1",
    "temp22",
    "tempA",
    "#hash",
    "!bang",
];

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let set = PatternSet::parse_ignore_file(text).unwrap();
    let excluded: Vec<&str> = TREE.into_iter().filter(|path| set.excludes(path)).collect();
    assert_eq!(excluded, expected, "{text}");
}

#[test]
fn an_ignore_file_excludes_what_it_says() {
    check("**/*.txt", &["a.txt", "src/a.txt", "src/deep/c.txt"]);
    check("**/foo", &["src/foo", "foo", "x/foo/bar"]);
    check("**foo", &["src/foo", "foo", "x/foo/bar"]);
    check("*/*/foo", &[]);
    check("src/**", &["src/a.txt", "src/b.md", "src/foo", "src/deep", "src/deep/c.txt"]);
    check("*.md\n!README.md", &["b.md"]);
    check("!README.md\n*.md", &["b.md", "README.md"]);
    check("# c\n  foo  \n\n\\#hash\r\n \\!bang", &["foo", "#hash", "!bang"]);
    check("temp?", &["temp1", "tempA"]);
    check("temp[0-9]*", &["temp1", "temp22"]);
    check("\u{feff}/foo\r\nsrc/../b.md/", &["b.md", "foo"]);
    check("src\n!src/deep/c.txt", &["src", "src/a.txt", "src/b.md", "src/foo", "src/deep"]);
    check("s**/c.txt", &["src/deep/c.txt"]);
    for nothing in [".", "/", "../foo", "SRC", "{a,b}.txt"] {
        check(nothing, &[]);
    }
}

#[test]
fn a_decision_names_its_line() {
    let set = PatternSet::parse_ignore_file("# c\n*\n\n ! src \n").unwrap();
    let decision = set.decide("src/a").unwrap();
    assert_eq!((decision.index, decision.line, decision.pattern), (1, 4, "! src"));
    assert_eq!(decision.outcome, Exclusion::Kept);
    assert_eq!(set.decide("a").map(|decision| decision.line), Some(2));
}

#[test]
fn only_a_later_exception_opens_an_excluded_directory() {
    let keeps = |text: &str, directory: &str| {
        let set = PatternSet::parse_ignore_file(text).unwrap();
        let level =
            directory.split_once('/').map_or(set.top(), |(up, _)| set.enter(&set.top(), up));
        set.enter(&level, directory).may_keep_below()
    };
    assert!(keeps("a\n!a/b/c", "a") && keeps("a\n!a/b/c", "a/b"));
    assert!(keeps("*\n!**/x", "a") && keeps("*\n!a/*.txt", "a") && keeps("*\n!a**", "ab"));
    assert!(!keeps("a\n!b/c", "a") && !keeps("!a/b\na", "a") && !keeps("*\n!b*/c", "a"));
}

#[test]
fn many_stars_take_linear_time() {
    let pattern = "**/a*".repeat(30) + "b";
    let path = "a".repeat(5000) + "/" + &"a/".repeat(500);
    assert_eq!(excluded(&[pattern], &path), Some(false));
}

#[test]
fn a_backslash_before_a_letter_is_that_of_regular_expressions() {
    let excludes = |text: &str, path: &str| {
        PatternSet::parse_ignore_file(text).map(|set| set.excludes(path)).ok()
    };
    assert_eq!(excludes("\\temp1", "temp1"), Some(false));
    assert_eq!(excludes("\\temp1", "\temp1"), Some(true));
    assert_eq!(excludes("v\\d.txt", "v7.txt"), Some(true));
    assert_eq!(excludes("v\\D.txt", "v7.txt"), Some(false));
    assert_eq!(excludes("\\build", "build"), Some(false));
    assert_eq!(excludes("\\_a\\.b", "_a.b"), Some(true));
    assert_eq!(excludes("\\gone", "gone"), None);
}

#[test]
fn a_reversed_range_is_an_error_but_for_exceptions_from_nothing() {
    let parse = PatternSet::parse_ignore_file;
    for text in ["[z-a]", "x[z-am]", "[^z-a]/m", "**/[\\z-a]", "[z-\\a]", "*\n!d/[z-a]"] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.cause, PatternCause::Malformed(Malformed), "{text}");
    }
    assert!(parse("![z-a]").unwrap().is_empty() && !parse("[a-a]").unwrap().is_empty());
    assert!(parse("!ok\n![z-a]\nx").is_ok() && parse("![a").is_err() && parse("!").is_err());
    let takes = |pattern: &str, name: &str| Glob::parse(pattern).unwrap().matches(name);
    assert!(!takes("[z-a]", "m") && takes("[^z-a]", "m") && takes("[z-am]", "m"));
}

#[test]
fn a_class_is_one_of_regular_expressions() {
    let excludes = |text: &str, path: &str| {
        PatternSet::parse_ignore_file(text).map(|set| set.excludes(path)).ok()
    };
    let cases = [
        ("[\\d]", "5", Some(true)),
        ("[\\d]", "d", Some(false)),
        ("[^\\D]", "5", Some(true)),
        ("[\\W_]", "_", Some(true)),
        ("[\\t]", "t", Some(false)),
        ("[a\\gb]", "a", None),
        ("[[:alpha:]]", "m", Some(true)),
        ("[[:^alpha:]]", "5", Some(true)),
        ("[[:alpha:]]", ":]", Some(false)),
        ("[[:nothing:]]", "a", None),
        ("[*]", "*", Some(false)),
        ("[*]", "]", Some(true)),
        ("[*]", "[^]", Some(true)),
        ("[?]", "?", Some(false)),
        ("[?]", "^]", Some(true)),
        ("[**]", "*", Some(true)),
        ("[.]", ".", Some(true)),
        ("d[^a]m", "d/m", Some(true)),
        ("^*.txt", "a.txt", Some(true)),
        ("a^*", "a^b", Some(false)),
    ];
    for (text, path, expected) in cases {
        assert_eq!(excludes(text, path), expected, "{text} {path}");
    }
}

#[test]
fn an_exception_says_nothing_about_what_is_in_a_directory_that_is_not_left_out() {
    let excludes =
        |text: &str, path: &str| PatternSet::parse_ignore_file(text).unwrap().excludes(path);
    assert!(excludes("**/.env\n!src", "src/.env") && !excludes("**/.env\n!src", "src/lib/a"));
    assert!(excludes("**/node_modules\n!src", "src/node_modules/m/x"));
    assert!(
        excludes("**/n\n!e", "e/n/x") && excludes("*.md\n!docs\n!docs/**\n**/*.md", "docs/a.md")
    );
    // Where the directory is left out, the same exception brings it back with all that is in it.
    assert!(!excludes("src\n**/.env\n!src", "src/.env"));
    // The last line was not asked about the directory `y.txt`, and it does not mean `y.txt/a`.
    let text = "**/y.txt\n!**/a\ny.txt";
    assert!(excludes(text, "y.txt") && excludes(text, "a/y.txt") && !excludes(text, "y.txt/a"));
    // Asked about the file itself, once something leaves that out.
    assert!(!excludes("**/y.txt\n!**/a/*\n", "a/y.txt"));
}
