//! `--filter` of lists of builds, as buildx has it: `status=error`, `startedAt>24h`, `duration<1m`.

use std::str::FromStr;
use std::time::Duration;

use super::{BuildRecord, BuildStatus};

/// What of builds is looked at, and what it is to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum BuildFilter {
    Text(TextField, Equality, String),
    Time(TimeField, Order, Span),
}

/// What of a build is a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TextField {
    Ref,
    Repository,
    Status,
}

/// What of a build is a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TimeField {
    CompletedAt,
    Duration,
    StartedAt,
}

/// How texts are compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Equality {
    Is,
    IsNot,
}

/// How times are compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    Above,
    AtLeast,
    AtMost,
    Below,
}

/// A time to compare with, in microseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Span {
    /// So long, or that long ago.
    Ago(u64),
    /// A moment, since 1970.
    Moment(u64),
}

/// Why a text is no filter.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum BuildFilterError {
    #[error(
        "{0:?} is no filter: there are ref, repository, status, startedAt, completedAt and duration"
    )]
    Unknown(String),
    #[error("{0} takes = or !=")]
    TakesEquality(&'static str),
    #[error("{0} takes <, <=, > or >=")]
    TakesOrder(&'static str),
    #[error("{0:?} is neither a duration such as 1h30m nor a moment such as 2026-11-29T12:00:00Z")]
    Time(String),
}

/// The signs between a field and its value; the longer ones first, since one begins another.
const SIGNS: [&str; 6] = ["!=", "<=", ">=", "=", "<", ">"];

impl FromStr for BuildFilter {
    type Err = BuildFilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || BuildFilterError::Unknown(text.to_owned());
        let at = text.find(['!', '<', '>', '=']).ok_or_else(unknown)?;
        let (field, rest) = text.split_at(at);
        let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign)).ok_or_else(unknown)?;
        let value = &rest[sign.len()..];
        let texts = |field, name| match *sign {
            "=" => Ok(Self::Text(field, Equality::Is, value.to_owned())),
            "!=" => Ok(Self::Text(field, Equality::IsNot, value.to_owned())),
            _ => Err(BuildFilterError::TakesEquality(name)),
        };
        let times = |field, name| {
            let order = match *sign {
                "<" => Order::Below,
                "<=" => Order::AtMost,
                ">" => Order::Above,
                ">=" => Order::AtLeast,
                _ => return Err(BuildFilterError::TakesOrder(name)),
            };
            let span = span(value).ok_or_else(|| BuildFilterError::Time(value.to_owned()))?;
            match (field, span) {
                (TimeField::Duration, Span::Moment(_)) => {
                    Err(BuildFilterError::Time(value.to_owned()))
                }
                (field, span) => Ok(Self::Time(field, order, span)),
            }
        };
        match field {
            "ref" => texts(TextField::Ref, "ref"),
            "repository" => texts(TextField::Repository, "repository"),
            "status" => texts(TextField::Status, "status"),
            "startedAt" => times(TimeField::StartedAt, "startedAt"),
            "completedAt" => times(TimeField::CompletedAt, "completedAt"),
            "duration" => times(TimeField::Duration, "duration"),
            _ => Err(unknown()),
        }
    }
}

impl BuildFilter {
    /// Whether a build is one that is asked for; `now` is in microseconds since 1970.
    pub(crate) fn takes(&self, record: &BuildRecord, now: u64) -> bool {
        match self {
            Self::Text(field, equality, wanted) => {
                let (found, is_whole) = match field {
                    TextField::Ref => (record.id.as_str(), false),
                    TextField::Repository => {
                        (record.repository.as_deref().unwrap_or_default(), false)
                    }
                    TextField::Status => (status(record.status), true),
                };
                match equality {
                    Equality::Is if is_whole => found == wanted,
                    Equality::Is => found.contains(wanted.as_str()),
                    Equality::IsNot => found != wanted,
                }
            }
            Self::Time(field, order, span) => {
                let found = match field {
                    TimeField::CompletedAt => record.completed(),
                    TimeField::Duration => record.duration,
                    TimeField::StartedAt => record.started,
                };
                let wanted = match (field, *span) {
                    (TimeField::Duration, Span::Ago(span)) | (_, Span::Moment(span)) => span,
                    (TimeField::CompletedAt | TimeField::StartedAt, Span::Ago(span)) => {
                        now.saturating_sub(span)
                    }
                };
                match order {
                    Order::Above => found > wanted,
                    Order::AtLeast => found >= wanted,
                    Order::AtMost => found <= wanted,
                    Order::Below => found < wanted,
                }
            }
        }
    }
}

fn status(status: BuildStatus) -> &'static str {
    match status {
        BuildStatus::Canceled => "canceled",
        BuildStatus::Completed => "completed",
        BuildStatus::Failed => "error",
        BuildStatus::Lost => "lost",
        BuildStatus::Running => "running",
    }
}

fn span(text: &str) -> Option<Span> {
    if let Some(duration) = duration(text) {
        return Some(Span::Ago(u64::try_from(duration.as_micros()).ok()?));
    }
    let moment: jiff::Timestamp = text.parse().ok()?;
    Some(Span::Moment(u64::try_from(moment.as_microsecond()).ok()?))
}

/// A duration as Go writes it: `1h30m`, `1.5s`, `300ms`.
fn duration(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (Duration::ZERO, text);
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, after) = rest.split_at(end);
        let unit_end = after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        total = total.checked_add(part)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::super::shelf::tests::record;
    use super::*;

    const NOW: u64 = 1_000_000_000_000;

    #[test]
    fn builds_are_filtered_as_buildx_does_it() {
        let mut found = record(999_000, "abc");
        found.repository = Some("example.org/a/b".to_owned());
        found.status = BuildStatus::Failed;
        for (filter, expected) in [
            ("status=error", true),
            ("status!=error", false),
            ("status=err", false),
            ("repository=example.org", true),
            ("ref=abc", true),
            ("ref!=abc", true),
            ("startedAt>1h", true),
            ("startedAt>=10m", false),
            ("duration<1.6s", true),
            ("duration<=1s400ms", false),
            ("completedAt<2026-11-29T12:00:00Z", true),
        ] {
            let filter: BuildFilter = filter.parse().unwrap();
            assert_eq!(filter.takes(&found, NOW), expected, "{filter:?}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused_with_what_it_takes() {
        let told = |text: &str| text.parse::<BuildFilter>().unwrap_err().to_string();
        assert!(told("state=x").contains("repository"));
        assert!(told("status").contains("no filter"));
        assert_eq!(told("status>x"), "status takes = or !=");
        assert_eq!(told("duration=1s"), "duration takes <, <=, > or >=");
        assert!(told("duration<soon").contains("1h30m"));
        assert!(told("duration<2026-11-29T12:00:00Z").contains("1h30m"));
    }
}
