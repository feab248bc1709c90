//! What CI systems make of a log: parts that fold, and remarks beside lines of a file.

use std::path::Path;

use serde_json::Value;

use crate::settings::Settings;

/// A CI system whose logs fold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CiSystem {
    /// Forgejo and Gitea are told of by the same variable, and take the same.
    GitHub,
    GitLab,
}

/// How much a remark on a line matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AnnotationLevel {
    Error,
    Warning,
}

impl CiSystem {
    /// The one that this runs in, as it says of itself.
    pub(crate) fn of(settings: &Settings) -> Option<Self> {
        let is_true = |name: &str| settings.text(name).as_deref() == Some("true");
        if is_true("GITHUB_ACTIONS") {
            Some(Self::GitHub)
        } else if is_true("GITLAB_CI") {
            Some(Self::GitLab)
        } else {
            None
        }
    }

    /// The line that begins a part that folds; `id` tells it from others of the job, `seconds` are those since 1970.
    pub(crate) fn open(self, title: &str, id: &str, seconds: i64) -> String {
        match self {
            Self::GitHub => format!("::group::{title}\n"),
            Self::GitLab => {
                format!("\x1b[0Ksection_start:{seconds}:{id}[collapsed=true]\r\x1b[0K{title}\n")
            }
        }
    }

    /// The line that ends it.
    pub(crate) fn close(self, id: &str, seconds: i64) -> String {
        match self {
            Self::GitHub => "::endgroup::\n".to_owned(),
            Self::GitLab => format!("\x1b[0Ksection_end:{seconds}:{id}\r\x1b[0K\n"),
        }
    }

    /// Lines of others, in which the runner finds no command: GitHub's looks for those of its old form
    /// anywhere in a line, <https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs>.
    pub(crate) fn harmless(self, text: &str) -> String {
        match self {
            Self::GitHub => text.replace("##[", "## ["),
            Self::GitLab => text.to_owned(),
        }
    }
}

/// A remark on a finding in the form of GitHub, which shows it beside the line; `file` is seen from the root of the
/// repository.
pub(crate) fn annotation(severity: AnnotationLevel, file: &str, finding: &Value) -> String {
    let word = match severity {
        AnnotationLevel::Error => "error",
        AnnotationLevel::Warning => "warning",
    };
    let number = |value: &Value| value.as_u64().unwrap_or(1);
    let (line, end) = (number(&finding["line"]), number(&finding["end"]["line"]));
    let title = finding["rule"].as_str().unwrap_or("Dockerfile");
    let text = |field: &str| finding[field].as_str().unwrap_or_default();
    let help = if text("help").is_empty() { "" } else { "\n" };
    let message = format!("{}{help}{}", text("message"), text("help"));
    let (file, title) = (property(file), property(title));
    let end = end.max(line);
    format!("::{word} file={file},line={line},endLine={end},title={title}::{}", data(&message))
}

/// A path as seen from the root of the repository, where it is in it.
pub(crate) fn in_repository(path: &Path, settings: &Settings) -> String {
    let root = settings.path("GITHUB_WORKSPACE");
    let absolute = std::path::absolute(path).ok();
    let inside = root.as_deref().zip(absolute.as_deref());
    let inside = inside.and_then(|(root, path)| path.strip_prefix(root).ok());
    inside.unwrap_or(path).to_string_lossy().into_owned()
}

/// As <https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts> escapes messages.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_system_is_known_by_what_it_says_of_itself() {
        let of = |name: &str, value: &str| CiSystem::of(&Settings::of(&[(name, value)]));
        assert_eq!(of("GITHUB_ACTIONS", "true"), Some(CiSystem::GitHub));
        assert_eq!(of("GITLAB_CI", "true"), Some(CiSystem::GitLab));
        assert_eq!(of("GITLAB_CI", ""), None);
        assert_eq!(of("CI", "true"), None);
    }

    #[test]
    fn nothing_of_a_finding_is_taken_for_a_part_of_the_command() {
        let finding = json!({
            "line": 3, "end": {"line": 4}, "rule": "A,b:c", "message": "50%\n::error::no", "help": null,
        });
        let expected =
            "::warning file=a%2Cb/Dockerfile,line=3,endLine=4,title=A%2Cb%3Ac::50%25%0A::error::no";
        assert_eq!(annotation(AnnotationLevel::Warning, "a,b/Dockerfile", &finding), expected);
    }

    #[test]
    fn a_file_is_named_from_the_root_of_the_repository() {
        let settings = Settings::of(&[("GITHUB_WORKSPACE", "/w/repo")]);
        assert_eq!(in_repository(Path::new("/w/repo/app/Dockerfile"), &settings), "app/Dockerfile");
        assert_eq!(in_repository(Path::new("/else/Dockerfile"), &settings), "/else/Dockerfile");
        assert_eq!(in_repository(Path::new("Dockerfile"), &Settings::of(&[])), "Dockerfile");
    }
}
