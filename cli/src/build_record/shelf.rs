//! Where records are: a file for each in the folder `builds` of the store, named by when the build began and by
//! its id.
//!
//! A file is written beside its place and renamed to it, so that of many builds at once each leaves a whole one.
//! Nothing is synced: a record that a power cut has spoiled does not fit its sums, and goes with the next one
//! that is written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::bounds::HistoryBounds;
use super::file::{self, Part, RecordFileError};
use super::id::{BuildId, BuildSelector};
use super::log::BuildLog;
use super::{BuildRecord, BuildStatus};

/// The folder in the store.
pub(crate) const FOLDER: &str = "builds";

/// What stands before the name of a file that is being written.
const UNFINISHED: char = '.';

/// How old a file is that nobody is writing any more: none takes longer than its build.
const STALE: Duration = Duration::from_hours(24);

/// The records of a store.
#[derive(Clone, Debug)]
pub(crate) struct BuildShelf {
    folder: PathBuf,
}

/// A record that is there, as its file's name tells of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Kept {
    /// When the build began, in microseconds since 1970.
    pub(crate) started: u64,
    pub(crate) id: BuildId,
}

/// That a build runs.
#[derive(Debug)]
pub(crate) struct Announced {
    /// Locked.
    _file: File,
}

/// Why there is no record of a build.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShelfError {
    #[error("cannot read the records of builds in {folder}")]
    Folder {
        folder: String,
        #[source]
        source: io::Error,
    },
    #[error("there is no record of any build")]
    Empty,
    #[error("there is no record of a build {0}")]
    Absent(String),
    #[error("there are records of {count} builds whose ids begin with {prefix}")]
    Several { prefix: String, count: usize },
    #[error("cannot read the record of the build {id}")]
    Unreadable {
        id: BuildId,
        #[source]
        source: RecordFileError,
    },
    #[error("cannot remove the record of the build {id}")]
    Stuck {
        id: BuildId,
        #[source]
        source: io::Error,
    },
}

impl BuildShelf {
    /// The records of the store at a path, which need not be there.
    pub(crate) fn of_store(store: &Path) -> Self {
        Self { folder: store.join(FOLDER) }
    }

    /// Keeps a record, and drops those that are too many, too old or too large then; `now` is in microseconds
    /// since 1970.
    ///
    /// # Errors
    ///
    /// Where it cannot be written. What cannot be dropped is left for the next one.
    pub(crate) fn put(
        &self,
        record: &BuildRecord,
        log: &BuildLog,
        (bounds, now): (HistoryBounds, u64),
    ) -> io::Result<()> {
        if bounds.builds == 0 {
            return Ok(());
        }
        self.place(record, log)?;
        self.bound(bounds, now)
    }

    /// Keeps the record of a build that begins. As long as the result lives, and so the build, it is seen to be
    /// running.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub(crate) fn announce(&self, record: &BuildRecord) -> io::Result<Announced> {
        self.place(record, &BuildLog::default()).map(|file| Announced { _file: file })
    }

    /// Writes a record in the place of what is known of the build; the file is locked as long as it is open.
    fn place(&self, record: &BuildRecord, log: &BuildLog) -> io::Result<File> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let name = Kept { started: record.started, id: record.id.clone() }.name();
        let unfinished = self.folder.join(format!("{UNFINISHED}{name}"));
        let bytes = file::encode(record, log)?;
        let mut out =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        let written = out.lock().and_then(|()| out.write_all(&bytes));
        let placed = written.and_then(|()| fs::rename(&unfinished, self.folder.join(name)));
        if placed.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        placed.map(|()| out)
    }

    /// The records that are there, the latest first.
    pub(crate) fn list(&self) -> Result<Vec<Kept>, ShelfError> {
        let source =
            |source| ShelfError::Folder { folder: self.folder.display().to_string(), source };
        self.kept().map_err(source)
    }

    /// The record of a build, with its log if that is asked for.
    pub(crate) fn read<L: Part>(&self, kept: &Kept) -> Result<(BuildRecord, L), ShelfError> {
        let found = self.open(kept);
        found.map_err(|source| ShelfError::Unreadable { id: kept.id.clone(), source })
    }

    fn open<L: Part>(&self, kept: &Kept) -> Result<(BuildRecord, L), RecordFileError> {
        let file = File::open(self.folder.join(kept.name()))?;
        let (mut record, part): (BuildRecord, L) = file::decode(io::BufReader::new(&file))?;
        // A build that runs has locked its record; who can lock it has found one that no longer does.
        if record.status == BuildStatus::Running && file.try_lock_shared().is_ok() {
            record.status = BuildStatus::Lost;
        }
        Ok((record, part))
    }

    /// The build that is meant: the latest one where nothing is said.
    pub(crate) fn find(&self, selector: Option<&BuildSelector>) -> Result<Kept, ShelfError> {
        let mut all = self.list()?.into_iter();
        match selector {
            None => all.next().ok_or(ShelfError::Empty),
            Some(BuildSelector::Back(back)) => {
                all.nth(*back).ok_or_else(|| ShelfError::Absent(format!("^{back}")))
            }
            Some(BuildSelector::Prefix(prefix)) => {
                let mut found: Vec<Kept> =
                    all.filter(|kept| kept.id.as_str().starts_with(prefix)).collect();
                match (found.pop(), found.len()) {
                    (Some(only), 0) => Ok(only),
                    (None, _) => Err(ShelfError::Absent(prefix.clone())),
                    (Some(_), others) => {
                        Err(ShelfError::Several { prefix: prefix.clone(), count: others + 1 })
                    }
                }
            }
        }
    }

    /// Drops a record; that it is gone already is no error.
    pub(crate) fn remove(&self, kept: &Kept) -> Result<(), ShelfError> {
        let removed = self.drop_file(&kept.name());
        removed.map_err(|source| ShelfError::Stuck { id: kept.id.clone(), source })
    }

    fn drop_file(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.folder.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let names = entries.map(|entry| Ok(entry?.file_name().into_string().unwrap_or_default()));
        names.collect()
    }

    fn kept(&self) -> io::Result<Vec<Kept>> {
        let mut kept: Vec<Kept> =
            self.names()?.iter().filter_map(|name| Kept::of_name(name)).collect();
        kept.sort_by(|a, b| (b.started, &b.id).cmp(&(a.started, &a.id)));
        Ok(kept)
    }

    fn bound(&self, bounds: HistoryBounds, now: u64) -> io::Result<()> {
        let age = |started: u64| Duration::from_micros(now.saturating_sub(started));
        let mut bytes = 0_u64;
        for (at, kept) in self.kept()?.iter().enumerate() {
            let name = kept.name();
            let size = fs::metadata(self.folder.join(&name)).map_or(0, |about| about.len());
            bytes = bytes.saturating_add(size);
            let is_old = !bounds.age.is_zero() && age(kept.started) > bounds.age;
            let is_much = bounds.bytes > 0 && bytes > bounds.bytes && at > 0;
            if at >= bounds.builds || is_old || is_much {
                self.drop_file(&name)?;
            }
        }
        for name in self.names()? {
            let kept = name.strip_prefix(UNFINISHED).and_then(Kept::of_name);
            if kept.is_some_and(|kept| age(kept.started) > STALE) {
                self.drop_file(&name)?;
            }
        }
        Ok(())
    }
}

impl Kept {
    fn name(&self) -> String {
        format!("{:016x}-{}", self.started, self.id)
    }

    fn of_name(name: &str) -> Option<Self> {
        let (started, id) = name.split_once('-')?;
        let started = u64::from_str_radix(started, 16).ok().filter(|_| started.len() == 16)?;
        Some(Self { started, id: id.parse().ok()? })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::*;
    use super::*;

    /// A record of a build that began so many seconds after 1970; its id begins with a word.
    pub(crate) fn record(second: u64, word: &str) -> BuildRecord {
        BuildRecord {
            version: VERSION,
            id: format!("{word:0<25}").parse().unwrap(),
            name: "app".to_owned(),
            program: "1.0".to_owned(),
            started: second * 1_000_000,
            duration: 1_500_000,
            status: BuildStatus::Completed,
            error: None,
            context: "/src/app".to_owned(),
            repository: None,
            dockerfile: RecordedFile::default(),
            targets: Vec::new(),
            platforms: Vec::new(),
            build_args: BTreeMap::new(),
            steps: vec![RecordedStep::new(1, "[1/1] RUN x")],
            transfers: Vec::new(),
            warnings: Vec::new(),
            results: Vec::new(),
            materials: Vec::new(),
        }
    }

    const ALL: HistoryBounds = HistoryBounds { builds: 1000, age: Duration::ZERO, bytes: 0 };

    fn shelf(words: &[&str], bounds: HistoryBounds) -> (tempfile::TempDir, BuildShelf) {
        let folder = tempfile::tempdir().unwrap();
        let shelf = BuildShelf::of_store(folder.path());
        for (second, word) in (1..).zip(words) {
            let record = record(second, word);
            shelf.put(&record, &BuildLog::default(), (bounds, second * 1_000_000)).unwrap();
        }
        (folder, shelf)
    }

    fn ids(shelf: &BuildShelf) -> Vec<String> {
        let short = |kept: &Kept| kept.id.as_str().trim_end_matches('0').to_owned();
        shelf.list().unwrap().iter().map(short).collect()
    }

    #[test]
    fn builds_are_found_by_their_place_and_by_how_their_ids_begin() {
        let (_folder, shelf) = shelf(&["abc", "abd", "x"], ALL);
        assert_eq!(ids(&shelf), ["x", "abd", "abc"]);
        let find = |text: &str| shelf.find(Some(&text.parse().unwrap()));
        assert_eq!(find("^1").unwrap().id.as_str(), format!("{:0<25}", "abd"));
        assert_eq!(find("abc").unwrap().started, 1_000_000);
        assert_eq!(shelf.find(None).unwrap().started, 3_000_000);
        assert!(matches!(find("ab"), Err(ShelfError::Several { count: 2, .. })));
        assert!(matches!(find("^3"), Err(ShelfError::Absent(_))));
        assert!(matches!(find("q"), Err(ShelfError::Absent(_))));
        shelf.remove(&find("x").unwrap()).unwrap();
        assert_eq!(ids(&shelf), ["abd", "abc"]);
    }

    #[test]
    fn records_go_that_are_too_many_too_old_or_too_large() {
        let words = ["a", "b", "c", "d"];
        assert_eq!(ids(&shelf(&words, HistoryBounds { builds: 2, ..ALL }).1), ["d", "c"]);
        let age = Duration::from_secs(2);
        assert_eq!(ids(&shelf(&words, HistoryBounds { age, ..ALL }).1), ["d", "c", "b"]);
        assert_eq!(ids(&shelf(&words, HistoryBounds { bytes: 1, ..ALL }).1), ["d"]);
        let (folder, shelf) = shelf(&words, HistoryBounds { builds: 0, ..ALL });
        assert!(ids(&shelf).is_empty() && !folder.path().join(FOLDER).exists());
    }

    #[test]
    fn a_record_that_a_power_cut_has_spoiled_is_told_and_nothing_else_is() {
        let (folder, shelf) = shelf(&["a", "b"], ALL);
        let name = shelf.find(None).unwrap().name();
        fs::write(folder.path().join(FOLDER).join(name), b"").unwrap();
        let found: Vec<bool> =
            shelf.list().unwrap().iter().map(|kept| shelf.read::<()>(kept).is_ok()).collect();
        assert_eq!(found, [false, true]);
    }

    #[test]
    fn what_a_killed_build_left_half_written_is_no_record_and_goes() {
        let (folder, shelf) = shelf(&["a"], ALL);
        let left = folder.path().join(FOLDER).join(format!(".{:016x}-{:0<25}", 5, "dead"));
        fs::write(&left, b"half").unwrap();
        assert_eq!(ids(&shelf), ["a"]);
        let later = 2 * 24 * 60 * 60;
        let (record, log) = (record(later, "b"), BuildLog::default());
        shelf.put(&record, &log, (ALL, later * 1_000_000)).unwrap();
        assert!(!left.exists());
        assert_eq!(ids(&shelf), ["b", "a"]);
    }

    #[test]
    fn a_build_is_running_until_it_ends_and_lost_where_it_ends_without_a_word() {
        let (_folder, shelf) = shelf(&[], ALL);
        let mut begun = record(5, "a");
        begun.status = BuildStatus::Running;
        let announced = shelf.announce(&begun).unwrap();
        let status = || {
            let (record, ()) = shelf.read(&shelf.find(None).unwrap()).unwrap();
            record.status
        };
        assert_eq!(status(), BuildStatus::Running);
        drop(announced);
        assert_eq!(status(), BuildStatus::Lost);
        let _announced = shelf.announce(&begun).unwrap();
        shelf.put(&record(5, "a"), &BuildLog::default(), (ALL, 0)).unwrap();
        assert_eq!((status(), shelf.list().unwrap().len()), (BuildStatus::Completed, 1));
    }

    #[test]
    fn many_builds_at_once_leave_whole_records() {
        let (_folder, shelf) = shelf(&[], ALL);
        std::thread::scope(|scope| {
            for word in ["a", "b", "c", "d"] {
                let (shelf, bounds) = (&shelf, HistoryBounds { builds: 20, ..ALL });
                scope.spawn(move || {
                    for second in 1..=20 {
                        let record = record(second, &format!("{word}{second:02}"));
                        shelf.put(&record, &BuildLog::default(), (bounds, 0)).unwrap();
                    }
                });
            }
        });
        let kept = shelf.list().unwrap();
        assert_eq!(kept.len(), 20);
        assert!(kept.iter().all(|kept| shelf.read::<BuildLog>(kept).is_ok()));
    }
}
