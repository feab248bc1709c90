//! Tables beside the packs they are of: whatever happens to them, the answers are the packs' own.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::object::{Encoding, Kind};
use crate::pack::writer::PackWriter;
use crate::sim::Sim;
use crate::sys::Disk;

const SCRATCH: &str = "work/scratch";

fn body(number: u32) -> ObjectName {
    let id = blake3::hash(&number.to_le_bytes());
    ObjectName::new(Kind::Body, id.as_bytes())
}

/// Publishes a pack of these objects.
fn publish(vfs: &Arc<dyn Vfs>, numbers: impl IntoIterator<Item = u32>) -> PackName {
    let writer = PackWriter::new(Arc::clone(vfs), "work".to_owned());
    for number in numbers {
        writer.put(&body(number), Encoding::Raw, &number.to_le_bytes()).unwrap();
    }
    let finished = writer.finish().unwrap();
    let [pack] = &finished[..] else { panic!("one pack") };
    vfs.replace(pack.path(), &pack.name().path()).unwrap();
    pack.name()
}

fn tables(vfs: &dyn Vfs) -> Vec<String> {
    let files = vfs.list("cache").unwrap().into_iter();
    files.filter(|file| file.starts_with("packs-")).map(|file| format!("cache/{file}")).collect()
}

fn all_packs(vfs: &dyn Vfs) -> Vec<Pack> {
    let files = vfs.list("packs").unwrap();
    let paths = files.iter().map(|file| format!("packs/{file}"));
    paths.map(|path| Pack::open(vfs, &path).unwrap()).collect()
}

/// Whether every answer for these objects is the one that the packs' own tables give.
#[track_caller]
fn check(vfs: &Arc<dyn Vfs>, packs: &Packs, numbers: std::ops::Range<u32>) {
    let all = all_packs(&**vfs);
    for number in numbers {
        let mut holders: Vec<PackName> =
            packs.holders(&body(number)).unwrap().iter().map(|pack| pack.name()).collect();
        holders.sort();
        let right = all.iter().filter(|pack| pack.find(&body(number)).is_some());
        let mut right: Vec<PackName> = right.map(Pack::name).collect();
        right.sort();
        assert_eq!(holders, right, "{number}");
        let bytes = packs.get(&body(number)).unwrap();
        assert_eq!(bytes.is_some(), !right.is_empty());
        assert!(bytes.is_none_or(|bytes| *bytes.load().unwrap() == number.to_le_bytes()));
    }
}

/// A random sequence: xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from((self.0 >> 20) % u64::from(bound)).unwrap()
    }
}

fn make_directories(vfs: &dyn Vfs) {
    for directory in ["packs", "cache", "work", "lock"] {
        vfs.make_dir(directory).unwrap();
    }
}

fn simulated() -> Sim {
    let sim = Sim::default();
    make_directories(&sim);
    sim
}

/// A disk whose packs are all in one table, and another that is in none.
fn covered() -> (Arc<dyn Vfs>, Sim) {
    let sim = simulated();
    let vfs: Arc<dyn Vfs> = Arc::new(sim.clone());
    for pack in 0..12 {
        publish(&vfs, pack * 10..pack * 10 + 11);
    }
    Packs::new(Arc::clone(&vfs)).cover(SCRATCH, Extent::All).unwrap();
    publish(&vfs, 200..205);
    (vfs, sim)
}

#[test]
fn tables_answer_as_the_packs_themselves_do() {
    for seed in 1..12 {
        let (mut random, vfs) = (Random(seed), Arc::new(simulated()) as Arc<dyn Vfs>);
        let (ours, theirs) = (Packs::new(Arc::clone(&vfs)), Packs::new(Arc::clone(&vfs)));
        theirs.names().unwrap();
        let mut known: BTreeSet<PackName> = BTreeSet::new();
        for _ in 0..40 {
            match random.below(8) {
                0 => ours.cover(SCRATCH, Extent::All).unwrap(),
                1 if !known.is_empty() => {
                    let at = random.below(u32::try_from(known.len()).unwrap());
                    let name = *known.iter().nth(at as usize).unwrap();
                    known.remove(&name);
                    vfs.unlink(&name.path()).unwrap();
                }
                _ => {
                    let count = 1 + random.below(20);
                    let numbers: Vec<u32> = (0..count).map(|_| random.below(200)).collect();
                    known.insert(publish(&vfs, numbers));
                }
            }
            ours.reload().unwrap();
            ours.cover(SCRATCH, Extent::Some).unwrap();
        }
        theirs.reload().unwrap();
        for packs in [ours, theirs, Packs::new(Arc::clone(&vfs))] {
            check(&vfs, &packs, 0..220);
        }
        assert!(tables(&*vfs).len() < 8, "{:?}", tables(&*vfs));
    }
}

#[test]
fn a_commit_leaves_few_packs_without_a_table_and_few_tables() {
    let vfs: Arc<dyn Vfs> = Arc::new(simulated());
    let packs = Packs::new(Arc::clone(&vfs));
    for pack in 0..300 {
        publish(&vfs, pack * 3..pack * 3 + 4);
        packs.reload().unwrap();
        packs.cover(SCRATCH, Extent::Some).unwrap();
        let n_uncovered = packs.with(|shelf| shelf.n_uncovered()).unwrap();
        assert!(n_uncovered <= 8 && tables(&*vfs).len() <= 3, "{pack}");
    }
    check(&vfs, &packs, 700..910);
}

#[test]
fn a_pack_that_is_gone_is_passed_over() {
    let (vfs, _) = covered();
    let open = Packs::new(Arc::clone(&vfs));
    open.names().unwrap();
    for file in vfs.list("packs").unwrap().iter().step_by(2) {
        vfs.unlink(&format!("packs/{file}")).unwrap();
    }
    check(&vfs, &open, 0..210);
    check(&vfs, &Packs::new(Arc::clone(&vfs)), 0..210);
}

#[test]
fn what_moved_to_another_pack_is_found_there() {
    let (vfs, _) = covered();
    let open = Packs::new(Arc::clone(&vfs));
    open.names().unwrap();
    let all = vfs.list("packs").unwrap();
    publish(&vfs, 0..210);
    for file in all {
        vfs.unlink(&format!("packs/{file}")).unwrap();
    }
    assert!((0..120).all(|number| open.find(&body(number)).unwrap().is_some()));
}

#[test]
fn what_is_published_or_taken_away_is_known_to_a_search_that_began_before() {
    let (vfs, _) = covered();
    let packs = Packs::new(Arc::clone(&vfs));
    let mut searcher = packs.searcher().unwrap();
    assert!(searcher.holds(&body(5)).unwrap() && !searcher.holds(&body(300)).unwrap());
    let all = vfs.list("packs").unwrap();
    let new = publish(&vfs, 300..310);
    packs.add(new, Arc::new(Pack::open(&*vfs, &new.path()).unwrap()));
    assert!((300..310).all(|number| searcher.holds(&body(number)).unwrap()));
    for file in all {
        vfs.unlink(&format!("packs/{file}")).unwrap();
    }
    packs.reload().unwrap();
    assert!((0..210).all(|number| !searcher.holds(&body(number)).unwrap()));
    let (pack, entry) = searcher.find(&body(301)).unwrap().unwrap();
    assert_eq!(*pack.read(&entry).unwrap(), 301_u32.to_le_bytes());
}

#[test]
fn after_many_searches_packs_in_no_table_answer_as_before() {
    let vfs: Arc<dyn Vfs> = Arc::new(simulated());
    for pack in 0..6 {
        publish(&vfs, pack * 50..pack * 50 + 60);
    }
    let packs = Packs::new(Arc::clone(&vfs));
    for round in 0..3 {
        for number in 0..2000 {
            assert_eq!(packs.find(&body(number)).unwrap().is_some(), number < 310 + round * 10);
        }
        check(&vfs, &packs, 0..350);
        let first = 310 + round * 10;
        let new = publish(&vfs, first - 5..first + 10);
        packs.add(new, Arc::new(Pack::open(&*vfs, &new.path()).unwrap()));
    }
    let all = vfs.list("packs").unwrap();
    vfs.unlink(&format!("packs/{}", all[0])).unwrap();
    packs.reload().unwrap();
    assert!((1000..4000).all(|number| packs.find(&body(number)).unwrap().is_none()));
    check(&vfs, &packs, 0..350);
}

#[test]
fn a_table_with_a_flipped_bit_changes_no_answer() {
    let (vfs, sim) = covered();
    let [table] = &tables(&sim)[..] else { panic!("one table") };
    let size = usize::try_from(sim.open(table).unwrap().size().unwrap()).unwrap();
    for bit in (0..size * 8).step_by(977) {
        sim.flip(table, bit).unwrap();
        let packs = Packs::new(Arc::clone(&vfs));
        let number = u32::try_from(bit % 208).unwrap();
        check(&vfs, &packs, number..number + 3);
        sim.flip(table, bit).unwrap();
    }
}

#[test]
fn a_table_that_is_torn_changes_no_answer_and_is_written_again() {
    let (vfs, sim) = covered();
    let [table] = &tables(&sim)[..] else { panic!("one table") };
    let size = usize::try_from(sim.open(table).unwrap().size().unwrap()).unwrap();
    for length in [size - 1, size / 2, 100, 64, 63, 0] {
        sim.cut(table, length).unwrap();
        let packs = Packs::new(Arc::clone(&vfs));
        check(&vfs, &packs, 100..130);
    }
    let packs = Packs::new(Arc::clone(&vfs));
    packs.cover(SCRATCH, Extent::Some).unwrap();
    let [again] = &tables(&sim)[..] else { panic!("one table") };
    assert!(sim.open(again).unwrap().size().unwrap() > 4096);
    check(&vfs, &packs, 0..210);
}

#[test]
fn a_damaged_page_is_replaced_by_whoever_meets_it() {
    let (vfs, sim) = covered();
    let [table] = &tables(&sim)[..] else { panic!("one table") };
    let size = usize::try_from(sim.open(table).unwrap().size().unwrap()).unwrap();
    sim.flip(table, (size - 5) * 8).unwrap();
    let packs = Packs::new(Arc::clone(&vfs));
    check(&vfs, &packs, 0..210);
    packs.cover(SCRATCH, Extent::Some).unwrap();
    assert!(!tables(&sim).contains(table));
    assert_eq!(packs.with(|shelf| shelf.n_uncovered()).unwrap(), 0);
    check(&vfs, &packs, 0..210);
}

#[test]
fn two_that_write_tables_at_once_harm_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let vfs = disk(directory.path());
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let vfs = &vfs;
            scope.spawn(move || {
                let packs = Packs::new(Arc::clone(vfs));
                for pack in 0..25 {
                    let first = thread * 1000 + pack * 3;
                    let writer = PackWriter::new(Arc::clone(vfs), format!("work/{thread}-{pack}"));
                    vfs.make_dir(&format!("work/{thread}-{pack}")).unwrap();
                    for number in first..first + 3 {
                        let bytes = number.to_le_bytes();
                        writer.put(&body(number), Encoding::Raw, &bytes).unwrap();
                    }
                    let finished = writer.finish().unwrap();
                    let path = finished[0].name().path();
                    vfs.publish(finished[0].path(), &path).unwrap();
                    packs.add(finished[0].name(), Arc::clone(&finished[0]));
                    packs.cover(&format!("work/{thread}-{pack}/scratch"), Extent::Some).unwrap();
                    assert!(packs.find(&body(first)).unwrap().is_some());
                }
            });
        }
    });
    let packs = Packs::new(Arc::clone(&vfs));
    for first in [0, 1000, 2000, 3000] {
        check(&vfs, &packs, first..first + 76);
    }
}

fn disk(path: &Path) -> Arc<dyn Vfs> {
    let vfs: Arc<dyn Vfs> = Arc::new(Disk::open(path).unwrap());
    make_directories(&*vfs);
    vfs
}

/// How many packs below a directory this process has open.
fn n_open(path: &Path) -> usize {
    let files = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    let is_pack = |file: &Path| file.extension().is_some_and(|extension| extension == "pack");
    targets.filter(|target| target.starts_with(path) && is_pack(target)).count()
}

#[test]
fn of_a_thousand_packs_only_those_are_opened_that_are_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let vfs = disk(directory.path());
    for pack in 0..1000 {
        publish(&vfs, pack * 2..pack * 2 + 2);
    }
    Packs::new(Arc::clone(&vfs)).cover(SCRATCH, Extent::All).unwrap();
    let packs = Packs::new(Arc::clone(&vfs));
    assert!((3000..4000).all(|number| packs.find(&body(number)).unwrap().is_none()));
    assert_eq!(n_open(directory.path()), 0);
    for number in [0, 1, 501, 500, 1999] {
        let bytes = packs.get(&body(number)).unwrap().unwrap();
        assert_eq!(*bytes.load().unwrap(), number.to_le_bytes());
    }
    assert_eq!(n_open(directory.path()), 3);
}

#[test]
fn no_more_packs_stay_open_than_a_process_may() {
    let directory = tempfile::tempdir().unwrap();
    let vfs = disk(directory.path());
    let count = u32::try_from(shelf::OPEN_MAX).unwrap() + 100;
    for pack in 0..count {
        publish(&vfs, [pack]);
    }
    let packs = Packs::new(Arc::clone(&vfs));
    packs.cover(SCRATCH, Extent::All).unwrap();
    for number in (0..count).chain(0..count) {
        assert!(packs.find(&body(number)).unwrap().is_some());
        assert!(number % 100 != 0 || n_open(directory.path()) <= 512);
    }
}

#[test]
fn many_look_ups_at_once_answer_as_one_after_another() {
    let sim = simulated();
    let vfs: Arc<dyn Vfs> = Arc::new(sim.clone());
    for pack in 0..12 {
        publish(&vfs, (pack * 50..(pack + 1) * 50).filter(|number| number % 3 != 0));
    }
    let names: Vec<ObjectName> = (0..1000).map(body).collect();
    let held = |packs: &Packs| {
        let mut all = Vec::new();
        let answer = |name: &ObjectName, is_held| {
            all.push((*name, is_held));
            Ok::<_, ReadError>(())
        };
        packs.searcher().unwrap().holds_each(&names, answer).unwrap();
        all
    };
    let right: Vec<(ObjectName, bool)> =
        (0..1000).map(|number| (body(number), number < 600 && number % 3 != 0)).collect();
    let packs = Packs::new(Arc::clone(&vfs));
    assert_eq!(held(&packs), right, "without a table");
    packs.cover(SCRATCH, Extent::All).unwrap();
    assert_eq!(held(&packs), right);
    let [table] = &tables(&*vfs)[..] else { panic!("one table") };
    let size = usize::try_from(sim.open(table).unwrap().size().unwrap()).unwrap();
    for byte in (0..size).step_by(97) {
        let sim = sim.crashed(sim.n_operations(), crate::sim::crash::Fate::Kept);
        sim.flip(table, byte * 8).unwrap();
        assert_eq!(held(&Packs::new(Arc::new(sim))), right, "with a table that is spoiled");
    }
}
