//! How steps are kept apart, in words.

use wythe_builder::progress::Isolation;

use super::sanitize::{self, Medium};

/// By what name programs and flags know it.
pub(crate) fn name(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::Chroot => "chroot",
        Isolation::Refused => "none",
        Isolation::SingleId => "single-id",
        Isolation::Userns => "userns",
    }
}

/// A line about it, with the reason why it is not a better one.
pub(crate) fn isolated(isolation: Isolation, reason: Option<&str>) -> String {
    let words = match isolation {
        Isolation::Chroot => {
            "steps have a root directory of their own and nothing more: they see the processes and the \
             network of this container, metadata services of a cloud included"
        }
        Isolation::Refused => "steps cannot run here",
        Isolation::SingleId => {
            "steps have namespaces of their own and one id; all other users and owners are emulated, and who \
             has given up root in a step can still do to its files what root can"
        }
        Isolation::Userns => "steps have namespaces and ids of their own",
    };
    let reason = reason.map(|reason| sanitize::text(reason.as_bytes(), Medium::Log));
    let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("isolation {}: {words}{reason}", name(isolation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_name_that_the_flag_has_and_the_reason() {
        assert_eq!(
            isolated(Isolation::Userns, None),
            "isolation userns: steps have namespaces and ids of their own"
        );
        let refused = isolated(Isolation::Refused, Some("no\u{1b}[0m ids"));
        assert!(refused.starts_with("isolation none: steps cannot run here (no"), "{refused}");
        assert!(!refused.contains('\u{1b}'), "{refused}");
    }
}
