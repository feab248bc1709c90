//! Progress of a build on standard error: as a log, as JSON, as a live view, or not at all.

pub(crate) mod chain;
pub(crate) mod ci;
pub(crate) mod egress;
pub(crate) mod explorer;
pub(crate) mod folds;
pub(crate) mod held;
pub(crate) mod isolation;
pub(crate) mod json;
pub(crate) mod lines;
pub(crate) mod listing;
pub(crate) mod look;
pub(crate) mod plain;
pub(crate) mod quantity;
pub(crate) mod reason;
pub(crate) mod row;
pub(crate) mod sanitize;
pub(crate) mod screen;
pub(crate) mod solve_status;
pub(crate) mod source;
pub(crate) mod stopwatch;
pub(crate) mod summary;
pub(crate) mod table;
pub(crate) mod tally;
pub(crate) mod timings;
pub(crate) mod together;
pub(crate) mod traffic;
pub(crate) mod transfer;
pub(crate) mod tty;
pub(crate) mod unexplained;
pub(crate) mod view;

use std::io;
use std::sync::Arc;

use wythe_builder::environment::Clock as _;
use wythe_builder::progress::Progress;

use self::folds::Folds;
use self::json::Json;
use self::look::Display;
use self::plain::Plain;
use self::sanitize::Medium;
use self::screen::Screen;
use self::solve_status::SolveStatuses;
use self::source::SourceFile;
use self::stopwatch::Stopwatch;
use self::tty::Tty;
use crate::args::global::ProgressForm;
use crate::host::SystemClock;

/// A sink that shows what it is given in the form that was asked for; `source` is what warnings
/// point at.
pub(crate) fn progress(
    form: ProgressForm,
    source: SourceFile,
    screen: &Arc<Screen>,
    Display { medium, look, ci }: Display,
) -> Box<dyn Progress + Send> {
    let stopwatch = Stopwatch::start();
    match (form, medium) {
        (ProgressForm::Json, _) => Box::new(Json::new(io::stderr(), stopwatch, source)),
        (ProgressForm::Quiet, _) => Box::new(()),
        (ProgressForm::RawJson, _) => {
            Box::new(SolveStatuses::new(io::stderr(), solve_status::now, source))
        }
        (ProgressForm::Tty, _) | (ProgressForm::Auto, Medium::Terminal) => {
            Box::new(Tty::new((io::stderr(), look), stopwatch, source, Arc::clone(screen)))
        }
        (ProgressForm::Auto | ProgressForm::Plain, _) => {
            let folds = ci.map(|system| Folds::new(system, SystemClock.now().seconds));
            Box::new(Plain::new(io::stderr(), stopwatch, medium, source).in_folds(folds))
        }
    }
}

/// Whether that is a view which a person looks at while the build goes on.
pub(crate) fn is_live(form: ProgressForm, display: Display) -> bool {
    match form {
        ProgressForm::Tty => true,
        ProgressForm::Auto => display.medium == Medium::Terminal,
        ProgressForm::Json | ProgressForm::Plain | ProgressForm::Quiet | ProgressForm::RawJson => {
            false
        }
    }
}
