//! The configuration file: as much of TOML as its few settings need, and everything else refused
//! with its line.

use crate::args::budget::Bounds;

/// What the file says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Configuration {
    /// The table `[store]`.
    pub(crate) store: Bounds,
}

/// Reads the text of a configuration file.
///
/// # Errors
///
/// With the line and what is wrong there.
pub(crate) fn parse(text: &str) -> Result<Configuration, String> {
    let mut found = Configuration::default();
    let mut table = "";
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let at = |why: String| format!("line {number}: {why}");
        let line = without_comment(line).trim();
        if line.is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            let whole = name.strip_suffix(']').map(str::trim);
            table = whole.ok_or_else(|| at(format!("{line} is no table")))?;
            if table != "store" {
                return Err(at(format!("there is no table [{table}]")));
            }
            continue;
        }
        let pair = line.split_once('=').ok_or_else(|| at(format!("{line:?} sets nothing")))?;
        let (key, value) = (pair.0.trim(), value(pair.1.trim()).map_err(at)?);
        if seen.contains(&(table, key)) {
            return Err(at(format!("{key} is set twice")));
        }
        seen.push((table, key));
        if table.is_empty()
            || !found.store.set(key, value).map_err(|why| at(format!("{key}: {why}")))?
        {
            let table = if table.is_empty() { "the file" } else { "[store]" };
            return Err(at(format!("there is no setting {key} in {table}")));
        }
    }
    Ok(found)
}

/// A comment begins with a `#` that is in no string.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    for (at, letter) in line.char_indices() {
        match (quote, letter) {
            (None, '#') => return &line[..at],
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            _ => {}
        }
    }
    line
}

/// A string in quotes without escapes, or a number.
fn value(text: &str) -> Result<&str, String> {
    let quoted = ['"', '\''].into_iter().find_map(|quote| {
        text.strip_prefix(quote)?.strip_suffix(quote).filter(|inner| !inner.contains(quote))
    });
    match quoted {
        Some(inner) if !inner.contains('\\') => Ok(inner),
        None if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(text),
        _ => Err(format!("{text} is neither a string nor a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_store_has_its_bounds() {
        let text = "# ours\n[store]\nmax-used-space = \"20GB\" # enough\nmin-free-space='10%'\nreserved-space = 1024\n";
        let mut expected = Bounds::default();
        for (name, value) in
            [("max-used-space", "20GB"), ("min-free-space", "10%"), ("reserved-space", "1024")]
        {
            expected.set(name, value).unwrap();
        }
        assert_eq!(parse(text), Ok(Configuration { store: expected }));
        assert_eq!(parse(""), Ok(Configuration::default()));
    }

    #[track_caller]
    fn refused(text: &str, words: &[&str]) {
        let told = parse(text).unwrap_err();
        assert!(words.iter().all(|word| told.contains(word)), "{told}");
    }

    #[test]
    fn what_is_not_known_is_refused_by_name_with_its_line() {
        refused("\n[store]\nmax-used = \"1g\"", &["line 3", "max-used"]);
        refused("[stores]", &["line 1", "stores"]);
        refused("[store", &["line 1", "[store"]);
        refused("max-used-space = 1", &["line 1", "max-used-space"]);
        refused("[store]\nmax-used-space = \"much\"", &["line 2", "max-used-space", "much"]);
        refused("[store]\nmax-used-space = 1\nmax-used-space = 2", &["line 3", "twice"]);
        for bad in [
            "[store]\nmax-used-space",
            "[store]\nkeep-duration = 1h",
            "[store]\nkeep-duration = \"1h",
        ] {
            refused(bad, &["line 2"]);
        }
    }
}
