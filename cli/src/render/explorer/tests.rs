//! Pages of the explorer, as a person sees them.

use expect_test::{Expect, expect};
use wythe_store::tree::entry::Claim;

use super::super::look::{Charset, Colour, Reflow};
use super::*;
use crate::exploration::tests::{directory, explore, file, gone};

const WINDOW: Window = Window { columns: 60, rows: 10 };

fn image() -> Exploration {
    let lib = |size| directory("lib", Claim::Explicit, vec![file("libc.so", size)]);
    explore(vec![
        vec![
            lib(2_000_000),
            file("motd", 10),
            directory("tmp", Claim::Explicit, vec![file("a\u{1b}[2J.deb", 900_000)]),
        ],
        vec![lib(2_100_000), directory("tmp", Claim::Explicit, vec![gone("a\u{1b}[2J.deb")])],
    ])
}

#[track_caller]
fn check(keys: &[Key], expected: &Expect) {
    let image = image();
    let mut explorer = Explorer::new("app:1", &image);
    for key in keys {
        assert_eq!(explorer.press(*key, WINDOW), Flow::Continue);
    }
    let look = Look { colour: Colour::Plain, charset: Charset::Unicode, reflow: Reflow::Cuts };
    let rows = explorer.draw(WINDOW, look);
    assert_eq!(rows.len(), WINDOW.rows);
    assert!(rows.iter().all(|row| row.cells < WINDOW.columns));
    let text: Vec<&str> = rows.iter().map(|row| row.text.trim_end()).collect();
    expected.assert_eq(&format!("{}\n", text.join("\n")));
}

#[test]
fn layers_are_listed_with_what_they_waste() {
    check(
        &[Key::Down],
        &expect![[r"
        app:1: 2 layers           5.00MB, 2.90MB wasted, 42.0% seen
        bytes of files by layer, and what made it
            1  2.90MB RUN 1                           2.90MB wasted
        >   2  2.10MB RUN 2





        arrows move, enter opens, / searches, w for waste, q quits
    "]],
    );
}

#[test]
fn a_layer_opens_with_what_it_did_and_what_became_of_it() {
    check(
        &[Key::Enter],
        &expect![[r"
        app:1: 2 layers           5.00MB, 2.90MB wasted, 42.0% seen
        layer 1: /
        > +  2.00MB lib/
          +   900kB tmp/
          +     10B motd




        arrows move, enter opens, / searches, w for waste, q quits
    "]],
    );
    check(
        &[Key::Enter, Key::Down, Key::Enter],
        &expect![[r"
        app:1: 2 layers           5.00MB, 2.90MB wasted, 42.0% seen
        layer 1: /tmp/
        > x   900kB a\x1b[2J.deb                 removed by layer 2






        arrows move, enter opens, / searches, w for waste, q quits
    "]],
    );
    check(
        &[Key::Down, Key::Enter],
        &expect![[r"
        app:1: 2 layers           5.00MB, 2.90MB wasted, 42.0% seen
        layer 2: /
        >    2.10MB lib/
                 0B tmp/





        arrows move, enter opens, / searches, w for waste, q quits
    "]],
    );
}

#[test]
fn waste_is_listed_and_leads_to_its_directory() {
    check(
        &[Key::Char('w')],
        &expect![[r"
        app:1: 2 layers           5.00MB, 2.90MB wasted, 42.0% seen
        2 files that no container sees
        > x  2.00MB /lib/libc.so (layer 1)      replaced by layer 2
          x   900kB /tmp/a\x1b[2J.deb (layer 1)  removed by layer 2





        arrows move, enter opens, / searches, w for waste, q quits
    "]],
    );
    check(
        &[Key::Char('w'), Key::Enter],
        &expect![[r"
        app:1: 2 layers           5.00MB, 2.90MB wasted, 42.0% seen
        layer 1: /lib/
        > x  2.00MB libc.so                     replaced by layer 2






        arrows move, enter opens, / searches, w for waste, q quits
    "]],
    );
}

#[test]
fn a_search_lists_paths() {
    let typed = ['/', 'D', 'e', 'x'].map(Key::Char);
    let keys: Vec<Key> = typed.into_iter().chain([Key::Erase, Key::Char('b')]).collect();
    check(
        &keys,
        &expect![[r"
        app:1: 2 layers           5.00MB, 2.90MB wasted, 42.0% seen
        bytes of files by layer, and what made it
        >   1  2.90MB RUN 1                           2.90MB wasted
            2  2.10MB RUN 2





        search: Deb_
    "]],
    );
    check(
        &[keys, vec![Key::Enter]].concat(),
        &expect![[r#"
        app:1: 2 layers           5.00MB, 2.90MB wasted, 42.0% seen
        2 paths with "Deb"
        > x   900kB /tmp/a\x1b[2J.deb (layer 1)  removed by layer 2
          -      0B /tmp/a\x1b[2J.deb (layer 2)             removed





        arrows move, enter opens, / searches, w for waste, q quits
    "#]],
    );
}

#[test]
fn the_first_page_is_not_left_by_going_back_but_by_quitting() {
    let image = image();
    let mut explorer = Explorer::new("app:1", &image);
    for key in [Key::Back, Key::Escape, Key::End, Key::PageDown, Key::PageUp, Key::Home, Key::Up] {
        assert_eq!(explorer.press(key, WINDOW), Flow::Continue);
    }
    assert_eq!(explorer.press(Key::Char('q'), WINDOW), Flow::Quit);
    assert_eq!(explorer.press(Key::Interrupt, WINDOW), Flow::Quit);
}

#[test]
fn windows_of_all_sizes_are_filled_and_not_more() {
    let image = image();
    let explorer = Explorer::new("app:1", &image);
    let look = Look { colour: Colour::Coloured, charset: Charset::Ascii, reflow: Reflow::Cuts };
    for rows in 0..9 {
        for columns in [1, 2, 7, 40] {
            assert_eq!(explorer.draw(Window { columns, rows }, look).len(), rows);
        }
    }
}
