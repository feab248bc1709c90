//! Chunks of output put together to lines, within limits.

/// The longest line that is kept together, in bytes: what is longer is shown in pieces, so that a
/// step that prints a gigabyte without a line break costs no gigabyte of memory.
pub(crate) const MAX_LINE: usize = 64 * 1024;

/// The most output of one step that is shown, in bytes. A log of this size has never been read
/// by anybody; the step goes on, and says at its end how much was left out.
pub(crate) const MAX_OUTPUT: u64 = 64 * 1024 * 1024;

/// The output of one stream of one step.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
    seen: u64,
}

impl Lines {
    /// Takes bytes, and gives every line that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(&[u8])) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.seen += piece.len() as u64;
            if self.seen > MAX_OUTPUT {
                continue;
            }
            match piece.strip_suffix(b"\n") {
                Some(end) if self.partial.is_empty() => pieces(end, &mut line),
                Some(end) => {
                    self.partial.extend_from_slice(end);
                    pieces(&std::mem::take(&mut self.partial), &mut line);
                }
                None => self.keep(piece, &mut line),
            }
        }
    }

    /// Gives the line that was not completed, if there is one, and how much was left out.
    pub(crate) fn finish(&mut self, mut line: impl FnMut(&[u8])) {
        if !self.partial.is_empty() {
            line(&std::mem::take(&mut self.partial));
        }
        if let Some(surplus) = self.seen.checked_sub(MAX_OUTPUT).filter(|surplus| *surplus > 0) {
            line(format!("[{surplus} bytes of output left out]").as_bytes());
        }
    }

    fn keep(&mut self, piece: &[u8], line: &mut impl FnMut(&[u8])) {
        self.partial.extend_from_slice(piece);
        while self.partial.len() > MAX_LINE {
            let rest = self.partial.split_off(MAX_LINE);
            line(&std::mem::replace(&mut self.partial, rest));
        }
    }
}

fn pieces(whole: &[u8], line: &mut impl FnMut(&[u8])) {
    if whole.is_empty() {
        line(whole);
    }
    whole.chunks(MAX_LINE).for_each(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for chunk in chunks {
            lines.push(chunk, |line| found.push(line.to_vec()));
        }
        lines.finish(|line| found.push(line.to_vec()));
        found
    }

    #[test]
    fn a_line_may_come_in_pieces() {
        assert_eq!(collect(&[b"on", b"e\ntwo\n", b"thr", b"ee"]), [&b"one"[..], b"two", b"three"]);
    }

    #[test]
    fn an_empty_line_is_a_line() {
        assert_eq!(collect(&[b"a\n\nb\n"]), [&b"a"[..], b"", b"b"]);
    }

    #[test]
    fn a_line_without_end_is_shown_in_pieces() {
        let long = vec![b'x'; MAX_LINE + 5];
        let found = collect(&[&long, b"\n"]);
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [MAX_LINE, 5]);
    }

    #[test]
    fn what_is_left_out_is_said() {
        let mut lines = Lines { seen: MAX_OUTPUT, partial: Vec::new() };
        lines.push(b"too much\n", |_| panic!("shown"));
        let mut last = Vec::new();
        lines.finish(|line| last = line.to_vec());
        assert_eq!(last, b"[9 bytes of output left out]");
    }
}
