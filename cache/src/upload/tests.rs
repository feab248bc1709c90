//! A cache that notes what is asked of it, and what is asked while a build runs.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use wythe_store::cache_backend::{CacheBackend, CacheBlob, CacheError, CacheProblem};
use wythe_store::digest::Digest;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::layers::LayerRecord;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::reference::Reference;
use wythe_store::path::LayerPath;
use wythe_store::portable_action::PortableAction;
use wythe_store::store::{OpenOptions, Store};
use wythe_store::tree::build::TreeBuilder;
use wythe_store::tree::entry::{File, Metadata, Node};

use super::*;

/// How long something is waited for that happens at once, or never.
const PATIENCE: Duration = Duration::from_secs(20);

/// A cache that notes what is asked of it.
#[derive(Default)]
struct Double {
    calls: Mutex<Vec<String>>,
    changed: Condvar,
    records: Mutex<std::collections::BTreeMap<CacheKey, Vec<u8>>>,
    what: What,
}

/// What the double does with a blob.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum What {
    #[default]
    Takes,
    Refuses,
    Hangs,
    Panics,
}

impl Double {
    fn is(what: What) -> Arc<Self> {
        Arc::new(Self { what, ..Self::default() })
    }

    fn call(&self, call: &str) {
        self.calls.lock().unwrap().push(call.to_owned());
        self.changed.notify_all();
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    /// Waits until something was called so often.
    fn wait_for(&self, call: &str, times: usize) {
        let calls = self.calls.lock().unwrap();
        let lacks =
            |calls: &mut Vec<String>| calls.iter().filter(|one| *one == call).count() < times;
        let waited = self.changed.wait_timeout_while(calls, PATIENCE, lacks).unwrap();
        assert!(!waited.1.timed_out(), "{call} was not called: {:?}", waited.0);
    }
}

impl CacheBackend for Double {
    fn name(&self) -> &'static str {
        "double"
    }

    fn repository(&self) -> Option<&Reference> {
        None
    }

    fn records(&self, keys: &[CacheKey]) -> Result<Vec<Option<Vec<u8>>>, CacheError> {
        self.call("records");
        let records = self.records.lock().unwrap();
        Ok(keys.iter().map(|key| records.get(key).cloned()).collect())
    }

    fn missing(&self, blobs: &[Digest]) -> Result<Vec<Digest>, CacheError> {
        self.call("missing");
        Ok(blobs.to_vec())
    }

    fn unasked(&self) -> u64 {
        0
    }

    fn blob(&self, _: &Digest, _: Range<u64>) -> Result<Box<dyn Read + Send + '_>, CacheError> {
        Ok(Box::new(io::empty()))
    }

    fn put_blob(&self, blob: &CacheBlob<'_>) -> Result<(), CacheError> {
        self.call("put_blob");
        let error = |problem| CacheError { backend: "double".to_owned(), problem };
        match self.what {
            What::Takes => {}
            What::Refuses => {
                return Err(error(CacheProblem::Full { detail: "full".to_owned() }));
            }
            What::Hangs => loop {
                std::thread::park();
            },
            What::Panics => panic!("the double panics, as it should"),
        }
        let mut bytes = Vec::new();
        (blob.open)().unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!((Digest::of(&bytes), bytes.len() as u64), (blob.digest, blob.size));
        Ok(())
    }

    fn put_records(&self, records: &[(CacheKey, Vec<u8>)]) -> Result<(), CacheError> {
        self.records.lock().unwrap().extend(records.iter().cloned());
        self.call("put_records");
        Ok(())
    }

    fn discredit(&self, _: &Digest) {
        self.call("discredit");
    }

    fn finish(&self) -> Result<(), CacheError> {
        self.call("finish");
        Ok(())
    }

    fn complaints(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Where the double's builds run.
fn origin() -> RecordOrigin {
    let invocation = Some("https://ci.example/7".to_owned());
    RecordOrigin { invocation, ..RecordOrigin::default() }
}

struct Trial {
    _folder: tempfile::TempDir,
    lease: Arc<Lease>,
}

impl Trial {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
        Self { _folder: folder, lease: Arc::new(store.lease().unwrap()) }
    }

    /// A step that made a layer with one file.
    fn step(&self, number: u8) -> MadeStep {
        let bytes = [number; 5000];
        let file = File {
            body: self.lease.put_body(&bytes).unwrap(),
            size: bytes.len() as u64,
            link: None,
        };
        let mut builder = TreeBuilder::new();
        let path = LayerPath::parse(b"file").unwrap();
        builder.insert(&path, Metadata::default(), Node::File(file)).unwrap();
        let layer = LayerId::of(&[number]);
        let mut record = LayerRecord::new(layer);
        record.tree = Some(self.lease.put_tree(&builder.finish()).unwrap());
        let mut batch = Batch::new();
        batch.put_layer(&record);
        self.lease.commit(batch, Durability::Relaxed).unwrap();
        let (name, inputs) = (format!("[{number}/9] RUN step"), Vec::new());
        let (created, duration) = (Timestamp::default(), Duration::ZERO);
        let place = CacheKey::of(&[b'p', number]);
        let (key, codec) = (CacheKey::of(&[number]), Codec::GZIP);
        let origin = Some(origin());
        MadeStep { key, name, layer, codec, created, duration, place, inputs, origin }
    }

    fn upload(&self, double: &Arc<Double>, time: Duration) -> Upload {
        self.upload_with(double, Patience::of(time))
    }

    fn upload_with(&self, double: &Arc<Double>, patience: Patience) -> Upload {
        let (lease, backend) = (self.lease.clone(), double.clone());
        let pool = Arc::new(rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap());
        UploadPlan { lease, backend, pool, patience }.begin()
    }
}

#[test]
fn what_a_step_made_is_there_before_the_next_one_ends() {
    let (trial, double) = (Trial::new(), Double::is(What::Takes));
    let upload = trial.upload(&double, UPLOAD_TIME);
    for number in 1..=3 {
        upload.add(trial.step(number));
        double.wait_for("put_records", number.into());
    }
    assert!(!double.calls().contains(&"finish".to_owned()));
    let before = double.calls().len();
    let steps = (1..=3).map(|number| trial.step(number)).collect();
    let uploaded = upload.finish(steps).unwrap();
    assert_eq!((uploaded.records, uploaded.blobs), (3, 3));
    assert_eq!(double.calls()[before..], ["finish"], "one object is left to be written");
}

#[test]
fn records_say_where_they_were_made() {
    let (trial, double) = (Trial::new(), Double::is(What::Takes));
    trial.upload(&double, UPLOAD_TIME).finish(vec![trial.step(1)]).unwrap();
    let records = double.records.lock().unwrap();
    let told = |record: &Vec<u8>| PortableAction::decode(record).unwrap().origin;
    let told: Vec<Option<RecordOrigin>> = records.values().map(told).collect();
    assert_eq!(told, [Some(origin()), Some(origin())], "the result's, and that of its place");
}

#[test]
fn a_cache_that_has_all_of_it_is_asked_once_and_written_nothing() {
    let (trial, double) = (Trial::new(), Double::is(What::Takes));
    let steps: Vec<MadeStep> = (1..=3).map(|number| trial.step(number)).collect();
    trial.upload(&double, UPLOAD_TIME).finish(steps.clone()).unwrap();
    let before = double.calls().len();
    let upload = trial.upload(&double, UPLOAD_TIME);
    assert_eq!(upload.finish(steps).unwrap(), Uploaded::default());
    assert_eq!(double.calls()[before..], ["records"]);
    // Of a build whose steps caches know there is nothing to ask.
    trial.upload(&double, UPLOAD_TIME).finish(Vec::new()).unwrap();
    assert_eq!(double.calls().len(), before + 1);
}

#[test]
fn documents_are_kept_beside_results_and_never_alone() {
    let (trial, double) = (Trial::new(), Double::is(What::Takes));
    let document = PortableDocument::new(MediaType::CONFIG, b"{}", Timestamp::default()).unwrap();
    let keep = |steps: Vec<MadeStep>| {
        let upload = trial.upload(&double, UPLOAD_TIME);
        upload.add_documents(vec![document.clone()]);
        upload.finish(steps).unwrap()
    };
    assert_eq!(keep(Vec::new()), Uploaded::default());
    assert!(double.calls().is_empty());
    assert_eq!(keep(vec![trial.step(1)]).records, 1);
    assert_eq!(double.records.lock().unwrap()[&document.key()], document.encode());
    let before = double.calls().len();
    keep(vec![trial.step(2)]);
    let put = double.calls()[before..].iter().filter(|one| *one == "put_records").count();
    assert_eq!(put, 1, "it is there");
}

#[test]
fn steps_with_the_same_layer_have_one_blob() {
    let (trial, double) = (Trial::new(), Double::is(What::Takes));
    let one = trial.step(1);
    let other = MadeStep { key: CacheKey::of(b"other"), ..one.clone() };
    let uploaded = trial.upload(&double, UPLOAD_TIME).finish(vec![one, other]).unwrap();
    assert_eq!((uploaded.records, uploaded.blobs), (2, 1));
}

#[test]
fn a_cache_that_refuses_or_fails_says_so_and_is_asked_no_more() {
    for what in [What::Refuses, What::Panics] {
        let (trial, double) = (Trial::new(), Double::is(what));
        let upload = trial.upload(&double, UPLOAD_TIME);
        upload.add(trial.step(1));
        double.wait_for("put_blob", 1);
        let error = upload.finish(vec![trial.step(2)]).unwrap_err();
        let is_refused = matches!(error, UploadError::Cache(_));
        assert_eq!(is_refused, what == What::Refuses, "{error}");
        assert!(!double.calls().contains(&"finish".to_owned()));
    }
}

#[test]
fn what_was_added_before_a_build_failed_is_written_and_waited_for_as_long_as_it_may_take() {
    let (trial, double) = (Trial::new(), Double::is(What::Takes));
    let upload = trial.upload(&double, UPLOAD_TIME);
    upload.add(trial.step(1));
    let uploaded = upload.salvage().unwrap();
    assert_eq!((uploaded.records, uploaded.blobs), (1, 1));
    assert_eq!(double.calls().last().map(String::as_str), Some("finish"));
    let limit = Duration::from_millis(100);
    let upload = trial.upload(&Double::is(What::Hangs), limit);
    upload.add(trial.step(2));
    let error = upload.salvage().unwrap_err();
    let is_late = matches!(error, UploadError::Late(Late::Time { time, .. }) if time == limit);
    assert!(is_late, "{error}");
}

#[test]
fn a_cache_that_hangs_holds_nobody_up_for_longer_than_its_time() {
    let (trial, double) = (Trial::new(), Double::is(What::Hangs));
    let upload = trial.upload(&double, Duration::from_millis(100));
    upload.add(trial.step(1));
    double.wait_for("put_blob", 1);
    let error = upload.finish(vec![trial.step(2)]).unwrap_err();
    assert!(matches!(error, UploadError::Late(Late::Time { .. })), "{error}");
}

#[test]
fn who_is_interrupted_waits_for_a_cache_no_longer() {
    let (trial, double) = (Trial::new(), Double::is(What::Hangs));
    let goes_on = Arc::new(AtomicBool::new(true));
    let asked = goes_on.clone();
    let patience = Patience::of(UPLOAD_TIME).while_it_is_to(move || asked.load(Ordering::Relaxed));
    let upload = trial.upload_with(&double, patience);
    upload.add(trial.step(1));
    double.wait_for("put_blob", 1);
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        goes_on.store(false, Ordering::Relaxed);
    });
    let error = upload.finish(vec![trial.step(2)]).unwrap_err();
    assert!(matches!(error, UploadError::Late(Late::Interrupted { .. })), "{error}");
}
