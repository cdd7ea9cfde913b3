//! Sizes, rates and durations: integers with a unit in their type, never floats.
//!
//! [`Bytes`] and [`Seconds`] are plain integers for machine-written files (snapshots, ledger,
//! forecast). [`Quantity`] and [`Span`] are the same values in the form people write: `400Gi`,
//! `1h30m`. Both spellings keep the value, not the text: `1024Mi` is written back as `1Gi`.

use std::borrow::Cow;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One KiB in bytes.
pub const KIB: u64 = 1 << 10;
/// One MiB in bytes.
pub const MIB: u64 = 1 << 20;
/// One GiB in bytes.
pub const GIB: u64 = 1 << 30;

macro_rules! integer_unit {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);

            /// The difference, or zero where it would be negative.
            #[must_use]
            pub fn saturating_sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }

            /// The value as a signed integer, for arithmetic that may pass zero.
            ///
            /// # Panics
            /// Above `i64::MAX` (8 EiB, 292 billion years), which no estate reaches.
            pub fn signed(self) -> i64 {
                i64::try_from(self.0).expect("sizes and spans stay far below i64::MAX")
            }
        }

        impl Add for $name {
            type Output = Self;
            /// Saturates: a size that some inventory claims is no ground to stop.
            fn add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }
        }
        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }
        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }
        impl SubAssign for $name {
            fn sub_assign(&mut self, other: Self) {
                self.0 -= other.0;
            }
        }
        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(values: I) -> Self {
                values.fold(Self::ZERO, Add::add)
            }
        }
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "integer", "format": "int64", "minimum": 0 })
            }
        }
    };
}

integer_unit! {
    /// A size in bytes. Written as an integer; shown to people in binary units.
    Bytes
}

integer_unit! {
    /// A length of time in whole seconds. Written as an integer; shown as people say it.
    Seconds
}

impl Bytes {
    /// So many GiB.
    pub const fn from_gib(gib: u64) -> Self {
        Self(gib * GIB)
    }

    /// So many MiB.
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib * MIB)
    }

    /// How long these bytes take at `rate` bytes a second, rounded up. A rate of zero is taken as
    /// one byte a second: a plan must never divide by a mistake.
    pub fn at_rate(self, rate: Self) -> Seconds {
        Seconds(self.0.div_ceil(rate.0.max(1)))
    }
}

impl fmt::Display for Bytes {
    /// For people: the largest binary unit of which there is at least one, one decimal below ten
    /// (`2.1 TiB`, `352 GiB`, `0 B`). Rounded: never use it where a value must survive.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = match self.0 {
            v if v >= 1 << 50 => (1u64 << 50, "PiB"),
            v if v >= 1 << 40 => (1 << 40, "TiB"),
            v if v >= GIB => (GIB, "GiB"),
            v if v >= MIB => (MIB, "MiB"),
            v if v >= KIB => (KIB, "KiB"),
            v => return f.pad(&format!("{v} B")),
        };
        let tenths = (u128::from(self.0) * 10 + u128::from(unit) / 2) / u128::from(unit);
        let text = if tenths < 100 && !tenths.is_multiple_of(10) {
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        } else {
            format!("{} {name}", (tenths + 5) / 10)
        };
        f.pad(&text)
    }
}

impl Seconds {
    /// So many minutes.
    pub const fn from_minutes(minutes: u64) -> Self {
        Self(minutes * 60)
    }
}

impl fmt::Display for Seconds {
    /// For people: `45 s`, `41 min`, `2 h 10 min`, `1 d 3 h`. Rounded to what a reader needs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0;
        let text = if s < 100 {
            format!("{s} s")
        } else if s < 3600 - 30 {
            format!("{} min", s.saturating_add(30) / 60)
        } else if s < 48 * 3600 - 30 {
            let minutes = s.saturating_add(30) / 60;
            match (minutes / 60, minutes % 60) {
                (h, 0) => format!("{h} h"),
                (h, m) => format!("{h} h {m:02} min"),
            }
        } else {
            let hours = s.saturating_add(1800) / 3600;
            match (hours / 24, hours % 24) {
                (d, 0) => format!("{d} d"),
                (d, h) => format!("{d} d {h} h"),
            }
        };
        f.pad(&text)
    }
}

/// Why a text is not a quantity or a span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not `400Gi` and the like.
    #[error("`{0}` is not a quantity: write a whole number with its unit, as in `400Gi` or `110M`")]
    Quantity(String),
    /// Not `1h30m` and the like.
    #[error("`{0}` is not a duration: write hours, minutes and seconds, as in `1h30m` or `90s`")]
    Span(String),
    /// More than fits.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

const QUANTITY_UNITS: [(&str, u64); 9] = [
    ("Pi", 1 << 50),
    ("Ti", 1 << 40),
    ("Gi", GIB),
    ("Mi", MIB),
    ("Ki", KIB),
    ("P", 1_000_000_000_000_000),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
];

/// A size (or, where the field says so, bytes a second) as Kubernetes writes it; the unit is
/// mandatory. Form: `^[0-9]+(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)$`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(pub Bytes);

impl FromStr for Quantity {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let split = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let factor = match unit {
            "k" => 1000,
            unit => QUANTITY_UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .map(|(_, factor)| *factor)
                .ok_or_else(|| UnitError::Quantity(text.to_owned()))?,
        };
        if digits.is_empty() {
            return Err(UnitError::Quantity(text.to_owned()));
        }
        let number: u64 = digits
            .parse()
            .map_err(|_| UnitError::TooLarge(text.to_owned()))?;
        match number.checked_mul(factor) {
            Some(bytes) if i64::try_from(bytes).is_ok() => Ok(Self(Bytes(bytes))),
            _ => Err(UnitError::TooLarge(text.to_owned())),
        }
    }
}

impl fmt::Display for Quantity {
    /// Exact: the largest unit that gives a whole number, binary before decimal. What no unit
    /// divides (which the form cannot express) is rounded up to the next KiB.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.0;
        if bytes == 0 {
            return f.write_str("0Ki");
        }
        for (name, unit) in QUANTITY_UNITS.iter().chain(&[("k", 1000)]) {
            if bytes.is_multiple_of(*unit) {
                return write!(f, "{}{name}", bytes / unit);
            }
        }
        write!(f, "{}Ki", bytes.div_ceil(KIB))
    }
}

/// A length of time as people write it: `^([0-9]+h)?([0-9]+m)?([0-9]+s)?$`, not empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Seconds);

impl Span {
    /// So many minutes.
    pub const fn from_minutes(minutes: u64) -> Self {
        Self(Seconds(minutes * 60))
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let not_a_span = || UnitError::Span(text.to_owned());
        let (mut rest, mut total) = (text, 0u64);
        for (unit, factor) in [('h', 3600), ('m', 60), ('s', 1)] {
            let digits = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            if digits == 0 || !rest[digits..].starts_with(unit) {
                continue;
            }
            let number: u64 = rest[..digits]
                .parse()
                .map_err(|_| UnitError::TooLarge(text.to_owned()))?;
            total = number
                .checked_mul(factor)
                .and_then(|seconds| total.checked_add(seconds))
                .ok_or_else(|| UnitError::TooLarge(text.to_owned()))?;
            rest = &rest[digits + 1..];
        }
        if text.is_empty() || !rest.is_empty() {
            Err(not_a_span())
        } else {
            Ok(Self(Seconds(total)))
        }
    }
}

impl fmt::Display for Span {
    /// Exact, in the form that [`Span::from_str`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0.0;
        let (hours, minutes, seconds) = (s / 3600, s % 3600 / 60, s % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        if seconds > 0 || s == 0 {
            write!(f, "{seconds}s")?;
        }
        Ok(())
    }
}

/// Gives a type that has `FromStr` and `Display` its string form in files, with a pattern.
macro_rules! text_unit {
    ($name:ident, $pattern:literal, $what:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string", "pattern": $pattern, "maxLength": 24, "description": $what,
                })
            }
        }
    };
}

text_unit!(
    Quantity,
    "^[0-9]+(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)$",
    "a whole number with its unit, as in 400Gi"
);
text_unit!(
    Span,
    "^([0-9]+h)?([0-9]+m)?([0-9]+s)?$",
    "hours, minutes, seconds, as in 1h30m"
);

/// Whole hundredths, 0 to 100, written `10%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(pub u8);

impl Percent {
    /// This share of `bytes`, rounded down.
    pub fn of(self, bytes: Bytes) -> Bytes {
        let share = u128::from(bytes.0) * u128::from(self.0) / 100;
        Bytes(u64::try_from(share).expect("a share of at most 100 % fits where the whole did"))
    }

    /// This share of a length of time on top of it, rounded up.
    #[must_use]
    pub fn longer(self, time: Seconds) -> Seconds {
        time + Seconds((time.0 * u64::from(self.0)).div_ceil(100))
    }
}

impl FromStr for Percent {
    type Err = PercentError;

    fn from_str(text: &str) -> Result<Self, PercentError> {
        text.strip_suffix('%')
            .filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .filter(|value| *value <= 100)
            .map(Self)
            .ok_or_else(|| PercentError(text.to_owned()))
    }
}

/// Why a text is not a percentage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a share: write a whole number from 0 to 100 with `%`, as in `10%`")]
pub struct PercentError(String);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

text_unit!(Percent, "^(100|[0-9]{1,2})%$", "a share, as in 10%");

/// A number of days, written `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Days(pub u32);

impl FromStr for Days {
    type Err = DaysError;

    fn from_str(text: &str) -> Result<Self, DaysError> {
        text.strip_suffix('d')
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .map(Self)
            .ok_or_else(|| DaysError(text.to_owned()))
    }
}

/// Why a text is not a number of days.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a number of days: write a whole number with `d`, as in `7d`")]
pub struct DaysError(String);

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}d", self.0)
    }
}

text_unit!(Days, "^[0-9]{1,4}d$", "a number of days, as in 7d");

/// The schema of a local day: `2026-12-18`. A marker for schemas, never a value.
pub enum LocalDate {}

impl JsonSchema for LocalDate {
    fn schema_name() -> Cow<'static, str> {
        "LocalDate".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "maxLength": 10 })
    }
}

/// The schema of an instant: RFC 3339 with an offset. A marker for schemas, never a value.
pub enum Rfc3339 {}

impl JsonSchema for Rfc3339 {
    fn schema_name() -> Cow<'static, str> {
        "Rfc3339".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time", "maxLength": 64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Quantities keep their value through both directions, and their unit is mandatory.
    #[test]
    fn quantities() {
        for (text, bytes) in [("400Gi", 400 * GIB), ("1k", 1000), ("110M", 110_000_000)] {
            let read: Quantity = text.parse().expect("valid");
            assert_eq!(read.0.0, bytes);
            assert_eq!(read.to_string().parse(), Ok(read));
        }
        assert_eq!(
            "1024Mi".parse::<Quantity>().expect("valid").to_string(),
            "1Gi"
        );
        for text in [
            "",
            "400",
            "400GB",
            "-1Gi",
            "1.5Gi",
            "Gi",
            "9999999999999P",
            "4 Gi",
        ] {
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
    }

    // Spans keep their value, and nothing but h, m, s in that order is taken.
    #[test]
    fn spans() {
        for (text, seconds) in [("90s", 90), ("1h30m", 5400), ("2h", 7200), ("61m", 3660)] {
            let read: Span = text.parse().expect("valid");
            assert_eq!(read.0.0, seconds);
            assert_eq!(read.to_string().parse(), Ok(read));
        }
        for text in [
            "",
            "90",
            "1m1h",
            "1d",
            "1.5h",
            "h",
            "-5m",
            "99999999999999999999h",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    // What people are shown: units that fit, no false precision.
    #[test]
    fn shown() {
        assert_eq!(Bytes(2_308_974_418_330).to_string(), "2.1 TiB");
        assert_eq!(Bytes(352 * GIB).to_string(), "352 GiB");
        assert_eq!(Bytes(GIB).to_string(), "1 GiB");
        assert_eq!(Bytes(512).to_string(), "512 B");
        assert_eq!(Seconds(41 * 60).to_string(), "41 min");
        assert_eq!(Seconds(7800).to_string(), "2 h 10 min");
        assert_eq!(Seconds(45).to_string(), "45 s");
        assert_eq!(Seconds(3590).to_string(), "1 h");
    }
}
