//! Remarks of a CI system beside the lines of a Dockerfile: what was found in it, and where the build failed.

use std::io::{self, Write as _};
use std::path::Path;

use wythe_dockerfile::diagnostic::Diagnostic;

use crate::args::global::ProgressForm;
use crate::failure::Failure;
use crate::render::ci::{AnnotationLevel, CiSystem, annotation, in_repository};
use crate::render::sanitize::{self, Medium};
use crate::render::source::SourceFile;
use crate::session::Session;

/// As many as GitHub shows of one kind and step of a job.
const SHOWN: usize = 10;

/// A Dockerfile and where it lies, if it lies anywhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Annotated<'a> {
    pub(super) source: &'a SourceFile,
    pub(super) path: Option<&'a Path>,
}

impl Annotated<'_> {
    /// Writes the remarks where the log goes to one who reads them.
    pub(super) fn write(
        self,
        findings: &[Diagnostic],
        failure: Option<&Failure>,
        session: &Session,
    ) {
        let is_log = matches!(session.global.progress, ProgressForm::Auto | ProgressForm::Plain);
        if !is_log || CiSystem::of(&session.settings) != Some(CiSystem::GitHub) {
            return;
        }
        let file = match self.path {
            Some(path) => in_repository(path, &session.settings),
            None => self.source.name.clone(),
        };
        let errors = failure.into_iter().flat_map(Failure::places);
        let errors = errors.map(|place| annotation(AnnotationLevel::Error, &file, place));
        let warnings = findings.iter().map(|finding| self.source.object(finding));
        let warnings = warnings.map(|place| annotation(AnnotationLevel::Warning, &file, &place));
        for line in errors.take(SHOWN).chain(warnings.take(SHOWN)) {
            let line = CiSystem::GitHub.harmless(&sanitize::text(line.as_bytes(), Medium::Log));
            // As with remarks.
            let _ = writeln!(io::stderr(), "{line}");
        }
    }
}
