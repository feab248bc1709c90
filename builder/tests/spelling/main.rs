//! How a Dockerfile is written changes neither the image nor what the cache holds of it: comments,
//! case, quotes, the order of flags, lines that go on, the order of stages that are unrelated.

#![expect(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

mod fingerprint;
mod model;
mod pen;
mod write;

use std::path::Path;

use proptest::prelude::*;

use fingerprint::{fingerprint, lowered};
use model::{TARGET, files};
use pen::Pen;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn the_same_in_other_words_is_the_same_image(
        file in files(),
        choices in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let plain = write::file(&file, &mut Pen::plain());
        let other = write::file(&file, &mut Pen::choosing(choices));
        let [expected, found] =
            [&plain, &other].map(|text| fingerprint(text, Some(TARGET)).map_err(|error| format!("{error}\n{text}")));
        prop_assert!(expected.is_ok(), "{expected:?}");
        prop_assert_eq!(expected, found, "--- plain\n{}\n--- other\n{}", plain, other);
    }

    #[test]
    fn another_command_is_another_image(file in files(), extra in "[a-z]{1,4}") {
        let plain = write::file(&file, &mut Pen::plain());
        let other = format!("{plain}RUN {extra}\n");
        prop_assert_ne!(fingerprint(&plain, None), fingerprint(&other, None));
    }
}

/// A file of the corpus with a comment and blank lines above every instruction, blanks behind it,
/// and its keywords in the other case.
fn respelt(text: &str) -> String {
    let parsed = wythe_dockerfile::parse::parse(text);
    let mut out = String::new();
    let mut done = 0;
    for (at, instruction) in parsed.dockerfile.instructions.iter().enumerate() {
        let (start, keyword) = (instruction.span.start, instruction.keyword.span);
        out.push_str(&text[done..start]);
        if at > 0 {
            out.push_str("\n  # a comment that ends in a backslash \\\n\n");
        }
        out.push_str(&text[start..keyword.start]);
        out.push_str(&text[keyword.range()].to_lowercase());
        done = keyword.end;
    }
    out + &text[done..]
}

#[test]
fn real_dockerfiles_with_more_comments_are_the_same_images() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/real");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path().join("Dockerfile");
        let text = std::fs::read_to_string(&path).unwrap();
        let other = respelt(&text);
        assert!(lowered(&text, None).is_ok(), "{}", path.display());
        assert_eq!(fingerprint(&text, None), fingerprint(&other, None), "{}", path.display());
    }
}
