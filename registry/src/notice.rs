//! What happens on the way to an answer, and is worth a line once the work is done.

use std::fmt;

use reqwest::header::HeaderMap;

use crate::learned::Habit;

/// Somebody who hears what happens. They may hear the same more than once, and from several threads.
pub trait Notices: fmt::Debug + Send + Sync {
    /// Takes notice.
    fn notice(&self, notice: &Notice);
}

/// Nobody listens.
impl Notices for () {
    fn notice(&self, _: &Notice) {}
}

/// Something that happened. As text it is one line.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Notice {
    /// A mirror did not answer, and the next place was asked.
    PassedOver {
        /// The host of the mirror.
        mirror: String,
        /// The registry it stands for.
        registry: String,
        /// What it did instead.
        why: String,
    },
    /// A registry has something to say to whoever uses it.
    Warning {
        /// The registry.
        host: String,
        /// Its words.
        text: String,
    },
    /// A registry was found to do something otherwise.
    Learned {
        /// The registry.
        host: String,
        /// What it does.
        habit: Habit,
    },
    /// A registry will soon answer no more for a while.
    RateLimit {
        /// The registry.
        host: String,
        /// How much is left.
        remaining: u64,
        /// Of how much, where it says.
        limit: Option<u64>,
        /// In how many seconds, where it says.
        window: Option<u64>,
    },
}

/// How much is left when it is worth a word.
const LOW: u64 = 10;
/// The longest warning that is shown, as the specification has it.
const MAX_WARNING: usize = 4096;

/// What the headers of an answer say beside the answer.
pub(crate) fn of_headers(host: &str, headers: &HeaderMap) -> Vec<Notice> {
    let all = |name: &str| {
        let values = headers.get_all(name).into_iter();
        values.filter_map(|value| value.to_str().ok().map(str::to_owned)).collect::<Vec<_>>()
    };
    let host = host.to_owned();
    let warnings = all("warning").into_iter().filter_map(|value| {
        let text = warning(&value)?.to_owned();
        Some(Notice::Warning { host: host.clone(), text })
    });
    let mut found: Vec<Notice> = warnings.collect();
    let number = |name: &str| all(name).first().and_then(|value| quantity(value));
    if let Some((remaining, window)) = number("ratelimit-remaining")
        && remaining <= LOW
    {
        let limit = number("ratelimit-limit").map(|(limit, _)| limit);
        found.push(Notice::RateLimit { host, remaining, limit, window });
    }
    found
}

/// The words of `299 - "words"`; other warnings are between caches.
fn warning(value: &str) -> Option<&str> {
    let words = value.strip_prefix("299 ")?.split_once('"')?.1.strip_suffix('"')?;
    (!words.is_empty() && words.len() <= MAX_WARNING).then_some(words)
}

/// `76;w=21600`: how many, in how many seconds.
fn quantity(value: &str) -> Option<(u64, Option<u64>)> {
    let mut parts = value.split(';').map(str::trim);
    let number = parts.next()?.parse().ok()?;
    Some((number, parts.find_map(|part| part.strip_prefix("w=")?.parse().ok())))
}

impl Notice {
    /// What it is about: of two about the same the first is enough.
    pub(crate) fn subject(&self) -> String {
        match self {
            Self::Learned { .. } | Self::PassedOver { .. } | Self::Warning { .. } => {
                self.to_string()
            }
            Self::RateLimit { host, .. } => format!("rate limit of {host}"),
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PassedOver { mirror, registry, why } => {
                write!(out, "the mirror {mirror} of {registry} was passed over: {why}")
            }
            Self::Learned { host, habit } => {
                write!(out, "{host} {habit}, which is remembered for seven days")
            }
            Self::Warning { host, text } => write!(out, "{host} warns: {text}"),
            Self::RateLimit { host, remaining, limit, window } => {
                write!(out, "{host} answers {remaining}")?;
                limit.map_or(Ok(()), |limit| write!(out, " of {limit}"))?;
                out.write_str(" more requests for images")?;
                window.map_or(Ok(()), |seconds| write!(out, " in {} minutes", seconds / 60))?;
                write!(out, ": `wythe login {host}` raises the limit, a mirror spares it")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(headers: &[(&'static str, &str)]) -> Vec<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        of_headers("docker.io", &map).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn warnings_for_people_are_told_and_others_are_not() {
        let long = format!("299 - \"{}\"", "x".repeat(5000));
        let headers = [
            ("warning", "299 - \"this goes away\""),
            ("warning", "110 anderson/1.3.37 \"Response is stale\""),
            ("warning", "299 - nothing"),
            ("warning", long.as_str()),
        ];
        assert_eq!(told(&headers), ["docker.io warns: this goes away"]);
    }

    #[test]
    fn a_limit_is_told_when_it_is_near() {
        let limit = ("ratelimit-limit", "100;w=21600");
        assert!(told(&[limit, ("ratelimit-remaining", "76;w=21600")]).is_empty());
        let near = &told(&[limit, ("ratelimit-remaining", "7;w=21600")])[0];
        assert!(near.starts_with("docker.io answers 7 of 100 more requests"), "{near}");
        assert!(near.contains("in 360 minutes"), "{near}");
        assert_eq!(told(&[("ratelimit-remaining", "0")]).len(), 1);
        assert!(told(&[("ratelimit-remaining", "many")]).is_empty());
    }
}
