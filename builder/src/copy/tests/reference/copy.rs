//! COPY as plain file operations, written from what its documentation says.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::disk::{Disk, Meta, Refused};
use crate::copy::mode::Of;

/// A COPY as it is written.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) sources: Vec<String>,
    pub(super) destination: String,
    pub(super) owner: Option<(u32, u32)>,
    pub(super) chmod: Option<&'static str>,
    pub(super) exclude: Vec<&'static str>,
    pub(super) parents: bool,
}

/// One thing to copy.
enum Found {
    File {
        name: String,
        from: PathBuf,
    },
    /// What is in a directory.
    Contents {
        from: PathBuf,
        kept: Vec<Kept>,
    },
}

/// A path below a directory that is copied.
struct Kept {
    path: String,
    /// Whether it is there for itself and not only for what it leads to.
    meant: bool,
}

/// Copies from one directory to another.
pub(super) fn copy(source: &Disk, target: &mut Disk, order: &Order) -> Result<(), Refused> {
    let mut found = Vec::new();
    for word in &order.sources {
        if order.parents {
            found.push(nested(source, word, order)?);
        } else {
            flat(source, word, order, &mut found)?;
        }
    }
    let mut copying = Copying { source, target, order };
    found.iter().try_for_each(|one| copying.place(one))
}

fn flat(source: &Disk, word: &str, order: &Order, found: &mut Vec<Found>) -> Result<(), Refused> {
    for path in expanded(source, word)? {
        let from = source.follow(&path)?;
        if from.is_dir() {
            let kept = below(&from, &|_| true, &order.exclude);
            found.push(Found::Contents { from, kept });
        } else if from.exists() {
            let name = path.file_name().ok_or(Refused)?.to_string_lossy().into_owned();
            found.push(Found::File { name, from });
        } else {
            return Err(Refused);
        }
    }
    Ok(())
}

/// The paths a word stands for: itself, or all that match from the first wildcard on.
fn expanded(source: &Disk, word: &str) -> Result<Vec<PathBuf>, Refused> {
    let parts: Vec<&str> = word.split('/').filter(|part| *part != ".").collect();
    let plain = parts.iter().take_while(|part| !part.contains(['*', '?'])).count();
    if plain == parts.len() {
        return Ok(vec![PathBuf::from(word)]);
    }
    let start = source.follow(Path::new(&parts[..plain].join("/")))?;
    if !start.exists() {
        return Err(Refused);
    }
    let mut found = vec![start];
    for part in &parts[plain..] {
        let inside = |at: &PathBuf| at.is_dir() && !at.is_symlink();
        let names = found.iter().filter(|at| inside(at)).flat_map(|at| {
            Disk::names(at).into_iter().filter(|name| fits(part, name)).map(|name| at.join(name))
        });
        found = names.collect();
    }
    Ok(found.iter().map(|at| at.strip_prefix(source.root()).unwrap().to_owned()).collect())
}

/// `--parents`: what a pattern matches, with the directories on the way.
fn nested(source: &Disk, word: &str, order: &Order) -> Result<Found, Refused> {
    let (pivot, pattern) = word.split_once("/./").unwrap_or(("", word));
    let from = source.follow(Path::new(pivot))?;
    let pattern: Vec<&str> = pattern.split('/').collect();
    let wild = pattern.iter().any(|part| part.contains(['*', '?']));
    if wild && from.is_file() {
        let name = Path::new(pivot).file_name().ok_or(Refused)?.to_string_lossy().into_owned();
        return Ok(Found::File { name, from });
    }
    if !from.is_dir() {
        return Err(Refused);
    }
    // No link is followed on the way.
    let is_there = (0..pattern.len()).all(|end| {
        let at = from.join(pattern[..=end].join("/"));
        at.is_symlink() || if end + 1 < pattern.len() { at.is_dir() } else { at.exists() }
    });
    let through_link =
        (0..pattern.len() - 1).any(|end| from.join(pattern[..=end].join("/")).is_symlink());
    if !wild && (!is_there || through_link) {
        return Err(Refused);
    }
    let wanted = |path: &[&str]| (1..=path.len()).any(|end| matches(&pattern, &path[..end]));
    let kept = below(&from, &wanted, &order.exclude);
    Ok(Found::Contents { from, kept })
}

/// The paths below a directory that are wanted and not excluded, with the directories they are in.
fn below(directory: &Path, wanted: &dyn Fn(&[&str]) -> bool, exclude: &[&str]) -> Vec<Kept> {
    let mut all = Vec::new();
    list(directory, "", &mut all);
    let meant = |path: &&String| {
        let parts: Vec<&str> = path.split('/').collect();
        wanted(&parts) && !excluded(exclude, &parts)
    };
    let meant: Vec<String> = all.iter().filter(meant).cloned().collect();
    let needed = |path: &String| {
        let inside = format!("{path}/");
        meant.iter().any(|one| one == path || one.starts_with(&inside))
    };
    let needed = all.iter().filter(|path| needed(path));
    needed.map(|path| Kept { path: path.clone(), meant: meant.contains(path) }).collect()
}

fn list(directory: &Path, path: &str, all: &mut Vec<String>) {
    for name in Disk::names(directory) {
        let (here, at) = (directory.join(&name), format!("{path}{name}"));
        all.push(at.clone());
        if here.is_dir() && !here.is_symlink() {
            list(&here, &format!("{at}/"), all);
        }
    }
}

/// What matched a directory matches what is in it, and nobody asks a pattern that would change nothing.
fn excluded(patterns: &[&str], path: &[&str]) -> bool {
    let mut above = vec![false; patterns.len()];
    let mut verdict = false;
    for end in 1..=path.len() {
        verdict = false;
        for (pattern, matched) in patterns.iter().zip(&mut above) {
            let bare = pattern.strip_prefix('!');
            let parts: Vec<&str> = bare.unwrap_or(pattern).split('/').collect();
            *matched |= bare.is_some() == verdict && matches(&parts, &path[..end]);
            if *matched {
                verdict = bare.is_none();
            }
        }
    }
    verdict
}

fn matches(pattern: &[&str], path: &[&str]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        // At the end it is everything below, and not the directory itself.
        Some((&"**", [])) => !path.is_empty(),
        Some((&"**", rest)) => (0..=path.len()).any(|skip| matches(rest, &path[skip..])),
        Some((part, rest)) => {
            path.split_first().is_some_and(|(name, below)| fits(part, name) && matches(rest, below))
        }
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_at_checked(1) {
        None => name.is_empty(),
        Some(("*", rest)) => (0..=name.len()).any(|skip| fits(rest, &name[skip..])),
        Some((letter, rest)) => name.split_at_checked(1).is_some_and(|(first, others)| {
            (letter == "?" || letter == first) && fits(rest, others)
        }),
    }
}

struct Copying<'a> {
    source: &'a Disk,
    target: &'a mut Disk,
    order: &'a Order,
}

impl Copying<'_> {
    fn place(&mut self, found: &Found) -> Result<(), Refused> {
        let written = self.order.destination.as_str();
        let parent = written.rsplit_once('/').map_or("", |(parent, _)| parent);
        let directory = written.ends_with('/');
        let needed = self.target.follow(Path::new(if directory { written } else { parent }))?;
        self.make_directories(&needed)?;
        let at = self.target.follow(Path::new(written))?;
        match found {
            Found::File { name, from } => {
                let at = if at.is_dir() { at.join(name) } else { at };
                self.make_directories(at.parent().unwrap())?;
                self.leaf(from, &at)
            }
            Found::Contents { from, kept } => {
                self.make_directories(&at)?;
                kept.iter().try_for_each(|kept| self.entry(from, &at, kept))
            }
        }
    }

    fn make_directories(&mut self, path: &Path) -> Result<(), Refused> {
        let mut at = self.target.root().to_owned();
        for part in path.strip_prefix(self.target.root()).unwrap().components() {
            at.push(part);
            if at.is_symlink() || at.is_file() {
                return Err(Refused);
            }
            if !at.exists() {
                fs::create_dir(&at)?;
                // Symbolic modes are for what is copied.
                let mode = if self.order.chmod == Some("640") { 0o640 } else { 0o755 };
                self.target.set(&at, Meta { mode, owner: self.order.owner.unwrap_or((0, 0)) });
            }
        }
        Ok(())
    }

    /// An entry of a copied directory. Directories come before what is in them; those that are there
    /// and only on the way get the mode of theirs in the source.
    fn entry(&mut self, from: &Path, to: &Path, kept: &Kept) -> Result<(), Refused> {
        let (from, to) = (&from.join(&kept.path), &to.join(&kept.path));
        if from.is_symlink() || !from.is_dir() {
            return self.leaf(from, to);
        }
        if to.is_symlink() || to.is_file() {
            return Err(Refused);
        }
        let there = to.exists();
        if !there {
            fs::create_dir(to)?;
        }
        let meta = if there && !kept.meant {
            Meta { mode: self.source.meta(from).mode, ..self.target.meta(to) }
        } else {
            self.styled(self.source.meta(from), Of::Directory)
        };
        self.target.set(to, meta);
        Ok(())
    }

    fn leaf(&mut self, from: &Path, to: &Path) -> Result<(), Refused> {
        if to.is_dir() && !to.is_symlink() {
            return Err(Refused);
        }
        if to.is_symlink() || to.exists() {
            fs::remove_file(to)?;
        }
        let meta = self.source.meta(from);
        if let Ok(target) = fs::read_link(from) {
            symlink(target, to)?;
            let owner = self.styled(meta, Of::File).owner;
            self.target.set(to, Meta { owner, ..meta });
            return Ok(());
        }
        fs::write(to, fs::read(from)?)?;
        let meta = self.styled(meta, Of::File);
        self.target.set(to, meta);
        Ok(())
    }

    fn styled(&self, meta: Meta, of: Of) -> Meta {
        let run = of == Of::Directory || meta.mode & 0o111 != 0;
        let mode = match self.order.chmod {
            None => meta.mode,
            Some("640") => 0o640,
            Some("+x") => meta.mode | 0o111,
            Some("go-w,u+s") => meta.mode & !0o022 | 0o4000,
            Some("u=rwX,go=") => meta.mode & !0o6777 | if run { 0o700 } else { 0o600 },
            Some(other) => panic!("the reference does not know {other}"),
        };
        Meta { mode, owner: self.order.owner.unwrap_or(meta.owner) }
    }
}
