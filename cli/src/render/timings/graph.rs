//! The steps as boxes below the ones that they are made of. What it shows stands as text in the other parts.

use std::collections::BTreeMap;

use super::timeline::short;
use super::{Page, class, took};
use crate::build_record::RecordedStep;

/// Of more steps a drawing shows nothing that one could follow.
const MOST_DRAWN: usize = 400;

/// The size of a box and the room between boxes, in pixels.
const WIDTH: usize = 230;
const HEIGHT: usize = 44;
const GAP: usize = 24;
const DROP: usize = 34;

/// As many letters of a name as a box holds.
const LETTERS: usize = 29;

/// Where boxes stand, by step: columns and rows, from 0.
#[derive(Debug, Default, Eq, PartialEq)]
struct Places {
    at: BTreeMap<usize, (usize, usize)>,
    columns: usize,
    rows: usize,
}

impl Page<'_> {
    /// The drawing.
    pub(super) fn graph(&mut self) {
        self.part("graph");
        let steps = &self.record.steps;
        if steps.is_empty() || steps.len() > MOST_DRAWN {
            let text = format!("There are {} steps, which are not drawn.", steps.len());
            self.markup.plain("p", &text);
            return;
        }
        let places = places(steps);
        let width = places.columns * (WIDTH + GAP) + GAP;
        let height = places.rows * (HEIGHT + DROP) + GAP;
        self.markup.raw("<p>Each step stands below what it is made of. Thick lines are the critical path, dashed boxes ");
        self.markup.raw(
            "are steps whose results nobody needed. “Steps and logs” says the same in words.</p>\n",
        );
        self.markup.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Graph of the steps\">\n");
        let (wide, high) = (width.to_string(), height.to_string());
        let view = format!("0 0 {width} {height}");
        self.markup.open(
            "svg",
            &[
                ("class", "graph"),
                ("width", &wide),
                ("height", &high),
                ("viewBox", &view),
                ("role", "group"),
                ("aria-label", "Graph of the steps"),
            ],
        );
        self.markup.raw("\n");
        for step in steps {
            step.inputs.iter().for_each(|input| self.line(&places, *input, step.step));
        }
        for step in steps {
            self.node(&places, step);
        }
        self.markup.raw("</svg>\n</div>\n");
    }

    fn line(&mut self, places: &Places, from: usize, to: usize) {
        let (Some(&from_at), Some(&to_at)) = (places.at.get(&from), places.at.get(&to)) else {
            return;
        };
        let ((x, y), (u, v)) = (corner(from_at), corner(to_at));
        let (x, y, u) = (x + WIDTH / 2, y + HEIGHT, u + WIDTH / 2);
        let bend = DROP / 2;
        let path = format!("M{x} {y}C{x} {},{u} {},{u} {v}", y + bend, v.saturating_sub(bend));
        let is_last = self.waits.get(&to).is_some_and(|wait| wait.last_input == Some(from));
        let is_critical = is_last && self.critical.contains(&from) && self.critical.contains(&to);
        let class = if is_critical { "critical" } else { "plain" };
        self.markup.element("path", &[("d", &path), ("class", class)], "").raw("\n");
    }

    fn node(&mut self, places: &Places, step: &RecordedStep) {
        let Some(&at) = places.at.get(&step.step) else { return };
        let (x, y) = corner(at);
        let mark = if self.critical.contains(&step.step) { " critical" } else { "" };
        let class = format!("{}{mark}", class(step.outcome));
        let place = |x: usize, y: usize| [x.to_string(), y.to_string()];
        let href = format!("#step-{}", step.step);
        self.markup.open("a", &[("href", &href), ("class", &class)]);
        let (wide, high) = (WIDTH.to_string(), HEIGHT.to_string());
        let [left, top] = place(x, y);
        let rect = [
            ("x", left.as_str()),
            ("y", top.as_str()),
            ("width", wide.as_str()),
            ("height", high.as_str()),
            ("rx", "6"),
        ];
        self.markup.open("rect", &rect).close("rect");
        let [left, upper] = place(x + 10, y + 18);
        let name: String = step.name.chars().take(LETTERS).collect();
        let cut = if step.name.chars().count() > LETTERS { "…" } else { "" };
        self.markup.element("text", &[("x", &left), ("y", &upper)], &format!("{name}{cut}"));
        let [left, lower] = place(x + 10, y + 35);
        let duration = step.duration().filter(|took| *took > 0).map(took);
        let duration = duration.map(|took| format!(", {took}")).unwrap_or_default();
        let text = format!("{}{duration}", short(step));
        self.markup.element("text", &[("x", &left), ("y", &lower), ("class", "faint")], &text);
        self.markup.close("a").raw("\n");
    }
}

/// The left upper corner of a box.
fn corner((column, row): (usize, usize)) -> (usize, usize) {
    (GAP + column * (WIDTH + GAP), GAP / 2 + row * (HEIGHT + DROP))
}

/// Each step one row below the lowest of what it is made of; in a row as near to what lies above as there is room.
fn places(steps: &[RecordedStep]) -> Places {
    let mut rows: BTreeMap<usize, usize> = BTreeMap::new();
    for step in steps {
        let above = step.inputs.iter().filter_map(|input| rows.get(input)).max();
        let row = above.map_or(0, |row| row + 1);
        rows.insert(step.step, row);
    }
    let mut places =
        Places { rows: rows.values().max().map_or(0, |row| row + 1), ..Places::default() };
    for row in 0..places.rows {
        let mut taken = vec![false; steps.len()];
        for step in steps.iter().filter(|step| rows.get(&step.step) == Some(&row)) {
            let first = step.inputs.iter().find_map(|input| places.at.get(input));
            let wanted = first.map_or(0, |(column, _)| *column);
            let column = (wanted..taken.len()).chain(0..wanted).find(|column| !taken[*column]);
            let column = column.unwrap_or(wanted);
            taken[column] = true;
            places.columns = places.columns.max(column + 1);
            places.at.insert(step.step, (column, row));
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_stand_below_what_they_are_made_of_and_beside_each_other() {
        let step = |(number, inputs): (usize, &[usize])| {
            let mut step = RecordedStep::new(number, "x");
            step.inputs = inputs.to_vec();
            step
        };
        let steps: Vec<RecordedStep> =
            [(1, &[][..]), (2, &[]), (3, &[1]), (4, &[1]), (5, &[4, 2])].map(step).into();
        let places = places(&steps);
        let expected = [(1, (0, 0)), (2, (1, 0)), (3, (0, 1)), (4, (1, 1)), (5, (1, 2))];
        assert_eq!(places, Places { at: expected.into(), columns: 2, rows: 3 });
    }
}
