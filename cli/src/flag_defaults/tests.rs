//! Which setting counts, and what is refused.

use super::*;
use crate::args::Cli;
use crate::args::build::BuildArgs;
use crate::args::equivalents::EQUIVALENTS;
use crate::command::Command as Asked;

/// A command line with variables, the file of a project, that of a user, and a folder for them.
fn parsed(
    words: &str,
    variables: &[(&str, &str)],
    [project, user]: [&str; 2],
) -> Result<Cli, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("wythe");
    std::fs::create_dir(&own).unwrap();
    std::fs::write(own.join("config.toml"), user).unwrap();
    let at = folder.path().join("wythe.toml");
    std::fs::write(&at, project).unwrap();
    let home = ("XDG_CONFIG_HOME", folder.path().to_str().unwrap());
    let variables = [&[home], variables].concat();
    let settings = Settings::of(&variables).with_project(&at);
    let words = std::iter::once("wythe").chain(words.split(' ')).map(OsString::from).collect();
    Cli::with_defaults(words, &settings).map(|parsed| parsed.unwrap())
}

fn build(words: &str, variables: &[(&str, &str)], files: [&str; 2]) -> BuildArgs {
    let command = parsed(words, variables, files).unwrap().command.resolved();
    let Asked::Build(args) = command else { panic!("not a build: {command:?}") };
    *args
}

#[test]
fn a_flag_stands_over_the_environment_that_over_the_project_and_that_over_the_user() {
    let user = "[flags.build]\ntarget = 'user'\n";
    let project = "[flags.build]\ntarget = ['project', 'other']\n";
    let variable = [("WYTHE_BUILD_TARGET", "one,two")];
    let targets = |words, variables, files| build(words, variables, files).input.targets();
    assert_eq!(targets("build --target=flag .", &variable, [project, user]), ["flag"]);
    assert_eq!(targets("build .", &variable, [project, user]), ["one", "two"]);
    assert_eq!(
        targets("build .", &[("WYTHE_BUILD_TARGET", "")], [project, user]),
        ["project", "other"]
    );
    assert_eq!(targets("build .", &[], ["", user]), ["user"]);
    assert!(targets("build .", &[], ["", ""]).is_empty());
}

#[test]
fn a_list_of_the_environment_has_a_line_for_each_value() {
    let args = build("build .", &[("WYTHE_BUILD_BUILD_ARG", "A=1,2\nB=x y\n")], ["", ""]);
    let told: Vec<_> = args.input.build_arg.iter().map(|pair| pair.key.clone()).collect();
    assert_eq!(told, ["A", "B"]);
}

#[test]
fn a_switch_may_be_switched_off_again() {
    let user = ["", "[flags.build]\nno-cache = true\n"];
    assert!(build("build .", &[], user).cache.no_cache.is_on());
    assert!(!build("build --no-cache=false .", &[], user).cache.no_cache.is_on());
    assert!(!build("build .", &[("WYTHE_BUILD_NO_CACHE", "0")], user).cache.no_cache.is_on());
}

#[test]
fn docker_builds_with_the_same_defaults() {
    let user = ["", "[flags.build]\nno-cache = true\n"];
    for words in ["buildx build .", "image build .", "builder build ."] {
        assert!(build(words, &[], user).cache.no_cache.is_on(), "{words}");
    }
}

#[test]
fn commands_of_docker_that_are_ours_have_our_flags() {
    let definition = Cli::definition();
    let names = |path: &[&str]| -> Vec<String> {
        let mut command = &definition;
        for name in path {
            command = command.find_subcommand(name).unwrap();
        }
        let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
        shown.filter_map(|arg| arg.get_long()).map(str::to_owned).collect()
    };
    for (others, ours) in EQUIVALENTS {
        let theirs = names(others);
        let own = names(ours);
        // Those of a command that is docker's alone are global in its group.
        assert!(own.iter().all(|name| theirs.contains(name)), "{others:?}");
    }
}

#[test]
fn progress_is_said_by_a_flag_or_by_variables_or_by_files() {
    let form = |words, variables: &[(&str, &str)], files| {
        let progress = parsed(words, variables, files).unwrap().global.progress;
        progress.settled(&Settings::of(variables))
    };
    let user = ["", "[flags]\nprogress = 'json'\n"];
    let (plain, tty) = (ProgressForm::Plain, ProgressForm::Tty);
    assert_eq!(form("build .", &[], user), ProgressForm::Json);
    assert_eq!(form("build .", &[("CI", "true")], user), ProgressForm::Json);
    assert_eq!(form("build .", &[("BUILDKIT_PROGRESS", "plain")], user), plain);
    let both = [("BUILDKIT_PROGRESS", "plain"), ("WYTHE_PROGRESS", "tty")];
    assert_eq!(form("build .", &both, user), tty);
    assert_eq!(form("build --progress=quiet .", &both, user), ProgressForm::Quiet);
}

#[test]
fn older_variables_stand_over_files() {
    let user = ["", "[flags]\nlimit = 'entries=7'\n[flags.build]\ncache-from = 'r.io/x'\n"];
    let limits = |variables| parsed("build .", variables, user).unwrap().global.limit.len();
    assert_eq!((limits(&[]), limits(&[("WYTHE_LIMITS", "entries=5")])), (1, 0));
    assert_eq!(build("build .", &[], user).cache.cache_from.len(), 1);
    assert!(build("build .", &[("WYTHE_CACHE_FROM", "")], user).cache.cache_from.is_empty());
}

#[test]
fn an_older_variable_of_keys_or_limits_that_is_empty_says_nothing() {
    let user = ["", "[flags]\nlimit = 'entries=7'\n[flags.build]\ncache-verify-key = 'k.pem'\n"];
    let both = [("WYTHE_LIMITS", ""), ("WYTHE_CACHE_VERIFY_KEY", "")];
    let limits = parsed("build .", &both, user).unwrap().global.limit;
    let keys = build("build .", &both, user).cache.reuse.cache_verify_key;
    assert_eq!((limits.len(), keys.len()), (1, 1));
    let set = [("WYTHE_CACHE_VERIFY_KEY", "other.pem")];
    assert!(build("build .", &set, user).cache.reuse.cache_verify_key.is_empty());
}

#[test]
fn keys_of_caches_have_their_older_variables_in_every_command() {
    for (name, variable) in [("cache-sign-key", SIGN_KEY), ("cache-verify-key", VERIFY_KEY)] {
        let settings = Settings::of(&[(variable, "key.pem")]);
        let flags = configurable::flags(&Cli::definition());
        let mut of_name = flags.iter().filter(|flag| flag.name == name).peekable();
        assert!(of_name.peek().is_some());
        assert!(of_name.all(|flag| is_said_by_another(flag, &settings)), "{name}");
    }
}

#[test]
fn what_a_given_flag_contradicts_is_not_taken_from_settings() {
    let user = ["", "[flags.pull]\nplatform = 'linux/arm64'\n"];
    let pull = |words| {
        let command = parsed(words, &[], user).unwrap().command;
        let Asked::Pull(args) = command else { panic!("not a pull: {command:?}") };
        args
    };
    assert!(pull("pull x").which.platform().unwrap().is_some());
    assert!(pull("pull --all-platforms x").which.platform().unwrap().is_none());
    let both = ["", "[flags.pull]\nplatform = 'linux/arm64'\nall-platforms = true\n"];
    let told = parsed("pull x", &[], both).unwrap_err().sentence();
    assert!(told.contains("line 2") && told.contains("contradicts"), "{told}");
}

#[track_caller]
fn refused(files: [&str; 2], words: &[&str]) {
    let told = parsed("build .", &[], files).unwrap_err().lines().join("\n");
    assert!(words.iter().all(|word| told.contains(word)), "{told}");
}

#[test]
fn what_is_unknown_is_refused_with_file_line_and_the_nearest_word() {
    refused(
        ["", "\n[flags.build]\nno-cash = true\n"],
        &["config.toml", "line 3", "no-cash", "did you mean `no-cache`?"],
    );
    refused(["", "[flags.biuld]\n"], &["line 1", "biuld", "did you mean `build`?"]);
    refused(["", "[flags]\nprogess = 'x'\n"], &["line 2", "did you mean `progress`?"]);
    refused(["", "[flags]\nprogress = 'loud'\n"], &["line 2", "it takes one of auto"]);
    refused(["", "[flags.kaniko]\ncleanup = true\n"], &["line 1", "kaniko"]);
    refused(["", "[build]\n"], &["line 1", "`build`", "[flags.build]"]);
}

#[test]
fn a_value_that_makes_no_sense_is_told_by_its_variable() {
    let told = parsed("build .", &[("WYTHE_BUILD_NO_CACHE", "si")], ["", ""]).unwrap_err();
    let told = told.lines().join("\n");
    assert!(told.contains("WYTHE_BUILD_NO_CACHE") && told.contains("neither true"), "{told}");
}

#[test]
fn a_project_sets_what_a_dockerfile_could_and_nothing_else() {
    let args = build("build .", &[], ["[flags.build]\nfile = 'docker/Dockerfile'\n", ""]);
    assert_eq!(args.input.file.as_deref(), Some("docker/Dockerfile"));
    for line in [
        "output = 'type=local,dest=/home'",
        "network = 'host'",
        "secret = 'id=a,src=/etc/shadow'",
        "on-error = 'sh'",
        "allow = 'security.insecure'",
        "push = true",
        "build-context = 'a=/home'",
        "build-arg = 'HOME'",
        "file = '../Dockerfile'",
        "strict = false",
    ] {
        let text = format!("[flags.build]\n{line}\n");
        refused([&text, ""], &["wythe.toml", "line 2", "a project may"]);
    }
    refused(["[flags]\nstore = '/tmp'\n", ""], &["wythe.toml", "line 2", "a project may not"]);
    for table in ["store", "cache", "history", "registry.\"r.io\""] {
        let text = format!("# ours\n[{table}]\n");
        refused([&text, ""], &["wythe.toml", "line 2", "a project may not"]);
    }
}

/// The table of the page, a line for each flag.
fn table() -> String {
    let row = |flag: ConfigurableFlag| {
        let help = flag.arg.get_help().map(ToString::to_string).unwrap_or_default();
        let help = help.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ");
        let allowed = match project::permitted(&flag.path()) {
            None => "",
            Some(project::Permitted::Always) => "yes",
            Some(project::Permitted::Inside) => "within it",
            Some(project::Permitted::On) => "`true`",
            Some(project::Permitted::Said) => "with its value",
        };
        format!("| `{}` | `{}` | {allowed} | {help} |\n", flag.key(), flag.variable())
    };
    let rows: String = configurable::flags(&Cli::definition()).into_iter().map(row).collect();
    format!("| in files | variable | of a project | what it says |\n|---|---|---|---|\n{rows}")
}

#[test]
fn the_page_has_every_flag() {
    let page = include_str!("../../../docs/configuration.md");
    let (above, rest) = page.split_once("<!-- flags -->\n").unwrap();
    let (_, below) = rest.split_once("<!-- /flags -->").unwrap();
    let expected = format!("{above}<!-- flags -->\n\n{}\n<!-- /flags -->{below}", table());
    expect_test::expect_file!["../../../docs/configuration.md"].assert_eq(&expected);
}
