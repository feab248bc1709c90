//! Published tables of words, and what they leave out.

use serde_json::Value;

use super::*;

fn table(name: &str) -> Value {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/dockerfile/tables/");
    serde_json::from_str(&std::fs::read_to_string(format!("{root}{name}")).unwrap()).unwrap()
}

fn variables(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().unwrap().iter();
    pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

fn set(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[track_caller]
fn check(variables: &[(&str, &str)], word: &str, expected: &str) {
    let expanded = expand(word, Escape::Backslash, &set(variables)).map(|word| word.value);
    assert_eq!(expanded.as_deref().map_err(ToString::to_string), Ok(expected), "{word}");
}

#[track_caller]
fn fails(word: &str, expected: &str) {
    let variables = set(&[("V", "abc"), ("EMPTY", "")]);
    let error = expand(word, Escape::Backslash, &variables).unwrap_err();
    assert_eq!(error.cause.to_string(), expected, "{word}");
}

#[test]
fn every_row_of_the_table_of_words_holds() {
    let table = table("envvar.json");
    let variables = variables(&table["env"]);
    let rows = table["rows"].as_array().unwrap();
    for row in rows.iter().filter(|row| row["platform"] != "windows") {
        let expanded = expand(row["input"].as_str().unwrap(), Escape::Backslash, &variables);
        let value = expanded.ok().map(|expanded| expanded.value);
        assert_eq!(value.as_deref(), row["output"].as_str(), "{row}");
    }
    assert!(rows.len() > 200);
}

#[test]
fn every_row_of_the_table_of_splits_holds() {
    for row in table("words.json")["rows"].as_array().unwrap() {
        let input = row["input"].as_str().unwrap();
        let words = expand_words(input, Escape::Backslash, &variables(&row["env"]));
        let expected = row["words"].as_array().map(|words| {
            words.iter().map(|word| word.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        });
        assert_eq!(words.ok(), expected, "{row}");
    }
}

#[test]
fn prefixes_and_suffixes_are_trimmed() {
    let v: &[_] = &[("v", "aXbXc")];
    check(v, "${v#*X} ${v##*X} ${v%X*} ${v%%X*}", "bXc c aXb a");
    check(v, "${v#z} ${v#} ${v%} ${v#aXbXc}", "aXbXc aXbXc aXbXc ");
}

#[test]
fn matches_are_replaced() {
    let v: &[_] = &[("v", "aXbXc"), ("p", "a/b/c.d"), ("d", "$1")];
    check(v, "${v//X/} ${v/?X/_} ${v/X/${v}}", "abc _bXc aaXbXcbXc");
    check(v, r"${p//\//-} ${p/.*/} ${p/[ab]/x}", "a-b-c.d a/b/c a/b/c.d");
    check(v, "${v//X/$d} ${v///-}", "a$1b$1c -a-X-b-X-c-");
}

#[test]
fn words_of_operators_are_expanded_and_unquoted() {
    let v: &[_] = &[("a", "1"), ("b", "b")];
    check(v, r#"${a}${b:-$a} ${u:-${a:+q$b}} ${u:-"x y"}"#, "1b qb x y");
    check(v, r#""${u:-"x y"}""#, "x y");
}

#[test]
fn errors_name_the_cause() {
    fails("a'b", "unexpected end of statement while looking for matching single-quote");
    fails("a\"b", "unexpected end of statement while looking for matching double-quote");
    fails("${}", "syntax error: bad substitution");
    fails("${V", "syntax error: missing '}'");
    fails("${V\n", "syntax error: missing '}'");
    fails("${V:-${V}", "syntax error: missing '}'");
    fails("${V//a}", "syntax error: missing '/' in ${}");
    fails("${V:=v}", "unsupported modifier (:=) in substitution");
    fails("${V:1:2}", "unsupported modifier (:1) in substitution");
    fails("${V:#a}", "unsupported modifier (:#) in substitution");
    fails("${V^^}", "unsupported modifier (^) in substitution");
    fails("${N?}", "N: is not allowed to be unset");
    fails("${N:?}", "N: is not allowed to be unset");
    fails("${EMPTY:?}", "EMPTY: is not allowed to be empty");
    fails("${N:?must be set}", "N: must be set");
    fails(r"${V#\a}", r"invalid pattern (\a) in substitution: invalid escape '\a'");
}

#[test]
fn an_error_quotes_the_whole_word() {
    let error = expand("a\"b${}", Escape::Backslash, &set(&[])).unwrap_err();
    let expected = r#"failed to process "a\"b${}": syntax error: bad substitution"#;
    assert_eq!(error.to_string(), expected);
}

#[test]
fn names_that_are_not_set_are_reported_once() {
    let expanded = expand("$a ${b:-x} $c $a", Escape::Backslash, &set(&[("c", "")])).unwrap();
    assert_eq!(expanded.unset, ["a", "b"]);
}

#[test]
fn a_backtick_may_be_the_escape() {
    let word = expand(r"C:\x`$y`", Escape::Backtick, &set(&[])).unwrap();
    assert_eq!(word.value, r"C:\x$y");
}

#[test]
fn quotes_of_a_heredoc_are_ordinary() {
    let expanded = expand_heredoc("'$A' \"b\n\\\\ \\$ \\x \\\ny\n", &set(&[("A", "a")])).unwrap();
    assert_eq!(expanded.value, "'a' \"b\n\\ $ x \ny\n");
    assert_eq!(expand_heredoc("${U:-'q'}", &set(&[])).unwrap().value, "'q'");
    assert!(expand_heredoc("${U\n", &set(&[])).is_err());
}

#[test]
fn hostile_words_are_refused() {
    let deep = "${a:-".repeat(5000) + &"}".repeat(5000);
    let long = set(&[("A", &"x".repeat(1 << 20))]);
    for word in [deep, "$A".repeat(40), "${A//x/$A}".to_owned()] {
        assert!(expand(&word, Escape::Backslash, &long).is_err());
    }
}
