//! Layers that take a while: tokens that do not live as long, connections that break again and again, and
//! nothing sent twice that had arrived.

use wythe_quirks::step::Step;

use crate::bench::{Bench, shared};
use crate::image;

/// A layer that is not sent from memory.
const LARGE: usize = 9 << 20;

/// A machine with an image of one large layer in a store, and a registry.
fn large(switches: &[(&str, &str)]) -> (Bench, image::Image) {
    let bench = Bench::new(switches);
    let image = image::write(&bench.store("layout"), &[LARGE]);
    let source = format!("oci:{}:1", bench.store("layout").display());
    bench.run(&bench.store("store"), &["copy", &source, "app:1"]).assert_works("loading");
    (bench, image)
}

#[test]
fn nothing_is_sent_that_is_there() {
    let (store, image) = shared();
    let bench = Bench::new(&[("auth", "bearer")]);
    let name = bench.name("team/app:1");
    bench.run(store, &["push", "app:1", &name]).assert_works("push");
    assert_eq!(bench.server.counts().blob_bytes_in, image.blob_bytes);
    bench.run(store, &["push", "app:1", &name]).assert_works("again");
    bench.run(store, &["push", "app:1", &bench.name("team/app:2")]).assert_works("another tag");
    let from = format!("docker://{name}");
    let to = format!("docker://{}", bench.name("other/app:1"));
    bench.run(&bench.store("empty"), &["copy", &from, &to]).assert_works("copy");
    let counts = bench.server.counts();
    assert_eq!(counts.blob_bytes_in, image.blob_bytes, "{counts:?}");
    // What was fetched for the copy is the configuration.
    assert!(counts.blob_bytes_out < 1000, "a mounted layer is not fetched: {counts:?}");
}

#[test]
fn a_layer_goes_out_under_a_token_that_ends_before_it_has_arrived() {
    let (bench, image) = large(&[("auth", "bearer"), ("token-ttl", "1"), ("rate", "4000000")]);
    let name = bench.name("team/app:1");
    let outcome = bench.run(&bench.store("store"), &["push", "app:1", &name]);
    outcome.assert_works("push");
    assert_eq!(outcome.output.trim(), image.digest);
    assert_eq!(bench.server.counts().blob_bytes_in, image.blob_bytes);
}

#[test]
fn a_pull_goes_through_twenty_resets_and_fetches_nothing_twice() {
    let (bench, image) = large(&[("auth", "bearer"), ("reset-after", "400000:20")]);
    let name = bench.name("team/app:1");
    bench.run(&bench.store("store"), &["push", "app:1", &name]).assert_works("push");
    let outcome = bench.run(&bench.store("fresh"), &["pull", &name]);
    outcome.assert_works("pull");
    assert_eq!(outcome.output.trim(), image.digest);
    let counts = bench.server.counts();
    assert!(20 < counts.of(Step::GetBlob), "{counts:?}");
    // What was on the line when it broke is lost: a few hundred kilobytes of the system's each time.
    assert!(counts.blob_bytes_out < 2 * image.blob_bytes, "{counts:?}");
}

#[test]
fn an_upload_that_breaks_goes_on_where_it_broke() {
    let (bench, image) = large(&[("auth", "bearer"), ("upload-reset-after", "3000000:2")]);
    let name = bench.name("team/app:1");
    bench.run(&bench.store("store"), &["push", "app:1", &name]).assert_works("push");
    let counts = bench.server.counts();
    assert_eq!(counts.blob_bytes_in, image.blob_bytes, "{counts:?}");
    assert!(2 <= counts.of(Step::UploadStatus), "{counts:?}");
}

#[test]
fn a_layer_that_arrived_is_not_sent_again_where_the_answer_was_lost() {
    // The configuration and the layer are sent side by side: both answers are lost.
    let (bench, image) = large(&[("fail", "put-blob:lost-answer:2")]);
    let name = bench.name("team/app:1");
    bench.run(&bench.store("store"), &["push", "app:1", &name]).assert_works("a long one");
    let counts = bench.server.counts();
    assert_eq!(counts.blob_bytes_in, image.blob_bytes, "{counts:?}");

    let (store, image) = shared();
    let bench = Bench::new(&[("fail", "put-blob:lost-answer:3")]);
    bench.run(store, &["push", "app:1", &bench.name("team/app:1")]).assert_works("short ones");
    let counts = bench.server.counts();
    assert_eq!(counts.blob_bytes_in, image.blob_bytes, "{counts:?}");
}

#[test]
fn a_large_layer_gets_by_what_stands_in_its_way() {
    let rows: [&[(&str, &str)]; 5] = [
        &[("auth", "bearer"), ("location", "other-host")],
        &[("empty-put", "")],
        &[("auth", "bearer"), ("token-uses", "4")],
        &[("upload-reset-after", "3000000:1")],
        &[("ecr", "")],
    ];
    for row in rows {
        let (bench, image) = large(row);
        let name = bench.name("team/app:1");
        let outcome = bench.run(&bench.store("store"), &["push", "app:1", &name]);
        outcome.assert_works(&format!("{row:?}"));
        assert_eq!(outcome.output.trim(), image.digest);
        bench.assert_no_strays();
    }
}
