//! The ids of the namespace and the ids of the machine behind them.

use std::fmt::Write as _;

/// A run of consecutive ids.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extent {
    /// First id inside the namespace.
    pub inside: u32,
    /// The id outside that stands for it.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Which ids of the machine stand for the users and groups of a namespace.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdMap {
    /// Users, by id inside.
    pub users: Vec<Extent>,
    /// Groups, by id inside.
    pub groups: Vec<Extent>,
}

impl IdMap {
    /// One line that is equal for equal maps, such as `u0:1000:1,1:200000:65536;g0:1000:1`: what
    /// unpacked files are keyed by, since their owners mean something else under another map.
    pub fn description(&self) -> String {
        let mut text = String::from("u");
        describe(&mut text, &self.users);
        text.push_str(";g");
        describe(&mut text, &self.groups);
        text
    }
}

fn describe(text: &mut String, extents: &[Extent]) {
    for (index, extent) in extents.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let Extent { inside, outside, count } = extent;
        write!(text, "{comma}{inside}:{outside}:{count}").expect("a String takes every write");
    }
}

/// Reads the three columns of `/proc/PID/uid_map`.
pub(crate) fn parse_map(text: &str) -> Vec<Extent> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Extent> {
    let mut columns = line.split_ascii_whitespace().map(str::parse);
    Some(Extent {
        inside: columns.next()?.ok()?,
        outside: columns.next()?.ok()?,
        count: columns.next()?.ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read_and_described() {
        let users =
            parse_map("         0       1000          1\n         1     200000      65536\n");
        let map = IdMap { groups: vec![users[0]], users };
        assert_eq!(map.description(), "u0:1000:1,1:200000:65536;g0:1000:1");
    }

    #[test]
    fn the_whole_range_of_the_first_namespace_fits() {
        let all = parse_map("0 0 4294967295\n");
        assert_eq!(all[0].count, u32::MAX);
    }
}
