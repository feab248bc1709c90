//! Templates from text.

use serde_json::Value;

use super::{Loop, Piece, Pipeline, TemplateError, Term};

/// A template that is being read.
pub(super) struct Parser<'a> {
    rest: &'a str,
    /// Whether blanks before the next text go, as the last action said.
    trims: Trim,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Trim {
    No,
    Yes,
}

/// What is between two pairs of braces.
#[derive(Clone, Copy, Debug)]
struct Action<'a> {
    words: &'a str,
    /// Whether blanks before it go.
    before: Trim,
    /// Whether those behind it do.
    behind: Trim,
}

/// What ends a list of pieces.
#[derive(Clone, Debug, PartialEq)]
enum Closing {
    Else,
    ElseIf(Pipeline),
    End,
    EndOfText,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Assign,
    Close,
    Comma,
    Dot,
    Field(String),
    Literal(Value),
    Open,
    Pipe,
    Variable(String),
    Word(String),
}

/// How deep groups and blocks may lie in each other: far more than anybody writes, far less than the
/// stack holds.
const MAX_DEPTH: usize = 100;

fn syntax(what: impl Into<String>) -> TemplateError {
    TemplateError::Syntax(what.into())
}

impl<'a> Parser<'a> {
    /// Reads a whole template.
    pub(super) fn read(text: &'a str) -> Result<Vec<Piece>, TemplateError> {
        let mut parser = Self { rest: text, trims: Trim::No };
        match parser.pieces(0)? {
            (pieces, Closing::EndOfText) => Ok(pieces),
            (_, Closing::End) => Err(syntax("an end of nothing")),
            (_, Closing::Else | Closing::ElseIf(_)) => Err(syntax("an else of nothing")),
        }
    }

    fn pieces(&mut self, depth: usize) -> Result<(Vec<Piece>, Closing), TemplateError> {
        if depth > MAX_DEPTH {
            return Err(syntax("blocks that lie too deep in each other"));
        }
        let mut pieces = Vec::new();
        loop {
            let (text, action) = match self.rest.split_once("{{") {
                None => (std::mem::take(&mut self.rest), None),
                Some((text, after)) => {
                    self.rest = after;
                    (text, Some(self.action()?))
                }
            };
            self.text(text, action.map_or(Trim::No, |action| action.before), &mut pieces);
            let Some(Action { words, behind, .. }) = action else {
                return Ok((pieces, Closing::EndOfText));
            };
            self.trims = behind;
            let tokens = tokens(words)?;
            if let Some(closing) = self.statement(&tokens, depth, &mut pieces)? {
                return Ok((pieces, closing));
            }
        }
    }

    fn text(&self, text: &str, at_its_end: Trim, pieces: &mut Vec<Piece>) {
        let text = if self.trims == Trim::Yes { text.trim_start() } else { text };
        let text = if at_its_end == Trim::Yes { text.trim_end() } else { text };
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
    }

    fn action(&mut self) -> Result<Action<'a>, TemplateError> {
        let end = end_of_action(self.rest).ok_or_else(|| syntax("an action without }}"))?;
        let (inside, after) = self.rest.split_at(end);
        self.rest = &after[2..];
        let (inside, before) = match inside.strip_prefix("- ") {
            Some(inside) => (inside, Trim::Yes),
            None => (inside, Trim::No),
        };
        let (inside, behind) = match inside.strip_suffix(" -") {
            Some(inside) => (inside, Trim::Yes),
            None => (inside, Trim::No),
        };
        Ok(Action { words: inside.trim(), before, behind })
    }

    fn statement(
        &mut self,
        tokens: &[Token],
        depth: usize,
        pieces: &mut Vec<Piece>,
    ) -> Result<Option<Closing>, TemplateError> {
        let (word, rest) = match tokens.split_first() {
            None => return Ok(None),
            Some((Token::Word(word), rest)) => (word.as_str(), rest),
            Some(_) => ("", tokens),
        };
        let piece = match word {
            "end" => return Ok(Some(Closing::End)),
            "else" => {
                return Ok(Some(match rest.split_first() {
                    Some((Token::Word(word), rest)) if word == "if" => {
                        Closing::ElseIf(pipeline(rest)?)
                    }
                    Some(_) => return Err(syntax("something behind an else")),
                    None => Closing::Else,
                }));
            }
            "if" => self.condition(rest, depth)?,
            "range" => self.range(rest, depth)?,
            "with" => {
                let of = pipeline(rest)?;
                let (body, otherwise) = self.block(depth)?;
                Piece::With(of, body, otherwise)
            }
            "" if matches!(tokens, [Token::Variable(_), Token::Assign, ..]) => {
                let [Token::Variable(name), _, rest @ ..] = tokens else { return Ok(None) };
                Piece::Set(name.clone(), pipeline(rest)?)
            }
            _ => Piece::Print(pipeline(tokens)?),
        };
        pieces.push(piece);
        Ok(None)
    }

    fn condition(&mut self, of: &[Token], depth: usize) -> Result<Piece, TemplateError> {
        let mut cases = Vec::new();
        let mut condition = pipeline(of)?;
        loop {
            let (body, closing) = self.pieces(depth + 1)?;
            cases.push((condition, body));
            match closing {
                Closing::ElseIf(next) => condition = next,
                Closing::End => return Ok(Piece::If(cases, Vec::new())),
                Closing::Else => {
                    let otherwise = self.last_block(depth)?;
                    return Ok(Piece::If(cases, otherwise));
                }
                Closing::EndOfText => return Err(syntax("an if without end")),
            }
        }
    }

    fn range(&mut self, of: &[Token], depth: usize) -> Result<Piece, TemplateError> {
        let (names, over) = match of {
            [
                Token::Variable(key),
                Token::Comma,
                Token::Variable(value),
                Token::Assign,
                rest @ ..,
            ] => (vec![key.clone(), value.clone()], rest),
            [Token::Variable(value), Token::Assign, rest @ ..] => (vec![value.clone()], rest),
            rest => (Vec::new(), rest),
        };
        let over = pipeline(over)?;
        let (body, otherwise) = self.block(depth)?;
        Ok(Piece::Range(Loop { names, over, body, otherwise }))
    }

    /// What is up to an `end`, and behind an `else` where there is one.
    fn block(&mut self, depth: usize) -> Result<(Vec<Piece>, Vec<Piece>), TemplateError> {
        match self.pieces(depth + 1)? {
            (body, Closing::End) => Ok((body, Vec::new())),
            (body, Closing::Else) => Ok((body, self.last_block(depth)?)),
            (_, Closing::ElseIf(_)) => Err(syntax("an else if of no if")),
            (_, Closing::EndOfText) => Err(syntax("a block without end")),
        }
    }

    fn last_block(&mut self, depth: usize) -> Result<Vec<Piece>, TemplateError> {
        match self.pieces(depth + 1)? {
            (body, Closing::End) => Ok(body),
            _ => Err(syntax("an else without end")),
        }
    }
}

/// Where an action ends: at the first closing braces that are in no string.
fn end_of_action(text: &str) -> Option<usize> {
    if text.trim_start_matches("- ").starts_with("/*") {
        let end = text.find("*/")?;
        return Some(end + text[end..].find("}}")?);
    }
    let mut quote = None;
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (None, '"' | '`') => quote = Some(letter),
            (None, '}') if text[at..].starts_with("}}") => return Some(at),
            (Some('"'), '\\') => drop(letters.next()),
            (Some(open), letter) if open == letter => quote = None,
            _ => {}
        }
    }
    None
}

fn tokens(text: &str) -> Result<Vec<Token>, TemplateError> {
    if text.starts_with("/*") {
        return Ok(Vec::new());
    }
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            letter if letter.is_whitespace() => {
                rest = &rest[letter.len_utf8()..];
                continue;
            }
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '|' => (Token::Pipe, 1),
            ',' => (Token::Comma, 1),
            ':' if rest.starts_with(":=") => (Token::Assign, 2),
            '"' | '`' => string(rest)?,
            '$' => {
                let length = 1 + name_length(&rest[1..]);
                (Token::Variable(rest[1..length].to_owned()), length)
            }
            '.' => match name_length(&rest[1..]) {
                0 => (Token::Dot, 1),
                length => (Token::Field(rest[1..=length].to_owned()), 1 + length),
            },
            '0'..='9' | '-' => number(rest)?,
            _ => match name_length(rest) {
                0 => return Err(syntax(format!("{first:?} in an action"))),
                length => (word(&rest[..length]), length),
            },
        };
        // A field of what stands before it, and not an argument beside it.
        let continues = rest.len() < text.len()
            && !text[..text.len() - rest.len()].ends_with(char::is_whitespace);
        match (token, tokens.last()) {
            (Token::Field(name), Some(Token::Variable(_) | Token::Field(_) | Token::Close))
                if continues =>
            {
                tokens.push(Token::Word(format!(".{name}")));
            }
            (Token::Field(name), Some(Token::Word(last))) if continues && last.starts_with('.') => {
                tokens.push(Token::Word(format!(".{name}")));
            }
            (token, _) => tokens.push(token),
        }
        rest = &rest[length..];
    }
    Ok(tokens)
}

fn name_length(text: &str) -> usize {
    let is_end = |letter: char| !(letter.is_alphanumeric() || letter == '_');
    text.find(is_end).unwrap_or(text.len())
}

fn word(text: &str) -> Token {
    match text {
        "false" => Token::Literal(Value::Bool(false)),
        "nil" => Token::Literal(Value::Null),
        "true" => Token::Literal(Value::Bool(true)),
        _ => Token::Word(text.to_owned()),
    }
}

fn number(text: &str) -> Result<(Token, usize), TemplateError> {
    let digits =
        text[1..].find(|letter: char| !letter.is_ascii_digit()).map_or(text.len(), |at| at + 1);
    let number: i64 = text[..digits]
        .parse()
        .map_err(|_| syntax(format!("{:?} for a number", &text[..digits])))?;
    Ok((Token::Literal(number.into()), digits))
}

/// A string in quotes, with the escapes that JSON has as well, or between backquotes.
fn string(text: &str) -> Result<(Token, usize), TemplateError> {
    let open = || syntax("a string without end");
    if let Some(raw) = text.strip_prefix('`') {
        let end = raw.find('`').ok_or_else(open)?;
        return Ok((Token::Literal(raw[..end].into()), end + 2));
    }
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            '"' => {
                let value = serde_json::from_str(&text[..=at]);
                let value: Value = value.map_err(|_| syntax("an escape that is none"))?;
                return Ok((Token::Literal(value), at + 1));
            }
            _ => {}
        }
    }
    Err(open())
}

fn pipeline(tokens: &[Token]) -> Result<Pipeline, TemplateError> {
    let mut terms = Terms { tokens, depth: 0 };
    let pipeline = terms.pipeline()?;
    if terms.tokens.is_empty() { Ok(pipeline) } else { Err(syntax("a ) of nothing")) }
}

/// The tokens of an action that are left.
struct Terms<'a> {
    tokens: &'a [Token],
    depth: usize,
}

impl Terms<'_> {
    fn pipeline(&mut self) -> Result<Pipeline, TemplateError> {
        let mut calls = vec![Vec::new()];
        while let Some((token, rest)) = self.tokens.split_first() {
            if *token == Token::Close {
                break;
            }
            self.tokens = rest;
            let call = calls.last_mut().ok_or_else(|| syntax("nothing in an action"))?;
            if *token == Token::Pipe {
                calls.push(Vec::new());
            } else {
                let term = self.term(token)?;
                call.push(term);
            }
        }
        if calls.iter().any(Vec::is_empty) {
            Err(syntax("nothing in an action"))
        } else {
            Ok(calls)
        }
    }

    fn term(&mut self, token: &Token) -> Result<Term, TemplateError> {
        let mut term = match token {
            Token::Dot => Term::Dot,
            Token::Field(name) => Term::Field(Box::new(Term::Dot), name.clone()),
            Token::Literal(value) => Term::Literal(value.clone()),
            Token::Open => self.group()?,
            Token::Variable(name) => Term::Variable(name.clone()),
            Token::Word(name) => Term::Function(name.clone()),
            Token::Assign | Token::Close | Token::Comma | Token::Pipe => {
                return Err(syntax("a sign in the wrong place"));
            }
        };
        while let Some((Token::Word(name), rest)) = self.tokens.split_first()
            && let Some(name) = name.strip_prefix('.')
        {
            term = Term::Field(Box::new(term), name.to_owned());
            self.tokens = rest;
        }
        Ok(term)
    }

    fn group(&mut self) -> Result<Term, TemplateError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(syntax("groups that lie too deep in each other"));
        }
        let group = self.pipeline()?;
        let Some((Token::Close, rest)) = self.tokens.split_first() else {
            return Err(syntax("a ( without )"));
        };
        (self.tokens, self.depth) = (rest, self.depth - 1);
        Ok(Term::Group(group))
    }
}
