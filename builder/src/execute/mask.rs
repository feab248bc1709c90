//! Secrets in output: their values become asterisks, also where a write ends in the middle of one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Values shorter than this are left alone: hiding every `a` would hide the output.
const SHORTEST: usize = 4;

/// As above, for single lines of a value, which are more often words of every day.
const SHORTEST_LINE: usize = 8;

/// What stands in for a secret.
const MASK: &[u8] = b"***";

/// What is hidden: the values, and the forms in which programs show them.
#[derive(Debug, Default)]
pub(crate) struct Mask {
    /// The longest first: one value may hold another.
    values: Vec<Vec<u8>>,
}

/// One stream of output on its way through a mask.
#[derive(Debug)]
pub(crate) struct Masked<'m> {
    mask: &'m Mask,
    held: Vec<u8>,
}

/// Whether more may follow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ending {
    Open,
    Closed,
}

impl Mask {
    /// A mask for these values; what surrounds them as blanks and line ends does not count.
    pub(crate) fn new<'v>(values: impl IntoIterator<Item = &'v [u8]>) -> Self {
        let mut values: Vec<Vec<u8>> = values.into_iter().flat_map(forms).collect();
        values.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        values.dedup();
        Self { values }
    }

    /// A stream that begins.
    pub(crate) fn stream(&self) -> Masked<'_> {
        Masked { mask: self, held: Vec::new() }
    }

    /// What may be shown, and what could begin a value and has to wait for more.
    fn split(&self, bytes: &[u8], ending: Ending) -> (Vec<u8>, Vec<u8>) {
        let mut shown = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            let here = &bytes[at..];
            let may_become = |value: &Vec<u8>| value.len() > here.len() && value.starts_with(here);
            if ending == Ending::Open && self.values.iter().any(may_become) {
                break;
            }
            if let Some(value) = self.values.iter().find(|value| here.starts_with(value)) {
                shown.extend_from_slice(MASK);
                at += value.len();
            } else {
                shown.push(bytes[at]);
                at += 1;
            }
        }
        (shown, bytes[at..].to_vec())
    }
}

impl Masked<'_> {
    /// What may be shown after these bytes came: what could begin a value is held back.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let (shown, rest) = self.mask.split(&self.held, Ending::Open);
        self.held = rest;
        shown
    }

    /// What is still held back when the stream ends.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        self.mask.split(&held, Ending::Closed).0
    }
}

/// A value as it is, line by line, in a JSON string and in base64.
fn forms(value: &[u8]) -> Vec<Vec<u8>> {
    let whole = value.trim_ascii();
    let lines = whole.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let lines = lines.filter(|line| line.len() >= SHORTEST_LINE).map(<[u8]>::to_vec);
    if whole.len() < SHORTEST {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(whole);
    let json = serde_json::Value::from(&*text).to_string().into_bytes();
    let json = json[1..json.len() - 1].to_vec();
    // With what follows the value in its file, too. The last letter stands for bits of what is next.
    let coded = [whole, value].map(|bytes| {
        let coded = STANDARD_NO_PAD.encode(bytes);
        coded[..coded.len() - usize::from(bytes.len() % 3 > 0)].to_owned().into_bytes()
    });
    [whole.to_vec(), json].into_iter().chain(coded).chain(lines).collect()
}

#[cfg(test)]
mod tests {
    use super::Mask;

    #[track_caller]
    fn check(secrets: &[&str], writes: &[&str], expected: &str) {
        let mask = Mask::new(secrets.iter().map(|secret| secret.as_bytes()));
        let mut stream = mask.stream();
        let mut shown: Vec<u8> =
            writes.iter().flat_map(|write| stream.pass(write.as_bytes())).collect();
        shown.extend(stream.rest());
        assert_eq!(String::from_utf8_lossy(&shown), expected);
    }

    #[test]
    fn a_value_split_over_writes_is_hidden() {
        check(&["s3cr3t\n"], &["a s3c", "r3t b s3"], "a *** b s3");
        check(&["s3cr3t"], &["s", "3", "c", "r", "3", "t"], "***");
    }

    #[test]
    fn a_value_that_begins_another_does_not_give_away_its_end() {
        check(&["abcd", "abcdefgh"], &["abcd", "efgh"], "***");
        check(&["abcd", "abcdefgh"], &["abcd"], "***");
        check(&["abcd", "abcdefgh"], &["abcd", "exit"], "***exit");
    }

    #[test]
    fn lines_of_a_value_are_hidden_one_by_one() {
        let key = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\nx\n-----END KEY-----\n";
        check(&[key], &["> MIIEpAIBAAKCAQEA <\nx\n"], "> *** <\nx\n");
        check(&[key], &[key], "***\n");
    }

    #[test]
    fn json_and_base64_hide_nothing_from_the_mask() {
        check(&["a\"b\\c\n"], &[r#"{"k":"a\"b\\c"}"#], r#"{"k":"***"}"#);
        check(&["s3cr3t-v\n"], &["czNjcjN0LXYK\n"], "***\n");
        check(&["s3cr3t!"], &["czNjcjN0IQ=="], "***Q==");
    }

    #[test]
    fn nothing_is_held_back_without_secrets() {
        assert_eq!(Mask::new([&b"abc"[..]]).stream().pass(b"abc"), b"abc");
    }
}
