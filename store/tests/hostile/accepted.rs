//! What looks odd and has one meaning: the files that must come of it.

use crate::archive::{Archive, Block, record};

/// An input, and what it unpacks to over nothing: names in order, `/` after a directory, `=` before
/// the text of a file, `>` before the target of a link.
pub(crate) struct Accepted(pub(crate) &'static str, pub(crate) Vec<u8>, pub(crate) &'static str);

pub(crate) fn table() -> Vec<Accepted> {
    [names(), replaced(), whiteouts(), extensions(), sparse(), kinds(), streams()]
        .into_iter()
        .flatten()
        .collect()
}

fn tar() -> Archive {
    Archive::new()
}

fn names() -> Vec<Accepted> {
    let prefixed = Block::new(b"f", b'0').bytes(345, b"a/b");
    let old = |name| Block::new(name, 0).bytes(257, &[0; 8]).bytes(345, b"junk");
    let gnu = |prefix: &[u8]| Block::new(b"f", b'0').bytes(257, b"ustar  \0").bytes(345, prefix);
    let star = Block::new(b"f", b'0').bytes(345, b"a").bytes(476, b"00000000001\0");
    let star = star.bytes(508, b"tar\0");
    vec![
        Accepted("name-abs", tar().file("/etc/x", "1").end(), "etc/ etc/x=1"),
        Accepted("name-dots", tar().directory("./").file("./a//b", "1").end(), "a/ a/b=1"),
        Accepted("name-orphan", tar().file("a/b/c", "1").end(), "a/ a/b/ a/b/c=1"),
        Accepted("name-raw", tar().pax("path", b"\xff\xfe").file("x", "1").end(), r"\xff\xfe=1"),
        Accepted("name-prefix", tar().block(prefixed).end(), "a/ a/b/ a/b/f="),
        Accepted("name-v7", tar().block(old(b"f")).end(), "f="),
        Accepted("name-v7-slash", tar().block(old(b"d/").mode(0o755)).end(), "d/"),
        Accepted("name-gnu-times", tar().block(gnu(b"00000000001\0")).end(), "f="),
        Accepted("name-gnu-prefix", tar().block(gnu(b"a/b")).end(), "a/ a/b/ a/b/f="),
        Accepted("name-star", tar().block(star).end(), "a/ a/f="),
        Accepted("name-dotdot-inside", tar().file("a/x/../y", "1").end(), "a/ a/y=1"),
        Accepted("name-nul-gnu", tar().extension(b'L', b"a\0b\0").file("x", "1").end(), "a=1"),
        Accepted("name-nul-link", tar().file("a", "1").link("b", "./c/../a").end(), "a=1 b=1"),
        Accepted("name-slash", tar().file("d/", "1").end(), "d=1"),
        Accepted("name-empty-pax", tar().pax("path", b"").file("f", "1").end(), "f=1"),
    ]
}

fn replaced() -> Vec<Accepted> {
    let link = || tar().symlink("s", "OUTSIDE");
    let pair = || tar().file("a", "1").link("b", "a");
    vec![
        Accepted("sym-outside", tar().symlink("s", "../../etc").end(), "s>../../etc"),
        Accepted("sym-loop", tar().symlink("s", "s").end(), "s>s"),
        Accepted("sym-then-file", link().file("s", "1").end(), "s=1"),
        Accepted("sym-then-dir", link().directory("s/").file("s/f", "1").end(), "s/ s/f=1"),
        Accepted("sym-then-fifo", link().block(Block::new(b"s", b'6')).end(), "s|"),
        Accepted("hard-to-sym", tar().symlink("s", "t").link("l", "s").end(), "l>t s>t"),
        Accepted("hard-then-write", pair().file("a", "2").end(), "a=2 b=1"),
        Accepted("hard-then-write-other", pair().file("b", "2").end(), "a=1 b=2"),
        Accepted("hard-self", tar().file("a", "1").link("a", "a").end(), "a=1"),
        Accepted(
            "hard-over-file",
            tar().file("a", "1").file("b", "2").link("b", "a").end(),
            "a=1 b=1",
        ),
        Accepted("hard-over-parent", tar().file("d/f", "1").link("d", "d/f").end(), "d=1"),
        Accepted("dup-file", tar().file("f", "1").file("f", "2").end(), "f=2"),
        Accepted(
            "dup-file-dir",
            tar().file("f", "1").directory("f/").file("f/g", "2").end(),
            "f/ f/g=2",
        ),
        Accepted("dup-dir-file", tar().file("f/g", "1").file("f", "2").end(), "f=2"),
        Accepted("dup-dir-dir", tar().file("d/f", "1").directory("d/").end(), "d/ d/f=1"),
        Accepted("dup-deep-dir-sym", tar().file("d/e/f", "1").symlink("d", "x").end(), "d>x"),
    ]
}

fn whiteouts() -> Vec<Accepted> {
    vec![
        Accepted("wh-alone", tar().file(".wh.a", "").end(), ""),
        Accepted("wh-before", tar().file(".wh.a", "").file("a", "1").end(), "a=1"),
        Accepted("wh-after", tar().file("a", "1").file(".wh.a", "").end(), "a=1"),
        Accepted("wh-dir-child", tar().file(".wh.d", "").file("d/f", "1").end(), "d/ d/f=1"),
        Accepted("wh-body", tar().file(".wh.a", "body").file("b", "1").end(), "b=1"),
        Accepted(
            "wh-opaque-last",
            tar().file("d/f", "1").file("d/.wh..wh..opq", "").end(),
            "d/ d/f=1",
        ),
        Accepted("wh-opaque-root", tar().file(".wh..wh..opq", "").file("f", "1").end(), "f=1"),
        Accepted(
            "wh-aufs",
            tar().directory(".wh..wh.plnk/").file(".wh..wh.plnk/1.2", "x").end(),
            "",
        ),
        Accepted("wh-aufs-file", tar().file(".wh..wh.aufs", "").file("f", "1").end(), "f=1"),
        Accepted(
            "wh-aufs-linked",
            tar().file(".wh..wh.plnk/1.2", "x").link("a", ".wh..wh.plnk/1.2").link("b", "a").end(),
            "a=x b=x",
        ),
        Accepted("wh-through", tar().symlink("l", "d").file("l/.wh.a", "").end(), "d/ l>d"),
        Accepted("wh-no-marker", tar().file("a.wh.b", "1").end(), "a.wh.b=1"),
    ]
}

fn extensions() -> Vec<Accepted> {
    let smuggled = Block::new(b"smuggled", b'0').0;
    let inner = || tar().block(Block(smuggled)).cut(512);
    let larger = tar().pax("size", b"512").block(Block::new(b"f", b'0')).raw(&inner());
    let smaller = tar().pax("size", b"0").block(Block::new(b"f", b'0').size(512)).file("g", "1");
    let comment = record("comment", b"a commit");
    let global = |records: &[(&str, &[u8])]| {
        let text: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
        tar().extension(b'g', &text).file("f", "1").end()
    };
    let both = tar().pax("path", b"pax").extension(b'L', b"gnu\0").file("short", "1");
    let target = tar().extension(b'K', b"long\0").symlink("l", "short");
    let behind = tar().file("f", "1").raw(&[0; 1024]).file("no entry", "3");
    vec![
        Accepted("pax-size-gt", larger.end(), "f#512"),
        Accepted("pax-size-lt", smaller.end(), "f= g=1"),
        Accepted("pax-then-gnuL", both.end(), "gnu=1"),
        Accepted("gnuK", target.end(), "l>long"),
        Accepted("pax-global-comment", tar().extension(b'g', &comment).file("f", "1").end(), "f=1"),
        Accepted(
            "pax-global-path",
            global(&[("path", b"x"), ("size", b"9"), ("uid", b"z")]),
            "f=1",
        ),
        Accepted("pax-global-sparse", global(&[("GNU.sparse.major", b"1")]), "f=1"),
        Accepted("pax-global-volume", global(&[("GNU.volume.label", b"v")]), "f=1"),
        Accepted("pax-unknown", tar().pax("VENDOR.x", b"y").file("f", "1").end(), "f=1"),
        Accepted("pax-mtime-negative", tar().pax("mtime", b"-1.5").file("f", "1").end(), "f=1"),
        Accepted("pax-caps", tar().pax("SCHILY.xattr.user.a", b"v").file("f", "1").end(), "f=1"),
        Accepted("zeros", tar().file("f", "1").raw(&[0; 10240]).end(), "f=1"),
        Accepted("behind-the-end", behind.end(), "f=1"),
        Accepted("nothing", tar().end(), ""),
    ]
}

/// A file of 600 zeros, but for `1` at 9 and `2` at 520, in every form.
fn sparse() -> Vec<Accepted> {
    const ALIKE: &str = "s~ t=1";
    let file = |name: &str, body: &[u8]| {
        Archive::new().block(Block::new(name.as_bytes(), b'0').size(body.len() as u64)).body(body)
    };
    let pax = |records: &[(&str, &[u8])], body: Archive| {
        tar().records(records).raw(&body.end()[..1024]).file("t", "1").end()
    };
    let in_front = file("GNUSparseFile.0/s", &[&pad(b"2\n9\n1\n520\n1\n")[..], b"12"].concat());
    let (one, zero) = (("GNU.sparse.major", &b"1"[..]), ("GNU.sparse.minor", &b"0"[..]));
    let name = ("GNU.sparse.name", &b"s"[..]);
    let version_1 = [one, zero, name, ("GNU.sparse.realsize", b"600")];
    let version_1 = tar().records(&version_1).raw(&in_front.end()[..1536]).file("t", "1");
    let (offset, length) = ("GNU.sparse.offset", "GNU.sparse.numbytes");
    let size = ("GNU.sparse.size", &b"600"[..]);
    let turns: [(&str, &[u8]); 4] =
        [(offset, b"9"), (length, b"1"), (offset, b"520"), (length, b"1")];
    let old = Block::new(b"s", b'S').size(2);
    let short = old.clone().sparse(&[(9, 1), (520, 1)], 600);
    let long = old.sparse(&[(9, 1)], 600).bytes(482, b"\x01");
    let more = Block::new(b"", 0).octal(0, 12, 520).octal(12, 12, 1).0;
    let more = [&more[..24], &[0; 488]].concat();
    vec![
        Accepted("sparse-0.0", pax(&[&[size][..], &turns].concat(), file("s", b"12")), ALIKE),
        Accepted(
            "sparse-0.1",
            pax(&[size, name, ("GNU.sparse.map", b"9,1,520,1")], file("x", b"12")),
            ALIKE,
        ),
        Accepted("sparse-1.0", version_1.end(), ALIKE),
        Accepted("sparse-old", tar().block(short).body(b"12").file("t", "1").end(), ALIKE),
        Accepted(
            "sparse-old-long",
            tar().block(long).raw(&more).body(b"12").file("t", "1").end(),
            ALIKE,
        ),
    ]
}

fn pad(bytes: &[u8]) -> Vec<u8> {
    Archive::new().body(bytes).cut(512)
}

fn streams() -> Vec<Accepted> {
    let whole = || tar().file("f", "1");
    let mut signed = Block::new(b"\xe9", b'0');
    signed.0[148..156].fill(b' ');
    let sum: i64 = signed.0.iter().map(|byte| i64::from(byte.cast_signed())).sum();
    let signed = signed.octal(148, 7, sum.unsigned_abs());
    vec![
        Accepted("no-bytes", Vec::new(), ""),
        Accepted("no-end", whole().cut(1024), "f=1"),
        Accepted("half-end", whole().end()[..1536].to_vec(), "f=1"),
        Accepted("signed-checksum", tar().raw(&signed.0).end(), r"\xe9="),
    ]
}

fn kinds() -> Vec<Accepted> {
    let linked = Block::new(b"l", b'1').target("f").size(1);
    vec![
        Accepted("setuid", tar().block(Block::new(b"f", b'0').mode(0o6755)).end(), "f="),
        Accepted("fifo", tar().block(Block::new(b"p", b'6')).end(), "p|"),
        Accepted("contiguous", tar().block(Block::new(b"f", b'7')).end(), "f="),
        Accepted("hard-with-size", tar().file("f", "1").block(linked).end(), "f=1 l=1"),
        Accepted("dev-char", tar().block(Block::new(b"n", b'3').device(1, 3)).end(), "n@1:3"),
        Accepted("dev-block", tar().block(Block::new(b"b", b'4').device(8, 0)).end(), "b@8:0"),
    ]
}
