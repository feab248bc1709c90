//! `--chmod`: an octal mode, or the symbolic language of chmod(1).

const READ: u32 = 0o4;
const WRITE: u32 = 0o2;
const EXECUTE: u32 = 0o1;
const STICKY: u32 = 0o1000;
/// Setuid, above the bits of the user, and setgid, above those of the group.
const SET_ID: u32 = 0o6000;
/// The permission bits of everybody.
const ORDINARY: u32 = 0o777;
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
    /// Every entry's bits are edited.
    Symbolic(Vec<Clause>),
}

/// One operation of the symbolic form, such as the `+x` of `u=rw+x`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a letter of the form")]
pub struct Clause {
    /// Whose bits: user 4, group 2, other 1.
    who: u32,
    verb: Verb,
    /// `r`, `w` and `x` as in one octal digit.
    bits: u32,
    capital_x: bool,
    set_id: bool,
    sticky: bool,
    /// Whose bits are taken over, for `g=u`.
    like: Option<u32>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Verb {
    Add,
    Remove,
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
        let mut clauses = Vec::new();
        for part in text.split(',') {
            clauses_of(part, &mut clauses).ok_or_else(bad)?;
        }
        Ok(Self::Symbolic(clauses))
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
            Self::Symbolic(clauses) => {
                clauses.iter().fold(mode, |mode, clause| clause.apply(mode, of))
            }
        }
    }
}

impl Clause {
    fn apply(&self, mode: u32, of: Of) -> u32 {
        let mut digit = self.bits;
        if self.capital_x && (of == Of::Directory || mode & 0o111 != 0) {
            digit |= EXECUTE;
        }
        if let Some(like) = self.like {
            digit |= mode >> shift(like) & 0o7;
        }
        let chosen = spread(digit, self.who) | self.special();
        match self.verb {
            Verb::Add => mode | chosen,
            Verb::Remove => mode & !chosen,
            Verb::Assign => mode & !self.assigned() | chosen,
        }
    }

    /// The bits that `=` decides: with those of somebody else taken over, set-id stays as it is.
    fn assigned(&self) -> u32 {
        let set_id = if self.like.is_none() { (self.who << 9) & SET_ID } else { 0 };
        spread(0o7, self.who) & ORDINARY | set_id
    }

    fn special(&self) -> u32 {
        let set_id = if self.set_id { (self.who & 0o6) << 9 } else { 0 };
        set_id | if self.sticky { STICKY } else { 0 }
    }
}

fn clauses_of(part: &str, clauses: &mut Vec<Clause>) -> Option<()> {
    let verb_at = part.find(['+', '-', '='])?;
    let (who, mut rest) = part.split_at(verb_at);
    let who = parse_who(who)?;
    while let Some(first) = rest.chars().next() {
        let verb = match first {
            '+' => Verb::Add,
            '-' => Verb::Remove,
            _ => Verb::Assign,
        };
        let body = &rest[1..];
        let end = body.find(['+', '-', '=']).unwrap_or(body.len());
        clauses.push(clause(who, verb, &body[..end])?);
        rest = &body[end..];
    }
    Some(())
}

fn parse_who(text: &str) -> Option<u32> {
    let one = |letter| match letter {
        'u' => Some(READ),
        'g' => Some(WRITE),
        'o' => Some(EXECUTE),
        'a' => Some(0o7),
        _ => None,
    };
    let who = text.chars().try_fold(0, |who, letter| Some(who | one(letter)?))?;
    // No umask: the result must not depend on who builds.
    Some(if who == 0 { 0o7 } else { who })
}

fn clause(who: u32, verb: Verb, letters: &str) -> Option<Clause> {
    let (bits, like) = (0, None);
    let mut clause =
        Clause { who, verb, bits, capital_x: false, set_id: false, sticky: false, like };
    for letter in letters.chars() {
        match letter {
            'r' => clause.bits |= READ,
            'w' => clause.bits |= WRITE,
            'x' => clause.bits |= EXECUTE,
            'X' => clause.capital_x = true,
            's' => clause.set_id = true,
            't' => clause.sticky = true,
            'u' | 'g' | 'o' if letters.len() == 1 => clause.like = parse_who(letters),
            _ => return None,
        }
    }
    Some(clause)
}

/// The bit position of user (4), group (2) or other (1).
fn shift(who: u32) -> u32 {
    match who {
        READ => 6,
        WRITE => 3,
        _ => 0,
    }
}

fn spread(digit: u32, who: u32) -> u32 {
    let part = |bit: u32| if who & bit == 0 { 0 } else { digit << shift(bit) };
    part(READ) | part(WRITE) | part(EXECUTE)
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
    }

    #[test]
    fn one_may_be_made_like_another() {
        check("g=u", Of::File, 0o640, 0o660);
        check("o+g-w", Of::File, 0o660, 0o664);
    }

    #[test]
    fn nonsense_is_refused_with_its_text() {
        for bad in ["64a", "10000", "8", "", "rwx", "u=q", "u", "z+x", "-1"] {
            let error = ModeChange::parse(bad).expect_err(bad);
            assert!(error.to_string().contains(bad));
        }
    }
}
