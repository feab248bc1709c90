//! Build checks: what a Dockerfile may say and better did not.
//!
//! The rules and their names are those of `docker build --check`, so that the comments and settings
//! people have keep working. Facts that only a build knows come in through [`LintContext`]; a rule
//! whose facts are missing says nothing.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a rule is about the instructions it names, and says nothing of new ones"
)]

mod casing;
mod from;
mod instruction;
mod misspelt;
mod needed;
mod reference;
pub mod rule;
mod scope;
pub mod secret;
mod settings;
mod stage;
mod variable;

use std::collections::{BTreeMap, BTreeSet};

use crate::ast::{Instruction, Word};
use crate::diagnostic::Diagnostic;
use crate::parse::Parsed;
use crate::pattern::PatternSet;
use crate::span::{LineIndex, Span};
use crate::stage::{Stages, stages};
use from::Values;
use rule::Rule;

pub use needed::{Coverage, needed};
pub use settings::{OnFinding, Settings, SettingsError};

/// What a build knows besides the Dockerfile.
#[derive(Clone, Debug, Default)]
pub struct LintContext<'a> {
    /// `--build-arg`
    pub build_args: BTreeMap<String, String>,
    /// The arguments that exist without being declared, `TARGETPLATFORM` and the like.
    pub predefined: BTreeMap<String, String>,
    /// Which stages are checked.
    pub coverage: Coverage<'a>,
    /// The ignore file of the main context.
    pub ignore: Option<&'a PatternSet>,
    /// What is known of the images that stages start from, by index of the stage.
    pub bases: BTreeMap<usize, BaseFacts>,
    /// The names of further contexts, in lower case.
    pub contexts: BTreeSet<String>,
    /// Settings that stand in for those of the file.
    pub settings: Option<Settings>,
}

/// What is known of an image that a stage starts from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BaseFacts {
    /// Its variables, as `NAME=value`.
    pub environment: Vec<String>,
    /// Its shell, if it sets one.
    pub shell: Vec<String>,
    /// What it does to stages that start from it, as its `ONBUILD` instructions were written.
    pub triggers: Vec<String>,
    /// The platform it was asked for and the one it has, where they differ.
    pub mismatch: Option<PlatformMismatch>,
}

/// Two platforms that should be one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PlatformMismatch {
    /// The platform of the build.
    pub expected: String,
    /// The platform of the image.
    pub actual: String,
}

/// The findings, and what they do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// The findings in the order of the file.
    pub findings: Vec<Diagnostic>,
    /// Whether they fail the build.
    pub on_finding: OnFinding,
}

impl Report {
    /// Why the findings fail the build, if they do.
    ///
    /// Those of [`rule::OWN`] do not: what builds elsewhere under `error=true` builds here.
    pub fn violation(&self) -> Option<String> {
        let shared =
            |finding: &&Diagnostic| rule::OWN.iter().all(|own| finding.rule != Some(own.name));
        match self.on_finding {
            OnFinding::Report => None,
            OnFinding::Fail => violation(self.findings.iter().filter(shared)),
        }
    }
}

/// Which rules findings violate, as a failure says it, if there is one.
pub fn violation<'f>(findings: impl IntoIterator<Item = &'f Diagnostic>) -> Option<String> {
    let names: BTreeSet<&str> = findings.into_iter().filter_map(|finding| finding.rule).collect();
    let names: Vec<&str> = names.into_iter().collect();
    (!names.is_empty()).then(|| format!("lint violation found for rules: {}", names.join(", ")))
}

/// Applies the rules to a Dockerfile.
///
/// # Errors
/// Settings in the file that cannot be read.
pub fn check(
    source: &str,
    parsed: &Parsed,
    context: &LintContext<'_>,
) -> Result<Report, Diagnostic> {
    let mut linter = Linter::new(source, parsed, context)?;
    let global = linter.global(Values::Given);
    let (coverage, contexts) = (context.coverage, &context.contexts);
    linter.needed = needed::needed(&linter.stages, coverage, &global, linter.escape(), contexts);
    linter.of_the_parser();
    linter.continuations();
    linter.casing();
    linter.stage_heads();
    linter.whole_file();
    linter.misspelt();
    linter.bodies();
    let mut findings = linter.findings;
    findings.sort_by_key(|finding| finding.span.start);
    Ok(Report { findings, on_finding: linter.settings.on_finding })
}

/// Applies [`rule::MISSPELT_STAGE`] alone, which needs no facts but the names of contexts.
///
/// # Errors
/// As [`check`].
pub fn misspelt(
    source: &str,
    parsed: &Parsed,
    context: &LintContext<'_>,
) -> Result<Vec<Diagnostic>, Diagnostic> {
    let mut linter = Linter::new(source, parsed, context)?;
    linter.misspelt();
    Ok(linter.findings)
}

fn directive(parsed: &Parsed) -> Result<Settings, Diagnostic> {
    let Some(check) = &parsed.dockerfile.directives.check else { return Ok(Settings::default()) };
    Settings::parse(&check.value).map_err(|cause| {
        let help = "write check=skip=RuleA,RuleB;error=true;experimental=RuleC";
        Diagnostic::error(check.span, cause.to_string()).help(help)
    })
}

struct Linter<'a> {
    parsed: &'a Parsed,
    context: &'a LintContext<'a>,
    stages: Stages<'a>,
    needed: BTreeSet<usize>,
    lines: LineIndex,
    settings: Settings,
    findings: Vec<Diagnostic>,
}

impl<'a> Linter<'a> {
    /// A linter that has found nothing yet.
    fn new(
        source: &str,
        parsed: &'a Parsed,
        context: &'a LintContext<'a>,
    ) -> Result<Self, Diagnostic> {
        let settings = match &context.settings {
            Some(settings) => settings.clone(),
            None => directive(parsed)?,
        };
        let stages = stages(&parsed.dockerfile);
        let (needed, findings) = (BTreeSet::new(), Vec::new());
        let lines = LineIndex::new(source);
        Ok(Self { parsed, context, stages, needed, lines, settings, findings })
    }

    /// Reports a finding about a word of an instruction.
    fn report(&mut self, rule: &Rule, instruction: &Instruction, word: &Word, message: String) {
        // People look findings up by the first line of the instruction.
        let same = self.lines.line(word.span.start) == self.lines.line(instruction.span.start);
        self.report_at(rule, instruction, if same { word.span } else { instruction.span }, message);
    }

    /// Reports a finding about an instruction at a place.
    fn report_at(&mut self, rule: &Rule, instruction: &Instruction, span: Span, message: String) {
        if self.applies(rule, instruction) {
            self.warn(rule, span, message, None);
        }
    }

    /// Adds a finding of a rule that applies.
    fn warn(&mut self, rule: &Rule, span: Span, message: String, help: Option<String>) {
        self.findings.push(Diagnostic { help, ..Diagnostic::warning(rule.name, span, message) });
    }

    /// Whether a rule is on, here and in the whole file.
    fn applies(&self, rule: &Rule, instruction: &Instruction) -> bool {
        let comments = self.comments(instruction);
        let mut local = comments.filter_map(|comment| Settings::from_comment(&comment.value));
        self.settings.allows(rule) && !local.any(|settings| settings.skips(rule))
    }

    /// The comments above an instruction; the directives of the file are none.
    fn comments<'i>(
        &self,
        instruction: &'i Instruction,
    ) -> impl Iterator<Item = &'i Word> + use<'i> {
        let directives = &self.parsed.dockerfile.directives;
        let directives = directives.syntax.iter().chain(&directives.check);
        let end = directives.map(|word| word.span.end).max().unwrap_or_default();
        instruction.comments.iter().filter(move |comment| end <= comment.span.start)
    }

    /// The instruction that a place is in.
    fn around(&self, span: Span) -> Option<&'a Instruction> {
        let holds = |one: &&Instruction| (one.span.start..=one.span.end).contains(&span.start);
        self.parsed.dockerfile.instructions.iter().find(holds)
    }

    /// Takes over what the parser found, unless it is turned off.
    fn of_the_parser(&mut self) {
        for finding in &self.parsed.diagnostics {
            let rule = rule::OWN.iter().find(|rule| finding.rule == Some(rule.name));
            if let (Some(rule), Some(instruction)) = (rule, self.around(finding.span))
                && self.applies(rule, instruction)
            {
                self.findings.push(finding.clone());
            }
        }
    }

    /// A blank line in a continued instruction is reported at the end of the instruction, as
    /// everywhere else.
    fn continuations(&mut self) {
        for blank in &self.parsed.blank_continuations {
            let Some(instruction) = self.around(blank.span) else { continue };
            let line = self.lines.line(blank.span.start);
            let keyword = instruction.keyword.value.to_uppercase();
            let message = format!("Empty continuation line {line} found in {keyword}");
            self.report_at(&rule::NO_EMPTY_CONTINUATION, instruction, blank.last_line, message);
        }
    }
}

#[cfg(test)]
mod examples;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod tests;
