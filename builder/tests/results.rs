//! Results are told of while later steps run.
#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use wythe_builder::build::build;
use wythe_builder::builder::Builder;
use wythe_builder::built::{BuiltStep, StepResults};
use wythe_builder::environment::Environment;
use wythe_builder::input::Input;
use wythe_builder::options::Options;
use wythe_builder::progress::{Event, Progress};
use wythe_registry::client::Client;
use wythe_registry::settings::Settings;
use wythe_store::oci::platform::Platform;
use wythe_store::store::{OpenOptions, Store};
use wythe_store::timestamp::Timestamp;

/// How long a step waits for something to happen beside it. It happens at once, or never.
const PATIENCE: Duration = Duration::from_secs(20);

/// The steps that were told of.
#[derive(Default)]
struct Recorder {
    steps: Mutex<Vec<BuiltStep>>,
    changed: Condvar,
}

impl StepResults for Recorder {
    fn sealed(&self, step: &BuiltStep) {
        self.steps.lock().unwrap().push(step.clone());
        self.changed.notify_all();
    }
}

/// Lets no directory be made before the result of the copy below it was told of.
struct Waits<'a> {
    told: &'a Recorder,
    in_vain: Mutex<bool>,
}

impl Progress for Waits<'_> {
    fn event(&self, event: &Event<'_>) {
        let Event::Started { name, .. } = event else { return };
        if name.contains("WORKDIR") {
            let steps = self.told.steps.lock().unwrap();
            let lacks =
                |steps: &mut Vec<BuiltStep>| !steps.iter().any(|one| one.name.contains("COPY"));
            let waited = self.told.changed.wait_timeout_while(steps, PATIENCE, lacks).unwrap();
            *self.in_vain.lock().unwrap() = waited.1.timed_out();
        }
    }
}

#[test]
fn a_result_is_told_of_while_a_later_step_runs_and_is_what_the_build_ends_with() {
    let folder = tempfile::tempdir().unwrap();
    let context = folder.path().join("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("f"), "here").unwrap();
    let store = Store::open(&folder.path().join("store"), &OpenOptions::default()).unwrap();
    let builder = Builder::open(&store, Timestamp::default()).unwrap();
    let images = Client::new(Settings::default());
    for round in ["made", "known before"] {
        let told = Recorder::default();
        let waits = Waits { told: &told, in_vain: Mutex::default() };
        let env = Environment { results: &told, ..builder.environment(&images, &waits) };
        let dockerfile = "FROM scratch\nCOPY f /\nWORKDIR /below\n".into();
        let context = Some(context.clone());
        let input = Input { dockerfile, context, ..Input::default() };
        let built = build(&input, &Options::new(Platform::linux("amd64")), env).unwrap();
        assert!(!*waits.in_vain.lock().unwrap(), "{round}");
        let parts = |step: &BuiltStep| (step.key, step.layer, step.in_image);
        let mut early: Vec<_> = told.steps.lock().unwrap().iter().map(parts).collect();
        let mut late: Vec<_> = built.steps.iter().map(parts).collect();
        early.sort_unstable();
        late.sort_unstable();
        assert_eq!(early, late, "{round}");
        assert_eq!(early.len(), 2);
    }
}
