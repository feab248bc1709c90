//! Lists as templates make them.

use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use super::sanitize::{self, Medium};
use crate::failure::Failure;
use crate::template::{Template, TemplateError};

/// A line for each row, as the template makes it.
pub(crate) fn lines(template: &Template, rows: &[Value]) -> Result<Vec<String>, Failure> {
    rows.iter().map(|row| template.render(row).map_err(mistake)).collect()
}

/// A table of what a template makes, whose columns are between tabs; `headings` has the head of the
/// column of each field.
pub(crate) fn table(
    template: &Template,
    headings: &Value,
    rows: &[Value],
) -> Result<Vec<String>, Failure> {
    let all = [headings].into_iter().chain(rows);
    let lines: Result<Vec<String>, TemplateError> = all.map(|row| template.render(row)).collect();
    let clean = |cell: &str| sanitize::text(cell.as_bytes(), Medium::Log);
    let cells = |line: &String| line.split('\t').map(clean).collect::<Vec<String>>();
    let rows: Vec<Vec<String>> = lines.map_err(mistake)?.iter().map(cells).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        let cells =
            cells.map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.width())));
        cells.collect::<Vec<_>>().join("   ").trim_end().to_owned()
    };
    Ok(rows.iter().map(line).collect())
}

/// That a template cannot be used.
#[expect(clippy::needless_pass_by_value, reason = "as errors are mapped")]
pub(crate) fn mistake(error: TemplateError) -> Failure {
    Failure::usage(format!("cannot use the format: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_of_a_template_are_aligned_below_their_heads() {
        let template: Template = "{{.ID}}\t{{.Tag}}".parse().unwrap();
        let rows = [json!({"ID": "abcdef", "Tag": "1"}), json!({"ID": "x", "Tag": "long"})];
        let headings = json!({"ID": "ID", "Tag": "TAG"});
        let expected = ["ID       TAG", "abcdef   1", "x        long"];
        assert_eq!(table(&template, &headings, &rows).unwrap(), expected);
        assert_eq!(lines(&template, &rows[..1]).unwrap(), ["abcdef\t1"]);
    }
}
