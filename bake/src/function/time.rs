//! Functions of time.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::fmt::temporal::{DateTimeParser, Pieces};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::{Call, Function, exactly};
use crate::number::Number;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    exactly("formatdate", 2, format_date),
    exactly("formattimestamp", 2, format_timestamp),
    exactly("rfc3339parse", 1, |call| Ok(parts(Moment::parse(&call.text(0)?)?))),
    exactly("timeadd", 2, |call| {
        let (moment, duration) = (Moment::parse(&call.text(0)?)?, duration(&call.text(1)?)?);
        let at = moment.at.checked_add(duration).map_err(|error| error.to_string())?;
        Ok(Value::string(Moment { at, ..moment }.rfc3339()))
    }),
    exactly("timestamp", 0, |call| Ok(Value::string(now(call).rfc3339()))),
    exactly("unixtimestampparse", 1, |call| {
        let at = Timestamp::from_second(call.integer(0)?).map_err(|error| error.to_string())?;
        Ok(parts(Moment { at, offset: Offset::UTC }))
    }),
];

/// A moment and the clock it is told by.
#[derive(Clone, Copy)]
struct Moment {
    at: Timestamp,
    offset: Offset,
}

fn now(call: &Call<'_>) -> Moment {
    let seconds = Timestamp::from_second(call.surroundings.now().as_second());
    Moment { at: seconds.unwrap_or(Timestamp::UNIX_EPOCH), offset: Offset::UTC }
}

impl Moment {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no time, as 2026-01-02T15:04:05Z is");
        if !text.contains('T') {
            return Err(wrong());
        }
        let at = DateTimeParser::new().parse_timestamp(text).map_err(|_| wrong())?;
        let pieces = Pieces::parse(text).map_err(|_| wrong())?;
        let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
        Ok(Self { at, offset })
    }

    fn civil(self) -> DateTime {
        self.offset.to_datetime(self.at)
    }

    fn zone(self, colon: &str) -> String {
        let minutes = self.offset.seconds() / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        let minutes = minutes.abs();
        format!("{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60)
    }

    fn rfc3339(self) -> String {
        let civil = self.civil();
        let zone = if self.offset == Offset::UTC { "Z".to_owned() } else { self.zone(":") };
        format!("{}{zone}", civil.strftime("%Y-%m-%dT%H:%M:%S"))
    }
}

/// What a moment consists of, as an object.
fn parts(moment: Moment) -> Value {
    let civil = moment.civil();
    let number = |number: i64| Value::Number(Number::from(number));
    let weekday = i64::from(civil.weekday().to_sunday_zero_offset());
    let week = civil.date().iso_week_date();
    let items = [
        ("year", number(i64::from(civil.year()))),
        ("year_day", number(i64::from(civil.date().day_of_year()))),
        ("day", number(i64::from(civil.day()))),
        ("month", number(i64::from(civil.month()))),
        ("month_name", Value::string(civil.strftime("%B").to_string())),
        ("weekday", number(weekday)),
        ("weekday_name", Value::string(civil.strftime("%A").to_string())),
        ("hour", number(i64::from(civil.hour()))),
        ("minute", number(i64::from(civil.minute()))),
        ("second", number(i64::from(civil.second()))),
        ("unix", number(moment.at.as_second())),
        ("iso_year", number(i64::from(week.year()))),
        ("iso_week", number(i64::from(week.week()))),
    ];
    let items: BTreeMap<String, Value> =
        items.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Value::object(items)
}

/// A duration as `1h30m`, `-5s` or `1.5h`.
fn duration(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("{text:?} is no duration, as 1h30m is");
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut nanoseconds = Number::from(0_i64);
    while !rest.is_empty() && rest != "0" {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let count = Number::parse(&rest[..end]).ok_or_else(wrong)?;
        let after = &rest[end..];
        let stop = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let unit: i64 = match &after[..stop] {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(wrong()),
        };
        nanoseconds = nanoseconds.add(&count.multiply(&Number::from(unit)));
        rest = &after[stop..];
    }
    let nanoseconds = nanoseconds.truncated().to_i64().ok_or_else(wrong)?;
    let sign = if is_negative { -1 } else { 1 };
    Ok(SignedDuration::from_nanos(sign * nanoseconds))
}

fn format_date(call: &Call<'_>) -> Result<Value, String> {
    let (format, moment) = (call.text(0)?, Moment::parse(&call.text(1)?)?);
    formatted(&format, moment).map(Value::String)
}

/// The same of a time in either form: text, or seconds since 1970.
fn format_timestamp(call: &Call<'_>) -> Result<Value, String> {
    let moment = match call.value(1) {
        Value::Number(_) => {
            let at = Timestamp::from_second(call.integer(1)?).map_err(|error| error.to_string())?;
            Moment { at, offset: Offset::UTC }
        }
        _ => Moment::parse(&call.text(1)?)?,
    };
    formatted(&call.text(0)?, moment).map(Value::String)
}

/// Letters stand for parts of the time, runs of the same letter for forms of it; quotes hold text.
fn formatted(format: &str, moment: Moment) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            rest = quoted(&rest[1..], &mut out)?;
            continue;
        }
        let run = rest.find(|c| c != first).unwrap_or(rest.len());
        let letters = &rest[..run];
        rest = &rest[run..];
        if first.is_ascii_alphabetic() {
            let part = part(letters, moment);
            let part = part.ok_or_else(|| {
                format!("{letters:?} is no part of a time; put text into single quotes")
            })?;
            out.push_str(&part);
        } else {
            out.push_str(letters);
        }
    }
    Ok(out)
}

fn quoted<'a>(mut rest: &'a str, out: &mut String) -> Result<&'a str, String> {
    loop {
        let end = rest.find('\'').ok_or("a single quote is not closed")?;
        out.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                out.push('\'');
                rest = after;
            }
            None => return Ok(rest),
        }
    }
}

fn part(letters: &str, moment: Moment) -> Option<String> {
    let civil = moment.civil();
    let strf = |format: &str| civil.strftime(format).to_string();
    let twelve = (civil.hour() + 11) % 12 + 1;
    Some(match letters {
        "YYYY" => format!("{:04}", civil.year()),
        "YY" => strf("%y"),
        "MMMM" => strf("%B"),
        "MMM" => strf("%b"),
        "MM" => format!("{:02}", civil.month()),
        "M" => civil.month().to_string(),
        "DD" => format!("{:02}", civil.day()),
        "D" => civil.day().to_string(),
        "EEEE" => strf("%A"),
        "EEE" => strf("%a"),
        "hh" => format!("{:02}", civil.hour()),
        "h" => civil.hour().to_string(),
        "HH" => format!("{twelve:02}"),
        "H" => twelve.to_string(),
        "AA" => if civil.hour() < 12 { "AM" } else { "PM" }.to_owned(),
        "aa" => if civil.hour() < 12 { "am" } else { "pm" }.to_owned(),
        "mm" => format!("{:02}", civil.minute()),
        "m" => civil.minute().to_string(),
        "ss" => format!("{:02}", civil.second()),
        "s" => civil.second().to_string(),
        "ZZZ" if moment.offset == Offset::UTC => "UTC".to_owned(),
        "ZZZ" | "ZZZZ" => moment.zone(""),
        "Z" if moment.offset == Offset::UTC => "Z".to_owned(),
        "Z" | "ZZZZZ" => moment.zone(":"),
        _ => return None,
    })
}
