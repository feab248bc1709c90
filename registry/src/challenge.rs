//! `WWW-Authenticate` headers.

/// What a server wants to see.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Challenge {
    /// User name and password.
    Basic,
    /// A token of this service.
    Bearer(Bearer),
}

/// Where to get a token, and what for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Bearer {
    /// The address of the token service; some servers write it relative.
    pub realm: String,
    /// The name it knows the registry by.
    pub service: Option<String>,
    /// What the refused request would have needed, separated by spaces.
    pub scope: Option<String>,
}

/// A header longer than this is not worth the time.
const MAX_HEADER: usize = 8 << 10;

/// Picks the challenge to answer: bearer before basic, the first of each.
pub(crate) fn choose<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let all: Vec<Challenge> =
        headers.filter(|header| header.len() <= MAX_HEADER).flat_map(parse).collect();
    let bearer = all.iter().find(|challenge| matches!(challenge, Challenge::Bearer(_)));
    bearer.or(all.first()).cloned()
}

/// All challenges of one header; schemes that are not answered here are passed over.
fn parse(header: &str) -> Vec<Challenge> {
    let mut reader = Reader { rest: header };
    let mut schemes: Vec<(String, Vec<(String, String)>)> = Vec::new();
    while let Some(word) = reader.word() {
        match (reader.value(), schemes.last_mut()) {
            (Some(value), Some((_, parameters))) => {
                parameters.push((word.to_ascii_lowercase(), value));
            }
            (Some(_), None) => {}
            (None, _) => schemes.push((word.to_ascii_lowercase(), Vec::new())),
        }
    }
    schemes.into_iter().filter_map(|(scheme, parameters)| build(&scheme, parameters)).collect()
}

fn build(scheme: &str, parameters: Vec<(String, String)>) -> Option<Challenge> {
    match scheme {
        "basic" => Some(Challenge::Basic),
        "bearer" => {
            let mut bearer = Bearer::default();
            for (name, value) in parameters {
                match name.as_str() {
                    "realm" => bearer.realm = value,
                    "service" => bearer.service = Some(value),
                    "scope" => bearer.scope = Some(value),
                    _ => {}
                }
            }
            (!bearer.realm.is_empty()).then_some(Challenge::Bearer(bearer))
        }
        _ => None,
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn word(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
        let end = self.rest.find([' ', '\t', ',', '=']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        if word.is_empty() && !rest.is_empty() {
            // A stray equals sign: nothing behind it can be understood.
            self.rest = "";
        }
        (!word.is_empty()).then_some(word)
    }

    fn value(&mut self) -> Option<String> {
        self.rest = self.rest.trim_start_matches([' ', '\t']).strip_prefix('=')?;
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        if let Some(quoted) = self.rest.strip_prefix('"') {
            return Some(self.quoted(quoted));
        }
        let end = self.rest.find([' ', '\t', ',']).unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(value.to_owned())
    }

    fn quoted(&mut self, text: &'a str) -> String {
        let mut value = String::new();
        let mut characters = text.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &text[at + 1..];
                    return value;
                }
                '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                other => value.push(other),
            }
        }
        self.rest = "";
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: &str, scope: &str) -> Challenge {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (service, scope) = (text(service), text(scope));
        Challenge::Bearer(Bearer { realm: realm.to_owned(), service, scope })
    }

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "expectations are written at the call")]
    fn check(headers: &[&str], expected: Option<Challenge>) {
        assert_eq!(choose(headers.iter().copied()), expected);
    }

    #[test]
    fn commas_in_quotes_belong_to_the_value() {
        check(
            &[r#"Bearer realm="https://a/t",service="s",scope="repository:a/b:pull,push""#],
            Some(bearer("https://a/t", "s", "repository:a/b:pull,push")),
        );
    }

    #[test]
    fn bearer_is_chosen_among_several() {
        let bearer = Some(bearer("/token", "", ""));
        check(&["Negotiate", r#"Basic realm="x""#, r#"Bearer realm="/token""#], bearer.clone());
        check(&[r#"Negotiate abc==, Basic realm="x", bearer realm=/token"#], bearer);
        check(&[r#"Basic realm="x""#], Some(Challenge::Basic));
    }

    #[test]
    fn unknown_parameters_and_schemes_are_passed_over() {
        check(
            &[r#"Bearer realm="r", error="insufficient_scope", x = y ,service=s"#],
            Some(bearer("r", "s", "")),
        );
        check(&["Digest qop=auth"], None);
        check(&["Bearer service=s"], None);
    }

    #[test]
    fn malformed_headers_end_and_do_no_harm() {
        check(&["", "=", ",,,", "Bearer realm=\"", "\"", "Bearer =x"], None);
        check(&["Bearer realm=\"a\\\"b\\"], Some(bearer("a\"b", "", "")));
    }
}
