//! The syntax trees of other people's Dockerfiles, as `BuildKit` reads them.

#![expect(clippy::unwrap_used, reason = "a test whose files cannot be read has failed")]

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;
use wythe_dockerfile::ast::{
    Command, Copy, Healthcheck, Instruction, InstructionKind, KeyValueForm, KeyValues, Run, Source,
    Word,
};
use wythe_dockerfile::parse::{parse, parse_trigger};
use wythe_dockerfile::span::LineIndex;

fn table() -> Value {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/dockerfile/tables/parser.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn rows(table: &Value, key: &str) -> Vec<(String, String, Value)> {
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let rows = table[key].as_array().unwrap().iter();
    rows.map(|row| (text(row, "name"), text(row, "dockerfile"), row.clone())).collect()
}

#[test]
fn trees_are_those_of_buildkit() {
    let table = table();
    let rows = rows(&table, "parse");
    assert_eq!(rows.len(), 33);
    for (name, source, row) in rows {
        let found: Vec<String> =
            parse(&source).dockerfile.instructions.iter().map(expression).collect();
        let expected = row["result"].as_str().unwrap().lines();
        // BuildKit's first pass takes lines that its second pass refuses; we have one pass.
        let expected: Vec<String> =
            expected.filter(|line| !refused_later(line)).map(without_zeros).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn what_buildkit_refuses_is_an_error() {
    let table = table();
    for (name, source, _) in rows(&table, "fail") {
        assert!(parse(&source).first_error().is_some(), "{name}");
    }
}

#[test]
fn instructions_know_their_lines() {
    let table = table();
    for (name, source, row) in rows(&table, "lines") {
        let lines = LineIndex::new(&source);
        let found: Vec<Value> = parse(&source)
            .dockerfile
            .instructions
            .iter()
            .map(|instruction| instruction.span)
            .map(|span| vec![lines.line(span.start), lines.line(span.end - 1)].into())
            .collect();
        assert_eq!(Value::from(found), row["instructions"], "{name}");
    }
}

fn refused_later(line: &str) -> bool {
    let unknown = ["[\"--user", "[\"--doit", "(healthcheck)", "(healthcheck \"CMD\")", "CONNECT"];
    unknown.iter().any(|part| line.contains(part))
}

/// A health check without its brackets and without flags of zero, which mean the same as none.
fn without_zeros(line: &str) -> String {
    if !line.starts_with("(healthcheck [") {
        return line.to_owned();
    }
    let words = line.split(' ').map(|word| word.trim_matches(['[', ']']));
    let words: Vec<&str> =
        words.filter(|word| !word.ends_with("=0s\"") && !word.ends_with("=0\"")).collect();
    words.join(" ")
}

/// An instruction in the notation of the table.
fn expression(instruction: &Instruction) -> String {
    let keyword = instruction.keyword.value.to_lowercase();
    let mut text = format!("({keyword}");
    if let InstructionKind::Onbuild(onbuild) = &instruction.kind {
        let trigger = parse_trigger(&onbuild.trigger.value).dockerfile.instructions;
        return trigger.iter().fold(text, |text, inner| text + " " + &expression(inner)) + ")";
    }
    for word in words(&instruction.kind) {
        write!(text, " {}", quoted(&word)).unwrap();
    }
    text + ")"
}

/// Go's `%q`, as far as the table goes.
fn quoted(word: &str) -> String {
    let mut text = String::from('"');
    for letter in word.chars() {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\0' => text.push_str("\\x00"),
            letter => text.push(letter),
        }
    }
    text + "\""
}

fn words(kind: &InstructionKind) -> Vec<String> {
    match kind {
        InstructionKind::Add(add) => sources(&add.sources, &add.destination),
        InstructionKind::Arg(arg) => arg.items.iter().map(argument).collect(),
        InstructionKind::Cmd(command)
        | InstructionKind::Entrypoint(command)
        | InstructionKind::Run(Run { command, .. }) => form(command),
        InstructionKind::Copy(Copy { sources: all, destination, .. }) => sources(all, destination),
        InstructionKind::Env(pairs) | InstructionKind::Label(pairs) => key_values(pairs),
        InstructionKind::Expose(list) | InstructionKind::Volume(list) => {
            list.words.iter().map(value).collect()
        }
        InstructionKind::From(from) => {
            let name = from.name.iter().flat_map(|name| ["AS".to_owned(), name.value.clone()]);
            [from.image.value.clone()].into_iter().chain(name).collect()
        }
        InstructionKind::Healthcheck(check) => healthcheck(check),
        InstructionKind::Onbuild(onbuild) => vec![onbuild.trigger.value.clone()],
        InstructionKind::Shell(words) => words.clone(),
        InstructionKind::Maintainer(word)
        | InstructionKind::Stopsignal(word)
        | InstructionKind::User(word)
        | InstructionKind::Workdir(word) => vec![word.value.clone()],
    }
}

fn healthcheck(check: &Healthcheck) -> Vec<String> {
    let Healthcheck::Command { timing, command } = check else { return vec!["NONE".to_owned()] };
    let seconds =
        |name, time: i64| (time != 0).then(|| format!("--{name}={}s", time / 1_000_000_000));
    let retries = (timing.retries != 0).then(|| format!("--retries={}", timing.retries));
    let flags = [seconds("interval", timing.interval), seconds("timeout", timing.timeout), retries];
    flags.into_iter().flatten().chain(["CMD".to_owned()]).chain(form(command)).collect()
}

fn sources(sources: &[Source], destination: &Word) -> Vec<String> {
    let names = sources.iter().map(|source| match source {
        Source::Word(word) => word.value.clone(),
        Source::Heredoc(heredoc) => heredoc.word.value.clone(),
    });
    names.chain([destination.value.clone()]).collect()
}

fn argument(item: &wythe_dockerfile::ast::ArgItem) -> String {
    let default = item.default.as_ref().map(|word| format!("={}", word.value));
    item.name.value.clone() + &default.unwrap_or_default()
}

fn key_values(pairs: &KeyValues) -> Vec<String> {
    let separator = if pairs.form == KeyValueForm::Equals { "=" } else { "" };
    let parts = pairs
        .pairs
        .iter()
        .flat_map(|pair| [pair.key.value.clone(), pair.value.value.clone(), separator.to_owned()]);
    parts.collect()
}

fn form(command: &Command) -> Vec<String> {
    match command {
        Command::Exec(words) => words.clone(),
        Command::Shell(text) => vec![text.clone()],
    }
}

fn value(word: &Word) -> String {
    word.value.clone()
}
