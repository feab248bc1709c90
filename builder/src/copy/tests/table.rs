//! The rules of COPY as a table: one line of source, destination and flags, one line of result.

use super::sketch::{show, tree};
use crate::copy::error::CopyCause;
use crate::copy::mode::ModeChange;
use crate::copy::place::copy;
use crate::copy::{CopySpec, CopyTarget, Layout};
use crate::owner::Owner;

const SOURCE: &str = "f=F g=G d/a=A d/.h=H d/s/b=B ld->d lf->f broken->nope abs->/f d/lnk->../f";
const NESTED: &str = "a/b/c.txt=c a/b/.hid=h a/b/d/e.txt=e a/x.go=x y.go=y";

struct Case {
    source: &'static str,
    destination: &'static str,
    spec: CopySpec,
}

/// A COPY of `words`, the last of which is the destination.
fn case(words: &str) -> Case {
    let mut sources: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let destination = sources.pop().unwrap();
    let spec = CopySpec { sources, destination, ..CopySpec::default() };
    Case { source: SOURCE, destination: "", spec }
}

/// A COPY with --parents from the nested tree.
fn parents(words: &str) -> Case {
    let case = case(words).from(NESTED);
    Case { spec: CopySpec { layout: Layout::Parents, ..case.spec }, ..case }
}

impl Case {
    fn from(self, source: &'static str) -> Self {
        Self { source, ..self }
    }

    fn onto(self, destination: &'static str) -> Self {
        Self { destination, ..self }
    }

    fn exclude(mut self, patterns: &[&str]) -> Self {
        self.spec.exclude = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        self
    }

    fn chmod(mut self, mode: &str) -> Self {
        self.spec.mode = Some(ModeChange::parse(mode).unwrap());
        self
    }

    fn chown(mut self, uid: u32, gid: u32) -> Self {
        self.spec.owner = Some(Owner { uid, gid });
        self
    }

    fn link(mut self) -> Self {
        self.spec.base = CopyTarget::Nothing;
        self
    }

    #[track_caller]
    fn gives(self, expected: &str) {
        let changes = copy(&tree(self.source), &tree(self.destination).children, &self.spec);
        assert_eq!(show(&changes.unwrap()), expected, "{:?}", self.spec);
    }

    #[track_caller]
    fn fails(self) -> CopyCause {
        let changes = copy(&tree(self.source), &tree(self.destination).children, &self.spec);
        changes.expect_err("the copy was accepted").cause
    }
}

#[test]
fn a_file_goes_to_a_name_or_into_a_directory() {
    case("f /out").gives("out=F");
    case("f /out/").gives("out/ out/f=F");
    case("f /w/.").gives("w/ w/f=F");
    case("f /w/s").onto("w/s/b=B").gives("w/ w/s/ w/s/f=F");
    case("f /a/b/c/d/e").gives("a/ a/b/ a/b/c/ a/b/c/d/ a/b/c/d/e=F");
    case("d/./s/../a /o/").gives("o/ o/a=A");
}

#[test]
fn sources_cannot_climb_out_of_their_root() {
    case("../../f /o").gives("o=F");
    case("/f /o").gives("o=F");
    case("f/ /o").gives("o=F");
}

#[test]
fn a_directory_gives_its_contents() {
    case("d /out").gives("out/ out/.h=H out/a=A out/lnk->../f out/s/ out/s/b=B");
    case("d/s f /o/").gives("o/ o/b=B o/f=F");
    case(". /").from("x=X d/y=Y").gives("d/ d/y=Y x=X");
}

#[test]
fn a_new_destination_root_takes_only_the_time_of_its_source() {
    case("q /r")
        .from("q/!700@5:6~9 q/w/!711@5:6 q/w/x=x@5:6")
        .gives("r/~9 r/w/!711@5:6 r/w/x=x@5:6");
}

#[test]
fn an_empty_source_is_the_whole_root() {
    let mut case = case("f /o/").from("f=F d/y=Y");
    case.spec.sources.push(String::new());
    case.gives("o/ o/d/ o/d/y=Y o/f=F");
}

#[test]
fn wildcards_match_names_and_dot_files_in_byte_order() {
    case("[fg] /out").gives("out=G");
    case("d/[.as]* /out/").gives("out/ out/.h=H out/a=A out/b=B");
    case("*/x.txt /o/").from("1/x.txt=1 2/x.txt=2").gives("o/ o/x.txt=2");
    case("arr[[]0].txt /o/").from("arr[0].txt=1 arr0.txt=2").gives("o/ o/arr[0].txt=1");
}

#[test]
fn a_wildcard_without_match_makes_nothing() {
    case("zz* /out/").gives("");
    case("zz*/a f /out/").gives("out/ out/f=F");
}

#[test]
fn an_open_bracket_is_refused() {
    assert_eq!(case("[a /o/").fails(), CopyCause::Pattern);
}

#[test]
fn a_reversed_range_has_no_letters_in_names_and_is_an_error_in_paths() {
    case("[z-a] [g-f] /out/").gives("");
    case("[^z-a] /out").from("f=F").gives("out=F");
    case("[z-af] /out").gives("out=F");
    for words in ["[z-a] /out/", "a/./[^z-a] /out/", "**/[z-a] /out/", "a/[\\z-a]* /out/"] {
        assert_eq!(parents(words).fails(), CopyCause::Pattern, "{words}");
    }
    parents("[z-a]/./y.go /o/").gives("");
}

#[test]
fn with_parents_a_class_is_one_of_regular_expressions() {
    let case = |words: &str| parents(words).from("5=n a=a d=d *=s ]=c");
    case("[[:alpha:]] /").gives("a=a d=d");
    case("[\\d] /").gives("5=n");
    case("[*] /").gives("]=c");
}

#[test]
fn a_missing_name_is_reported_with_its_neighbours() {
    let CopyCause::Missing(missing) = case("d/ss /out/").fails() else { panic!("not missing") };
    assert_eq!((missing.path.as_str(), &missing.nearest[0][..]), ("/d/ss", "/d/s"));
    assert!(matches!(case("broken /out/").fails(), CopyCause::Missing(_)));
    assert!(matches!(case("arr\\[0\\] /o/").from("arr[0]=1").fails(), CopyCause::Missing(_)));
    assert!(matches!(case("f/x /out/").fails(), CopyCause::Path(_)));
}

#[test]
fn directories_on_the_way_are_named_as_they_are() {
    case("f /a/b/").onto("a/!700 a/b/!1777").gives("a/!700 a/b/!1777 a/b/f=F");
}

#[test]
fn what_is_there_already_is_left_out() {
    case("f g /w/").onto("w/ w/f=F").gives("w/ w/g=G");
    case("d /w").onto("w/ w/a=A w/.h=H w/s/ w/s/b=B w/lnk->../f").gives("");
    case("f /w/").onto("w/ w/f=F!600").gives("w/ w/f=F");
    case("f /w/").onto("w/ w/f=F").link().gives("w/ w/f=F");
}

#[test]
fn what_comes_before_a_wildcard_must_be_there_though_nothing_need_match() {
    case("d/*.none /o/").gives("");
    case("f/* /o/").gives("");
    case("none* /o/").gives("");
    for words in ["dd/* /o/", "d/t/*/x /o/", "broken/* /o/"] {
        assert!(matches!(case(words).fails(), CopyCause::Missing(_)), "{words}");
    }
}

#[test]
fn links_named_as_sources_are_followed_inside_the_root() {
    case("lf /o/").gives("o/ o/lf=F");
    case("abs /o/").gives("o/ o/abs=F");
    case("ld/s /o/").gives("o/ o/b=B");
    case("l /o/").from("l->../../etc etc/p=P").gives("o/ o/p=P");
    case("l[df] /o/").gives("o/ o/.h=H o/a=A o/lf=F o/lnk->../f o/s/ o/s/b=B");
}

#[test]
fn links_at_the_destination_are_followed_and_stay() {
    case("f /lnk/").onto("lnk->real real/").gives("real/ real/f=F");
    case("f /lnk/").onto("lnk->/newdir").gives("newdir/ newdir/f=F");
    case("f /lnk").onto("lnk->../../x x=o").gives("x=F");
    case("f /lnk").onto("lnk->/n/m").gives("n/ n/m=F");
    case("f /lnk").onto("lnk->n/m/o n/").chown(5, 6).gives("n/ n/m/@5:6 n/m/o=F@5:6");
    case("f /lnk").onto("lnk->x/y x=o").fails();
    case("f /l/x").onto("l->l").fails();
}

#[test]
fn what_exists_is_replaced_by_its_like_only() {
    case("d/s /out").from(SOURCE).onto("o=o out/b->/o").gives("out/ out/b=B");
    let refused = case("d /out").onto("out/s->/t t/").fails();
    assert_eq!(refused, CopyCause::DirectoryOntoFile { path: "/out/s".into() });
    let refused = case("d /w").onto("w=F").fails();
    assert_eq!(refused, CopyCause::DirectoryOntoFile { path: "/w".into() });
    let refused = case("d /out").onto("out/a/").fails();
    assert_eq!(refused, CopyCause::FileOntoDirectory { path: "/out/a".into() });
    let refused = case("f /out").onto("out/f/").fails();
    assert_eq!(refused, CopyCause::FileOntoDirectory { path: "/out/f".into() });
}

#[test]
fn existing_nested_directories_take_the_source_s_metadata() {
    let source = "dd/!700 dd/y=Y!600 dd/z/!1777 dd/z/q=q";
    case("dd /dd")
        .from(source)
        .onto("dd/!711 dd/z/!711")
        .gives("dd/!711 dd/y=Y!600 dd/z/!1777 dd/z/q=q");
}

#[test]
fn an_octal_mode_reaches_directories_and_created_parents() {
    case("dd /n/dd")
        .from("dd/!700 dd/y=Y!600 dd/z/!1777 dd/l->y")
        .chmod("640")
        .gives("n/!640 n/dd/!640 n/dd/l->y n/dd/y=Y!640 n/dd/z/!640");
    case("y /n/y").from("y=Y!600").chmod("+x").gives("n/ n/y=Y!711");
}

#[test]
fn an_owner_reaches_what_is_made_but_not_what_exists() {
    case("f /n/m/").onto("n/").chown(5, 6).gives("n/ n/m/@5:6 n/m/f=F@5:6");
    case("ld /o").from("ld->d d/l->x").chown(5, 6).gives("o/@5:6 o/l->x@5:6");
}

#[test]
fn link_looks_at_nothing_that_exists() {
    case("f /lnk/").onto("lnk->real real/").link().gives("lnk/ lnk/f=F");
    case("d/s /real").onto("real=r").link().gives("real/ real/b=B");
    case("f d/s /n/m/").link().chown(5, 6).gives("n/@5:6 n/m/@5:6 n/m/b=B@5:6 n/m/f=F@5:6");
}

#[test]
fn parents_are_recreated_from_the_root_or_the_pivot() {
    parents("a/b/c.txt /o/").gives("o/ o/a/ o/a/b/ o/a/b/c.txt=c");
    parents("/a/b/c.txt /o").gives("o/ o/a/ o/a/b/ o/a/b/c.txt=c");
    parents("./a/./b/c.txt /o/").gives("o/ o/b/ o/b/c.txt=c");
    parents("**/*.go /o/").gives("o/ o/a/ o/a/x.go=x o/y.go=y");
    parents("**.go /o/").gives("o/ o/a/ o/a/x.go=x o/y.go=y");
    parents("a/./**/*.txt /o/").gives("o/ o/b/ o/b/c.txt=c o/b/d/ o/b/d/e.txt=e");
    parents("../a/b/../x.go /o/").gives("o/ o/a/ o/a/x.go=x");
    parents("a/*/c.txt a/b/d/./e.txt /o/").gives("o/ o/a/ o/a/b/ o/a/b/c.txt=c o/e.txt=e");
    parents("a/b/d /o/")
        .from("a/!711 a/b/!700@5:6 a/b/d/e=e")
        .gives("o/ o/a/!711 o/a/b/!700@5:6 o/a/b/d/ o/a/b/d/e=e");
}

#[test]
fn parents_without_a_match_still_make_the_destination() {
    parents("a/*.zz /o/").gives("o/");
    assert!(matches!(parents("a/zz /o/").fails(), CopyCause::Missing(_)));
}

#[test]
fn a_wildcard_in_the_pivot_requires_nothing_behind_it() {
    parents("a/*/./c.txt /o/").from("a/b/c.txt=c a/d/").gives("o/ o/c.txt=c");
    assert!(matches!(parents("a/d/./c.txt /o/").from("a/d/").fails(), CopyCause::Missing(_)));
}

#[test]
fn a_pivot_that_is_a_file_is_copied_itself() {
    parents("y.go/./ /o/").gives("o/ o/y.go=y");
    parents("y.go/./* /o").gives("o=y");
    parents("a/*/./c.txt /o/").gives("o/ o/c.txt=c o/x.go=x");
    assert!(matches!(parents("y.go/./c.txt /o/").fails(), CopyCause::Missing(_)));
}

#[test]
fn mode_and_owner_reach_recreated_parents() {
    parents("a/b/c.txt /o/")
        .chmod("700")
        .chown(5, 6)
        .gives("o/!700@5:6 o/a/!700@5:6 o/a/b/!700@5:6 o/a/b/c.txt=c!700@5:6");
}

#[test]
fn excludes_are_relative_to_each_source() {
    let all = "o/ o/b/ o/b/.hid=h o/b/c.txt=c o/b/d/ o/b/d/e.txt=e o/x.go=x";
    case("a /o/").from(NESTED).exclude(&["*.txt"]).gives(all);
    case("a /o/").from(NESTED).exclude(&["b/"]).gives("o/ o/x.go=x");
    case("a /o/")
        .from(NESTED)
        .exclude(&["**/*.txt", "!b/c.txt"])
        .gives("o/ o/b/ o/b/.hid=h o/b/c.txt=c o/b/d/ o/x.go=x");
}

#[test]
fn an_exception_leaves_what_is_in_a_kept_directory_excluded() {
    case("d /p/").from("d/e/n/x=x d/e/y=y").exclude(&["**/n", "!e"]).gives("p/ p/e/ p/e/y=y");
}

#[test]
fn directories_that_are_copied_onto_others_are_as_told_and_those_on_the_way_get_the_mode() {
    let onto = "o/d/!700@5:6 o/d/s/!700@5:6";
    let case = |words: &str| parents(words).from("d/!750 d/s/!711 d/s/x=x").onto(onto).chown(9, 9);
    case("d /o/").gives("o/ o/d/!750@9:9 o/d/s/!711@9:9 o/d/s/x=x@9:9");
    case("d/* /o/").gives("o/ o/d/!750@5:6 o/d/s/!711@9:9 o/d/s/x=x@9:9");
    case("d/s/x /o/").gives("o/ o/d/!750@5:6 o/d/s/!711@5:6 o/d/s/x=x@9:9");
    case("d/s/x /o/").chmod("600").gives("o/ o/d/!750@5:6 o/d/s/!711@5:6 o/d/s/x=x!600@9:9");
    case("d/./s /o/d/").gives("o/ o/d/!700@5:6 o/d/s/!711@9:9 o/d/s/x=x@9:9");
    let back = case("d /o/").exclude(&["d/s", "!d/s/x"]);
    back.gives("o/ o/d/!750@9:9 o/d/s/!711@5:6 o/d/s/x=x@9:9");
}

#[test]
fn a_directory_that_this_copy_made_is_one_on_the_way_of_its_next_source() {
    let case = parents("d/x d/y /o/").from("d/!750 d/x=x d/y=y").chmod("711").chown(9, 9);
    case.gives("o/!711@9:9 o/d/!750@9:9 o/d/x=x!711@9:9 o/d/y=y!711@9:9");
}

#[test]
fn a_file_named_as_source_is_never_excluded() {
    case("y.go /o/").from(NESTED).exclude(&["*.go"]).gives("o/ o/y.go=y");
}

#[test]
fn with_parents_excludes_are_relative_to_the_pivot() {
    parents("a y.go /o/")
        .exclude(&["**/*.txt", "b/.hid"])
        .gives("o/ o/a/ o/a/b/ o/a/b/.hid=h o/a/b/d/ o/a/x.go=x o/y.go=y");
}

#[test]
fn later_sources_land_on_what_earlier_ones_made() {
    case("d/s d/a /o").gives("o/ o/a=A o/b=B");
    case("1 2 /o/").from("1/s/a=1 2/s/!700 2/s/c=2").gives("o/ o/s/!700 o/s/a=1 o/s/c=2");
}

#[test]
fn hard_links_pipes_and_times_are_kept() {
    case("d /o/").from("d/x=X#7~5 d/y=X#7~5 d/p|~6").gives("o/ o/p|~6 o/x=X#1~5 o/y=X#1~5");
}

#[test]
fn each_source_is_copied_by_itself_and_so_are_its_links() {
    case("d/x d/y /o/").from("d/x=X#7 d/y=X#7").gives("o/ o/x=X o/y=X");
    case("d/* /o/").from("d/x=X#7 d/y=X#7").gives("o/ o/x=X o/y=X");
    case("d e /o/")
        .from("d/x=X#7 d/y=X#7 e/v=X#7 e/w=X#7")
        .gives("o/ o/v=X#1 o/w=X#1 o/x=X#2 o/y=X#2");
}

#[test]
fn a_link_whose_other_names_stay_behind_is_an_ordinary_file() {
    case("d/x /o/").from("d/x=X#7 d/y=X#7").gives("o/ o/x=X");
}
