//! What goes with the program: completions, manual pages, and packages for Debian.

use std::fs;
use std::path::{Path, PathBuf};

use super::program::Program;
use super::tool::{Tool, at, copy, make, write};
use super::{DistError, Release};

/// Shells, and where Debian keeps what each completes from.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "bash-completion/completions/wythe"),
    ("fish", "fish/vendor_completions.d/wythe.fish"),
    ("zsh", "zsh/vendor-completions/_wythe"),
];

/// Has the program write its completions and manual pages, as `/usr/share` has them, and packs them. Returns the
/// directory.
pub(super) fn texts(program: &Program, release: &Release<'_>) -> Result<PathBuf, DistError> {
    let share = release.work.join("share");
    let ask = |words: &[&str]| Tool::new(&program.path, release.directory).args(words).output();
    for (shell, path) in COMPLETIONS {
        write(&share.join(path), &ask(&["completion", shell])?)?;
    }
    let pages = share.join("man/man1");
    write(&pages.join("wythe.1"), &ask(&["manual"])?)?;
    for name in commands(&String::from_utf8_lossy(&ask(&["--help"])?)) {
        write(&pages.join(format!("wythe-{name}.1")), &ask(&["manual", name])?)?;
    }
    let tar = Tool::new("tar", &release.work);
    let (clamp, archive) = (format!("--mtime=@{}", release.epoch), release.name("share.tar.gz"));
    let order =
        ["--sort=name", &clamp, "--owner=0", "--group=0", "--numeric-owner", "--mode=go=rX"];
    let zipped = ["-I", "gzip -9n", "-cf"];
    tar.args(&order).args(&zipped).paths(&[&archive, Path::new("share")]).output()?;
    Ok(share)
}

/// The commands that a help text lists.
fn commands(help: &str) -> impl Iterator<Item = &str> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    let listed = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    listed.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help")
}

/// Makes the package of a program.
pub(super) fn debian(
    program: &Program,
    share: &Path,
    release: &Release<'_>,
) -> Result<(), DistError> {
    let architecture = program.architecture.name();
    let tree = release.work.join(architecture).join("package");
    copy(&program.path, &tree.join("usr/bin/wythe"))?;
    make(&tree.join("usr/share"))?;
    let cp = Tool::new("cp", &release.work).args(&["-r"]);
    cp.paths(&[&share.join("."), &tree.join("usr/share")]).output()?;
    let zip = "gzip -9n usr/share/man/man1/*.1";
    Tool::new("sh", &tree).args(&["-euc", zip]).output()?;
    copy(
        &release.root.join("packaging/debian/copyright"),
        &tree.join("usr/share/doc/wythe/copyright"),
    )?;
    let size = fs::metadata(&program.path).map_err(at(&program.path))?.len();
    let template = release.root.join("packaging/debian/control");
    let control = fs::read_to_string(&template).map_err(at(&template))?;
    let control = control
        .replace("{version}", env!("CARGO_PKG_VERSION"))
        .replace("{architecture}", architecture)
        .replace("{installed-size}", &size.div_ceil(1024).to_string());
    write(&tree.join("DEBIAN/control"), control.as_bytes())?;
    // Whatever the umask here is.
    Tool::new("chmod", &release.work).args(&["-R", "u=rwX,go=rX"]).paths(&[&tree]).output()?;
    let name = format!("wythe_{}_{architecture}.deb", env!("CARGO_PKG_VERSION"));
    let package = release.directory.join(name);
    let dpkg = Tool::new("dpkg-deb", &release.work).variable("SOURCE_DATE_EPOCH", &release.epoch);
    let words = ["--root-owner-group", "-Zxz", "--build"];
    dpkg.args(&words).paths(&[&tree, &package]).output().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_from_the_help_text() {
        let help = "Builds\n\nCommands:\n  build   Build an image\n          or two\n  du      \
            Show\n  help    Print\n\nOptions:\n  -h\n";
        assert_eq!(commands(help).collect::<Vec<_>>(), ["build", "du"]);
    }
}
