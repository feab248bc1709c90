//! Directories in which the path of a socket means a place of our own.

/// Directories to be made for a path, all of them below one that stands for the root.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Layout {
    /// In the order they are made in; the first is that root.
    pub(super) directories: Vec<Vec<u8>>,
    /// The one that a relative path begins in.
    pub(super) start: Vec<u8>,
    /// Where the socket will be.
    pub(super) socket: Vec<u8>,
}

impl Layout {
    /// The directories for `path`, in one that is called `top`.
    pub(super) fn of(path: &[u8], top: &str) -> Self {
        let mut layout = Self { directories: Vec::new(), start: Vec::new(), socket: Vec::new() };
        let mut at = vec![top.as_bytes()];
        layout.make(&at);
        let names = || path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b"."));
        if path.first() != Some(&b'/') {
            // As deep as the path climbs.
            for _ in names().filter(|name| *name == b"..") {
                at.push(b"start");
                layout.make(&at);
            }
        }
        layout.start = at.join(&b'/');
        let mut names = names().peekable();
        while let Some(name) = names.next() {
            match name {
                // Above the root there is the root.
                b".." if at.len() > 1 => drop(at.pop()),
                b".." => {}
                _ => at.push(name),
            }
            if names.peek().is_some() {
                layout.make(&at);
            }
        }
        layout.socket = at.join(&b'/');
        layout
    }

    /// The directory that stands for the root.
    pub(super) fn top(&self) -> &[u8] {
        self.directories.first().map_or(&[], Vec::as_slice)
    }

    fn make(&mut self, at: &[&[u8]]) {
        let directory = at.join(&b'/');
        if !self.directories.contains(&directory) {
            self.directories.push(directory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, directories: &[&str], start: &str, socket: &str) {
        let layout = Layout::of(path.as_bytes(), "t");
        let bytes = |text: &str| text.as_bytes().to_vec();
        let directories = directories.iter().copied().map(bytes).collect();
        assert_eq!(layout, Layout { directories, start: bytes(start), socket: bytes(socket) });
        assert_eq!(layout.top(), b"t");
    }

    #[test]
    fn an_absolute_path_is_laid_out_below_the_top() {
        check("/s", &["t"], "t", "t/s");
        check("/a//b/./s", &["t", "t/a", "t/a/b"], "t", "t/a/b/s");
        check("/../a/../a/s", &["t", "t/a"], "t", "t/a/s");
    }

    #[test]
    fn a_relative_path_has_room_to_climb() {
        check("s", &["t"], "t", "t/s");
        check("a/s", &["t", "t/a"], "t", "t/a/s");
        check(
            "../a/../s",
            &["t", "t/start", "t/start/start", "t/start/a"],
            "t/start/start",
            "t/start/s",
        );
    }
}
