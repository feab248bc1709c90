//! What holds for every text, Dockerfile or not.

use proptest::prelude::*;
use wythe_dockerfile::ast::{Instruction, Word};
use wythe_dockerfile::diagnostic::render;
use wythe_dockerfile::dump::dump;
use wythe_dockerfile::lint::{LintContext, check};
use wythe_dockerfile::mount;
use wythe_dockerfile::parse::{Parsed, parse, parse_trigger};
use wythe_dockerfile::span::{Span, Spanned};

/// Text that looks enough like a Dockerfile to reach every corner of the parser.
fn dockerfile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "FROM",
        "COPY",
        "ADD",
        "RUN",
        "ENV",
        "LABEL",
        "ARG",
        "CMD",
        "ENTRYPOINT",
        "VOLUME",
        "EXPOSE",
        "HEALTHCHECK",
        "ONBUILD",
        "SHELL",
        "USER",
        "WORKDIR",
        "MAINTAINER",
        "STOPSIGNAL",
        " ",
        " ",
        " ",
        "\n",
        "\n",
        "\n",
        "\\\n",
        "`\n",
        "\r\n",
        "\t",
        "#",
        "# escape=`\n",
        "a",
        "é",
        "\u{2028}",
        "=",
        "\"",
        "'",
        "\\",
        "`",
        "[",
        "]",
        "[\"a\"",
        ",",
        "--",
        "--from=",
        "--mount=",
        "--chown",
        "<<E",
        "<<-\"E\"",
        "\nE\n",
        "AS",
        "CMD ",
        "NONE",
        "$",
        "${a}",
        "/",
        "\u{a0}",
        "\u{feff}",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

fn words_lie_in_the_source(source: &str, parsed: &Parsed) {
    for Instruction { span, keyword, comments, .. } in &parsed.dockerfile.instructions {
        assert!(source.get(span.range()).is_some(), "{span:?} in {source:?}");
        let inside = |word: &Word| source.get(word.span.range()).is_some();
        assert!(inside(keyword) && comments.iter().all(inside), "{source:?}");
        assert!(span.start <= keyword.span.start && keyword.span.end <= span.end, "{source:?}");
    }
    for finding in &parsed.diagnostics {
        assert!(source.get(finding.span.range()).is_some(), "{finding:?} in {source:?}");
        assert!(!render(source, "Dockerfile", finding).is_empty());
    }
    let starts: Vec<usize> = parsed.diagnostics.iter().map(|finding| finding.span.start).collect();
    assert!(starts.is_sorted(), "{source:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn parsing_never_panics_and_spans_lie_in_the_source(source in dockerfile()) {
        let parsed = parse(&source);
        words_lie_in_the_source(&source, &parsed);
        dump(&source, &parsed.dockerfile);
        parse_trigger(&source);
        if let Ok(report) = check(&source, &parsed, &LintContext::default()) {
            let findings = report.findings;
            words_lie_in_the_source(&source, &Parsed { diagnostics: findings, ..parsed });
        }
    }

    #[test]
    fn arbitrary_text_is_no_worse(source in "\\PC*") {
        words_lie_in_the_source(&source, &parse(&source));
    }

    #[test]
    fn mounts_never_panic(value in "[a-z=,\"$é ]{0,24}|type=(cache|secret|tmpfs),[a-z]{2,6}=[0-9a-z/\".]{0,6}") {
        let word = Spanned::new(value.clone(), Span::new(0, value.len()));
        let expand = |text: &str| Ok::<_, std::fmt::Error>(text.to_owned());
        let outcome = mount::parse(&word).and_then(|raw| raw.interpret(expand));
        if let Err(error) = outcome {
            prop_assert!(value.get(error.span.range()).is_some(), "{error:?}");
        }
    }

    #[test]
    fn the_same_text_gives_the_same_tree(source in dockerfile()) {
        prop_assert_eq!(parse(&source), parse(&source));
    }

    #[test]
    fn line_ends_of_windows_change_no_instruction_text(source in dockerfile()) {
        let unix = source.replace('\r', "");
        let windows = unix.replace('\n', "\r\n");
        let texts = |source: &str| -> Vec<String> {
            parse(source).dockerfile.instructions.into_iter().map(|instruction| instruction.text).collect()
        };
        prop_assert_eq!(texts(&unix), texts(&windows));
    }
}
