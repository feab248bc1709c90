//! Build checks with what a build knows: arguments, platforms, the ignore file, base images.

mod offline;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use wythe_dockerfile::ast::Dockerfile;
use wythe_dockerfile::diagnostic::{Diagnostic, Severity};
use wythe_dockerfile::line::decode;
use wythe_dockerfile::lint::rule::MISSPELT_STAGE;
use wythe_dockerfile::lint::{
    Coverage, LintContext, Report, Settings, check as apply, misspelt as apply_early, violation,
};
use wythe_dockerfile::parse::{Parsed, parse};
use wythe_dockerfile::stage::stages;
use wythe_store::store::Store;

use crate::context::ignore_rules;
use crate::error::{BuildCause, BuildError, SourceLocation};
use crate::input::Input;
use crate::lower::facts::{self, Facts};
use crate::lower::{Bases, Surroundings};
use crate::options::{Options, Strictness};
use crate::progress::{Event, Progress};
use offline::Offline;

/// The build argument that stands in for the `check` directive.
const SETTINGS: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// A Dockerfile to check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// Its text.
    pub(crate) source: &'a str,
    /// Its tree.
    pub(crate) parsed: &'a Parsed,
    /// Where it and its context lie.
    pub(crate) input: &'a Input,
}

/// Checks a Dockerfile without building it: every stage, or the targets and what they need.
///
/// Nothing is fetched. Rules about images that are neither in a layout nor in the store say
/// nothing.
///
/// # Errors
///
/// A Dockerfile or settings that cannot be read; findings are no error.
pub fn inspect(
    input: &Input,
    options: &Options,
    store: Option<&Store>,
) -> Result<Report, BuildError> {
    let source: Arc<str> = decode(&input.dockerfile).into();
    let parsed = parse(&source);
    let place = SourceLocation { file: input.name.clone(), source: source.clone(), span: None };
    let fail = |cause| BuildError { place, step: None, cause };
    if parsed.first_error().is_some() {
        return Err(fail(syntax(parsed)));
    }
    let bases = Offline { options, store };
    let subject = Subject { source: &source, parsed: &parsed, input };
    let coverage = coverage(options, Coverage::All);
    check(subject, surroundings(options, &bases), coverage).map_err(fail)
}

/// The stages that the targets need, themselves included, by index. Nothing is fetched.
pub fn needed(file: &Dockerfile, options: &Options) -> BTreeSet<usize> {
    let bases = Offline { options, store: None };
    facts::needed(file, surroundings(options, &bases), coverage(options, Coverage::Last))
}

/// The arguments that a build for the first target has without declaring them. Nothing is fetched.
pub fn predefined(file: &Dockerfile, options: &Options) -> BTreeMap<String, String> {
    let bases = Offline { options, store: None };
    facts::arguments(&stages(file), surroundings(options, &bases))
}

/// What surrounds the first target on the first platform.
fn surroundings<'a>(options: &'a Options, bases: &'a dyn Bases) -> Surroundings<'a> {
    let platform = options.platforms.first().unwrap_or(&options.build_platform);
    let target = options.targets.first().map(String::as_str);
    Surroundings { options, bases, target, platform }
}

/// The errors of a Dockerfile that cannot be read as one.
pub(crate) fn syntax(parsed: Parsed) -> BuildCause {
    let errors = parsed.diagnostics.into_iter();
    BuildCause::Syntax(errors.filter(|finding| finding.severity == Severity::Error).collect())
}

/// Checks a Dockerfile that has been parsed.
pub(crate) fn check(
    subject: Subject<'_>,
    around: Surroundings<'_>,
    coverage: Coverage<'_>,
) -> Result<Report, BuildCause> {
    let Subject { source, parsed, input } = subject;
    let given = &around.options.build_args;
    let settings = given.get(SETTINGS).map(|text| Settings::parse(text)).transpose()?;
    let Facts { predefined, bases } = Facts::gather(&parsed.dockerfile, around);
    // What is wrong with an ignore file is told by those who need it.
    let rules = input.context.as_deref().and_then(|context| rules(context, input));
    let context = LintContext {
        build_args: given.clone(),
        predefined,
        coverage,
        ignore: rules.as_ref().map(crate::ignore::Rules::patterns),
        bases,
        contexts: around.options.contexts.keys().cloned().collect(),
        settings,
    };
    apply(source, parsed, &context).map_err(|finding| BuildCause::Syntax(vec![finding]))
}

/// Tells the names that are nearly those of a stage, before an image of that name is asked for.
pub(crate) fn misspelt(source: &str, parsed: &Parsed, options: &Options, progress: &dyn Progress) {
    let contexts = options.contexts.keys().cloned().collect();
    let settings = options.build_args.get(SETTINGS).and_then(|text| Settings::parse(text).ok());
    let context = LintContext { contexts, settings, ..LintContext::default() };
    // Settings that cannot be read are refused by the checks that follow.
    for diagnostic in apply_early(source, parsed, &context).iter().flatten() {
        progress.event(&Event::Warning { diagnostic });
    }
}

fn is_early(finding: &Diagnostic) -> bool {
    finding.rule == Some(MISSPELT_STAGE.name)
}

/// Checks what a build builds, tells the findings, and fails where they are to fail it.
///
/// What [`misspelt`] has told is not told again.
pub(crate) fn warn(
    subject: Subject<'_>,
    around: Surroundings<'_>,
    progress: &dyn Progress,
) -> Result<(), BuildCause> {
    let coverage = coverage(around.options, Coverage::Last);
    let report = check(subject, around, coverage)?;
    for diagnostic in report.findings.iter().filter(|finding| !is_early(finding)) {
        progress.event(&Event::Warning { diagnostic });
    }
    match report.violation() {
        None => strictly(report.findings, around.options),
        Some(message) => Err(BuildCause::Violation { message, findings: report.findings }),
    }
}

/// Fails for findings that were told, where each is to fail the build.
pub(crate) fn strictly(findings: Vec<Diagnostic>, options: &Options) -> Result<(), BuildCause> {
    match (options.strictness, violation(&findings)) {
        (Strictness::Strict, Some(message)) => Err(BuildCause::Violation { message, findings }),
        (Strictness::AsWritten, _) | (_, None) => Ok(()),
    }
}

/// The targets, or something else where none is named.
fn coverage<'a>(options: &'a Options, otherwise: Coverage<'a>) -> Coverage<'a> {
    match options.targets.as_slice() {
        [] => otherwise,
        names => Coverage::Targets(names),
    }
}

fn rules(context: &Path, input: &Input) -> Option<crate::ignore::Rules> {
    ignore_rules(context, input.path.as_deref()).ok()
}

#[cfg(test)]
mod tests {
    use wythe_store::oci::platform::Platform;

    use super::*;

    fn check(text: &str, options: &Options, expected: &[(&str, usize)]) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".dockerignore"), "*.md\n").unwrap();
        let input = Input {
            dockerfile: text.as_bytes().to_vec(),
            context: Some(folder.path().to_owned()),
            ..Input::default()
        };
        let found = inspect(&input, options, None).unwrap().findings;
        let mut found: Vec<_> =
            found.iter().map(|finding| (finding.rule.unwrap(), finding.line(text))).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{text}");
    }

    fn options() -> Options {
        Options::new(Platform::linux("amd64"))
    }

    #[test]
    fn a_file_is_checked_with_the_ignore_file_of_its_context() {
        check("FROM scratch\nCOPY x.md y /\n", &options(), &[("CopyIgnoredFile", 2)]);
    }

    #[test]
    fn an_image_that_would_have_to_be_fetched_may_set_any_variable() {
        check("FROM nowhere.invalid/image\nENV A=$b\n", &options(), &[]);
        check("FROM scratch\nENV A=$b\n", &options(), &[("UndefinedVar", 2)]);
    }

    #[test]
    fn a_build_argument_replaces_the_directive() {
        let mut options = options();
        options.build_args.insert(SETTINGS.to_owned(), "skip=all".to_owned());
        check("# check=error=true\nFROM scratch\nMAINTAINER x\n", &options, &[]);
        options.build_args.insert(SETTINGS.to_owned(), "nonsense".to_owned());
        let input = Input { dockerfile: b"FROM scratch\n".to_vec(), ..Input::default() };
        let error = inspect(&input, &options, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "BUILDKIT_DOCKERFILE_CHECK: invalid check option \"nonsense\""
        );
    }

    #[test]
    fn the_platform_is_known() {
        check("FROM --platform=$BUILDPLATFORM a:$TARGETARCH\n", &options(), &[]);
        let expected = [("InvalidDefaultArgInFrom", 1), ("UndefinedArgInFrom", 1)];
        check("FROM a:$TARGETARHC\n", &options(), &expected);
    }
}
