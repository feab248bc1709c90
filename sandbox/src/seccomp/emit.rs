//! From tables to a BPF program.
//!
//! Jumps only go forward, so the program is built from its end: whatever an instruction can jump
//! to exists before it, and equal endings in reach are shared.

use std::ops::Range;

use libc::sock_filter;

use crate::seccomp::owners::limit_argument;
use crate::seccomp::tables::Table;
use crate::seccomp::{
    Attention, BIND_A_SOCKET, Binds, Check, IdCall, Link, MakeCall, NamedFile, OwnerCall,
    REFUSED_FAMILIES, Segment, Verdict,
};
use crate::sys::OF_OURS;

/// The program for a machine that runs all of `tables`; other architectures get `EPERM`.
pub(super) fn emit(tables: &[Table], attention: Attention, binds: Binds) -> Vec<sock_filter> {
    let ask = match attention {
        Attention::Nothing => RETURN_DENY,
        Attention::Deeds | Attention::Looks | Attention::Owners => libc::SECCOMP_RET_USER_NOTIF,
    };
    let mut emitter = Emitter { reversed: Vec::new(), ask, attention, binds };
    let block = |table: &Table| (table.architecture, emitter.table(table, attention));
    let blocks: Vec<(u32, Label)> = tables.iter().rev().map(block).collect();
    let mut head = emitter.ending(RETURN_DENY);
    for (architecture, block) in blocks {
        head = emitter.branch(JUMP_EQUAL, architecture, block, head);
    }
    emitter.load(OFFSET_ARCHITECTURE);
    emitter.reversed.reverse();
    emitter.reversed
}

/// A place in the program, counted from its end.
#[derive(Clone, Copy, Debug)]
struct Label(usize);

struct Emitter {
    reversed: Vec<sock_filter>,
    /// What happens to a call that is for who listens.
    ask: u32,
    attention: Attention,
    binds: Binds,
}

impl Emitter {
    fn table(&mut self, table: &Table, attention: Attention) -> Label {
        let segments = table.segments(attention, self.binds);
        let tree = self.search(&segments, 0..segments.len());
        self.goto(tree);
        self.load(OFFSET_NUMBER)
    }

    /// Code that finds the segment of the number in the accumulator and follows its verdict.
    fn search(&mut self, segments: &[Segment], range: Range<usize>) -> Label {
        if range.len() == 1 {
            return self.verdict(segments[range.start].verdict);
        }
        let middle = range.start + range.len() / 2;
        let above = self.search(segments, middle..range.end);
        let below = self.search(segments, range.start..middle);
        self.branch(JUMP_AT_LEAST, segments[middle].first, above, below)
    }

    fn verdict(&mut self, verdict: Verdict) -> Label {
        match verdict {
            Verdict::Allow => self.ending(libc::SECCOMP_RET_ALLOW),
            Verdict::Deny => self.ending(RETURN_DENY),
            Verdict::Unknown => self.ending(RETURN_UNKNOWN),
            Verdict::Check(Check::Family) => {
                self.one_of(&REFUSED_FAMILIES, RETURN_DENY, libc::SECCOMP_RET_ALLOW)
            }
            Verdict::Check(Check::SocketCall) => {
                let (ask, allow) = (self.ask, libc::SECCOMP_RET_ALLOW);
                let asked: &[u32] = match self.binds {
                    Binds::Run => &[OPEN_A_SOCKET],
                    Binds::Announced => &[OPEN_A_SOCKET, BIND_A_SOCKET],
                };
                self.one_of(asked, ask, allow)
            }
            Verdict::Check(Check::Bind) => {
                let allow = self.ending(libc::SECCOMP_RET_ALLOW);
                let ask = self.ending(self.ask);
                let short = self.branch(JUMP_AT_LEAST, SHORTEST_PATH_ADDRESS, ask, allow);
                self.branch(JUMP_AT_LEAST, LONGEST_PATH_ADDRESS + 1, allow, short);
                self.load(argument(2))
            }
            Verdict::Check(Check::Personality) => {
                self.one_of(&PERSONALITIES, libc::SECCOMP_RET_ALLOW, RETURN_DENY)
            }
            Verdict::Check(Check::Namespaces) => {
                let allow = self.ending(libc::SECCOMP_RET_ALLOW);
                let deny = self.ending(RETURN_DENY);
                self.branch(JUMP_ANY_BIT, NEW_NAMESPACES, deny, allow);
                self.load(argument(0))
            }
            Verdict::Check(Check::PathCall(look)) => self.look(look.link),
            Verdict::Check(Check::Owner(call)) => self.owner(call),
            Verdict::Check(Check::Device { mode }) => {
                let allow = self.ending(libc::SECCOMP_RET_ALLOW);
                let ask = self.ending(self.ask);
                let block = self.branch(JUMP_EQUAL, libc::S_IFBLK, ask, allow);
                self.branch(JUMP_EQUAL, libc::S_IFCHR, ask, block);
                self.push(BPF_AND, libc::S_IFMT, 0, 0);
                self.load(argument(mode))
            }
        }
    }

    fn look(&mut self, link: Link) -> Label {
        let ask = self.ending(self.ask);
        let Link::Said(flags) = link else { return ask };
        // Whose a file is can be asked of its descriptor, too.
        if self.attention == Attention::Owners {
            return ask;
        }
        let allow = self.ending(libc::SECCOMP_RET_ALLOW);
        self.branch(JUMP_ANY_BIT, AT_EMPTY_PATH, allow, ask);
        self.load(argument(flags))
    }

    /// What is about users and owners, as far as the arguments say that it is.
    fn owner(&mut self, call: OwnerCall) -> Label {
        let ask = self.ending(self.ask);
        let (at, bits) = match call {
            OwnerCall::Make(MakeCall::Open { path }) => (path + 1, CREATES),
            OwnerCall::Mode { file } => (file.path + 1, SET_ID_BITS),
            OwnerCall::Limit { old } => {
                let allow = self.ending(libc::SECCOMP_RET_ALLOW);
                self.branch(JUMP_EQUAL, LOCKS, ask, allow);
                return self.load(argument(limit_argument(old)));
            }
            OwnerCall::Execute(NamedFile { path: 0, .. })
            | OwnerCall::Ids(IdCall::SetCapabilities) => {
                let allow = self.ending(libc::SECCOMP_RET_ALLOW);
                self.branch(JUMP_EQUAL, OF_OURS, allow, ask);
                return self.load(argument(5));
            }
            OwnerCall::Ids(IdCall::Control) => {
                return self.one_of(&CONTROLS, self.ask, libc::SECCOMP_RET_ALLOW);
            }
            OwnerCall::Peer => {
                let allow = self.ending(libc::SECCOMP_RET_ALLOW);
                self.branch(JUMP_EQUAL, PEER_CREDENTIALS, ask, allow);
                let name = self.load(argument(2));
                self.branch(JUMP_EQUAL, SOCKET_LEVEL, name, allow);
                return self.load(argument(1));
            }
            OwnerCall::Ids(_)
            | OwnerCall::Look(_)
            | OwnerCall::Make(_)
            | OwnerCall::Access(_)
            | OwnerCall::Execute(_)
            | OwnerCall::SetAttribute
            | OwnerCall::ListAttributes(_)
            | OwnerCall::Unknown => return ask,
        };
        let allow = self.ending(libc::SECCOMP_RET_ALLOW);
        self.branch(JUMP_ANY_BIT, bits, ask, allow);
        self.load(argument(at))
    }

    fn one_of(&mut self, values: &[u32], then: u32, otherwise: u32) -> Label {
        let mut next = self.ending(otherwise);
        let found = self.ending(then);
        for value in values {
            next = self.branch(JUMP_EQUAL, *value, found, next);
        }
        self.load(argument(0))
    }

    fn load(&mut self, offset: u32) -> Label {
        self.push(BPF_LOAD_WORD, offset, 0, 0)
    }

    /// The return of `action`, an earlier one if it is near.
    fn ending(&mut self, action: u32) -> Label {
        let near = self.reversed.len().saturating_sub(SHARED_REACH);
        let shared =
            self.reversed[near..].iter().rposition(|it| it.code == BPF_RETURN && it.k == action);
        match shared {
            Some(index) => Label(near + index),
            None => self.push(BPF_RETURN, action, 0, 0),
        }
    }

    /// `if accumulator <test> value { then } else { otherwise }`.
    fn branch(&mut self, test: u16, value: u32, then: Label, otherwise: Label) -> Label {
        let then = self.bring_near(then);
        let otherwise = self.bring_near(otherwise);
        let (then, otherwise) = (self.distance(then), self.distance(otherwise));
        let near = "bring_near keeps jumps below 256";
        let (then, otherwise) = (u8::try_from(then), u8::try_from(otherwise));
        self.push(test, value, then.expect(near), otherwise.expect(near))
    }

    /// A label that two more instructions leave in reach of a conditional jump.
    fn bring_near(&mut self, label: Label) -> Label {
        if self.distance(label) < 250 {
            return label;
        }
        self.jump(label)
    }

    /// Makes `label` what comes next.
    fn goto(&mut self, label: Label) {
        if self.distance(label) > 0 {
            self.jump(label);
        }
    }

    fn jump(&mut self, label: Label) -> Label {
        let distance =
            u32::try_from(self.distance(label)).expect("programs have 4096 instructions");
        self.push(BPF_JUMP, distance, 0, 0)
    }

    /// How many instructions an instruction put here has to skip to reach `label`.
    fn distance(&self, label: Label) -> usize {
        self.reversed.len() - label.0 - 1
    }

    fn push(&mut self, code: u16, k: u32, jt: u8, jf: u8) -> Label {
        self.reversed.push(sock_filter { code, jt, jf, k });
        Label(self.reversed.len() - 1)
    }
}

/// Where `seccomp_data` has the low word of an argument.
fn argument(index: usize) -> u32 {
    let offset = u32::try_from(8 * index).expect("system calls have six arguments");
    OFFSET_ARGUMENTS + offset
}

pub(super) const BPF_LOAD_WORD: u16 = 0x20;
const BPF_AND: u16 = 0x54;
pub(super) const BPF_RETURN: u16 = 0x06;
const BPF_JUMP: u16 = 0x05;
pub(super) const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;

/// `seccomp_data`: number, architecture, then the arguments.
pub(super) const OFFSET_NUMBER: u32 = 0;
pub(super) const OFFSET_ARCHITECTURE: u32 = 4;
const OFFSET_ARGUMENTS: u32 = 16;

const RETURN_DENY: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const RETURN_UNKNOWN: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

/// How far back an equal return is looked for: far enough to be shared by most of a table, near
/// enough for the jumps over it that follow.
const SHARED_REACH: usize = 120;

/// What makes a call about a descriptor, with a path that is empty as a rule.
const AT_EMPTY_PATH: u32 = libc::AT_EMPTY_PATH.cast_unsigned();

/// What makes `open` make a file, with a name or without one.
const CREATES: u32 = libc::O_CREAT.cast_unsigned() | UNNAMED;

/// `__O_TMPFILE`: the other bit of `O_TMPFILE` is that of directories.
const UNNAMED: u32 = (libc::O_TMPFILE & !libc::O_DIRECTORY).cast_unsigned();

const SET_ID_BITS: u32 = libc::S_ISUID | libc::S_ISGID;

/// The options of `prctl` that have to do with capabilities: `PR_SET_KEEPCAPS`, `PR_CAPBSET_DROP`,
/// `PR_SET_SECUREBITS`, `PR_CAP_AMBIENT`.
const CONTROLS: [u32; 4] = [8, 24, 28, 47];

/// `RLIMIT_LOCKS`
const LOCKS: u32 = 10;

/// `SOL_SOCKET`
const SOCKET_LEVEL: u32 = 1;

/// `SO_PEERCRED`
const PEER_CREDENTIALS: u32 = 17;

/// The first argument of `socketcall` that stands for `socket`. No family that is refused has
/// pairs of sockets.
const OPEN_A_SOCKET: u32 = 1;

/// A family and one byte of a path: without any, the kernel chooses an address.
const SHORTEST_PATH_ADDRESS: u32 = 3;

/// `struct sockaddr_un`: with more the kernel refuses a socket of this family.
const LONGEST_PATH_ADDRESS: u32 = 110;

/// Linux, 32-bit Linux, both without address randomisation bits of their own, and "only ask".
const PERSONALITIES: [u32; 5] = [0, 8, 0x2_0000, 0x2_0008, u32::MAX];

/// All `CLONE_NEW*` flags that the type word of `clone` can carry.
const NEW_NAMESPACES: u32 = 0x7e02_0000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::LAST_KNOWN;
    use crate::seccomp::tables::native_tables;

    /// Runs a program as the kernel would.
    fn interpret(program: &[sock_filter], architecture: u32, number: u32, argument: u32) -> u32 {
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let it = program[at];
            at += 1;
            match it.code {
                BPF_LOAD_WORD => {
                    accumulator = match it.k {
                        OFFSET_NUMBER => number,
                        OFFSET_ARCHITECTURE => architecture,
                        _ => argument,
                    }
                }
                BPF_AND => accumulator &= it.k,
                BPF_RETURN => return it.k,
                BPF_JUMP => at += it.k as usize,
                test => {
                    let holds = match test {
                        JUMP_EQUAL => accumulator == it.k,
                        JUMP_AT_LEAST => accumulator >= it.k,
                        _ => accumulator & it.k != 0,
                    };
                    at += usize::from(if holds { it.jt } else { it.jf });
                }
            }
        }
    }

    fn expected(verdict: Verdict, argument: u32, (attention, binds): (Attention, Binds)) -> u32 {
        let allowed = match verdict {
            Verdict::Allow => true,
            Verdict::Deny => false,
            Verdict::Unknown => return RETURN_UNKNOWN,
            Verdict::Check(Check::Family) => !REFUSED_FAMILIES.contains(&argument),
            Verdict::Check(Check::SocketCall) => match argument {
                OPEN_A_SOCKET => return libc::SECCOMP_RET_USER_NOTIF,
                BIND_A_SOCKET if binds == Binds::Announced => return libc::SECCOMP_RET_USER_NOTIF,
                _ => true,
            },
            Verdict::Check(Check::Bind) => match argument {
                3..=110 => return libc::SECCOMP_RET_USER_NOTIF,
                _ => true,
            },
            Verdict::Check(Check::Personality) => PERSONALITIES.contains(&argument),
            Verdict::Check(Check::Namespaces) => argument & NEW_NAMESPACES == 0,
            Verdict::Check(Check::PathCall(look)) => match look.link {
                Link::Said(_) if attention != Attention::Owners => {
                    argument & AT_EMPTY_PATH != 0 || return libc::SECCOMP_RET_USER_NOTIF
                }
                Link::Followed | Link::Meant | Link::Nowhere | Link::Said(_) => {
                    return libc::SECCOMP_RET_USER_NOTIF;
                }
            },
            Verdict::Check(Check::Device { .. }) => match argument & libc::S_IFMT {
                libc::S_IFCHR | libc::S_IFBLK => return libc::SECCOMP_RET_USER_NOTIF,
                _ => true,
            },
            Verdict::Check(Check::Owner(call)) => {
                let runs = match call {
                    OwnerCall::Make(MakeCall::Open { .. }) => argument & CREATES == 0,
                    OwnerCall::Mode { .. } => argument & SET_ID_BITS == 0,
                    OwnerCall::Limit { .. } => argument != LOCKS,
                    OwnerCall::Execute(NamedFile { path: 0, .. })
                    | OwnerCall::Ids(IdCall::SetCapabilities) => argument == OF_OURS,
                    OwnerCall::Ids(IdCall::Control) => !CONTROLS.contains(&argument),
                    // Two arguments say it, and here they are equal.
                    OwnerCall::Peer => true,
                    OwnerCall::Ids(_)
                    | OwnerCall::Look(_)
                    | OwnerCall::Make(_)
                    | OwnerCall::Access(_)
                    | OwnerCall::Execute(_)
                    | OwnerCall::SetAttribute
                    | OwnerCall::ListAttributes(_)
                    | OwnerCall::Unknown => false,
                };
                runs || return libc::SECCOMP_RET_USER_NOTIF
            }
        };
        if allowed { libc::SECCOMP_RET_ALLOW } else { RETURN_DENY }
    }

    #[test]
    fn the_program_says_what_the_tables_say() {
        for attention in [Attention::Nothing, Attention::Deeds, Attention::Looks, Attention::Owners]
        {
            check(attention, Binds::Run);
            check(attention, Binds::Announced);
        }
    }

    #[track_caller]
    fn check(attention: Attention, binds: Binds) {
        let program = emit(native_tables(), attention, binds);
        let arguments = [0, 1, 2, 8, 38, 40, 0x11, 0o20_666, 0o60_600, 0x2_0000, 0x1000_0011];
        let arguments = arguments.into_iter().chain([
            0x1000,
            0x1100,
            u32::MAX,
            3,
            110,
            111,
            0o100,
            0o2755,
            10,
            OF_OURS,
        ]);
        for table in native_tables() {
            for number in (0..LAST_KNOWN + 100).chain([0x4000_0000, u32::MAX]) {
                let verdict = table.verdict(number, attention, binds);
                for argument in arguments.clone() {
                    let got = interpret(&program, table.architecture, number, argument);
                    let want = match expected(verdict, argument, (attention, binds)) {
                        libc::SECCOMP_RET_USER_NOTIF if attention == Attention::Nothing => {
                            RETURN_DENY
                        }
                        want => want,
                    };
                    assert_eq!(got, want, "{:x} {number} {argument}", table.architecture);
                }
            }
        }
    }

    #[test]
    fn a_foreign_architecture_is_refused_and_not_killed() {
        assert_eq!(
            interpret(&emit(native_tables(), Attention::Deeds, Binds::Run), 0x1234, 0, 0),
            RETURN_DENY
        );
    }

    #[test]
    fn one_table_costs_little_more_than_one_instruction_per_segment() {
        let table = &native_tables()[..1];
        let segments = table[0].segments(Attention::Deeds, Binds::Run).len();
        let program = emit(table, Attention::Deeds, Binds::Run);
        assert!(program.len() < segments + 30, "{segments} segments, {}", program.len());
    }
}
