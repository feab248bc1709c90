//! What looks odd and has one meaning: the files that must come of it.

use crate::archive::{Archive, Block, record};

/// An input, and what it unpacks to over nothing: names in order, `/` after a directory, `=` before
/// the text of a file, `>` before the target of a link.
pub(crate) struct Accepted(pub(crate) &'static str, pub(crate) Vec<u8>, pub(crate) &'static str);

pub(crate) fn table() -> Vec<Accepted> {
    [names(), replaced(), whiteouts(), extensions(), kinds()].into_iter().flatten().collect()
}

fn tar() -> Archive {
    Archive::new()
}

fn names() -> Vec<Accepted> {
    let prefixed = Block::new(b"f", b'0').bytes(345, b"a/b");
    let old = Block::new(b"f", 0).bytes(257, &[0; 8]).bytes(345, b"junk");
    vec![
        Accepted("name-abs", tar().file("/etc/x", "1").end(), "etc/ etc/x=1"),
        Accepted("name-dots", tar().directory("./").file("./a//b", "1").end(), "a/ a/b=1"),
        Accepted("name-orphan", tar().file("a/b/c", "1").end(), "a/ a/b/ a/b/c=1"),
        Accepted("name-raw", tar().pax("path", b"\xff\xfe").file("x", "1").end(), r"\xff\xfe=1"),
        Accepted("name-prefix", tar().block(prefixed).end(), "a/ a/b/ a/b/f="),
        Accepted("name-v7", tar().block(old).end(), "f="),
        Accepted("name-slash", tar().block(Block::new(b"d/", b'0').mode(0o755)).end(), "d/"),
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
        Accepted("wh-no-marker", tar().file("a.wh.b", "1").end(), "a.wh.b=1"),
    ]
}

fn extensions() -> Vec<Accepted> {
    let smuggled = Block::new(b"smuggled", b'0').0;
    let inner = || tar().block(Block(smuggled)).cut(512);
    let larger = tar().pax("size", b"512").block(Block::new(b"f", b'0')).raw(&inner());
    let smaller = tar().pax("size", b"0").block(Block::new(b"f", b'0').size(512)).file("g", "1");
    let comment = record("comment", b"a commit");
    let both = tar().pax("path", b"pax").extension(b'L', b"gnu\0").file("short", "1");
    let target = tar().extension(b'K', b"long\0").symlink("l", "short");
    let behind = tar().file("f", "1").raw(&[0; 1024]).file("no entry", "3");
    vec![
        Accepted("pax-size-gt", larger.end(), "f#512"),
        Accepted("pax-size-lt", smaller.end(), "f= g=1"),
        Accepted("pax-then-gnuL", both.end(), "pax=1"),
        Accepted("gnuK", target.end(), "l>long"),
        Accepted("pax-global-comment", tar().extension(b'g', &comment).file("f", "1").end(), "f=1"),
        Accepted("pax-unknown", tar().pax("VENDOR.x", b"y").file("f", "1").end(), "f=1"),
        Accepted("pax-mtime-negative", tar().pax("mtime", b"-1.5").file("f", "1").end(), "f=1"),
        Accepted("pax-caps", tar().pax("SCHILY.xattr.user.a", b"v").file("f", "1").end(), "f=1"),
        Accepted("zeros", tar().file("f", "1").raw(&[0; 10240]).end(), "f=1"),
        Accepted("behind-the-end", behind.end(), "f=1"),
        Accepted("nothing", tar().end(), ""),
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
