//! Kubernetes quantities (`10Gi`, `500m`, `1e3`), as far as to compare them.
//!
//! Does not: write quantities; a text is kept as it was.

use std::{cmp::Ordering, str::FromStr};

/// An amount that can be compared, exact down to a nano-unit: what Kubernetes itself keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity {
    nano: i128,
}

/// A text that is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a quantity: expected a number with a suffix such as Gi, G or m")]
pub struct QuantityError(pub String);

const NANO: i128 = 1_000_000_000;

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let refuse = || QuantityError(text.to_owned());
        let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (sign, digits) = match number.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) || fraction.len() > 18 {
            return Err(refuse());
        }
        let mantissa: i128 = format!("{whole}{fraction}").parse().map_err(|_| refuse())?;
        let scale = 10_i128.pow(u32::try_from(fraction.len()).map_err(|_| refuse())?);
        let (times, per) = factor(suffix).ok_or_else(refuse)?;
        let nano = mantissa.checked_mul(times).and_then(|product| product.checked_mul(NANO / per.min(NANO)));
        Ok(Self { nano: sign * nano.ok_or_else(refuse)? / scale })
    }
}

/// Returns what a suffix multiplies with and divides by.
fn factor(suffix: &str) -> Option<(i128, i128)> {
    let binary = |power: u32| Some((1024_i128.pow(power), 1));
    let decimal = |exponent: u32| Some((10_i128.pow(exponent), 1));
    match suffix {
        "" => Some((1, 1)),
        "n" => Some((1, NANO)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1000)),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            match exponent.cmp(&0) {
                Ordering::Less if exponent >= -9 => Some((1, 10_i128.pow(exponent.unsigned_abs()))),
                Ordering::Equal | Ordering::Greater if exponent <= 18 => decimal(exponent.unsigned_abs()),
                _ => None,
            }
        }
    }
}
