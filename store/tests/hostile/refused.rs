//! What no reader may accept: the reason, and the entry that must be named.

use crate::archive::{Archive, Block, record};

/// An input, the entry its refusal names, and a part of the reason.
pub(crate) struct Refused(pub(crate) &'static str, pub(crate) Vec<u8>, &'static str, &'static str);

impl Refused {
    pub(crate) fn entry(&self) -> &'static str {
        self.2
    }

    pub(crate) fn reason(&self) -> &'static str {
        self.3
    }
}

pub(crate) fn table() -> Vec<Refused> {
    [names(), links(), whiteouts(), overlay(), extensions(), numbers(), streams()]
        .into_iter()
        .flatten()
        .collect()
}

fn tar() -> Archive {
    Archive::new().file("first", "1")
}

fn names() -> Vec<Refused> {
    const DOTS: &str = "path has a .. component";
    let prefixed = Block::new(b"evil", b'0').bytes(345, b"..");
    vec![
        Refused("name-dotdot", tar().file("../evil", "2").end(), "../evil", DOTS),
        Refused("name-dotdot-mid", tar().file("a/../../evil", "2").end(), "a/../../evil", DOTS),
        Refused("name-dotdot-inside", tar().file("a/../b", "2").end(), "a/../b", DOTS),
        Refused("name-dotdot-dir", tar().directory("../").end(), "../", DOTS),
        Refused("name-dotdot-abs", tar().file("/../evil", "2").end(), "/../evil", DOTS),
        Refused("name-dotdot-pax", tar().pax("path", b"../p").file("a", "2").end(), "../p", DOTS),
        Refused(
            "name-dotdot-gnu",
            tar().extension(b'L', b"../g\0").file("a", "").end(),
            "../g",
            DOTS,
        ),
        Refused("name-dotdot-prefix", tar().block(prefixed).end(), "../evil", DOTS),
        Refused("name-nul", tar().pax("path", b"a\0b").file("a", "").end(), "", "malformed pax"),
        Refused(
            "name-nul-gnu",
            tar().extension(b'L', b"a\0b\0").file("a", "").end(),
            "a\\x00b",
            "NUL",
        ),
        Refused("name-component", named(&[b'n'; 256]), "nnnn", "more than 255 bytes"),
        Refused("name-deep", named(&b"a/".repeat(2000)), "a/a/", "deeper than 256"),
        Refused("name-deeper", named(&b"a/".repeat(20_000)), "a/a/", "longer than 4096"),
        Refused("name-empty", tar().file("", "2").end(), "", "the root is not a directory"),
        Refused("root-symlink", tar().symlink("./", "/etc").end(), "./", "the root is not"),
        Refused("root-file", tar().file(".", "2").end(), ".", "the root is not"),
        Refused("file-as-parent", tar().file("first/b", "2").end(), "first/b", "not a directory"),
    ]
}

fn named(name: &[u8]) -> Vec<u8> {
    tar().pax("path", name).file("short", "2").end()
}

fn links() -> Vec<Refused> {
    const PARENT: &str = "a parent is not a directory";
    const DANGLING: &str = "hard link to what is no earlier file";
    let through = || Archive::new().symlink("s", "OUTSIDE");
    vec![
        Refused("sym-write", through().file("s/evil", "2").end(), "s/evil", PARENT),
        Refused("sym-deep-write", through().file("s/a/b/evil", "2").end(), "s/a/b/evil", PARENT),
        Refused("sym-mkdir", through().directory("s/evil/").end(), "s/evil", PARENT),
        Refused("sym-symlink", through().symlink("s/evil", "x").end(), "s/evil", PARENT),
        Refused("sym-whiteout", through().file("s/.wh.victim", "").end(), "s/victim", PARENT),
        Refused("sym-opaque", through().file("s/.wh..wh..opq", "").end(), "s", PARENT),
        Refused("sym-link-target", through().link("l", "s/victim").end(), "l", DANGLING),
        Refused("sym-link-name", through().file("f", "1").link("s/l", "f").end(), "s/l", PARENT),
        Refused("hard-missing", tar().link("l", "absent").end(), "l", DANGLING),
        Refused("hard-later", tar().link("l", "f").file("f", "2").end(), "l", DANGLING),
        Refused("hard-directory", tar().directory("d/").link("l", "d").end(), "l", DANGLING),
        Refused("hard-abs", tar().link("l", "/etc/passwd").end(), "l", DANGLING),
        Refused("hard-cwd", tar().link("l", "Cargo.toml").end(), "l", DANGLING),
        Refused("hard-dotdot", tar().link("l", "../victim").end(), "l", ".. component"),
        Refused("hard-root", tar().link("l", "/").end(), "l", DANGLING),
        Refused("hard-whiteout", tar().file(".wh.f", "").link("l", "f").end(), "l", DANGLING),
        Refused("sym-empty", tar().symlink("l", "").end(), "l", "invalid link target"),
        Refused(
            "sym-long",
            tar().pax("linkpath", &[b't'; 5000]).symlink("l", "").end(),
            "l",
            "invalid link",
        ),
    ]
}

fn whiteouts() -> Vec<Refused> {
    const BAD: &str = "invalid whiteout";
    let device = Block::new(b".wh.x", b'3').device(1, 3);
    vec![
        Refused("wh-bare", tar().file(".wh.", "").end(), ".wh.", BAD),
        Refused("wh-dot", tar().file(".wh..", "").end(), ".wh..", BAD),
        Refused("wh-dotdot", tar().file(".wh...", "").end(), ".wh...", BAD),
        Refused("wh-below-dotdot", tar().file("d/.wh...", "").end(), "d/.wh...", BAD),
        Refused("wh-below-bare", tar().file("d/.wh.", "").end(), "d/.wh.", BAD),
        Refused("wh-symlink", tar().symlink(".wh.x", "y").end(), ".wh.x", BAD),
        Refused("wh-directory", tar().directory(".wh.x/").end(), ".wh.x", BAD),
        Refused("wh-device", tar().block(device).end(), ".wh.x", BAD),
        Refused("wh-as-parent", tar().file(".wh.x/y", "2").end(), ".wh.x/y", BAD),
        Refused("wh-below-wh", tar().file(".wh.x/.wh.y", "").end(), ".wh.x/.wh.y", BAD),
        Refused("wh-opaque-parent", tar().file(".wh..wh..opq/y", "2").end(), "opq/y", BAD),
    ]
}

fn overlay() -> Vec<Refused> {
    const OVERLAY: &str = "overlay file system metadata";
    let attribute =
        |name: &str| tar().pax(&format!("SCHILY.xattr.{name}"), b"y").directory("d/").end();
    let zero = Block::new(b"null", b'3').device(0, 0);
    vec![
        Refused("dev-whiteout", tar().block(zero).end(), "null", OVERLAY),
        Refused("xattr-trusted", attribute("trusted.overlay.opaque"), "", OVERLAY),
        Refused("xattr-redirect", attribute("user.overlay.redirect"), "", OVERLAY),
        Refused("xattr-whiteout", attribute("user.overlay.whiteout"), "", OVERLAY),
    ]
}

fn extensions() -> Vec<Refused> {
    const PAX: &str = "malformed pax header";
    let pax = |content: &[u8]| tar().extension(b'x', content).file("f", "2").end();
    let claims = |kind, size| tar().block(Block::new(b"e", kind).size(size)).end();
    let large = vec![b'v'; 65_537];
    vec![
        Refused("pax-badlen", pax(b"99 path=a\n"), "", PAX),
        Refused("pax-shortlen", pax(b"5 path=abcdef\n"), "", PAX),
        Refused("pax-neglen", pax(b"-9 path=a\n"), "", PAX),
        Refused("pax-zerolen", pax(b"0 path=a\n"), "", PAX),
        Refused("pax-hugelen", pax(b"99999999999999999999 a=b\n"), "", PAX),
        Refused("pax-nokey", pax(b"5 =b\n"), "", PAX),
        Refused("pax-noequals", pax(b"6 abc\n"), "", PAX),
        Refused("pax-trailing", pax(b"6 a=b\n\0\0\0"), "", PAX),
        Refused("pax-x-x", tar().pax("a", b"1").pax("b", b"2").file("f", "").end(), "", "repeated"),
        Refused(
            "gnu-l-l",
            tar().extension(b'L', b"a\0").extension(b'L', b"b\0").end(),
            "",
            "repeated",
        ),
        Refused("pax-dangling", tar().pax("path", b"f").end(), "", "without an entry"),
        Refused("pax-huge", claims(b'x', 2 << 20), "", "extension header is too large"),
        Refused("pax-global-huge", claims(b'g', 1 << 33), "", "extension header is too large"),
        Refused("gnu-longname-huge", claims(b'L', 1 << 33), "", "extension header is too large"),
        Refused(
            "pax-global-path",
            tar().extension(b'g', &record("path", b"x")).end(),
            "",
            "global header",
        ),
        Refused(
            "pax-global-size",
            tar().extension(b'g', &record("size", b"9")).end(),
            "",
            "global header",
        ),
        Refused("gnu-sparse", tar().block(Block::new(b"f", b'S')).end(), "", "sparse"),
        Refused(
            "pax-sparse",
            tar().pax("GNU.sparse.major", b"1").file("f", "").end(),
            "",
            "sparse",
        ),
        Refused(
            "xattr-huge",
            tar().pax("SCHILY.xattr.user.a", &large).file("f", "").end(),
            "",
            "attributes are too large",
        ),
        Refused(
            "kind-unknown",
            tar().block(Block::new(b"f", b'Z')).end(),
            "f",
            "unknown entry type Z",
        ),
        Refused(
            "kind-multivolume",
            tar().block(Block::new(b"f", b'M')).end(),
            "f",
            "unknown entry type M",
        ),
    ]
}

fn numbers() -> Vec<Refused> {
    let pax = |key: &str, value: &str| tar().pax(key, value.as_bytes()).file("f", "").end();
    let bent = |at, bytes: &[u8]| tar().block(Block::new(b"f", b'0').bytes(at, bytes)).end();
    vec![
        Refused("pax-uid-huge", pax("uid", "4294967296"), "", "uid is not a valid number"),
        Refused("pax-uid-nobody", pax("uid", "4294967295"), "", "uid is not a valid number"),
        Refused("pax-gid-negative", pax("gid", "-1"), "", "gid is not a valid number"),
        Refused("pax-size-negative", pax("size", "-1"), "", "size is not a valid number"),
        Refused("pax-size-words", pax("size", "1k"), "", "size is not a valid number"),
        Refused("pax-mtime-huge", pax("mtime", "99999999999999999999"), "", "mtime is not a valid"),
        Refused("pax-mtime-words", pax("mtime", "now"), "", "mtime is not a valid number"),
        Refused("uid-negative", bent(108, &[0xff; 8]), "", "uid is not a valid number"),
        Refused("size-negative", bent(124, &[0xff; 12]), "", "size is not a valid number"),
        Refused("size-words", bent(124, b"12345678x"), "", "size is not a valid number"),
        Refused("size-signed", bent(124, b"-0000000001"), "", "size is not a valid number"),
        Refused("size-of-symlink", sized(b'2', 9), "f", "entry without content has a size"),
        Refused("size-of-fifo", sized(b'6', 9), "f", "entry without content has a size"),
        Refused("size-of-directory", sized(b'5', 9), "f", "entry without content has a size"),
        Refused("size-of-everything", sized(b'0', 1 << 40), "", "too many bytes"),
    ]
}

fn sized(kind: u8, size: u64) -> Vec<u8> {
    let block = Block::new(b"f", kind).target("t");
    let digits = [&[0x80, 0, 0, 0][..], &size.to_be_bytes()].concat();
    tar().block(block.bytes(124, &digits)).body(b"123456789").end()
}

fn streams() -> Vec<Refused> {
    let whole = tar().file("f", "2");
    let mut damaged = whole.clone().end();
    damaged[1024 + 3] ^= 1;
    vec![
        Refused("checksum", damaged, "", "checksum"),
        Refused("cut-header", whole.clone().cut(1024 + 100), "", "unexpected end"),
        Refused("cut-body", whole.clone().cut(1024 + 512), "f", "unexpected end"),
        Refused("cut-padding", whole.clone().cut(1024 + 512 + 200), "f", "unexpected end"),
        Refused("cut-end", whole.clone().cut(2048), "f", "unexpected end"),
        Refused(
            "one-zero-block",
            whole.raw(&[0; 512]).file("hidden", "3").end(),
            "",
            "after a single block of zeros",
        ),
    ]
}
