//! `--chmod`: an octal mode, or the symbolic language of chmod(1), as BSD's setmode(3) reads it and BuildKit with it.

/// Setuid, which `u` and `s` reach, and setgid.
const SET_UID: u32 = 0o4000;
const SET_GID: u32 = 0o2000;
const STICKY: u32 = 0o1000;
/// The bits that `a` reaches: all but the sticky bit.
const STANDARD: u32 = SET_UID | SET_GID | 0o777;
/// The bits of those who neither own an entry nor are of its group: set-id and sticky mean nothing for them alone.
const OTHERS: u32 = 0o007;
/// What makes a program, or a directory that can be entered.
const EXECUTE: u32 = 0o111;
/// What a directory can get that is made on the way: in BuildKit's process nobody else may write
/// to what it makes.
const ON_THE_WAY: u32 = 0o755;
/// The mode of a directory that comes from nowhere.
pub(super) const CREATED_MODE: u32 = 0o755;

/// What becomes of the mode of each entry.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ModeChange {
    /// Every entry gets these bits.
    Octal(u32),
    /// Every entry's bits are edited, in this order.
    Symbolic(Vec<Edit>),
}

/// One edit of the bits of a mode.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Edit {
    /// These bits are set.
    Set(u32),
    /// These bits are taken away.
    Clear(u32),
    /// These bits are set in a directory, and in what somebody could execute before the first edit.
    SetExecutable(u32),
    /// The three bits of one class are taken over by others.
    Copy {
        /// Whose bits.
        from: Class,
        /// Who gets or loses them: a bit of each class.
        to: u32,
        /// What becomes of those they have.
        verb: Verb,
    },
}

/// Whose three bits.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Class {
    /// The owner's.
    User,
    /// The group's.
    Group,
    /// Everybody else's.
    Other,
}

/// `+`, `-` or `=`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verb {
    /// `+`
    Add,
    /// `-`
    Remove,
    /// `=`
    Assign,
}

/// A `--chmod` value that is neither octal nor symbolic.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "invalid chmod parameter: '{text}': it is an octal number from 0 to 07777, or a form such as u=rwX,go=rX"
)]
pub struct ModeError {
    /// The value as written.
    pub text: String,
}

/// Whether a mode belongs to a directory, where `X` always means `x`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Of {
    /// A directory.
    Directory,
    /// Anything else.
    File,
}

impl ModeChange {
    /// Reads the value of `--chmod`.
    ///
    /// # Errors
    /// A value that is neither octal, up to 07777, nor symbolic.
    pub fn parse(text: &str) -> Result<Self, ModeError> {
        let bad = || ModeError { text: text.to_owned() };
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).map_err(|_| bad())?;
            return if mode <= 0o7777 { Ok(Self::Octal(mode)) } else { Err(bad()) };
        }
        let mut edits = Vec::new();
        for part in text.split(',') {
            edits_of(part, &mut edits).ok_or_else(bad)?;
        }
        Ok(Self::Symbolic(edits))
    }

    /// The mode of a directory that is made on the way to the destination: no symbolic form reaches
    /// it, and none of the bits of others for writing.
    pub fn of_created(&self) -> u32 {
        match self {
            Self::Octal(mode) => mode & ON_THE_WAY,
            Self::Symbolic(_) => CREATED_MODE,
        }
    }

    /// The mode an entry of this mode gets.
    pub fn apply(&self, mode: u32, of: Of) -> u32 {
        match self {
            Self::Octal(mode) => *mode,
            Self::Symbolic(edits) => {
                let is_executable = of == Of::Directory || mode & EXECUTE != 0;
                let granted = if is_executable { EXECUTE } else { 0 };
                edits.iter().fold(mode, |mode, edit| edit.apply(mode, granted))
            }
        }
    }
}

impl Edit {
    /// `granted` are the bits that `X` may set.
    fn apply(self, mode: u32, granted: u32) -> u32 {
        match self {
            Self::Set(bits) => mode | bits,
            Self::SetExecutable(bits) => mode | (bits & granted),
            Self::Clear(bits) => mode & !bits,
            Self::Copy { from, to, verb } => {
                // A digit for each class, as far as it is meant.
                let taken = ((mode >> from.shift() & 0o7) * 0o111) & to;
                match verb {
                    Verb::Add => mode | taken,
                    Verb::Remove => mode & !taken,
                    Verb::Assign => (mode & !to) | taken,
                }
            }
        }
    }
}

impl Class {
    fn of(letter: char) -> Option<Self> {
        match letter {
            'u' => Some(Self::User),
            'g' => Some(Self::Group),
            'o' => Some(Self::Other),
            _ => None,
        }
    }

    fn shift(self) -> u32 {
        match self {
            Self::User => 6,
            Self::Group => 3,
            Self::Other => 0,
        }
    }

    /// The bits that the letter of a class reaches.
    fn reach(self) -> u32 {
        match self {
            Self::User => SET_UID | 0o700,
            Self::Group => SET_GID | 0o070,
            Self::Other => OTHERS,
        }
    }
}

/// The edits of one part between commas, such as `u=rw+x`.
fn edits_of(part: &str, edits: &mut Vec<Edit>) -> Option<()> {
    let (who, mut rest) = part.split_at(part.find(['+', '-', '='])?);
    let who = reach(who)?;
    while let Some(first) = rest.chars().next() {
        let verb = match first {
            '+' => Verb::Add,
            '-' => Verb::Remove,
            _ => Verb::Assign,
        };
        let body = &rest[1..];
        let end = body.find(['+', '-', '=']).unwrap_or(body.len());
        Operation { who, verb, bits: 0, executable: 0, copied: false }.read(&body[..end], edits)?;
        rest = &body[end..];
    }
    Some(())
}

/// The bits that the letters before the verb reach; none where there are no letters. No umask: the result must not
/// depend on who builds.
fn reach(letters: &str) -> Option<u32> {
    letters.chars().try_fold(0, |who, letter| {
        let more = if letter == 'a' { STANDARD } else { Class::of(letter)?.reach() };
        Some(who | more)
    })
}

/// A verb and the letters after it, as far as they are read.
struct Operation {
    /// The bits that are reached; zero for everybody's.
    who: u32,
    verb: Verb,
    bits: u32,
    /// The bits of an `X`.
    executable: u32,
    /// Whether a class's bits were taken over, so that `=` has taken away what it does.
    copied: bool,
}

impl Operation {
    fn read(mut self, letters: &str, edits: &mut Vec<Edit>) -> Option<()> {
        for letter in letters.chars() {
            match letter {
                'r' => self.bits |= 0o444,
                'w' => self.bits |= 0o222,
                'x' => self.bits |= EXECUTE,
                'X' if self.verb == Verb::Remove => self.bits |= EXECUTE,
                'X' => self.executable = EXECUTE,
                's' | 't' if self.others_alone() => {}
                's' => self.bits |= SET_UID | SET_GID,
                't' => {
                    // With no letter before the verb, it is from here on the one bit that is reached.
                    self.who |= STICKY;
                    self.bits |= STICKY;
                }
                _ => self.copy(Class::of(letter)?, edits),
            }
        }
        self.write(edits);
        Some(())
    }

    fn others_alone(&self) -> bool {
        self.who != 0 && self.who & !OTHERS == 0
    }

    fn reached(&self, bits: u32) -> u32 {
        if self.who == 0 { bits } else { self.who & bits }
    }

    fn copy(&mut self, from: Class, edits: &mut Vec<Edit>) {
        if self.bits != 0 {
            self.set(edits);
        }
        self.copied = true;
        self.set_executable(edits);
        let classes = [Class::User, Class::Group, Class::Other].map(|class| 0o7 << class.shift());
        let meant = |digit: &u32| self.who == 0 || self.who & digit != 0;
        let to = classes.into_iter().filter(meant).sum();
        edits.push(Edit::Copy { from, to, verb: self.verb });
    }

    fn write(mut self, edits: &mut Vec<Edit>) {
        if self.bits != 0 || (self.verb == Verb::Assign && !self.copied) {
            self.set(edits);
        }
        self.set_executable(edits);
    }

    fn set(&mut self, edits: &mut Vec<Edit>) {
        let bits = self.reached(self.bits);
        self.bits = 0;
        match self.verb {
            Verb::Add => edits.push(Edit::Set(bits)),
            Verb::Remove => edits.push(Edit::Clear(bits)),
            Verb::Assign => {
                edits.push(Edit::Clear(if self.who == 0 { STANDARD } else { self.who }));
                edits.push(Edit::Set(bits));
            }
        }
    }

    fn set_executable(&mut self, edits: &mut Vec<Edit>) {
        let bits = self.reached(self.executable);
        self.executable = 0;
        if bits != 0 {
            edits.push(Edit::SetExecutable(bits));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, of: Of, before: u32, after: u32) {
        let change = ModeChange::parse(text).unwrap();
        assert_eq!(change.apply(before, of), after, "{text} on {before:o}");
    }

    #[test]
    fn an_octal_mode_replaces_every_bit() {
        check("640", Of::Directory, 0o1777, 0o640);
        check("04755", Of::File, 0o600, 0o4755);
        check("0", Of::File, 0o600, 0);
    }

    #[test]
    fn plus_x_reaches_everybody_whatever_the_umask() {
        check("+x", Of::File, 0o600, 0o711);
        check("a-w", Of::File, 0o666, 0o444);
    }

    #[test]
    fn a_capital_x_needs_a_directory_or_an_executable() {
        check("u=rwX,go=rX", Of::File, 0o600, 0o644);
        check("u=rwX,go=rX", Of::Directory, 0o700, 0o755);
        check("u=rwX,go=rX", Of::File, 0o100, 0o755);
    }

    #[test]
    fn an_assignment_takes_set_id_away_and_leaves_the_sticky_bit() {
        check("u=", Of::File, 0o7755, 0o3055);
        check("g=", Of::File, 0o7755, 0o5705);
        check("o=", Of::Directory, 0o7755, 0o7750);
        check("a=rX", Of::Directory, 0o7755, 0o1555);
        check("u=rws", Of::File, 0o755, 0o4655);
        check("a=u", Of::File, 0o7755, 0o7777);
    }

    #[test]
    fn directories_on_the_way_get_the_plain_bits_of_an_octal_mode() {
        let of_created = |text: &str| ModeChange::parse(text).unwrap().of_created();
        assert_eq!(["640", "4755", "1777"].map(of_created), [0o640, 0o755, 0o755]);
        assert_eq!(of_created("775"), 0o755);
        assert_eq!(["u=rwx,go=", "+t"].map(of_created), [0o755, 0o755]);
    }

    #[test]
    fn special_bits_can_be_named() {
        check("u+s,+t", Of::File, 0o755, 0o5755);
        check("g-s", Of::File, 0o2755, 0o755);
        check("o+s", Of::File, 0o755, 0o755);
    }

    #[test]
    fn a_sticky_bit_is_nobodys_and_not_for_others_alone() {
        check("o+t", Of::Directory, 0o755, 0o755);
        check("o=t", Of::Directory, 0o755, 0o750);
        check("uo+t", Of::Directory, 0o755, 0o1755);
        check("=rt", Of::Directory, 0o755, 0o1755);
    }

    #[test]
    fn one_may_be_made_like_another() {
        check("g=u", Of::File, 0o640, 0o660);
        check("o+g-w", Of::File, 0o660, 0o664);
        check("o=ug", Of::File, 0o640, 0o644);
        check("a-ug", Of::File, 0o740, 0o000);
        check("u=wo", Of::File, 0o754, 0o454);
    }

    #[test]
    fn a_capital_x_asks_for_what_was_before_the_first_edit() {
        check("u+x,a+X", Of::File, 0o644, 0o744);
        check("a-x,a+X", Of::File, 0o755, 0o755);
        check("a-X", Of::File, 0o755, 0o644);
    }

    #[test]
    fn nonsense_is_refused_with_its_text() {
        for bad in ["64a", "10000", "8", "", "rwx", "u=q", "u", "z+x", "-1"] {
            let error = ModeChange::parse(bad).expect_err(bad);
            assert!(error.to_string().contains(bad));
        }
    }
}
