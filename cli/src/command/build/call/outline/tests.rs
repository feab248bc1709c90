//! Outlines of short Dockerfiles, as `BuildKit` tells them.

use serde_json::{Value, json};
use wythe_builder::options::{NamedContext, Options};
use wythe_dockerfile::parse::parse;
use wythe_store::oci::platform::Platform;

use super::Outline;
use crate::failure::Failure;
use crate::render::source::SourceFile;

fn outline(text: &str, target: Option<&str>, given: &[(&str, &str)]) -> Result<Value, Failure> {
    let options = Options::new(Platform::linux("amd64"));
    outline_with(options, text, target, given)
}

fn outline_with(
    mut options: Options,
    text: &str,
    target: Option<&str>,
    given: &[(&str, &str)],
) -> Result<Value, Failure> {
    options.targets.extend(target.map(str::to_owned));
    let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    options.build_args.extend(given);
    let source = SourceFile { name: String::new(), text: text.to_owned() };
    Outline::of(&parse(text).dockerfile, &options).map(|outline| outline.json(&source))
}

fn lines(start: u32) -> Value {
    json!({"ranges": [{"start": {"line": start}, "end": {"line": start}}]})
}

/// The arguments as `LINE NAME=value`.
#[track_caller]
fn arguments(text: &str, given: &[(&str, &str)], expected: &[&str]) {
    let outline = outline(text, None, given).unwrap();
    let args = outline.get("args").and_then(Value::as_array).cloned().unwrap_or_default();
    let told = args.iter().map(|arg| {
        let line = &arg["location"]["ranges"][0]["start"]["line"];
        let value = arg.get("value").map_or("", |value| value.as_str().unwrap());
        format!("{line} {}={value}", arg["name"].as_str().unwrap())
    });
    assert_eq!(told.collect::<Vec<_>>(), expected, "{text}");
}

#[test]
fn a_variable_decides_which_stage_is_needed() {
    let text = "ARG KIND=one\nFROM a AS one\nARG V\nFROM a AS two\nARG W\nFROM $KIND\n";
    arguments(text, &[], &["1 KIND=one", "3 V="]);
    arguments(text, &[("KIND", "two")], &["1 KIND=two", "5 W="]);
}

#[test]
fn of_the_global_arguments_those_are_told_that_the_target_uses() {
    arguments("ARG A=1\nARG B=2\nFROM a\nARG B\n", &[], &["2 B=2"]);
    arguments("ARG A=1\nFROM a\nRUN echo $A\n", &[], &[]);
    arguments("ARG A=a\nARG B=2\nFROM $A\n", &[], &["1 A=a"]);
    arguments("ARG P=linux/amd64\nARG Q\nFROM --platform=$P a\n", &[], &["1 P=linux/amd64"]);
    arguments("ARG A=a\nARG B=b\nFROM ${A:-$B}\n", &[], &["1 A=a", "2 B=b"]);
    arguments("ARG A=a\nARG B=b\nFROM $A AS x\nFROM $B AS y\n", &[], &["2 B=b"]);
    arguments("ARG A=a\nFROM $A AS x\nFROM x\n", &[], &["1 A=a"]);
}

#[test]
fn what_a_default_reads_is_used_unless_the_argument_is_given() {
    let text = "ARG A=1\nARG B=$A\nARG C=$B\nARG D\nFROM a\nARG C\n";
    arguments(text, &[], &["1 A=1", "2 B=1", "3 C=1"]);
    arguments(text, &[("B", "7")], &["2 B=7", "3 C=7"]);
    arguments(text, &[("C", "7")], &["6 C=7"]);
    let again = "ARG A=1\nARG Z=z\nARG A=$A-$Z\nARG A=$A.\nFROM a\nARG A\n";
    arguments(again, &[], &["2 Z=z", "4 A=1-z."]);
    arguments("ARG A=1\nARG B='$A'\nFROM a\nARG B\n", &[], &["2 B=$A"]);
}

#[test]
fn an_argument_is_told_where_it_gets_its_value() {
    arguments("ARG A=1\nFROM a\nARG A\n", &[], &["1 A=1"]);
    arguments("ARG A=1\nFROM a\nARG A\n", &[("A", "5")], &["3 A=5"]);
    arguments("ARG A=1\nFROM a\nARG A=2\n", &[], &["3 A=2"]);
    arguments("ARG A\nFROM a\nARG A\n", &[], &["3 A="]);
    arguments("FROM a\nARG V=1\nARG V\n", &[], &["3 V="]);
    arguments("FROM a AS x\nARG V=a\nFROM x\nARG V=b\n", &[], &["4 V=b"]);
    arguments("FROM a AS x\nARG V=a\nFROM x\nCOPY --from=x / /\n", &[], &["2 V=a"]);
    arguments("FROM a AS x\nARG V=a\nFROM b\nARG V=b\nCOPY --from=x / /\n", &[], &["4 V=b"]);
}

#[test]
fn an_argument_that_every_build_has_is_told_only_with_a_value_of_its_own() {
    arguments("FROM a\nARG TARGETPLATFORM\nARG TARGETARCH=x\n", &[], &["3 TARGETARCH=x"]);
    arguments("FROM a\nARG TARGETOS\n", &[("TARGETOS", "x")], &["2 TARGETOS=x"]);
    arguments("ARG P=$TARGETOS-$BUILDARCH\nFROM a\nARG P\n", &[], &["1 P=linux-amd64"]);
    arguments("FROM a\nARG HTTP_PROXY\n", &[], &["2 HTTP_PROXY="]);
}

#[test]
fn triggers_of_a_stage_are_told_where_they_fire() {
    let text = "ARG G=1\nFROM a AS x\nONBUILD ARG O=1\nONBUILD ARG G\n\
                ONBUILD RUN --mount=type=secret,id=q x\nFROM x\nARG P=$O\n";
    arguments(text, &[], &["1 G=1", "6 O=1", "7 P=1"]);
    let outline = outline(text, None, &[]).unwrap();
    assert_eq!(outline["secrets"], json!([{"name": "q", "location": lines(6)}]));
}

#[test]
fn names_of_one_line_keep_their_order() {
    let text = "ARG A=1 B=2 C=$B\nFROM a\nARG C A\nARG Z=1 Y=$Z X\n";
    arguments(text, &[], &["1 A=1", "1 B=2", "1 C=2", "4 Z=1", "4 Y=1", "4 X="]);
}

#[test]
fn a_target_asks_for_what_the_stages_it_needs_ask_for() {
    let text = "# check=skip=all\n# V the version\nARG V=1\nFROM a AS one\nARG W\nRUN --mount=type=secret,id=s,required \
                --mount=type=cache,target=/c x\nFROM b AS two\nARG X\nFROM one\nRUN --mount=type=ssh y\nARG V\n";
    let outline = outline(text, None, &[("W", "9")]).unwrap();
    assert_eq!(
        outline["args"],
        json!([
            {"name": "V", "description": "the version", "value": "1", "location": lines(3)},
            {"name": "W", "value": "9", "location": lines(5)},
        ])
    );
    let secret = json!({"name": "s", "required": true, "location": lines(6)});
    assert_eq!(outline["secrets"], json!([secret]));
    let agent = json!({"name": "default", "location": lines(10)});
    assert_eq!(outline["ssh"], json!([agent]));
    assert_eq!(outline["cache"], json!([{"ID": "/c"}]));
    assert_eq!(outline.get("name"), None);
}

#[test]
fn secrets_are_told_by_their_expanded_names_in_the_order_of_the_file() {
    let text = "FROM a AS x\nARG S=sec\nRUN --mount=type=secret,id=$S --mount=type=secret,id=z,required x\n\
                FROM x\nRUN --mount=type=secret,target=/x/${S}2 --mount=type=secret,id=$S y\n";
    let secrets = outline(text, None, &[]).unwrap()["secrets"].clone();
    let expected = json!([
        {"name": "z", "required": true, "location": lines(3)},
        {"name": "sec2", "location": lines(5)},
        {"name": "sec", "location": lines(5)},
    ]);
    assert_eq!(secrets, expected);
}

#[test]
fn defaults_are_told_as_they_are_expanded() {
    let text =
        "ARG V=1\nARG W=v$V\nFROM a AS one\nARG V\nENV E=e\nFROM one\nARG W X=$V-$E Y=${Z:-$z}\n";
    arguments(text, &[], &["1 V=1", "2 W=v1", "7 X=1-e", "7 Y="]);
}

#[test]
fn a_context_in_the_place_of_a_stage_takes_no_arguments() {
    let text = "ARG G=g\nFROM a AS x\nARG X\nFROM $G AS y\nARG Y\nFROM x AS z\nARG Z\nFROM z\nCOPY --from=y / /\n";
    let names = |replaced: &str| {
        let mut options = Options::new(Platform::linux("amd64"));
        let context = NamedContext::Directory("dir".into());
        options.contexts.insert(replaced.to_owned(), context);
        let outline = outline_with(options, text, None, &[]).unwrap();
        let args = outline["args"].as_array().unwrap().iter();
        args.map(|arg| arg["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("other"), "G X Y Z");
    assert_eq!(names("x"), "G Y Z");
    assert_eq!(names("y"), "X Z");
    assert_eq!(names("z"), "G Y");
}

#[test]
fn a_target_that_is_not_there_has_no_outline() {
    let failure = outline("FROM a AS build\n", Some("bulid"), &[]).unwrap_err();
    assert!(failure.lines().join("\n").contains("did you mean build?"));
}
