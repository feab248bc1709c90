//! Matching in one pass: all the places in the pattern that the text so far may have led to.

use super::syntax::Class;

/// One place of a pattern, and what it takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Token {
    /// This letter.
    Letter(char),
    /// Any letter but `/`.
    Any,
    /// A letter of a class, which may well be `/`.
    Class(Class),
    /// Any run of letters of a class.
    Run(Class),
    /// Any run of letters without `/`.
    Star,
    /// Any run of letters.
    Rest,
    /// Nothing, or with [`Token::Directories`] behind it everything up to some `/`.
    Maybe,
    /// Any run of letters that ends in `/`.
    Directories,
}

/// A pattern ready to match.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Automaton {
    tokens: Vec<Token>,
}

/// A set of places, one bit for each.
#[derive(Clone, Debug)]
pub(super) struct Front(Vec<u64>);

impl Automaton {
    pub(super) fn new(tokens: Vec<Token>) -> Self {
        Self { tokens }
    }

    /// The places before any text.
    pub(super) fn start(&self) -> Front {
        let mut front = self.nowhere();
        self.enter(&mut front, 0);
        front
    }

    /// The places after one more letter.
    pub(super) fn step(&self, front: &Front, letter: char) -> Front {
        let mut next = self.nowhere();
        for place in front.places() {
            let (taken, target) = match self.tokens.get(place) {
                Some(Token::Letter(wanted)) => (*wanted == letter, place + 1),
                Some(Token::Any) => (letter != '/', place + 1),
                Some(Token::Class(class)) => (class.takes(letter), place + 1),
                Some(Token::Run(class)) => (class.takes(letter), place),
                Some(Token::Star) => (letter != '/', place),
                Some(Token::Rest) => (true, place),
                Some(Token::Directories) => {
                    next.insert(place);
                    (letter == '/', place + 1)
                }
                Some(Token::Maybe) | None => (false, place),
            };
            if taken {
                self.enter(&mut next, target);
            }
        }
        next
    }

    /// Whether the text so far is all the pattern asks for.
    pub(super) fn accepts(&self, front: &Front) -> bool {
        front.contains(self.tokens.len())
    }

    /// Adds a place and those that are reached from it without taking a letter.
    fn enter(&self, front: &mut Front, mut place: usize) {
        while front.insert(place) {
            place += match self.tokens.get(place) {
                Some(Token::Run(_) | Token::Star | Token::Rest) => 1,
                Some(Token::Maybe) => {
                    front.insert(place + 1);
                    2
                }
                Some(_) | None => return,
            }
        }
    }

    fn nowhere(&self) -> Front {
        Front(vec![0; self.tokens.len() / BITS + 1])
    }
}

const BITS: usize = u64::BITS as usize;

impl Front {
    /// Whether no continuation of the text can match any more.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn contains(&self, place: usize) -> bool {
        self.0[place / BITS] & (1 << (place % BITS)) != 0
    }

    /// Adds a place; false if it was there.
    fn insert(&mut self, place: usize) -> bool {
        let new = !self.contains(place);
        self.0[place / BITS] |= 1 << (place % BITS);
        new
    }

    fn places(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(index, word)| {
            let mut word = *word;
            std::iter::from_fn(move || {
                let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
                word &= word - 1;
                Some(index * BITS + bit)
            })
        })
    }
}
