//! What instructions do to an image, as its configuration and its history say it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use wythe_dockerfile::parse::parse;

use super::*;
use crate::graph::ImagePlan;
use crate::operation::Operation;
use crate::options::{Entitlement, NamedContext, NetworkMode};

/// Every image is of an architecture of its own, so that one sees what comes from a base.
struct Mips;

impl Bases for Mips {
    fn facts(&self, _: &BaseSource) -> Result<BaseFacts, SourceError> {
        let (os, architecture) = ("linux".to_owned(), "mips".to_owned());
        Ok(BaseFacts { config: ImageConfig { os, architecture, ..ImageConfig::default() } })
    }
}

/// A base image that says of itself what architecture and variant it is for.
struct Of(&'static str, &'static str);

impl Bases for Of {
    fn facts(&self, _: &BaseSource) -> Result<BaseFacts, SourceError> {
        let (os, architecture) = ("linux".to_owned(), self.0.to_owned());
        let variant = Some(self.1.to_owned());
        Ok(BaseFacts {
            config: ImageConfig { os, architecture, variant, ..ImageConfig::default() },
        })
    }
}

#[track_caller]
fn variant(base: &Of, platforms: &[&str], expected: Option<&str>) {
    let platforms = platforms.iter().map(|text| text.parse().unwrap()).collect();
    let graph = lowered_over(base, "FROM base\nCMD x", &Options { platforms, ..options() });
    assert_eq!(graph.unwrap().images[0].config.variant.as_deref(), expected);
}

#[test]
fn a_variant_that_goes_without_saying_is_not_said() {
    for platforms in [&[][..], &["linux/arm64"], &["linux/arm64/v8"]] {
        variant(&Of("arm64", "v8"), platforms, None);
        variant(&Of("arm64", "v9"), platforms, Some("v9"));
    }
    variant(&Of("arm", "v7"), &["linux/arm/v7"], Some("v7"));
    variant(&Of("arm", "7"), &[], Some("v7"));
    variant(&Of("amd64", "v1"), &[], None);
}

fn lowered(text: &str, options: &Options) -> Result<Graph, String> {
    lowered_over(&Mips, text, options)
}

fn lowered_over(bases: &dyn Bases, text: &str, options: &Options) -> Result<Graph, String> {
    let parsed = parse(text);
    assert_eq!(parsed.first_error(), None, "{text}");
    let platform = options.platforms.first().unwrap_or(&options.build_platform);
    let target = options.targets.first().map(String::as_str);
    let around = Surroundings { options, bases, target, platform };
    let lowered = lower(&parsed.dockerfile, around).map_err(|error| error.message())?;
    Ok(lowered.graph)
}

fn options() -> Options {
    Options::new(Platform::linux("amd64"))
}

fn image(text: &str, options: &Options) -> ImagePlan {
    lowered(text, options).unwrap().images.remove(0)
}

fn arguments(pairs: &[(&str, &str)]) -> Options {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Options { build_args: pairs.collect(), ..options() }
}

fn contexts(pairs: &[(&str, NamedContext)]) -> Options {
    let pairs = pairs.iter().map(|(name, context)| ((*name).to_owned(), context.clone()));
    Options { contexts: pairs.collect::<BTreeMap<_, _>>(), ..options() }
}

fn directory(path: &str) -> NamedContext {
    NamedContext::Directory(PathBuf::from(path))
}

/// The history of a Dockerfile that starts from nothing.
#[track_caller]
fn history(text: &str, expected: &[&str]) {
    let plan = image(&format!("FROM scratch\n{text}"), &options());
    let found: Vec<String> = plan.instructions.into_iter().map(|one| one.created_by).collect();
    assert_eq!(found, expected, "{text}");
}

#[track_caller]
fn labels(text: &str, options: &Options, expected: &[(&str, &str)]) {
    let found = image(text, options).config.config.labels;
    let found: Vec<(&str, &str)> =
        found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(found, expected, "{text}");
}

/// The names of the bases of a graph.
fn bases(text: &str, options: &Options) -> Vec<String> {
    let base = |operation: Operation| match operation {
        Operation::Base(BaseSource::Directory { context } | BaseSource::Layout { context, .. }) => {
            Some(context)
        }
        Operation::Base(BaseSource::Image { reference, .. }) => Some(reference.to_string()),
        Operation::Copy(_) | Operation::Run(_) | Operation::Workdir(_) => None,
    };
    let vertices = lowered(text, options).unwrap().vertices;
    vertices.into_iter().filter_map(|vertex| base(vertex.operation)).collect()
}

/// The network of the only step of a Dockerfile, or why it is refused.
fn network(flag: &str, options: &Options) -> Result<NetworkMode, String> {
    let graph = lowered(&format!("FROM scratch\nRUN {flag} [\"x\"]"), options)?;
    let networks = graph.vertices.into_iter().find_map(|vertex| match vertex.operation {
        Operation::Run(run) => Some(run.network),
        Operation::Base(_) | Operation::Copy(_) | Operation::Workdir(_) => None,
    });
    Ok(networks.unwrap())
}

#[test]
fn a_dockerfile_narrows_the_network_of_the_build_and_does_not_widen_it() {
    for mode in [
        NetworkMode::Default,
        NetworkMode::None,
        NetworkMode::Host,
        NetworkMode::Allow,
        NetworkMode::Pasta,
    ] {
        let options = Options { network: mode, ..options() };
        assert_eq!(network("", &options), Ok(mode));
        assert_eq!(network("--network=default", &options), Ok(mode));
        assert_eq!(network("--network=none", &options), Ok(NetworkMode::None));
        assert!(network("--network=host", &options).is_err());
    }
    for mode in [NetworkMode::Allow, NetworkMode::Pasta] {
        let entitlements = [Entitlement::NetworkHost].into();
        let options = Options { network: mode, entitlements, ..options() };
        let refused = network("--network=host", &options).unwrap_err();
        assert!(refused.contains("leads around"), "{refused}");
    }
}

#[test]
fn a_variable_of_the_image_is_above_an_argument_again_in_the_next_stage() {
    let text = "FROM scratch AS a\nENV V=env\nARG V=arg\nLABEL a=$V\nFROM a\nLABEL b=$V\n";
    labels(text, &options(), &[("a", "arg"), ("b", "env")]);
}

#[test]
fn a_default_is_not_looked_at_where_the_command_line_has_a_value() {
    let text = "ARG G=${U:?u}\nFROM scratch\nARG G\nARG S=${U:?u}\nLABEL g=$G s=$S\n";
    labels(text, &arguments(&[("G", "1"), ("S", "2")]), &[("g", "1"), ("s", "2")]);
    assert!(lowered(text, &arguments(&[("G", "1")])).unwrap_err().contains('u'));
}

#[test]
fn an_argument_is_called_what_is_written_quotes_and_dollars_included() {
    let text = "ARG \"G\"=1\nFROM scratch\nARG G \"Q\"=2 $R=3\nLABEL g=$G q=$Q r=${R-unset}\n";
    labels(text, &options(), &[("g", ""), ("q", ""), ("r", "unset")]);
    labels(text, &arguments(&[("\"Q\"", "4")]), &[("g", ""), ("q", ""), ("r", "unset")]);
    history("ARG \"a b\" 'c'=$D", &["ARG \"a b\" 'c'="]);
}

#[test]
fn arguments_that_speak_to_the_builder_are_no_variables() {
    let text =
        "FROM scratch\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nLABEL s=$BUILDKIT_SBOM_SCAN_STAGE\n";
    labels(text, &options(), &[("s", "")]);
    let history = image(&format!("{text}RUN x\n"), &options()).instructions;
    let last = history.last().unwrap();
    assert_eq!(last.created_by, "RUN |1 BUILDKIT_SBOM_SCAN_STAGE=true /bin/sh -c x # buildkit");
}

#[test]
fn the_target_is_named_as_it_was_asked_for() {
    let text = "FROM scratch AS one\nARG TARGETSTAGE\nLABEL s=$TARGETSTAGE\n";
    labels(text, &options(), &[("s", "one")]);
    let options = Options { targets: vec!["ONE".to_owned()], ..options() };
    labels(text, &options, &[("s", "ONE")]);
    labels(
        "FROM scratch\nARG TARGETSTAGE\nLABEL s=$TARGETSTAGE\n",
        &self::options(),
        &[("s", "default")],
    );
}

#[test]
fn ports_are_listed_word_by_word_in_the_order_of_the_words() {
    history("EXPOSE 9-11 80 80/tcp 53/udp", &["EXPOSE [53/udp 80/tcp 80/tcp 9/tcp 10/tcp 11/tcp]"]);
}

#[test]
fn an_absolute_working_directory_is_shown_as_written() {
    history(
        "WORKDIR /a//b/../c/\nWORKDIR d/\nWORKDIR $NONE\nWORKDIR /",
        &["WORKDIR /a//b/../c/", "WORKDIR /a/c/d", "WORKDIR /a/c/d", "WORKDIR /"],
    );
}

#[test]
fn heredocs_come_after_the_other_sources() {
    history("COPY <<a f <<\"b\" g /o/\nA\na\nB\nb", &["COPY f g <<a <<b /o/ # buildkit"]);
}

#[test]
fn a_shell_that_reads_a_heredoc_gets_it_with_its_tabs() {
    history("RUN cat <<-E >/o\n\tx\n\tE", &["RUN /bin/sh -c cat <<-E >/o\n\tx\nE # buildkit"]);
    history("RUN <<-E\n\tx\n\tE", &["RUN /bin/sh -c x\n # buildkit"]);
}

#[test]
fn an_image_is_of_its_base_s_platform_unless_one_is_named() {
    let architecture = |options: &Options| image("FROM a\n", options).config.architecture;
    assert_eq!(architecture(&options()), "mips");
    let named = Options { platforms: vec![Platform::linux("arm64")], ..options() };
    assert_eq!(architecture(&named), "arm64");
}

#[test]
fn a_platform_that_is_not_written_is_that_of_the_build_and_one_that_expands_to_nothing_is_an_error()
{
    assert_eq!(bases("FROM --platform= a\n", &options()), bases("FROM a\n", &options()));
    let error = lowered("ARG P\nFROM --platform=$P a\n", &options()).unwrap_err();
    assert!(error.contains("empty platform value from expression $P"), "{error}");
}

#[test]
fn a_context_for_the_platform_is_before_one_for_all() {
    let options = contexts(&[("a", directory("all")), ("a::linux/amd64", directory("one"))]);
    assert_eq!(bases("FROM docker.io/library/a:latest\n", &options), ["a::linux/amd64"]);
    assert_eq!(bases("FROM --platform=linux/arm64 a\n", &options), ["a"]);
}

#[test]
fn a_context_replaces_a_whole_stage_of_its_name() {
    let text = "FROM x AS a\nRUN false\nFROM a\nCOPY --from=a /f /\n";
    assert_eq!(bases(text, &contexts(&[("a", directory("d"))])), ["a"]);
    let target = Options { targets: vec!["a".to_owned()], ..contexts(&[("a", directory("d"))]) };
    assert_eq!(bases(text, &target), ["a"]);
}

#[test]
fn the_files_of_a_context_are_a_layer_of_what_starts_from_it() {
    let plan = image("FROM a\nLABEL b=c\n", &contexts(&[("a", directory("d"))]));
    let layers: Vec<bool> = plan.instructions.iter().map(|one| one.layer.is_some()).collect();
    assert_eq!(layers, [true, false]);
}

#[test]
fn a_number_is_a_stage_before_it_is_a_context() {
    let text = "FROM x\nFROM scratch\nCOPY --from=0 /f /\n";
    assert_eq!(bases(text, &contexts(&[("0", directory("d"))])), ["x:latest"]);
}

#[test]
fn stages_that_need_each_other_are_told_apart_from_those_in_the_wrong_order() {
    let refused = |text: &str, expected: &str| {
        let options = Options { targets: vec!["a".to_owned()], ..options() };
        let error = lowered(text, &options).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    };
    let circle = "circular dependency detected on stage: a";
    refused("FROM x AS a\nCOPY --from=A /f /\n", circle);
    refused("FROM x AS a\nCOPY --from=1 /f /\nFROM x AS b\nCOPY --from=a /f /\n", circle);
    let mounted = "FROM x AS b\nRUN --mount=from=c,target=/m y\nFROM x AS c\nCOPY --from=a /f /\n";
    refused(&format!("FROM x AS a\nCOPY --from=b /f /\n{mounted}"), circle);
    refused("FROM x AS a\nCOPY --from=b /f /\nFROM a AS b\n", "needs to be defined before");
    refused("FROM x AS a\nCOPY --from=-1 /f /\n", "invalid stage index -1");
}

#[test]
fn the_empty_root_cannot_be_replaced_and_may_replace_another() {
    assert!(bases("FROM scratch\n", &contexts(&[("scratch", directory("d"))])).is_empty());
    let nothing = NamedContext::Image("scratch".parse().unwrap());
    assert!(bases("FROM a\n", &contexts(&[("a", nothing)])).is_empty());
}
