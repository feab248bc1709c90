//! The choices of a writer: all the plainest, or those that a test made up.

/// Where the choices come from.
#[derive(Debug)]
pub(crate) struct Pen {
    choices: Vec<u8>,
    at: usize,
    /// The escape character.
    pub(crate) escape: char,
}

impl Pen {
    /// Always the first choice.
    pub(crate) fn plain() -> Self {
        Self { choices: Vec::new(), at: 0, escape: '\\' }
    }

    /// These choices, over and over.
    pub(crate) fn choosing(choices: Vec<u8>) -> Self {
        Self { choices, at: 0, escape: '\\' }
    }

    /// A number below `count`.
    pub(crate) fn pick(&mut self, count: usize) -> usize {
        if self.choices.is_empty() {
            return 0;
        }
        self.at += 1;
        // The place joins in, so that few bytes still make many choices.
        let byte = self.choices[self.at % self.choices.len()];
        (usize::from(byte) + self.at / self.choices.len()) % count
    }

    /// One of several ways.
    pub(crate) fn one<'a>(&mut self, ways: &[&'a str]) -> &'a str {
        ways[self.pick(ways.len())]
    }

    /// The items in another order.
    pub(crate) fn shuffled<T>(&mut self, mut items: Vec<T>) -> Vec<T> {
        for end in (1..items.len()).rev() {
            // The first choice leaves everything in place.
            let other = end - self.pick(end + 1);
            items.swap(end, other);
        }
        items
    }

    /// A word in one of the cases.
    pub(crate) fn cased(&mut self, word: &str) -> String {
        match self.pick(3) {
            0 => word.to_owned(),
            1 => word.to_lowercase(),
            _ => word
                .chars()
                .enumerate()
                .map(|(at, letter)| if at % 2 == 0 { letter.to_ascii_lowercase() } else { letter })
                .collect(),
        }
    }

    /// A word without white space, with or without quotes.
    pub(crate) fn quoted(&mut self, word: &str) -> String {
        match self.pick(3) {
            0 => word.to_owned(),
            1 => format!("\"{word}\""),
            _ if word.contains('$') => word.to_owned(),
            _ => format!("'{word}'"),
        }
    }

    /// A list in JSON.
    pub(crate) fn json(&mut self, words: &[String]) -> String {
        let (open, comma, close) =
            (self.one(&["[", "[ "]), self.one(&[", ", ",", " ,  "]), self.one(&["]", " ]"]));
        let words: Vec<String> =
            words.iter().map(|word| serde_json::to_string(word).unwrap()).collect();
        format!("{open}{}{close}", words.join(comma))
    }

    /// A line that goes on over several, with comments between them.
    pub(crate) fn folded(&mut self, line: &str) -> String {
        let mut out = String::new();
        let mut rest = line;
        while let Some(at) = self.fold(rest) {
            out.push_str(&rest[..at]);
            out.push(self.escape);
            out.push_str(self.one(&[
                "\n",
                "  \n",
                "\n# a comment\n",
                "\n   # ends in \\\n# and one more\n",
                "\t\n\n",
            ]));
            rest = &rest[at..];
        }
        out + rest + self.one(&["\n", "\n", " \n", "\t \n"])
    }

    /// Where to break a line, if at all: not so that what follows reads as a comment or as nothing,
    /// and not behind an escape.
    fn fold(&mut self, line: &str) -> Option<usize> {
        if self.pick(3) == 0 {
            return None;
        }
        let places: Vec<usize> = line.char_indices().map(|(at, _)| at).skip(1).collect();
        let fits = |at: &usize| {
            let (before, after) = line.split_at(*at);
            let after = after.trim_start();
            !before.ends_with(['\\', '`']) && !after.is_empty() && !after.starts_with('#')
        };
        let places: Vec<usize> = places.into_iter().filter(fits).collect();
        if places.is_empty() { None } else { Some(places[self.pick(places.len())]) }
    }

    /// What may stand between instructions.
    pub(crate) fn gap(&mut self) -> &'static str {
        self.one(&[
            "",
            "\n",
            "# a comment\n",
            "  # FROM a comment \\\n",
            "\n\t\n# about nothing\n\n",
        ])
    }
}
