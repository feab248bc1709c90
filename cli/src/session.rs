//! What commands share: flags, environment, output, store, cancellation.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wythe_builder::environment::Clock as _;
use wythe_builder::error::{BuildCause, BuildError};
use wythe_builder::progress::{Isolation, Progress};
use wythe_registry::client::Client;
use wythe_sandbox::chroot::{self, ChrootError};
use wythe_sandbox::error::StepCause;
use wythe_sandbox::{Cancel, InitError, enter};
use wythe_store::gc::budget::Budget;
use wythe_store::gc::settle::Pressure;
use wythe_store::gc::{GcError, Pace};
use wythe_store::journal::{BootId, Durability};
use wythe_store::oci::reference::Reference;
use wythe_store::store::{Access, Create, OpenOptions, Store};

use crate::args::budget::Bounds;
use crate::args::global::{GlobalArgs, ProgressForm};
use crate::args::isolation::IsolationArg;
use crate::args::layer_limit::layer_limits;
use crate::build_record::bounds::HistoryBounds;
use crate::failure::code::ErrorCode;
use crate::failure::{Class, Failure};
use crate::host::SystemClock;
use crate::namespaces::Namespaces;
use crate::render::isolation::isolated;
use crate::render::look::Display;
use crate::render::sanitize::{self, Medium};
use crate::render::screen::Screen;
use crate::render::source::SourceFile;
use crate::render::summary::BuildSummary;
use crate::render::{json, solve_status};
use crate::settings::Settings;
use crate::{host, plugin, registry_client, render, signals};

/// What collecting may take of the time of a command, as long as the store keeps within its budget. With
/// what the end of a lease deletes of what was thrown away, it is 50 ms at most.
const IN_PASSING: Duration = Duration::from_millis(45);

/// What a command works with.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) global: GlobalArgs,
    pub(crate) settings: Settings,
    /// What is written to beside progress.
    pub(crate) screen: Arc<Screen>,
    /// Why there are no namespaces to run steps in, where that is so.
    barred: OnceLock<InitError>,
    /// Why steps cannot do without them, where that was asked.
    rooted: OnceLock<ChrootError>,
    /// Set once the store was seen to be within its budget by a command that adds nothing to it.
    is_calm: OnceLock<()>,
    /// The store, once a command has opened it.
    opened: OnceLock<Store>,
    /// The store, once a command has opened it to read it.
    read: OnceLock<Store>,
    /// The client for registries, once somebody needed one: connections and tokens are everybody's.
    registry: OnceLock<Client>,
}

impl Session {
    /// A session of this process.
    pub(crate) fn new(global: GlobalArgs, settings: Settings, barred: Option<InitError>) -> Self {
        Self {
            global,
            settings,
            screen: Arc::default(),
            barred: barred.map(OnceLock::from).unwrap_or_default(),
            rooted: OnceLock::new(),
            is_calm: OnceLock::new(),
            opened: OnceLock::new(),
            read: OnceLock::new(),
            registry: OnceLock::new(),
        }
    }

    /// Enters the namespaces for steps if that was put off, and does not return then: the process
    /// starts over in them. Where that cannot be done steps are run without, if they may be; else they
    /// fail for want of them.
    ///
    /// Nothing may be at work any more, nor have been done that may not be done twice.
    pub(crate) fn enter(&self, isolation: IsolationArg) -> Result<(), Failure> {
        if enter::is_entered() {
            return Ok(());
        }
        let is_open = isolation != IsolationArg::Chroot && self.barred.get().is_none();
        let one_id = isolation.allows_one_id().then(|| self.store_path()).transpose()?;
        if is_open
            && let Some(why) = Namespaces::ForSteps.enter(isolation.ids(), one_id.as_deref())?
        {
            self.barred.get_or_init(|| why);
        }
        if isolation.allows_chroot() {
            let store = self.store_path()?;
            store_directory(&store)?;
            if let Err(why) = chroot::settle(&store) {
                self.rooted.get_or_init(|| why);
            }
        }
        Ok(())
    }

    /// How steps are kept apart, and why not better.
    pub(crate) fn isolation(&self) -> (Isolation, Option<String>) {
        let reasons = [
            self.barred.get().map(|why| why.cause.to_string()),
            self.rooted.get().map(ToString::to_string),
        ];
        let reasons: Vec<String> = reasons.into_iter().flatten().collect();
        let reason = (!reasons.is_empty()).then(|| reasons.join("; "));
        if enter::has_one_id() {
            (Isolation::SingleId, enter::entry().and_then(|entry| entry.reason.clone()))
        } else if enter::is_entered() {
            (Isolation::Userns, None)
        } else if chroot::is_settled() {
            (Isolation::Chroot, reason)
        } else {
            (Isolation::Refused, reason)
        }
    }

    /// Refuses to run a command where nothing keeps it apart, and says where little does.
    pub(crate) fn isolate(&self) -> Result<(), Failure> {
        match self.isolation() {
            (Isolation::Userns, _) => Ok(()),
            (isolation @ (Isolation::SingleId | Isolation::Chroot), reason) => {
                self.remark(&isolated(isolation, reason.as_deref()));
                Ok(())
            }
            (Isolation::Refused, _) => {
                let mut failure = Failure::new(Class::Environment, "commands cannot run here")
                    .known_as(ErrorCode::NoIsolation);
                if let Some(why) = self.barred.get() {
                    failure = failure.because(why);
                }
                if let Some(why) = self.rooted.get() {
                    failure = failure.because(why);
                }
                Err(failure.remedy("`wythe doctor` says what this machine lacks"))
            }
        }
    }

    /// A build that failed, which for want of namespaces has a cause of its own.
    pub(crate) fn failed(&self, error: BuildError) -> Failure {
        if !lacks_namespaces(&error) {
            return error.into();
        }
        let mut failure = Failure::from(error);
        if let Some(why) = self.barred.get() {
            failure = failure.because(why);
        }
        if let Some(why) = self.rooted.get() {
            failure = failure.because(why);
        }
        failure.remedy("`wythe doctor` says what this machine lacks")
    }

    /// Opens the store, and makes it where there is none.
    pub(crate) fn store(&self) -> Result<Store, Failure> {
        self.store_with(Durability::Durable, None)
    }

    /// As [`Self::store`], for commands that change nothing: stores that a newer version has made do
    /// for more of them.
    pub(crate) fn store_to_read(&self) -> Result<Store, Failure> {
        let options = OpenOptions { access: Access::Read, ..self.store_options()? };
        let store = Store::open(&self.store_path()?, &options)?;
        Ok(self.read.get_or_init(|| store).clone())
    }

    /// As [`Self::store_to_read`], and makes none where there is none.
    pub(crate) fn store_that_is_there(&self) -> Result<Store, Failure> {
        let options =
            OpenOptions { access: Access::Read, create: Create::Never, ..self.store_options()? };
        Ok(Store::open(&self.store_path()?, &options)?)
    }

    /// As [`Self::store`], with the strongest promise that its commits make, for a command that does so
    /// many things at once.
    pub(crate) fn store_with(
        &self,
        durability: Durability,
        jobs: Option<NonZeroUsize>,
    ) -> Result<Store, Failure> {
        // Before there is anything to do over again.
        self.bounds()?;
        let threads = jobs.map(host::threads_of);
        let options = OpenOptions { durability, threads, ..self.store_options()? };
        let store = Store::open(&self.store_path()?, &options)?;
        Ok(self.opened.get_or_init(|| store).clone())
    }

    fn store_options(&self) -> Result<OpenOptions, Failure> {
        let limits = self.settings.text("WYTHE_LIMITS");
        let limits = layer_limits(limits.as_deref(), &self.global.limit);
        let limits = limits.map_err(|error| {
            Failure::new(Class::Usage, format!("cannot use WYTHE_LIMITS: {error}"))
                .known_as(ErrorCode::Settings)
        })?;
        Ok(OpenOptions { boot: boot(), limits, ..OpenOptions::default() })
    }

    /// A failure with the files of the store that could not be read while the command was at work:
    /// what is missing may be in there.
    pub(crate) fn traced(&self, failure: Failure) -> Failure {
        let stores = [self.opened.get(), self.read.get()].into_iter().flatten();
        let unreadable = stores.flat_map(|store| store.packs().unreadable());
        unreadable.fold(failure, |failure, error| failure.for_want_of(&error))
    }

    /// What the environment, and else the configuration file, says of the store's budget.
    pub(crate) fn bounds(&self) -> Result<Bounds, Failure> {
        let told = self.settings.bounds();
        let told = told.map_err(|why| Failure::new(Class::Usage, format!("cannot use {why}")))?;
        let files = self.settings.configurations()?.into_iter();
        Ok(files.fold(told, |told, (_, file)| told.or(file.store)))
    }

    /// What the environment, and else the configuration file, says of how many records of builds are kept.
    pub(crate) fn history(&self) -> Result<HistoryBounds, Failure> {
        let told = self.settings.history();
        let told = told.map_err(|why| Failure::new(Class::Usage, format!("cannot use {why}")))?;
        let files = self.settings.configurations()?.into_iter();
        Ok(files.fold(told, |told, (_, file)| told.or(file.history)).bounds())
    }

    /// Tells later collections what the command used of the store, and where the store exceeds its
    /// budget or is about to, collects. The command has done what it was to do, whatever comes of this.
    pub(crate) fn tidy(&self) {
        let Some(store) = self.opened.get() else { return };
        let now = SystemClock.now();
        store.keep_uses(now);
        if let Err(failure) = self.settle(store) {
            self.remark(&format!("the store was not collected: {}", failure.sentence()));
        }
        store.keep_uses(now);
    }

    /// Whether the store needs no collection, and will need none after a command that adds nothing.
    pub(crate) fn is_calm(&self, store: &Store) -> Result<bool, Failure> {
        let budget = self.budget(store)?;
        let pace = Pace { now: SystemClock.now(), patience: &|| true };
        let is_calm = store.pressure(&budget, &pace).map_err(GcError::from)? == Pressure::None;
        if is_calm {
            self.is_calm.get_or_init(|| ());
        }
        Ok(is_calm)
    }

    fn budget(&self, store: &Store) -> Result<Budget, Failure> {
        let space = store.space().map_err(|error| Failure::of(Class::Environment, &error))?;
        Ok(self.bounds()?.budget(space, Budget::of(space)))
    }

    fn settle(&self, store: &Store) -> Result<(), Failure> {
        if self.is_calm.get().is_some() {
            return Ok(());
        }
        let started = Instant::now();
        let in_haste = || started.elapsed() < IN_PASSING;
        let haste = Pace { now: SystemClock.now(), patience: &in_haste };
        let budget = self.budget(store)?;
        let settled = match store.pressure(&budget, &haste).map_err(GcError::from)? {
            Pressure::None => return Ok(()),
            Pressure::Near => store.settle(&budget, &haste),
            // The next build would find less room still.
            Pressure::Over => store.settle(&budget, &Pace { patience: &|| true, ..haste }),
        };
        match settled {
            Ok(_) | Err(GcError::OutOfTime) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The switch that the first signal throws.
    ///
    /// Starts a thread, so that it has to be called after the namespaces were entered.
    pub(crate) fn cancel(&self) -> Result<Cancel, Failure> {
        let cancel = Cancel::new().map_err(|error| Failure::of(Class::Environment, &error))?;
        self.interrupts(&cancel)?;
        Ok(cancel)
    }

    /// Has the first signal throw a switch, and docker where it has called this and hangs up. Starts
    /// threads.
    pub(crate) fn interrupts(&self, cancel: &Cancel) -> Result<(), Failure> {
        if let Some(socket) = self.settings.raw(plugin::SOCKET).filter(|name| !name.is_empty()) {
            let interrupt = cancel.clone();
            // A docker that is gone already cannot hang up, and its signals arrive all the same.
            let _ = plugin::watch(socket, move || interrupt.cancel());
        }
        let interrupt = cancel.clone();
        let watched = signals::watch(move || interrupt.cancel());
        watched.map_err(|error| Failure::of(Class::Environment, &error))
    }

    /// A client for registries; it connects to none before it is asked something.
    pub(crate) fn registry(&self) -> Result<Client, Failure> {
        if let Some(client) = self.registry.get() {
            return Ok(client.clone());
        }
        let client = registry_client::client(&self.global, &self.settings)?;
        Ok(self.registry.get_or_init(|| client).clone())
    }

    /// Tells what happened on the way to registries, each thing once.
    pub(crate) fn tell_notices(&self) {
        for notice in registry_client::finish() {
            self.remark(&notice.to_string());
        }
    }

    /// As [`Self::registry`]; the hosts of these names are spoken to with any certificate, or over plain HTTP.
    pub(crate) fn registry_over_http(&self, names: &[Reference]) -> Result<Client, Failure> {
        let mut global = self.global.clone();
        global.insecure_registry.extend(names.iter().map(|name| name.host().to_owned()));
        registry_client::client(&global, &self.settings)
    }

    /// Who is shown how far a command is that builds nothing.
    pub(crate) fn progress(&self) -> Box<dyn Progress> {
        let (form, screen) = (self.global.progress, Arc::default());
        render::progress(form, SourceFile::default(), &screen, self.display())
    }

    /// What progress is shown on.
    pub(crate) fn display(&self) -> Display {
        Display::of(&io::stderr(), &self.settings)
    }

    /// Where the store is.
    pub(crate) fn store_path(&self) -> Result<PathBuf, Failure> {
        let path = self.global.store.clone().or_else(|| self.settings.store());
        let missing = || Failure::new(Class::Environment, "cannot tell where the store is");
        path.ok_or_else(|| missing().remedy("set HOME, or give --store DIR"))
    }

    /// Tells something that changes nothing, beside the result.
    pub(crate) fn remark(&self, text: &str) {
        let line = match self.global.progress {
            ProgressForm::Quiet => return,
            ProgressForm::Json => {
                let event = json!({"v": json::VERSION, "event": "note", "message": text});
                json::escape(&event.to_string())
            }
            ProgressForm::RawJson => solve_status::note(text),
            ProgressForm::Auto | ProgressForm::Plain | ProgressForm::Tty => {
                format!("note: {}", sanitize::text(text.as_bytes(), Medium::Log))
            }
        };
        self.screen.say(line, |line| {
            // A standard error that is closed misses nothing that counts.
            let _ = writeln!(io::stderr(), "{line}");
        });
    }

    /// Tells what a build came to, after all else.
    pub(crate) fn summarise(&self, summary: &BuildSummary) {
        let line = match self.global.progress {
            ProgressForm::Quiet | ProgressForm::RawJson => return,
            ProgressForm::Json => {
                let mut event = json!({"v": json::VERSION, "event": "summary"});
                if let (Some(event), Value::Object(fields)) =
                    (event.as_object_mut(), summary.fields())
                {
                    event.extend(fields);
                }
                json::escape(&event.to_string())
            }
            ProgressForm::Auto | ProgressForm::Plain | ProgressForm::Tty => {
                let path = summary.path().map(|path| format!("critical path: {path}"));
                let texts = path.into_iter().chain([format!("summary: {summary}")]);
                let clean = |text: String| sanitize::text(text.as_bytes(), Medium::Log);
                texts.map(clean).collect::<Vec<_>>().join("\n")
            }
        };
        // As with remarks.
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// Writes a line of the result.
    pub(crate) fn print(&self, line: &str) -> Result<(), Failure> {
        self.write(format!("{line}\n").as_bytes())
    }

    /// Writes the result, or a part of it, to standard output.
    #[expect(clippy::unused_self, reason = "standard output is the session's")]
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            // Who closed the pipe has read enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(Failure::of(Class::Environment, &error)),
        }
    }
}

/// Makes the directory of a store that is not there yet. What lies below it may belong to anybody, set-ID programs
/// included, so that only its owner enters it.
pub(crate) fn store_directory(path: &Path) -> Result<(), Failure> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| Failure::of(Class::Environment, &error).within(path.display().to_string()))
}

fn lacks_namespaces(error: &BuildError) -> bool {
    matches!(&error.cause, BuildCause::Sandbox(error) if matches!(error.cause, StepCause::NotEntered))
}

/// Which boot of the machine this is; zero where the kernel does not say, which is one boot for
/// ever, so that nothing is re-checked.
fn boot() -> BootId {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    parse_boot(&text).unwrap_or_default()
}

fn parse_boot(text: &str) -> Option<BootId> {
    let digits: String = text.trim().chars().filter(|char| *char != '-').collect();
    Some(u128::from_str_radix(&digits, 16).ok()?.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_is_a_uuid() {
        let boot = parse_boot("01020304-0506-0708-090a-0b0c0d0e0f10\n").unwrap();
        assert_eq!(boot, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
        assert_eq!(parse_boot(""), None);
    }
}
