//! What no reader may accept: the reason, and the entry that must be named.

use crate::archive::{Archive, Block};

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
    [names(), links(), whiteouts(), overlay(), extensions(), sparse(), numbers(), streams()]
        .into_iter()
        .flatten()
        .collect()
}

fn tar() -> Archive {
    Archive::new().file("first", "1")
}

fn names() -> Vec<Refused> {
    const DOTS: &str = "path leads out by a .. component";
    const ROOT: &str = "the root is a directory";
    let prefixed = Block::new(b"evil", b'0').bytes(345, b"..");
    vec![
        Refused("name-dotdot", tar().file("../evil", "2").end(), "../evil", DOTS),
        Refused("name-dotdot-mid", tar().file("a/../../evil", "2").end(), "a/../../evil", DOTS),
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
        Refused("name-component", named(&[b'n'; 256]), "nnnn", "more than 255 bytes"),
        Refused("name-deep", named(&b"a/".repeat(2000)), "a/a/", "deeper than 256"),
        Refused("name-deeper", named(&b"a/".repeat(20_000)), "a/a/", "longer than 4095"),
        Refused("name-empty", tar().file("", "2").end(), "/", ROOT),
        Refused("root-symlink", tar().symlink("./", "/etc").end(), "/", ROOT),
        Refused("root-file", tar().file(".", "2").end(), "/", ROOT),
        Refused("root-again", tar().file("a/..", "2").end(), "/", ROOT),
        Refused("file-as-parent", tar().file("first/b", "2").end(), "first/b", "not a directory"),
    ]
}

fn named(name: &[u8]) -> Vec<u8> {
    tar().pax("path", name).file("short", "2").end()
}

fn links() -> Vec<Refused> {
    const PARENT: &str = "a parent is not a directory";
    const DANGLING: &str = "hard link to what is no earlier file";
    const OUT: &str = "a symbolic link on the way leads out of the layer";
    let up = || Archive::new().symlink("s", "../..").directory("d/").symlink("d/s", "../../e");
    let pair = || Archive::new().symlink("s", "t").symlink("t", "s");
    vec![
        Refused("sym-up-write", up().file("s/evil", "2").end(), "s/evil", OUT),
        Refused("sym-up-deep", up().file("d/s/evil", "2").end(), "d/s/evil", OUT),
        Refused("sym-up-mkdir", up().directory("s/evil/").end(), "s/evil", OUT),
        Refused("sym-up-whiteout", up().file("s/.wh.victim", "").end(), "victim", OUT),
        Refused("sym-up-opaque", up().file("s/.wh..wh..opq", "").end(), "s", OUT),
        Refused("sym-up-link-target", up().link("l", "s/victim").end(), "s/victim", OUT),
        Refused("sym-up-link-name", up().file("f", "1").link("s/l", "f").end(), "s/l", OUT),
        Refused("sym-circle", pair().file("s/x", "2").end(), "s/x", "too many symbolic links"),
        Refused("sym-to-file", tar().symlink("s", "first").file("s/x", "2").end(), "x", PARENT),
        Refused("sym-to-mark", tar().symlink("s", ".wh.a").file("s/x", "2").end(), "x", "whiteout"),
        Refused("hard-missing", tar().link("l", "absent").end(), "l", DANGLING),
        Refused("hard-later", tar().link("l", "f").file("f", "2").end(), "l", DANGLING),
        Refused("hard-directory", tar().directory("d/").link("l", "d").end(), "l", DANGLING),
        Refused("hard-abs", tar().link("l", "/etc/passwd").end(), "l", DANGLING),
        Refused("hard-cwd", tar().link("l", "Cargo.toml").end(), "l", DANGLING),
        Refused("hard-dotdot", tar().link("l", "../victim").end(), "l", "leads out"),
        Refused("hard-root", tar().link("l", "/").end(), "l", DANGLING),
        Refused("hard-whiteout", tar().file(".wh.f", "").link("l", "f").end(), "l", DANGLING),
        Refused("sym-empty", tar().symlink("l", "").end(), "l", "its target is empty"),
        Refused(
            "sym-long",
            tar().pax("linkpath", &[b't'; 5000]).symlink("l", "").end(),
            "l",
            "longer than 4095",
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
        Refused("pax-global", tar().extension(b'g', b"5 =b\n").end(), "after entry first", PAX),
        Refused(
            "pax-global-between",
            tar().pax("path", b"p").extension(b'g', b"6 a=b\n").file("f", "").end(),
            "after entry first",
            "without an entry",
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

fn sparse() -> Vec<Refused> {
    const SPARSE: &str = "malformed sparse map";
    let pax = |records: &[(&str, &str)], body: &[u8]| {
        let records: Vec<_> = records.iter().map(|(key, value)| (*key, value.as_bytes())).collect();
        let block = Block::new(b"s", b'0').size(body.len() as u64);
        tar().records(&records).block(block).body(body).end()
    };
    let mapped =
        |map: &str, body: &[u8]| pax(&[("GNU.sparse.size", "600"), ("GNU.sparse.map", map)], body);
    let old = |block: Block| tar().block(block).body(b"1234567").end();
    let gnu = |extents: &[(u64, u64)]| Block::new(b"s", b'S').size(7).sparse(extents, 600);
    let (one, zero) = (("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"));
    vec![
        Refused("sparse-overlap", mapped("9,4,5,3", b"1234567"), "s", SPARSE),
        Refused("sparse-past-end", mapped("599,7", b"1234567"), "s", SPARSE),
        Refused("sparse-short", mapped("9,4", b"1234567"), "s", SPARSE),
        Refused("sparse-long", mapped("9,8", b"1234567"), "s", SPARSE),
        Refused("sparse-odd", mapped("9", b"1234567"), "first", SPARSE),
        Refused("sparse-words", mapped("a,b", b"1234567"), "first", SPARSE),
        Refused("sparse-unknown", pax(&[("GNU.sparse.major", "2"), zero], b""), "first", SPARSE),
        Refused("sparse-no-map", pax(&[one, zero], b"1"), "s", SPARSE),
        Refused("sparse-map-of-text", pax(&[one, zero], &[b'x'; 600]), "s", SPARSE),
        Refused("sparse-old-overlap", old(gnu(&[(9, 4), (10, 3)])), "s", SPARSE),
        Refused("sparse-old-as-ustar", old(gnu(&[(9, 7)]).bytes(257, b"ustar\x0000")), "", SPARSE),
        Refused("sparse-old-endless", old(gnu(&[(9, 7)]).bytes(482, b"\x01")), "", SPARSE),
        Refused(
            "sparse-directory",
            tar().pax("GNU.sparse.map", b"0,0").directory("d/").end(),
            "d/",
            SPARSE,
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
        Refused("size-of-everything", sized(b'0', 1 << 40), "f", "the limit `unpacked`"),
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
        Refused("cut-mark", whole.clone().raw(&[0; 100]).cut(2148), "f", "unexpected end"),
        Refused(
            "one-zero-block",
            whole.raw(&[0; 512]).file("hidden", "3").end(),
            "",
            "after a single block of zeros",
        ),
    ]
}
