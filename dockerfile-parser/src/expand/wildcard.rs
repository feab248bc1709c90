//! The patterns of `${N#p}`, `${N%p}` and `${N/p/r}`: `*` and `?`, and no classes.

use std::ops::Range;

use super::Cause;

/// A pattern, read once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Wildcard {
    tokens: Vec<Token>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Token {
    Letter(char),
    Any,
    Run,
}

/// Where a match may start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Anchor {
    Start,
    Anywhere,
}

/// Which of several matches with one start is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Extent {
    Shortest,
    Longest,
}

impl Wildcard {
    /// Reads a pattern. The backslash is its escape whatever the file's escape character is.
    pub(super) fn parse(pattern: &str) -> Result<Self, Cause> {
        let mut letters = pattern.chars();
        let mut tokens = Vec::new();
        while let Some(letter) = letters.next() {
            let token = match letter {
                '*' => Token::Run,
                '?' => Token::Any,
                '\\' => match letters.next() {
                    Some(escaped @ ('*' | '?' | '\\' | '}' | '/')) => Token::Letter(escaped),
                    escaped => {
                        return Err(Cause::Pattern { pattern: pattern.to_owned(), escaped });
                    }
                },
                letter => Token::Letter(letter),
            };
            // Two runs are one.
            if token != Token::Run || tokens.last() != Some(&Token::Run) {
                tokens.push(token);
            }
        }
        Ok(Self { tokens })
    }

    /// The pattern that matches reversed texts.
    pub(super) fn reversed(mut self) -> Self {
        self.tokens.reverse();
        self
    }

    /// The leftmost match, in one pass: every state remembers the leftmost start that leads to it.
    pub(super) fn find(
        &self,
        text: &[char],
        anchor: Anchor,
        extent: Extent,
    ) -> Option<Range<usize>> {
        // A variable may hold megabytes, and so may a pattern: there is no need to try in vain.
        let letters = self.tokens.iter().filter(|token| **token != Token::Run).count();
        if letters > text.len() {
            return None;
        }
        let mut front = vec![None; self.tokens.len() + 1];
        let mut best: Option<Range<usize>> = None;
        for at in 0..=text.len() {
            if best.is_none() && (at == 0 || anchor == Anchor::Anywhere) {
                front[0] = earlier(front[0], Some(at));
            }
            self.close(&mut front);
            if let Some(start) = front[self.tokens.len()]
                && best.as_ref().is_none_or(|best| start <= best.start)
            {
                best = Some(start..at);
                if extent == Extent::Shortest {
                    break;
                }
            }
            let Some(letter) = text.get(at) else { break };
            front = self.step(&front, *letter);
            if best.is_some() && front.iter().all(Option::is_none) {
                break;
            }
        }
        best
    }

    fn close(&self, front: &mut [Option<usize>]) {
        for (state, token) in self.tokens.iter().enumerate() {
            if *token == Token::Run {
                front[state + 1] = earlier(front[state + 1], front[state]);
            }
        }
    }

    fn step(&self, front: &[Option<usize>], letter: char) -> Vec<Option<usize>> {
        let mut next = vec![None; front.len()];
        for (state, token) in self.tokens.iter().enumerate() {
            let target = match token {
                Token::Letter(wanted) if *wanted == letter => state + 1,
                Token::Any if letter != '\n' => state + 1,
                Token::Run if letter != '\n' => state,
                Token::Letter(_) | Token::Any | Token::Run => continue,
            };
            next[target] = earlier(next[target], front[state]);
        }
        next
    }
}

fn earlier(a: Option<usize>, b: Option<usize>) -> Option<usize> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pattern: &str, text: &str, anchor: Anchor, extent: Extent) -> Option<Range<usize>> {
        let text: Vec<char> = text.chars().collect();
        Wildcard::parse(pattern).unwrap().find(&text, anchor, extent)
    }

    #[test]
    fn the_leftmost_match_wins_and_then_the_wanted_extent() {
        use {Anchor::*, Extent::*};
        assert_eq!(find("*X", "aXbXc", Start, Shortest), Some(0..2));
        assert_eq!(find("*X", "aXbXc", Start, Longest), Some(0..4));
        assert_eq!(find("?X", "aXbXc", Anywhere, Longest), Some(0..2));
        assert_eq!(find("b*", "aXbXc", Anywhere, Longest), Some(2..5));
        assert_eq!(find("b", "aXbXc", Start, Longest), None);
        assert_eq!(find("[ab]", "a", Anywhere, Longest), None);
        assert_eq!(find("", "ab", Anywhere, Longest), Some(0..0));
    }

    #[test]
    fn wildcards_stay_on_their_line() {
        assert_eq!(find("*b", "a\nb", Anchor::Start, Extent::Longest), None);
        assert_eq!(find("a?b", "a\nb", Anchor::Start, Extent::Longest), None);
    }

    #[test]
    fn only_special_characters_may_be_escaped() {
        assert_eq!(find(r"\*\/\}", "a*/}", Anchor::Anywhere, Extent::Longest), Some(1..4));
        assert!(Wildcard::parse(r"\a").is_err());
        assert!(Wildcard::parse("\\").is_err());
    }

    #[test]
    fn a_pattern_of_megabytes_is_not_tried_on_a_short_text() {
        let letters = "a".repeat(8 << 20);
        assert_eq!(find(&letters, &"a".repeat(500), Anchor::Anywhere, Extent::Longest), None);
        let stars = "*".repeat(8 << 20);
        assert_eq!(find(&stars, &"a".repeat(500), Anchor::Anywhere, Extent::Longest), Some(0..500));
    }

    #[test]
    fn many_stars_take_linear_time() {
        let pattern = "a*".repeat(200) + "b";
        assert_eq!(find(&pattern, &"a".repeat(5000), Anchor::Anywhere, Extent::Longest), None);
    }
}
