//! The table `[flags]` of a configuration file: what flags are that nobody gives.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::{FileError, place};

/// The table that flags are set in.
const TABLE: &str = "flags";

/// Something that is written below `[flags]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct WrittenFlag {
    /// The names that lead to it.
    pub(crate) path: Vec<String>,
    /// What it is to be; `None` for a table of further ones.
    pub(crate) values: Option<Vec<String>>,
    /// The line it stands in, as errors begin.
    pub(crate) place: String,
}

/// What the text of a file, which is known to be TOML, says of flags.
///
/// # Errors
///
/// With the line of a value that no flag can have.
pub(super) fn written(text: &str) -> Result<Vec<WrittenFlag>, FileError> {
    let Ok(root) = DeTable::parse(text) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (key, value) in root.get_ref().iter().filter(|(key, _)| key.get_ref() == TABLE) {
        let DeValue::Table(table) = value.get_ref() else {
            return Err(FileError::at(text, key.span().start, "`flags` is a table"));
        };
        walk(text, table, &mut Vec::new(), &mut found)?;
    }
    Ok(found)
}

fn walk(
    text: &str,
    table: &DeTable<'_>,
    path: &mut Vec<String>,
    found: &mut Vec<WrittenFlag>,
) -> Result<(), FileError> {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        let mut add = |values| {
            let place = place(text, key.span().start);
            found.push(WrittenFlag { path: path.clone(), values, place });
        };
        match value.get_ref() {
            DeValue::Table(inner) => {
                add(None);
                walk(text, inner, path, found)?;
            }
            DeValue::Array(values) => {
                add(Some(
                    values.iter().map(|value| scalar(text, value)).collect::<Result<_, _>>()?,
                ));
            }
            DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Float(_)
            | DeValue::Integer(_)
            | DeValue::String(_) => add(Some(vec![scalar(text, value)?])),
        }
        path.pop();
    }
    Ok(())
}

fn scalar(text: &str, value: &Spanned<DeValue<'_>>) -> Result<String, FileError> {
    match value.get_ref() {
        DeValue::String(value) => Ok(value.to_string()),
        DeValue::Integer(value) => Ok(value.as_str().to_owned()),
        DeValue::Boolean(value) => Ok(value.to_string()),
        DeValue::Array(_) | DeValue::Datetime(_) | DeValue::Float(_) | DeValue::Table(_) => {
            let what = "a flag is a string, a whole number, true, false, or a list of such";
            Err(FileError::at(text, value.span().start, what))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_found_with_the_line_they_stand_in() {
        let text = "[store]\n[flags]\nprogress = 'plain'\n[flags.build]\nno-cache = true\njobs = 4\nlabel = ['a=1', 'b=2']\n";
        let found = written(text).unwrap();
        let told: Vec<(String, Option<Vec<String>>)> =
            found.iter().map(|flag| (flag.path.join("."), flag.values.clone())).collect();
        let of = |values: &[&str]| Some(values.iter().map(|text| (*text).to_owned()).collect());
        let expected = [
            ("progress", of(&["plain"])),
            ("build", None),
            ("build.no-cache", of(&["true"])),
            ("build.jobs", of(&["4"])),
            ("build.label", of(&["a=1", "b=2"])),
        ];
        assert_eq!(told, expected.map(|(path, values)| (path.to_owned(), values)));
        assert_eq!(found[2].place, "line 5, `no-cache`: ");
    }

    #[test]
    fn what_no_flag_can_be_is_refused_with_its_line() {
        for (text, line) in [
            ("flags = 1", "line 1"),
            ("[flags.build]\njobs = 1.5", "line 2"),
            ("[flags]\nx = [[1]]", "line 2"),
        ] {
            let told = written(text).unwrap_err().to_string();
            assert!(told.starts_with(line), "{told}");
        }
    }
}
