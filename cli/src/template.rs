//! The templates of `--format`: as much of Go's as people write for docker.
//!
//! Fields, variables, pipelines, `if`, `range`, `with`, and the functions of Go and docker that have a
//! use in one line. What is not known is refused by name.

use std::str::FromStr;

use serde_json::Value;

mod functions;
mod parse;

use self::parse::Parser;

/// A template that was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Template(Vec<Piece>);

/// Why a template cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TemplateError {
    /// It does not follow the grammar.
    #[error("the template has {0}")]
    Syntax(String),
    /// It names a function that there is none of.
    #[error("the template calls {0}, which is no function here")]
    Function(String),
    /// A function was given what it cannot take.
    #[error("the template calls {0} with what it cannot take")]
    Arguments(&'static str),
    /// It asks for a field that there is none of.
    #[error("there is no field .{name}; there are {known}")]
    Field {
        /// The field.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// It names a variable that was not set.
    #[error("the template has no variable ${0}")]
    Variable(String),
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Print(Pipeline),
    Set(String, Pipeline),
    /// Conditions with what is printed where they hold, the first that does; else the last.
    If(Vec<(Pipeline, Vec<Piece>)>, Vec<Piece>),
    Range(Loop),
    With(Pipeline, Vec<Piece>, Vec<Piece>),
}

#[derive(Clone, Debug, PartialEq)]
struct Loop {
    /// The variables for the value, or for the key and the value.
    names: Vec<String>,
    over: Pipeline,
    body: Vec<Piece>,
    otherwise: Vec<Piece>,
}

/// Calls, each with the result of the one before as its last argument.
type Pipeline = Vec<Vec<Term>>;

#[derive(Clone, Debug, PartialEq)]
enum Term {
    Dot,
    Field(Box<Term>, String),
    Function(String),
    Group(Pipeline),
    Literal(Value),
    /// The name without its dollar sign; empty for what the template was given.
    Variable(String),
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Parser::read(text).map(Self)
    }
}

impl Template {
    /// What the template makes of a value.
    pub(crate) fn render(&self, value: &Value) -> Result<String, TemplateError> {
        let mut run = Run { out: String::new(), variables: vec![(String::new(), value.clone())] };
        run.pieces(&self.0, value)?;
        Ok(run.out)
    }
}

/// A template at work.
struct Run {
    out: String,
    variables: Vec<(String, Value)>,
}

impl Run {
    fn pieces(&mut self, pieces: &[Piece], dot: &Value) -> Result<(), TemplateError> {
        let scope = self.variables.len();
        for piece in pieces {
            self.piece(piece, dot)?;
        }
        self.variables.truncate(scope);
        Ok(())
    }

    fn piece(&mut self, piece: &Piece, dot: &Value) -> Result<(), TemplateError> {
        match piece {
            Piece::Text(text) => self.out.push_str(text),
            Piece::Print(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                self.out.push_str(&functions::text(&value));
            }
            Piece::Set(name, pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                self.variables.push((name.clone(), value));
            }
            Piece::If(cases, otherwise) => {
                for (condition, body) in cases {
                    if functions::is_true(&self.pipeline(condition, dot)?) {
                        return self.pieces(body, dot);
                    }
                }
                self.pieces(otherwise, dot)?;
            }
            Piece::Range(each) => self.range(each, dot)?,
            Piece::With(pipeline, body, otherwise) => {
                let value = self.pipeline(pipeline, dot)?;
                if functions::is_true(&value) {
                    self.pieces(body, &value)?;
                } else {
                    self.pieces(otherwise, dot)?;
                }
            }
        }
        Ok(())
    }

    fn range(&mut self, each: &Loop, dot: &Value) -> Result<(), TemplateError> {
        let entries: Vec<(Value, Value)> = match self.pipeline(&each.over, dot)? {
            Value::Array(list) => {
                list.into_iter().enumerate().map(|(at, value)| (at.into(), value)).collect()
            }
            Value::Object(map) => map.into_iter().map(|(key, value)| (key.into(), value)).collect(),
            Value::Null => Vec::new(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(TemplateError::Arguments("range"));
            }
        };
        if entries.is_empty() {
            return self.pieces(&each.otherwise, dot);
        }
        for (key, value) in entries {
            let scope = self.variables.len();
            match each.names.as_slice() {
                [] => {}
                [one] => self.variables.push((one.clone(), value.clone())),
                [first, second, ..] => {
                    self.variables.push((first.clone(), key));
                    self.variables.push((second.clone(), value.clone()));
                }
            }
            self.pieces(&each.body, &value)?;
            self.variables.truncate(scope);
        }
        Ok(())
    }

    fn pipeline(&self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let mut result: Option<Value> = None;
        for call in pipeline {
            result = Some(self.call(call, result, dot)?);
        }
        Ok(result.unwrap_or_default())
    }

    fn call(
        &self,
        call: &[Term],
        piped: Option<Value>,
        dot: &Value,
    ) -> Result<Value, TemplateError> {
        let Some((first, rest)) = call.split_first() else { return Ok(Value::Null) };
        if let Term::Function(name) = first {
            let rest = rest.iter().map(|term| self.term(term, dot));
            let mut arguments = rest.collect::<Result<Vec<Value>, _>>()?;
            arguments.extend(piped);
            return functions::call(name, &arguments);
        }
        if !rest.is_empty() || piped.is_some() {
            return Err(TemplateError::Syntax("a value where a function is to be".to_owned()));
        }
        self.term(first, dot)
    }

    fn term(&self, term: &Term, dot: &Value) -> Result<Value, TemplateError> {
        match term {
            Term::Dot => Ok(dot.clone()),
            Term::Field(of, name) => field(&self.term(of, dot)?, name),
            Term::Function(name) => functions::call(name, &[]),
            Term::Group(pipeline) => self.pipeline(pipeline, dot),
            Term::Literal(value) => Ok(value.clone()),
            Term::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                let (_, value) = found.ok_or_else(|| TemplateError::Variable(name.clone()))?;
                Ok(value.clone())
            }
        }
    }
}

/// What a value has under a name. What is empty has nothing, and so has a map of docker's under a key
/// that is lacking; its fields begin with capitals, and must be there.
fn field(of: &Value, name: &str) -> Result<Value, TemplateError> {
    let unknown = |known: String| TemplateError::Field { name: name.to_owned(), known };
    match of {
        Value::Object(map) => match map.get(name) {
            Some(value) => Ok(value.clone()),
            None if name.starts_with(|first: char| first.is_lowercase()) => Ok(Value::Null),
            None => {
                let known: Vec<String> = map.keys().map(|key| format!(".{key}")).collect();
                Err(unknown(known.join(" ")))
            }
        },
        Value::Null => Ok(Value::Null),
        Value::Array(_) | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(unknown("none".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn image() -> Value {
        json!({
            "Id": "sha256:ab",
            "Size": 1234,
            "RepoTags": ["a:1", "b:2"],
            "Config": {
                "Env": ["A=1", "B=2"],
                "Labels": {"one": "1", "x.y": "2"},
                "Entrypoint": null,
                "User": "",
            },
        })
    }

    #[track_caller]
    fn check(template: &str, expected: &str) {
        let rendered = template.parse::<Template>().and_then(|read| read.render(&image()));
        assert_eq!(rendered, Ok(expected.to_owned()), "{template}");
    }

    #[track_caller]
    fn refused(template: &str, words: &str) {
        let rendered = template.parse::<Template>().and_then(|read| read.render(&image()));
        let told = rendered.unwrap_err().to_string();
        assert!(told.contains(words), "{told}");
    }

    #[test]
    fn fields_are_printed_as_go_prints_them() {
        check("{{.Id}} {{ .Size }}", "sha256:ab 1234");
        check("{{.RepoTags}}", "[a:1 b:2]");
        check("{{.Config.Labels}}", "map[one:1 x.y:2]");
        check("{{.Config.Entrypoint}}", "<no value>");
        check("{{.Config.Labels.one}}{{.Config.Labels.none}}", "1<no value>");
        check("a{{/* nothing */}}b {{- \"c\" -}} d", "abcd");
    }

    #[test]
    fn what_people_write_for_docker_inspect_works() {
        check("{{json .Config.Env}}", r#"["A=1","B=2"]"#);
        check("{{index .RepoTags 0}}", "a:1");
        check("{{index .Config.Labels \"x.y\"}}", "2");
        check("{{join .RepoTags \", \"}}", "a:1, b:2");
        check("{{range .Config.Env}}{{println .}}{{end}}", "A=1\nB=2\n");
        check("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "one=1;x.y=2;");
        check("{{if .Config.User}}u{{else if eq .Size 1234}}s{{else}}n{{end}}", "s");
        check("{{with .Config}}{{len .Env}}{{$.Id}}{{end}}", "2sha256:ab");
        check(
            "{{$x := .Size}}{{printf \"%s is %6d|%-4v|%q\" .Id $x 1 \"q\"}}",
            "sha256:ab is   1234|1   |\"q\"",
        );
        check("{{.Id | upper | printf \"%s!\"}}", "SHA256:AB!");
        check("{{slice .Id 0 6}} {{truncate .Id 3}}", "sha256 sha");
        check("{{(index (split (index .Config.Env 1) \"=\") 1)}}", "2");
        check("{{range .Config.Entrypoint}}x{{else}}none{{end}}", "none");
        check("{{and .Id .Config.User}}{{or .Config.User \"nobody\"}}{{not true}}", "nobodyfalse");
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        refused("{{.Idd}}", "no field .Idd; there are .Config .Id");
        refused("{{.Id.X}}", "no field .X");
        refused("{{jsn .}}", "calls jsn");
        refused("{{$x}}", "no variable $x");
        refused("{{index .RepoTags 5}}", "index");
        for broken in
            ["{{.Id", "{{if .Id}}x", "{{end}}", "{{else}}", "{{\"a}}", "{{(.Id}}", "{{.Id .Id}}"]
        {
            refused(broken, "template has");
        }
    }
}
