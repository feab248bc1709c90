//! What a terminal can show, as the environment has it.

use std::io::{IsTerminal, Stderr};

use super::ci::CiSystem;
use super::sanitize::Medium;
use crate::settings::Settings;

/// Where progress is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Display {
    pub(crate) medium: Medium,
    pub(crate) look: Look,
    /// What folds the log, where it is one.
    pub(crate) ci: Option<CiSystem>,
}

/// How a live view looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Look {
    pub(crate) colour: Colour,
    pub(crate) charset: Charset,
    pub(crate) reflow: Reflow,
}

/// Whether colours are wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Colour {
    Coloured,
    Plain,
}

/// Which characters there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Charset {
    Ascii,
    Unicode,
}

/// What becomes of lines that a window has become too narrow for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reflow {
    /// They are cut.
    Cuts,
    /// They are broken into several rows, as most terminals do it.
    Wraps,
}

impl Display {
    /// What standard error is, and whether a person is watching it.
    pub(crate) fn of(stderr: &Stderr, settings: &Settings) -> Self {
        let is_watched = can_be_drawn_on(settings) && stderr.is_terminal();
        let medium = if is_watched { Medium::Terminal } else { Medium::Log };
        Self { medium, look: Look::of(settings), ci: CiSystem::of(settings) }
    }
}

impl Look {
    /// What the environment says: <https://no-color.org>, the locale in POSIX's order, and the variables of
    /// terminals that are known to cut lines.
    pub(crate) fn of(settings: &Settings) -> Self {
        let text = |name: &str| settings.text(name).filter(|text| !text.is_empty());
        let colour = if text("NO_COLOR").is_some() { Colour::Plain } else { Colour::Coloured };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(text);
        // Where nothing is said, as in most containers, terminals are of this century.
        let is_unicode = locale.is_none_or(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        let charset = if is_unicode { Charset::Unicode } else { Charset::Ascii };
        // What runs in xterm and is a terminal itself has the variable, too, and breaks lines.
        let is_inside = ["STY", "TMUX"].into_iter().any(|name| text(name).is_some());
        let cuts = text("XTERM_VERSION").is_some() && !is_inside;
        let reflow = if cuts { Reflow::Cuts } else { Reflow::Wraps };
        Self { colour, charset, reflow }
    }
}

/// Whether the terminal, where there is one, can be drawn on: `TERM` says so.
pub(crate) fn can_be_drawn_on(settings: &Settings) -> bool {
    !matches!(settings.text("TERM").as_deref(), None | Some("" | "dumb"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variables: &[(&str, &str)], expected: (Colour, Charset, Reflow)) {
        let Look { colour, charset, reflow } = Look::of(&Settings::of(variables));
        assert_eq!((colour, charset, reflow), expected, "{variables:?}");
    }

    #[test]
    fn the_environment_says_what_can_be_shown() {
        use Charset::{Ascii, Unicode};
        use Colour::{Coloured, Plain};
        use Reflow::{Cuts, Wraps};
        check(&[], (Coloured, Unicode, Wraps));
        check(&[("NO_COLOR", "")], (Coloured, Unicode, Wraps));
        check(&[("NO_COLOR", "1"), ("LANG", "de_DE.UTF-8")], (Plain, Unicode, Wraps));
        check(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")], (Coloured, Ascii, Wraps));
        check(&[("LC_CTYPE", "en_GB.utf8"), ("LANG", "C")], (Coloured, Unicode, Wraps));
        check(&[("XTERM_VERSION", "XTerm(379)")], (Coloured, Unicode, Cuts));
        check(&[("STY", "1.pts-0")], (Coloured, Unicode, Wraps));
        for inside in ["STY", "TMUX"] {
            check(&[("XTERM_VERSION", "XTerm(379)"), (inside, "x")], (Coloured, Unicode, Wraps));
        }
    }
}
