//! Columns of text, as wide as their widest cell.

use unicode_width::UnicodeWidthStr;

use super::sanitize::{self, Medium};

/// A heading and rows below it.
#[derive(Clone, Debug)]
pub(crate) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A table with a heading and no rows.
    pub(crate) fn new(heading: [&str; N]) -> Self {
        Self { rows: vec![heading.map(str::to_owned)] }
    }

    /// Adds a row; what comes from outside is made harmless.
    pub(crate) fn push(&mut self, row: [String; N]) {
        self.rows.push(row.map(|cell| sanitize::text(cell.as_bytes(), Medium::Log)));
    }

    /// The table as lines, without blanks at their ends.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        self.rows.iter().map(|row| line(row, &widths)).collect()
    }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut out = String::new();
    for (cell, width) in row.iter().zip(widths) {
        out.push_str(cell);
        out.push_str(&" ".repeat(width - cell.width() + GAP));
    }
    out.truncate(out.trim_end().len());
    out
}

/// Blanks between columns.
const GAP: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_wide_as_its_widest_cell() {
        let mut table = Table::new(["NAME", "SIZE"]);
        table.push(["debian:bookworm".to_owned(), "48MB".to_owned()]);
        table.push(["日本".to_owned(), "1B".to_owned()]);
        let expected = ["NAME              SIZE", "debian:bookworm   48MB", "日本              1B"];
        assert_eq!(table.lines(), expected);
    }
}
