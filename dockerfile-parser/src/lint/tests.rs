//! Each rule where it speaks, where it is silent, and how it is turned off.

use std::collections::{BTreeMap, BTreeSet};

use super::{BaseFacts, Coverage, LintContext, PlatformMismatch, Settings, check as lint};
use crate::parse::parse;
use crate::pattern::PatternSet;

fn found(source: &str, context: &LintContext<'_>) -> Vec<(&'static str, usize)> {
    let parsed = parse(source);
    assert_eq!(parsed.first_error(), None, "{source}");
    let findings = lint(source, &parsed, context).unwrap().findings.into_iter();
    let mut found: Vec<_> =
        findings.map(|finding| (finding.rule.unwrap(), finding.line(source))).collect();
    found.sort_by_key(|(rule, line)| (*line, *rule));
    found.dedup();
    found
}

#[track_caller]
fn check(source: &str, expected: &[(&str, usize)]) {
    assert_eq!(found(source, &LintContext::default()), expected, "{source}");
}

#[test]
fn a_stage_that_a_variable_chooses_has_its_directory_and_shell() {
    let stages = "ARG K=b\nFROM x AS a\nFROM x AS b\nSHELL [\"/bin/bash\", \"-c\"]\nWORKDIR /w\n";
    check(&format!("{stages}FROM $K\nWORKDIR deeper\nCMD run\n"), &[]);
    let found = [("WorkdirRelativePath", 7), ("JSONArgsRecommended", 8)];
    check(&format!("{stages}FROM a\nWORKDIR deeper\nCMD run\n"), &found);
}

#[test]
fn casing_follows_the_majority() {
    check(
        "FROM scratch\nenv A=1\nEnv B=1\nENV C=1\n",
        &[("ConsistentInstructionCasing", 2), ("ConsistentInstructionCasing", 3)],
    );
    check("from scratch\nenv A=1\ncopy f /f\nRUN x\n", &[("ConsistentInstructionCasing", 4)]);
    check(
        "FROM scratch as A\nfrom scratch AS b\n",
        &[
            ("FromAsCasing", 1),
            ("StageNameCasing", 1),
            ("ConsistentInstructionCasing", 2),
            ("FromAsCasing", 2),
        ],
    );
}

#[test]
fn a_from_in_mixed_case_is_told_once() {
    check("From scratch as a\nENV A=1\nENV B=1\n", &[("ConsistentInstructionCasing", 1)]);
}

#[test]
fn stage_names_are_unique_and_not_reserved() {
    check(
        "FROM scratch AS scratch\nFROM scratch AS context\nFROM a AS context\n",
        &[
            ("ReservedStageName", 1),
            ("ReservedStageName", 2),
            ("DuplicateStageName", 3),
            ("ReservedStageName", 3),
        ],
    );
}

#[test]
fn a_constant_platform_is_fine_where_the_name_says_so() {
    check(
        "FROM --platform=linux/amd64 scratch AS a\nFROM --platform=linux/arm64 b AS build_arm64\n",
        &[("FromPlatformFlagConstDisallowed", 1)],
    );
    let predefined = BTreeMap::from([("TARGETPLATFORM".to_owned(), "linux/amd64".to_owned())]);
    let context = LintContext { predefined, ..LintContext::default() };
    let expected = [("RedundantTargetPlatform", 1)];
    assert_eq!(found("FROM --platform=$TARGETPLATFORM scratch\n", &context), expected);
}

#[test]
fn a_platform_is_constant_or_redundant_by_what_it_reads() {
    let pairs = [("TARGETPLATFORM", "linux/amd64"), ("BUILDOS", "linux"), ("BUILDARCH", "amd64")];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let context = LintContext { predefined: BTreeMap::from(pairs), ..LintContext::default() };
    let constant = "FromPlatformFlagConstDisallowed";
    for (platform, name, expected) in [
        ("\"$TARGETPLATFORM\"", "a", Some("RedundantTargetPlatform")),
        ("${TARGETPLATFORM:-linux/arm64}", "a", Some("RedundantTargetPlatform")),
        ("${TARGETPLATFORM%64}64", "a", Some("RedundantTargetPlatform")),
        ("${TARGETPLATFORM}/v8", "a", None),
        ("$TARGETPLATFORM$BUILDOS", "a", None),
        ("${BUILDPLATFORM:-linux/arm64}", "a", None),
        ("aarch64", "a", Some(constant)),
        ("aarch64", "for-linux", None),
        ("linux", "for-amd64", None),
        ("LINUX/I386", "for-386", None),
        ("\\linux/arm64", "for-arm64", None),
    ] {
        let source = format!("FROM --platform={platform} scratch AS {name}\n");
        let found = found(&source, &context).into_iter().map(|(rule, _)| rule);
        let found = found.filter(|rule| *rule != "UndefinedArgInFrom");
        assert_eq!(found.collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>(), "{source}");
    }
}

#[test]
fn arguments_of_from_are_declared_and_have_usable_defaults() {
    check(
        "ARG BASE=alpine\nFROM $BSE\n",
        &[("InvalidDefaultArgInFrom", 2), ("UndefinedArgInFrom", 2)],
    );
    check("ARG TAG\nFROM busybox:$TAG\n", &[("InvalidDefaultArgInFrom", 2)]);
    check("ARG TAG=1\nFROM busybox:$TAG\n", &[]);
}

#[test]
fn shell_forms_are_fine_under_a_shell_of_ones_own() {
    check("FROM scratch\nCMD a\n", &[("JSONArgsRecommended", 2)]);
    check("FROM scratch AS a\nSHELL [\"/x\"]\nCMD a\nFROM a\nENTRYPOINT b\n", &[]);
    check("FROM scratch\nCMD [\"a\"]\nENTRYPOINT []\nHEALTHCHECK CMD x\n", &[]);
}

#[test]
fn only_the_last_command_counts() {
    check(
        "FROM scratch\nCMD [\"a\"]\nCMD [\"b\"]\nCMD [\"c\"]\nHEALTHCHECK NONE\nHEALTHCHECK CMD x\nFROM scratch\nCMD [\"a\"]\n",
        &[
            ("MultipleInstructionsDisallowed", 2),
            ("MultipleInstructionsDisallowed", 3),
            ("MultipleInstructionsDisallowed", 5),
        ],
    );
}

#[test]
fn the_first_working_directory_of_a_chain_is_absolute() {
    check(
        "FROM scratch AS a\nWORKDIR x\nWORKDIR y\nFROM a\nWORKDIR z\nFROM scratch\nWORKDIR /ok\nWORKDIR rel\n",
        &[("WorkdirRelativePath", 2)],
    );
}

#[test]
fn old_forms_are_reported() {
    check(
        "FROM scratch\nENV a b\nLABEL c d\nMAINTAINER x\n",
        &[("LegacyKeyValueFormat", 2), ("LegacyKeyValueFormat", 3), ("MaintainerDeprecated", 4)],
    );
}

#[test]
fn names_of_secrets_are_reported() {
    check(
        "FROM scratch\nARG API_TOKEN\nENV DB_PASSWORD_FILE=/x\nENV MY_KEY=1 PUBLIC_KEY=2 MONKEY=3\nARG TOKENIZER=2\n",
        &[("SecretsUsedInArgOrEnv", 2), ("SecretsUsedInArgOrEnv", 4)],
    );
}

#[test]
fn undefined_variables_are_reported_where_they_are_expanded() {
    check(
        "FROM scratch\nARG D\nENV A=1 B=$A\nRUN echo $nope\nUSER $D$PATH\n",
        &[("UndefinedVar", 3)],
    );
    check(
        "FROM scratch\nCOPY <<E $x\n$y\nE\nRUN --mount=target=$z true\n",
        &[("UndefinedVar", 2), ("UndefinedVar", 5)],
    );
    check("FROM scratch\nARG A=1 B=$A C=$c\n", &[("UndefinedVar", 2)]);
}

#[test]
fn only_a_default_that_counts_is_expanded() {
    let source = "FROM scratch\nARG A=$nope\n";
    check(source, &[("UndefinedVar", 2)]);
    let build_args = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
    assert_eq!(found(source, &LintContext { build_args, ..LintContext::default() }), []);
}

#[test]
fn ports_may_vanish_and_proxies_are_variables_of_steps_only() {
    check(
        "FROM scratch\nEXPOSE 80 $nope\nENV A=$HTTP_PROXY\nENV B=$BUILDKIT_SBOM_SCAN_STAGE\n",
        &[("UndefinedVar", 3)],
    );
}

#[test]
fn a_misspelt_variable_gets_a_suggestion() {
    let source = "FROM scratch\nENV VERSION=1\nENV A=$VERSOIN\n";
    let report = lint(source, &parse(source), &LintContext::default()).unwrap();
    let message = "Usage of undefined variable '$VERSOIN' (did you mean $VERSION?)";
    assert_eq!(report.findings[0].message, message);
}

#[test]
fn an_unknown_base_may_set_any_variable() {
    check("FROM alpine\nENV B=$a\n", &[]);
    let facts = BaseFacts { environment: vec!["a=1".to_owned()], ..BaseFacts::default() };
    let context = LintContext { bases: BTreeMap::from([(0, facts)]), ..LintContext::default() };
    assert_eq!(found("FROM alpine\nENV B=$a\nENV C=$c\n", &context), [("UndefinedVar", 3)]);
}

#[test]
fn a_base_of_another_platform_is_reported() {
    let mismatch =
        PlatformMismatch { expected: "linux/amd64".to_owned(), actual: "linux/arm64".to_owned() };
    let facts = BaseFacts { mismatch: Some(mismatch), ..BaseFacts::default() };
    let context = LintContext { bases: BTreeMap::from([(0, facts)]), ..LintContext::default() };
    assert_eq!(found("FROM alpine\n", &context), [("InvalidBaseImagePlatform", 1)]);
}

#[test]
fn triggers_are_judged_at_the_line_that_fires_them() {
    check(
        "FROM scratch AS a\nONBUILD CMD x\nFROM a\nENV B=$nope\n",
        &[("JSONArgsRecommended", 3), ("UndefinedVar", 4)],
    );
}

#[test]
fn triggers_of_images_are_judged_as_well() {
    let triggers = ["CMD x", "ENV a b"].map(str::to_owned).to_vec();
    let facts = BaseFacts { triggers, ..BaseFacts::default() };
    let context = LintContext { bases: BTreeMap::from([(0, facts)]), ..LintContext::default() };
    let expected = [
        ("JSONArgsRecommended", 1),
        ("LegacyKeyValueFormat", 1),
        ("MultipleInstructionsDisallowed", 1),
    ];
    assert_eq!(found("FROM parent\nCMD [\"y\"]\n", &context), expected);
}

#[test]
fn stages_that_only_triggers_copy_from_are_needed() {
    let context = LintContext { coverage: Coverage::Last, ..LintContext::default() };
    let source =
        "FROM scratch AS b\nENV x y\nFROM scratch AS a\nONBUILD COPY --from=b / /\nFROM a\n";
    assert_eq!(found(source, &context), [("LegacyKeyValueFormat", 2)]);
}

#[test]
fn ports_are_plain() {
    check(
        "FROM scratch\nEXPOSE 127.0.0.1:80:80 5000:5000 :70\nEXPOSE :80 6000/TCP 53/udp\n",
        &[("ExposeInvalidFormat", 2), ("ExposeProtoCasing", 3)],
    );
}

#[test]
fn ignored_sources_are_reported_unless_there_are_exceptions() {
    let source = "FROM scratch\nCOPY ./x.md f /\nCOPY --from=a x.md /\nADD x.md /\n";
    for (text, expected) in
        [("*.md\n", vec![("CopyIgnoredFile", 2), ("CopyIgnoredFile", 4)]), ("*.md\n!z\n", vec![])]
    {
        let ignore = PatternSet::parse_ignore_file(text).unwrap();
        let context = LintContext { ignore: Some(&ignore), ..LintContext::default() };
        assert_eq!(found(source, &context), expected, "{text}");
    }
}

#[test]
fn the_whole_context_is_ignored_only_by_what_ignores_everything() {
    for (text, expected) in [("*.md\n", vec![]), ("/**\n", vec![("CopyIgnoredFile", 2)])] {
        let ignore = PatternSet::parse_ignore_file(text).unwrap();
        let context = LintContext { ignore: Some(&ignore), ..LintContext::default() };
        assert_eq!(found("FROM scratch\nCOPY ./ /\n", &context), expected, "{text}");
    }
}

#[test]
fn a_blank_line_is_reported_at_the_end_of_its_instruction() {
    check("FROM scratch\nENV A=1 \\\n\n  B=2\n", &[("NoEmptyContinuation", 4)]);
}

#[test]
fn descriptions_are_checked_on_request() {
    let body = "# bad\nFROM scratch AS a\n# a the second\nFROM scratch AS a2\n# b it\nFROM scratch AS b\n# x\n\nARG Y\n";
    check(body, &[]);
    check(
        &format!("# check=experimental=all\n{body}"),
        &[("InvalidDefinitionDescription", 3), ("InvalidDefinitionDescription", 5)],
    );
    check("# check=experimental=all\nFROM scratch AS a\n", &[]);
}

#[test]
fn rules_are_skipped_in_a_file_or_at_an_instruction() {
    check(
        "# check=skip=MaintainerDeprecated\nFROM scratch\nMAINTAINER x\nENV a b\n",
        &[("LegacyKeyValueFormat", 4)],
    );
    check("# check=skip=all\nFROM scratch\nMAINTAINER x\n", &[]);
    check(
        "FROM scratch\n# check=skip=LegacyKeyValueFormat\nENV a b\nENV c d\n# check=skip=all\nMAINTAINER x\n",
        &[("LegacyKeyValueFormat", 4)],
    );
}

#[test]
fn a_repeated_command_is_skipped_above_either() {
    for comments in [["# check=skip=all\n", ""], ["", "# check=skip=all\n"]] {
        let [above, below] = comments;
        check(&format!("FROM scratch\n{above}CMD [\"a\"]\n{below}CMD [\"b\"]\n"), &[]);
    }
}

#[test]
fn what_was_asked_for_is_skipped_by_name_only() {
    let body = "# bad\nFROM scratch AS a\nMAINTAINER x\n";
    check(
        &format!("# check=skip=all;experimental=all\n{body}"),
        &[("InvalidDefinitionDescription", 3)],
    );
    check(
        &format!(
            "# check=skip=InvalidDefinitionDescription,MaintainerDeprecated;experimental=all\n{body}"
        ),
        &[],
    );
}

#[test]
fn settings_of_the_caller_replace_those_of_the_file() {
    let source = "# check=skip=all\nFROM scratch\nMAINTAINER x\n";
    let settings = Some(Settings::parse("error=true").unwrap());
    let context = LintContext { settings, ..LintContext::default() };
    let report = lint(source, &parse(source), &context).unwrap();
    let message = "lint violation found for rules: MaintainerDeprecated";
    assert_eq!(report.violation().as_deref(), Some(message));
}

#[test]
fn unreadable_settings_are_an_error_at_their_place() {
    let source = "# check=skp=all\nFROM scratch\n";
    let error = lint(source, &parse(source), &LintContext::default()).unwrap_err();
    assert_eq!((error.message.as_str(), error.span.start), ("invalid check option \"skp=all\"", 8));
}

#[test]
fn stages_nobody_needs_are_judged_by_their_form_only() {
    let source =
        "FROM scratch AS a\nMAINTAINER x\nFROM scratch AS b\nMAINTAINER x\nFROM a\nENV x y\n";
    let targets = ["a".to_owned()];
    let context = LintContext { coverage: Coverage::Targets(&targets), ..LintContext::default() };
    let expected = [("MaintainerDeprecated", 2), ("MaintainerDeprecated", 4)];
    assert_eq!(found(source, &context), expected);
    let source =
        "FROM scratch AS a\nENV x y\nFROM scratch\nENV x y\nFROM scratch\nCOPY --from=a / /\n";
    let context = LintContext { coverage: Coverage::Last, ..LintContext::default() };
    assert_eq!(found(source, &context), [("LegacyKeyValueFormat", 2)]);
}

#[test]
fn a_name_that_is_nearly_a_stage_is_told_unless_it_is_a_context() {
    let source = "FROM scratch AS build\nFROM scratch\nCOPY --from=biuld a b\nCOPY --from=biuld:1 a b\nRUN --mount=from=builf,target=/x true\nFROM Bulid\n";
    let expected = [("MisspeltStage", 3), ("MisspeltStage", 5)];
    let context =
        LintContext { contexts: BTreeSet::from(["bulid".to_owned()]), ..LintContext::default() };
    let found = found(source, &context).into_iter().filter(|(rule, _)| *rule == "MisspeltStage");
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn rules_of_our_own_are_told_and_skipped_like_all_but_fail_no_build() {
    let source = "# check=skip=JSONArgsRecommended;error=true\nFROM scratch\nCMD ['a']\n";
    let report = lint(source, &parse(source), &LintContext::default()).unwrap();
    assert_eq!((report.findings.len(), report.violation()), (1, None));
    check("FROM scratch\n# check=skip=all\nCMD ['a']\n", &[]);
}
