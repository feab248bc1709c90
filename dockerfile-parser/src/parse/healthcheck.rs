//! HEALTHCHECK.

use crate::ast::{Command, HealthTiming, Healthcheck};
use crate::diagnostic::Diagnostic;
use crate::duration;
use crate::parse::{Input, command};

const FLAGS: [&str; 5] = ["interval", "timeout", "start-period", "start-interval", "retries"];

/// `HEALTHCHECK [flags] CMD command` or `HEALTHCHECK NONE`
pub(crate) fn healthcheck(mut input: Input<'_>) -> Result<Healthcheck, Diagnostic> {
    input.flags.check(&FLAGS, &[])?;
    if input.text.is_empty() {
        return Err(input
            .error("HEALTHCHECK requires at least one argument")
            .help("write HEALTHCHECK CMD command, or HEALTHCHECK NONE"));
    }
    let timing = timing(&mut input)?;
    let (kind, rest) = input.text.split_first();
    match kind.value.to_ascii_uppercase().as_str() {
        "NONE" if rest.is_empty() => Ok(Healthcheck::None),
        "NONE" => Err(input.error("HEALTHCHECK NONE takes no arguments").help("remove them")),
        "CMD" if rest.is_empty() => Err(input
            .error("Missing command after HEALTHCHECK CMD")
            .help("write the command after CMD")),
        "CMD" => match command::form(rest, input.warnings)? {
            Command::Exec(words) if words.is_empty() => {
                Err(input.error("Missing command after HEALTHCHECK CMD").help("name a program"))
            }
            command @ (Command::Exec(_) | Command::Shell(_)) => {
                Ok(Healthcheck::Command { timing, command })
            }
        },
        _ => {
            let message = format!("Unknown type {:?} in HEALTHCHECK (try CMD)", kind.value);
            Err(Diagnostic::error(kind.span, message).help("write CMD or NONE"))
        }
    }
}

fn timing(input: &mut Input<'_>) -> Result<HealthTiming, Diagnostic> {
    Ok(HealthTiming {
        interval: time(input, "interval")?,
        timeout: time(input, "timeout")?,
        start_period: time(input, "start-period")?,
        start_interval: time(input, "start-interval")?,
        retries: retries(input)?,
    })
}

fn time(input: &mut Input<'_>, flag: &str) -> Result<i64, Diagnostic> {
    let value = input.flags.value(flag)?.filter(|value| !value.value.is_empty());
    let Some(value) = value else { return Ok(0) };
    duration::parse(&value.value).map_err(|cause| {
        Diagnostic::error(value.span, format!("--{flag}: {cause}"))
            .help("write a number and a unit, for instance 30s, 1m30s or 500ms")
    })
}

fn retries(input: &mut Input<'_>) -> Result<i64, Diagnostic> {
    let value = input.flags.value("retries")?.filter(|value| !value.value.is_empty());
    let Some(value) = value else { return Ok(0) };
    let message = match value.value.parse::<i32>() {
        Ok(count) if count >= 0 => return Ok(i64::from(count)),
        Ok(count) => format!("--retries cannot be negative ({count})"),
        Err(_) => format!("--retries: {:?} is not a number of 0 or more", value.value),
    };
    Err(Diagnostic::error(value.span, message).help("write --retries=3"))
}
