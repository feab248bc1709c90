//! RUN.

use crate::ast::Run;
use crate::diagnostic::Diagnostic;
use crate::parse::{Input, command};
use crate::suggest::nearest;

const FLAGS: [&str; 4] = ["mount", "network", "security", "device"];

/// `RUN [flags] command`
pub(crate) fn run(mut input: Input<'_>) -> Result<Run, Diagnostic> {
    input.flags.check(&FLAGS, &["mount", "device"])?;
    let network = choice(&mut input, "network", &["default", "none", "host"])?;
    let security = choice(&mut input, "security", &["sandbox", "insecure"])?;
    let mounts = input.flags.values("mount")?;
    let devices = input.flags.values("device")?;
    let command = command::form(input.text, input.warnings)?;
    Ok(Run { mounts, network, security, devices, command, heredocs: input.heredocs })
}

/// A flag whose value is one of a list.
fn choice(
    input: &mut Input<'_>,
    flag: &str,
    known: &[&str],
) -> Result<Option<crate::ast::Word>, Diagnostic> {
    let Some(value) = input.flags.value(flag)? else { return Ok(None) };
    if known.contains(&value.value.as_str()) {
        return Ok(Some(value));
    }
    let message = format!("security \"{}\" is not valid", value.value);
    let message = if flag == "security" {
        message
    } else {
        format!("unsupported {flag} mode {:?}", value.value)
    };
    let error = Diagnostic::error(value.span, message);
    Err(match nearest(&value.value, known.iter().copied()) {
        Some(word) => error.help(format!("did you mean {word}?")),
        None => error.help(format!("use one of {}", known.join(", "))),
    })
}
