//! Dates and times, which each syntax writes in its own way.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment, to the millisecond, in UTC: the value of a dateTime field.
///
/// CSV and XML results have it as ISO text, JSON results as milliseconds since 1970 (topic "Valid
/// Date Format in Records" of the vendor's guide, and what is seen in traffic); both are read to the
/// same value. It is written as text, which every format takes in a load.
///
/// ```
/// use sfbulk::rows::Moment;
///
/// let moment: Moment = "2026-03-01T10:15:30.000Z".parse()?;
/// assert_eq!(moment, Moment::from_millis(1_772_360_130_000));
/// assert_eq!(moment, "2026-03-01T12:15:30+0200".parse()?);
/// assert_eq!(moment.to_string(), "2026-03-01T10:15:30.000Z");
/// # Ok::<(), sfbulk::rows::NoMoment>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

/// A day: the value of a date field. It is read as a [`Moment`] is, of which it is the day in UTC,
/// and written as text without a time, as the service wants a date.
///
/// ```
/// use sfbulk::rows::{Date, Moment};
///
/// let day: Date = "1940-06-07".parse()?;
/// assert_eq!(day, Date::from(Moment::from_millis(-933_120_000_000)));
/// assert_eq!(day.to_string(), "1940-06-07");
/// # Ok::<(), sfbulk::rows::NoMoment>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i64);

/// A text is neither a date nor a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMoment;

/// Milliseconds.
const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl Moment {
    /// The moment so many milliseconds after the beginning of 1970, in UTC.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The milliseconds since the beginning of 1970.
    pub fn millis(self) -> i64 {
        self.0
    }
}

impl Date {
    /// The days since the first of 1970.
    pub fn days(self) -> i64 {
        self.0
    }
}

impl From<Moment> for Date {
    fn from(moment: Moment) -> Self {
        Self(moment.0.div_euclid(DAY))
    }
}

impl FromStr for Moment {
    type Err = NoMoment;

    /// Reads `2026-03-01`, or that and `T10:15:30`, maybe with a fraction, and with `Z` or an offset
    /// (`+02:00`, `+0200`); without one it is in UTC.
    fn from_str(text: &str) -> Result<Self, NoMoment> {
        let (day, time) = text.trim().split_once('T').unwrap_or((text.trim(), ""));
        let day = day.strip_suffix('Z').unwrap_or(day); // some writers add it to dates
        let days = days(day).ok_or(NoMoment)?;
        let millis = if time.is_empty() { 0 } else { millis(time).ok_or(NoMoment)? };
        Ok(Self(days * DAY + millis))
    }
}

impl FromStr for Date {
    type Err = NoMoment;

    /// Reads what a [`Moment`] is read from.
    fn from_str(text: &str) -> Result<Self, NoMoment> {
        text.parse::<Moment>().map(Self::from)
    }
}

/// The number of the day `2026-03-01`. Years begin in March here, so that a leap day is the last one
/// of its year, and 400 of them have 146,097 days.
fn days(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let (year, month, day) = (number(year, 4)?, number(month, 2)?, number(day, 2)?);
    if !(1..=12).contains(&month) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = before + (153 * month + 2) / 5 + day - 1 - 719_468;
    // What is no day of its month comes back as another one.
    (Date(days).to_string() == text).then_some(days)
}

/// The milliseconds of `10:15:30.000+02:00`.
fn millis(text: &str) -> Option<i64> {
    let (clock, zone) = text.split_at(text.find(['Z', '+', '-']).unwrap_or(text.len()));
    let (seconds, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = seconds.splitn(3, ':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let second = number(parts.next()?, 2)?;
    if hour > 23 || minute > 59 || second > 59 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction = number(&format!("{fraction:0<3}")[..3], 3)?;
    Some(hour * HOUR + minute * MINUTE + second * SECOND + fraction - offset(zone)?)
}

fn offset(zone: &str) -> Option<i64> {
    let Some((sign, digits)) = zone.split_at_checked(1).filter(|_| zone != "Z") else {
        return Some(0);
    };
    let digits = digits.replacen(':', "", 1);
    let (hours, minutes) = digits.split_at_checked(2)?;
    let offset = number(hours, 2)? * HOUR + number(minutes, 2)? * MINUTE;
    Some(if sign == "-" { -offset } else { offset })
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let is_one = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_one)
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0 + 719_468; // since the first of March of the year 0
        let (cycle, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (year, month) = (cycle * 400 + year + month / 10, (month + 2) % 12 + 1);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = (Date::from(*self), self.0.rem_euclid(DAY));
        let (hour, minute) = (time / HOUR, time / MINUTE % 60);
        let (second, milli) = (time / SECOND % 60, time % SECOND);
        write!(f, "{date}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

impl fmt::Display for NoMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no date or time, as in 2026-03-01 or 2026-03-01T10:15:30.000Z")
    }
}

impl std::error::Error for NoMoment {}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Moment::deserialize(from).map(Self::from)
    }
}

/// A number or a text.
struct Either;

impl Visitor<'_> for Either {
    type Value = Moment;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("milliseconds since 1970, or a date and time as text")
    }

    fn visit_i64<E: Error>(self, millis: i64) -> Result<Moment, E> {
        Ok(Moment(millis))
    }

    fn visit_u64<E: Error>(self, millis: u64) -> Result<Moment, E> {
        let wrong = |_| E::invalid_value(Unexpected::Unsigned(millis), &self);
        i64::try_from(millis).map(Moment).map_err(wrong)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Moment, E> {
        text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<i64> {
        serde_json::from_str::<Moment>(json).ok().map(Moment::millis)
    }

    #[test]
    fn every_form_of_the_wire_is_one_value() {
        for text in [
            "2026-03-01T10:15:30.000Z",
            "2026-03-01T10:15:30Z",
            "2026-03-01T10:15:30",
            "2026-03-01T10:15:30.000+0000",
            "2026-03-01T15:45:30.0+05:30",
            "2026-02-28T23:15:30-1100",
        ] {
            assert_eq!(text.parse(), Ok(Moment(1_772_360_130_000)), "{text}");
            assert_eq!(read(&format!("{text:?}")), Some(1_772_360_130_000));
        }
        assert_eq!(read("1772360130000"), Some(1_772_360_130_000));
        assert_eq!(read("\"2026-03-01\""), Some(1_772_323_200_000));
        assert_eq!(read("\"1940-06-07Z\""), read("-933120000000"));
        assert_eq!(Moment(37_453_842_000_000).to_string(), "3156-11-12T13:00:00.000Z");
        assert_eq!("1969-12-31T23:59:59.999Z".parse(), Ok(Moment(-1)));
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("2000-02-29", 11_016),
            ("1600-12-31", -134_775),
            ("0001-01-01", -719_162),
        ] {
            let date: Date = text.parse().unwrap();
            assert_eq!((date.days(), date.to_string().as_str()), (days, text));
            assert_eq!(serde_json::to_string(&date).unwrap(), format!("{text:?}"));
        }
        for days in (-719_162..2_900_000).step_by(97) {
            let moment = Moment(days * DAY + 1);
            assert_eq!(moment.to_string().parse(), Ok(moment));
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "T",
            "2026",
            "2026-3-1",
            "2026-13-01",
            "2026-00-01",
            "2026-02-29",
            "2026-02-30",
            "+026-01-01",
            "2026-01-01T24:00:00Z",
            "2026-01-01T10:00Z",
            "2026-01-01T10:60:00Z",
            "2026-01-01T10:00:00.é",
            "2026-01-01T10:00:00+1",
            "2026-01-01T10:00:00é",
            "é-01-01",
        ] {
            assert_eq!(text.parse::<Moment>(), Err(NoMoment), "{text}");
        }
        assert_eq!((read("1.5"), read("null"), read("18446744073709551615")), (None, None, None));
    }
}
