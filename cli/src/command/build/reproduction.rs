//! The command that leads to a step that failed, and into it.

use wythe_dockerfile::lint::secret::is_secret_name;

/// What to add for a shell where it failed.
const SHELL: &str = "--on-error=sh";
/// The flags whose values name and give a variable.
const ASSIGN: [&str; 1] = ["--build-arg"];

/// The command line again, with a shell where it failed. Values of variables whose names say that
/// they are secret are left out: without one the variable is taken from the environment.
pub(crate) fn reproduction(words: &[String]) -> String {
    let mut found = vec!["wythe".to_owned()];
    let mut is_assigned = false;
    for word in words.iter().filter(|word| !word.starts_with("--on-error=")) {
        let shown = match word.split_once('=') {
            Some((flag, pair)) if ASSIGN.contains(&flag) => format!("{flag}={}", discreet(pair)),
            _ if is_assigned => discreet(word).to_owned(),
            _ => word.clone(),
        };
        is_assigned = ASSIGN.contains(&word.as_str());
        found.push(quoted(&shown));
    }
    found.push(SHELL.to_owned());
    found.join(" ")
}

fn discreet(pair: &str) -> &str {
    match pair.split_once('=') {
        Some((name, _)) if is_secret_name(name) => name,
        _ => pair,
    }
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_=./:,@+%^{}".contains(char);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &[&str], expected: &str) {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(reproduction(&words), format!("wythe {expected} --on-error=sh"));
    }

    #[test]
    fn words_read_back_as_they_were() {
        check(&["build", "-t", "app", "."], "build -t app .");
        check(&["build", "--label=a=it's $1", ""], r"build '--label=a=it'\''s $1' ''");
        check(&["build", "--on-error=cat log", "."], "build .");
    }

    #[test]
    fn values_of_secret_variables_are_left_out() {
        check(&["build", "--build-arg", "TOKEN=x", "."], "build --build-arg TOKEN .");
        check(&["build", "--build-arg=DB_PASSWORD=x", "."], "build --build-arg=DB_PASSWORD .");
        check(&["build", "--build-arg", "VERSION=x", "."], "build --build-arg VERSION=x .");
    }
}
