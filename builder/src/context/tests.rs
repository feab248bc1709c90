//! Scans of real directories.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Mutex;

use rustix::fs::{CWD, FileType, Mode, XattrFlags, mknodat, setxattr};
use wythe_store::error::WriteError;
use wythe_store::id::BodyId;
use wythe_store::stat_cache::FileStat;

use super::body::Bodies;
use super::error::ContextCause;
use super::{Context, Scan, ignore_rules, scan};
use crate::copy::error::Missing;
use crate::copy::route::Route;
use crate::copy::tests::sketch::show;
use crate::ignore::Rules;

/// Bodies that count what is read and recall everything they were told.
#[derive(Default)]
struct Counting {
    known: Mutex<BTreeMap<Vec<u8>, (FileStat, BodyId)>>,
    read: Mutex<Vec<u64>>,
}

impl Bodies for Counting {
    fn recall(&self, path: &[u8], stat: &FileStat) -> Option<BodyId> {
        let known = self.known.lock().unwrap();
        known.get(path).filter(|(seen, _)| seen == stat).map(|&(_, body)| body)
    }

    fn store(&self, file: Option<&mut File>, _: u64) -> Result<(BodyId, u64), WriteError> {
        let mut all = Vec::new();
        file.map_or(Ok(0), |file| file.read_to_end(&mut all)).map_err(WriteError::Source)?;
        self.read.lock().unwrap().push(all.len() as u64);
        Ok((BodyId::of(&all), all.len() as u64))
    }

    fn remember(&self, path: &[u8], stat: &FileStat, body: BodyId) {
        self.known.lock().unwrap().insert(path.to_vec(), (*stat, body));
    }
}

impl Counting {
    fn reads(&self) -> usize {
        std::mem::take(&mut *self.read.lock().unwrap()).len()
    }
}

/// A directory with these files, each holding its own last letter in upper case.
fn directory(files: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in files {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file[file.len() - 1..].to_uppercase()).unwrap();
    }
    root
}

fn scan(root: &Path, rules: &str, sources: &[&str]) -> Scan {
    let rules = Rules::parse(".dockerignore", rules).unwrap();
    let routes: Vec<Route> = sources.iter().map(|source| Route::flat(source).unwrap()).collect();
    Context::open(root, rules).unwrap().scan(&routes, &Counting::default()).unwrap()
}

#[track_caller]
fn check(root: &Path, rules: &str, sources: &[&str], expected: &str) {
    let shown = show(&scan(root, rules, sources).tree);
    let timeless = shown.split(' ').map(|word| word.split('~').next().unwrap_or_default());
    assert_eq!(timeless.collect::<Vec<_>>().join(" "), expected, "{rules:?} {sources:?}");
}

#[test]
fn only_what_the_routes_lead_to_is_in_the_tree() {
    let root = directory(&["a", "d/b", "d/s/c", "e/f"]);
    check(root.path(), "", &["d/s", "a"], "a=A d/ d/s/ d/s/c=C");
    check(root.path(), "", &["d/*"], "d/ d/b=B d/s/ d/s/c=C");
    check(root.path(), "", &["zz"], "");
    check(root.path(), "", &[""], "a=A d/ d/b=B d/s/ d/s/c=C e/ e/f=F");
}

#[test]
fn links_that_sources_lead_through_bring_their_targets() {
    let root = directory(&["d/s/c", "x/y"]);
    symlink("d/s", root.path().join("l")).unwrap();
    symlink("/x", root.path().join("d/up")).unwrap();
    check(root.path(), "", &["l/c"], "d/ d/s/ d/s/c=C l->d/s");
    check(root.path(), "", &["d/up"], "d/ d/up->/x x/ x/y=Y");
}

#[test]
fn a_link_out_of_the_context_leads_nowhere() {
    let outside = directory(&["canary"]);
    let root = directory(&["a"]);
    symlink(outside.path(), root.path().join("out")).unwrap();
    let scan = scan(root.path(), "", &["out/canary", ""]);
    assert!(!show(&scan.tree).contains("=Y"), "{}", show(&scan.tree));
}

#[test]
fn a_ring_of_links_ends() {
    let root = directory(&[]);
    symlink("b", root.path().join("a")).unwrap();
    symlink("a", root.path().join("b")).unwrap();
    check(root.path(), "", &["a/x"], "a->b b->a");
}

#[test]
fn ignored_entries_are_absent_and_exceptions_bring_their_parents() {
    let root = directory(&["a.md", "s/a.md", "s/deep/c", "s/d", "foo"]);
    check(root.path(), "*.md", &[""], "foo=O s/ s/a.md=D s/d=D s/deep/ s/deep/c=C");
    check(root.path(), "s\n!s/deep/c", &[""], "a.md=D foo=O s/ s/deep/ s/deep/c=C");
    check(root.path(), "*\n!s/d", &[""], "s/ s/d=D");
    check(root.path(), "s/**\n", &["s"], "s/");
}

#[test]
fn an_exception_leaves_what_is_in_a_kept_directory_ignored() {
    let root = directory(&["src/.env", "src/lib/a", "src/node_modules/m"]);
    let rules = "**/.env\n**/node_modules\n!src";
    check(root.path(), rules, &["src"], "src/ src/lib/ src/lib/a=A");
}

#[test]
fn an_ignored_file_is_never_opened() {
    let root = directory(&["a", "secret"]);
    fs::set_permissions(root.path().join("secret"), fs::Permissions::from_mode(0o0)).unwrap();
    let bodies = Counting::default();
    let rules = Rules::parse(".dockerignore", "secret").unwrap();
    Context::open(root.path(), rules).unwrap().scan(&[Route::flat("").unwrap()], &bodies).unwrap();
    assert_eq!(bodies.reads(), 1);
}

#[test]
fn an_unchanged_tree_reads_no_file() {
    let root = directory(&["a", "d/b"]);
    let context = Context::open(root.path(), Rules::default()).unwrap();
    let bodies = Counting::default();
    let first = context.scan(&[Route::flat("").unwrap()], &bodies).unwrap().tree;
    assert_eq!(bodies.reads(), 2);
    assert_eq!(context.scan(&[Route::flat("").unwrap()], &bodies).unwrap().tree, first);
    assert_eq!(bodies.reads(), 0);
    fs::write(root.path().join("a"), "XY").unwrap();
    assert_ne!(context.scan(&[Route::flat("").unwrap()], &bodies).unwrap().tree, first);
    assert_eq!(bodies.reads(), 1);
}

#[test]
fn a_file_with_attributes_is_read_each_time_so_that_they_are_seen() {
    let root = directory(&["a"]);
    let path = root.path().join("a");
    if setxattr(&path, "user.k", b"v", XattrFlags::empty()).is_err() {
        return;
    }
    let bodies = Counting::default();
    let context = Context::open(root.path(), Rules::default()).unwrap();
    for _ in 0..2 {
        let tree = context.scan(&[Route::flat("").unwrap()], &bodies).unwrap().tree;
        let xattrs = &tree.children.get(b"a").unwrap().metadata.xattrs;
        assert_eq!(xattrs[..], [(b"user.k"[..].into(), b"v"[..].into())]);
        assert_eq!(bodies.reads(), 1);
    }
}

#[test]
fn pipes_stay_pipes_and_sockets_become_empty_files_by_name() {
    let root = directory(&["a"]);
    let make = |name: &str, kind| {
        mknodat(CWD, root.path().join(name), kind, Mode::from_raw_mode(0o644), 0).unwrap();
    };
    make("p", FileType::Fifo);
    make("s", FileType::Socket);
    let scan = scan(root.path(), "", &[""]);
    assert!(show(&scan.tree).contains("p|"), "{}", show(&scan.tree));
    assert!(show(&scan.tree).contains(" s=?~"), "{}", show(&scan.tree));
    assert_eq!(scan.sockets, ["s"]);
}

#[test]
fn hard_links_share_a_group() {
    let root = directory(&["x"]);
    fs::hard_link(root.path().join("x"), root.path().join("y")).unwrap();
    let shown = show(&scan(root.path(), "", &[""]).tree);
    let groups: Vec<&str> = shown.split(' ').filter_map(|word| word.split('#').nth(1)).collect();
    assert_eq!(groups.len(), 2);
    assert_eq!(groups[0].split('~').next(), groups[1].split('~').next());
}

#[test]
fn a_missing_source_is_explained_by_the_ignore_file_or_its_neighbours() {
    let root = directory(&["zy", "d/readme.md"]);
    let rules = Rules::parse(".dockerignore", "# c\n**/*.md\n").unwrap();
    let context = Context::open(root.path(), rules).unwrap();
    let missing = |path: &str| Missing { path: path.to_owned(), ..Missing::default() };
    let by = context.explain(missing("/d/readme.md")).ignored.unwrap();
    assert_eq!((by.file.as_str(), by.line, by.pattern.as_str()), (".dockerignore", 2, "**/*.md"));
    assert_eq!(context.explain(missing("/zz")).nearest, ["/zy"]);
    assert_eq!(context.explain(missing("/no/such")).nearest, [""; 0]);
}

#[test]
fn the_ignore_file_of_a_dockerfile_replaces_the_general_one() {
    let root = directory(&[]);
    let path = |name: &str| root.path().join(name);
    fs::write(path(".dockerignore"), "\u{feff}*.md\r\n").unwrap();
    let general = ignore_rules(root.path(), Some(&path("x.Dockerfile"))).unwrap();
    assert!(general.excludes(b"a.md") && !general.excludes(b"a.txt"));
    fs::write(path("x.Dockerfile.dockerignore"), "*.txt\n").unwrap();
    let own = ignore_rules(root.path(), Some(&path("x.Dockerfile"))).unwrap();
    assert!(!own.excludes(b"a.md") && own.excludes(b"a.txt"));
    assert!(ignore_rules(&path("absent"), None).unwrap().is_empty());
}

#[test]
fn an_ignore_file_that_is_none_is_refused() {
    let root = directory(&["d/.dockerignore/x"]);
    let make = |name: &str| {
        let path = root.path().join(name);
        mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    };
    make(".dockerignore");
    for folder in [root.path().to_owned(), root.path().join("d")] {
        let error = ignore_rules(&folder, None).unwrap_err();
        assert!(matches!(error.cause, ContextCause::NotAFile), "{error}");
    }
}

#[test]
fn directories_are_walked_as_deep_as_a_layer_may_be() {
    let root = directory(&[]);
    let mut folder = root.path().to_owned();
    for _ in 0..scan::MAX_DEPTH {
        folder.push("d");
    }
    fs::create_dir_all(&folder).unwrap();
    let context = Context::open(root.path(), Rules::default()).unwrap();
    let scan = || context.scan(&[Route::flat("").unwrap()], &Counting::default()).map(drop);
    let pool = crate::builder::pool(2).unwrap();
    pool.install(scan).unwrap();
    fs::create_dir(folder.join("d")).unwrap();
    assert!(matches!(pool.install(scan).unwrap_err().cause, ContextCause::TooDeep));
}

#[test]
fn a_bad_ignore_line_is_named() {
    let root = directory(&[]);
    fs::write(root.path().join(".dockerignore"), "# c\nok\n[a\n").unwrap();
    let error = ignore_rules(root.path(), None).unwrap_err();
    let ContextCause::Ignore(bad) = error.cause else { panic!("{error}") };
    assert_eq!((bad.file.as_str(), bad.line, bad.pattern.as_str()), (".dockerignore", 3, "[a"));
}
