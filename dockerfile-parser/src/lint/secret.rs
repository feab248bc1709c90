//! Which names say that their values are secret.

/// Whether a name has a part that stands for a secret and none that says it is none.
pub fn is_secret_name(name: &str) -> bool {
    const SECRET: [&str; 10] = [
        "apikey",
        "auth",
        "credential",
        "credentials",
        "key",
        "password",
        "pword",
        "passwd",
        "secret",
        "token",
    ];
    const HARMLESS: [&str; 3] = ["public", "file", "version"];
    let lower = name.to_lowercase();
    let has = |words: &[&str]| lower.split('_').any(|part| words.contains(&part));
    has(&SECRET) && !has(&HARMLESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_name_says_that_it_is_secret() {
        for name in ["TOKEN", "npm_token", "DB_PASSWORD"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["TOKENS", "PUBLIC_KEY", "KEY_FILE", "VERSION"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
