//! Numbers: decimal fractions of any length, so that 0.1 + 0.2 is 0.3.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use bigdecimal::num_bigint::{BigInt, Sign};
use bigdecimal::{BigDecimal, FromPrimitive, ToPrimitive, Zero};

/// The digits of a quotient: what 512 binary digits hold, which is what others compute with.
const QUOTIENT_DIGITS: u64 = 154;

/// The largest power of ten on either side: more is a mistake, and would be written out digit by digit.
const MAX_EXPONENT: i64 = 400;

/// A number.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Number(BigDecimal);

impl Number {
    /// From decimal text, as `12`, `-1.5` or `1e3`. None if it is none, or of absurd size.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let exponent = text.split_once(['e', 'E']).map_or(Some(0), |(_, e)| e.parse::<i64>().ok());
        if exponent?.abs() > MAX_EXPONENT {
            return None;
        }
        BigDecimal::from_str(text).ok().map(|number| Self(number.normalized()))
    }

    /// None for what is no number, and for infinities.
    pub(crate) fn from_f64(value: f64) -> Option<Self> {
        // The shortest text that stands for it, and not its exact binary value.
        if value.is_finite() { Self::parse(&format!("{value:e}")) } else { None }
    }

    pub(crate) fn to_f64(&self) -> f64 {
        self.0.to_f64().unwrap_or(f64::NAN)
    }

    /// The number as an integer, if it is one and fits.
    pub(crate) fn to_i64(&self) -> Option<i64> {
        if self.0.is_integer() { self.0.to_i64() } else { None }
    }

    /// The number as an index, if it is a whole one from zero.
    pub(crate) fn to_index(&self) -> Option<usize> {
        self.to_i64().and_then(|number| usize::try_from(number).ok())
    }

    pub(crate) fn to_big(&self) -> BigInt {
        self.truncated().0.with_scale(0).into_bigint_and_exponent().0
    }

    pub(crate) fn add(&self, other: &Self) -> Self {
        Self((&self.0 + &other.0).normalized())
    }

    pub(crate) fn subtract(&self, other: &Self) -> Self {
        Self((&self.0 - &other.0).normalized())
    }

    pub(crate) fn multiply(&self, other: &Self) -> Self {
        Self((&self.0 * &other.0).normalized())
    }

    /// None by zero.
    pub(crate) fn divide(&self, other: &Self) -> Option<Self> {
        if other.0.is_zero() {
            return None;
        }
        let (numerator, by) = self.0.as_bigint_and_exponent();
        let (denominator, of) = other.0.as_bigint_and_exponent();
        let shift = QUOTIENT_DIGITS + denominator.bits() / 3;
        let scaled = numerator * BigInt::from(10u8).pow(u32::try_from(shift).ok()?);
        let scale = by - of + i64::try_from(shift).ok()?;
        let quotient = BigDecimal::from_bigint(scaled / denominator, scale);
        Some(Self(quotient.with_prec(QUOTIENT_DIGITS).normalized()))
    }

    /// What is left after dividing, with the sign of this number. None by zero.
    pub(crate) fn modulo(&self, other: &Self) -> Option<Self> {
        if other.0.is_zero() { None } else { Some(Self((&self.0 % &other.0).normalized())) }
    }

    pub(crate) fn negated(&self) -> Self {
        Self(-&self.0)
    }

    pub(crate) fn absolute(&self) -> Self {
        Self(self.0.abs())
    }

    /// -1, 0 or 1.
    pub(crate) fn sign(&self) -> i64 {
        match self.0.sign() {
            Sign::Minus => -1,
            Sign::NoSign => 0,
            Sign::Plus => 1,
        }
    }

    /// Without its fraction.
    pub(crate) fn truncated(&self) -> Self {
        let floor = self.floor();
        if floor.0 < self.0 && self.sign() < 0 { floor.add(&Self::from(1_i64)) } else { floor }
    }

    /// The largest whole number that is not above it.
    pub(crate) fn floor(&self) -> Self {
        let cut = self.0.with_scale_round(0, bigdecimal::RoundingMode::Floor);
        Self(cut.normalized())
    }

    /// The smallest whole number that is not below it.
    pub(crate) fn ceil(&self) -> Self {
        self.negated().floor().negated()
    }

    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }

    pub(crate) fn from_big(number: BigInt) -> Self {
        Self(BigDecimal::from(number).normalized())
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(BigDecimal::from_i64(value).unwrap_or_default().normalized())
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Self {
        Self(BigDecimal::from_usize(value).unwrap_or_default().normalized())
    }
}

impl fmt::Display for Number {
    /// All its digits, never an exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_plain_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn sums_of_decimals_are_exact() {
        assert_eq!(number("0.1").add(&number("0.2")).to_string(), "0.3");
        assert_eq!(number("1e3").to_string(), "1000");
        assert_eq!(number("1.50").to_string(), "1.5");
        assert_eq!(number("123456789012345678901").to_string(), "123456789012345678901");
    }

    #[test]
    fn quotients_are_cut_and_whole_ones_exact() {
        assert_eq!(number("7").divide(&number("2")).unwrap().to_string(), "3.5");
        assert_eq!(number("100").divide(&number("0.1")).unwrap().to_string(), "1000");
        let third = number("1").divide(&number("3")).unwrap().to_string();
        assert!(third.len() > 100 && third.bytes().skip(2).all(|digit| digit == b'3'), "{third}");
        assert_eq!(number("1").divide(&number("0")), None);
        assert_eq!(number("-3").modulo(&number("2")).unwrap().to_string(), "-1");
    }

    #[test]
    fn cutting_goes_the_way_it_says() {
        let cut = |text: &str| {
            let number = number(text);
            [number.floor(), number.ceil(), number.truncated()].map(|one| one.to_string())
        };
        assert_eq!(cut("-1.5"), ["-2", "-1", "-1"]);
        assert_eq!(cut("1.5"), ["1", "2", "1"]);
        assert_eq!(cut("20"), ["20", "20", "20"]);
    }

    #[test]
    fn absurd_sizes_are_no_numbers() {
        assert_eq!(Number::parse("1e1000000000"), None);
        assert_eq!(Number::parse("x"), None);
        assert_eq!(Number::parse(""), None);
    }
}
