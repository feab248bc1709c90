//! How much of the machine a step may have, in the flags that docker has for it where it has any.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use wythe_sandbox::quota::Quota;

use super::limits::Size;

/// How much of the machine a step may have
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct QuotaArgs {
    /// Memory of all processes of a step, without swap: 512m, 2g
    #[arg(short, long, value_name = "BYTES")]
    memory: Option<Size>,
    /// Processors of a step: 2, or 0.5 for half the time of one
    #[arg(long, value_name = "NUMBER")]
    cpus: Option<Processors>,
    /// The same in another spelling: so many microseconds of each period
    #[arg(long, hide = true, value_name = "MICROSECONDS", allow_negative_numbers = true)]
    cpu_quota: Option<i64>,
    /// How long a period is
    #[arg(long, hide = true, value_name = "MICROSECONDS")]
    cpu_period: Option<u32>,
    /// How many processes and threads a step has at once
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pids_limit: Option<i64>,
    /// How long a step may take, before it is ended and the build has failed: 90s, 10m, 1h30m
    #[arg(long, value_name = "TIME")]
    timeout: Option<StepTime>,
}

/// Thousandths of a processor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Processors(u32);

/// How long a step may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct StepTime(Duration);

/// The period where none is named, in microseconds, as docker has it.
const USUAL_PERIOD: u32 = 100_000;

/// Why a text says nothing of how much.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum QuotaError {
    #[error("{0:?} is not a number of processors, such as 1.5")]
    Processors(String),
    #[error("{0:?} is not a time, such as 90s, 10m or 1h30m")]
    Time(String),
}

impl QuotaArgs {
    /// What a step may have. As with docker, nought is no limit.
    pub(crate) fn quota(&self) -> Quota {
        let period = self.cpu_period.filter(|period| *period > 0).unwrap_or(USUAL_PERIOD);
        let of_period = self.cpu_quota.and_then(|quota| u64::try_from(quota).ok());
        let of_period =
            of_period.and_then(|quota| Some(quota.checked_mul(1000)? / u64::from(period)));
        let of_period = of_period.and_then(|part| u32::try_from(part).ok());
        let processors = self.cpus.map(|cpus| cpus.0).or(of_period);
        let processes = self.pids_limit.and_then(|most| u64::try_from(most).ok());
        Quota {
            memory: self.memory.map(|size| size.0).filter(|bytes| *bytes > 0),
            processors: processors.filter(|thousandths| *thousandths > 0),
            processes: processes.filter(|most| *most > 0),
        }
    }

    /// How long a step may take.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout.map(|time| time.0).filter(|time| !time.is_zero())
    }
}

impl FromStr for Processors {
    type Err = QuotaError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || QuotaError::Processors(text.to_owned());
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if text.is_empty()
            || part.is_empty()
            || part.len() > 3
            || !is_number(part)
            || !is_number(whole)
        {
            return Err(bad());
        }
        let whole: u32 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| bad())? };
        let part: u32 = format!("{part:0<3}").parse().map_err(|_| bad())?;
        whole.checked_mul(1000).and_then(|whole| whole.checked_add(part)).map(Self).ok_or_else(bad)
    }
}

impl FromStr for StepTime {
    type Err = QuotaError;

    /// Numbers with units, the larger first, or one number of seconds.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || QuotaError::Time(text.to_owned());
        if let Ok(seconds) = text.parse() {
            return Ok(Self(Duration::from_secs(seconds)));
        }
        let units = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
        let (mut millis, mut rest) = (0_u64, text);
        for (unit, of_unit) in units {
            let end = rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(rest.len());
            let (number, behind) = rest.split_at(end);
            let letters = behind.find(|char: char| char.is_ascii_digit()).unwrap_or(behind.len());
            if number.is_empty() || behind[..letters] != *unit {
                continue;
            }
            let number: u64 = number.parse().map_err(|_| bad())?;
            let more = number.checked_mul(of_unit).and_then(|more| more.checked_add(millis));
            millis = more.ok_or_else(bad)?;
            rest = &behind[letters..];
        }
        if rest.is_empty() && !text.is_empty() {
            Ok(Self(Duration::from_millis(millis)))
        } else {
            Err(bad())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::command::Command;

    fn given(line: &str) -> QuotaArgs {
        let words: Vec<&str> = ["wythe", "build"].into_iter().chain(line.split(' ')).collect();
        let Command::Build(args) = Cli::of(&words).unwrap().command else { panic!("not a build") };
        args.run.steps.quota
    }

    #[track_caller]
    fn check(line: &str, memory: Option<u64>, processors: Option<u32>, processes: Option<u64>) {
        let expected = Quota { memory, processors, processes };
        assert_eq!(given(line).quota(), expected, "{line}");
    }

    #[test]
    fn what_docker_has_flags_for_has_them_here() {
        check("-m 64m .", Some(64 << 20), None, None);
        check("--memory=1g --cpus=1.5 --pids-limit=100 .", Some(1 << 30), Some(1500), Some(100));
        check("--cpu-quota=50000 .", None, Some(500), None);
        check(&format!("--cpu-quota={} .", i64::MAX), None, None, None);
        check("--cpu-quota=50000 --cpu-period=25000 .", None, Some(2000), None);
        check("--memory=0 --cpu-quota=-1 --pids-limit=-1 --cpus=0 .", None, None, None);
    }

    #[test]
    fn a_time_has_units_or_is_in_seconds() {
        let timeout = |text: &str| given(&format!("--timeout={text} .")).timeout();
        for (text, millis) in [("90", 90_000), ("1h30m", 5_400_000), ("1m500ms", 60_500)] {
            assert_eq!(timeout(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(timeout("0"), None);
        for bad in ["", "soon", "1s1h", "5x", "1.5h", "99999999999999999h"] {
            assert!(bad.parse::<StepTime>().is_err(), "{bad}");
        }
        for bad in ["", ".", "1.", "1.2345", "-1", "two", "4294968"] {
            assert!(bad.parse::<Processors>().is_err(), "{bad}");
        }
    }
}
