//! Date literals: words for spans of days that move with the clock.
//!
//! A day is one in UTC, a week begins on Sunday, and the fiscal year is the calendar year, as in a
//! new org of the service (SOQL reference, "Date Formats and Date Literals").

use crate::calendar;

/// As many units as a literal may count; the spans of all of them are dates of four digits, or are
/// cut to such.
const MOST: i64 = 9_999;

/// Whole units of the calendar, counted from the one that today is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period {
    unit: Unit,
    /// The first unit.
    from: i64,
    /// The one behind the last.
    to: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Period {
    /// Reads `TODAY`, `LAST_QUARTER`, `NEXT_N_DAYS:30` and their like, without regard to case.
    pub(crate) fn read(word: &str) -> Option<Self> {
        let word = word.to_ascii_uppercase();
        let fiscal = word.contains("FISCAL_");
        let word = word.replacen("FISCAL_", "", 1);
        let period = match word.split_once(':') {
            None => Self::named(&word)?,
            Some((name, count)) if count.bytes().all(|b| b.is_ascii_digit()) => {
                Self::counted(name, count.parse().ok().filter(|n| *n <= MOST)?)?
            }
            Some(_) => return None,
        };
        let may_be_fiscal = matches!(period.unit, Unit::Quarter | Unit::Year);
        (may_be_fiscal || !fiscal).then_some(period)
    }

    fn named(name: &str) -> Option<Self> {
        let (unit, from, to) = match name {
            "YESTERDAY" => (Unit::Day, -1, 0),
            "TODAY" => (Unit::Day, 0, 1),
            "TOMORROW" => (Unit::Day, 1, 2),
            "LAST_90_DAYS" => (Unit::Day, -90, 1),
            "NEXT_90_DAYS" => (Unit::Day, 1, 91),
            _ => {
                let (which, unit) = name.split_once('_')?;
                let unit = Unit::read(unit).filter(|unit| *unit != Unit::Day)?;
                let from = match which {
                    "LAST" => -1,
                    "THIS" => 0,
                    "NEXT" => 1,
                    _ => return None,
                };
                (unit, from, from + 1)
            }
        };
        Some(Self { unit, from, to })
    }

    /// The last days include today; the last weeks do not include this one.
    fn counted(name: &str, n: i64) -> Option<Self> {
        let unit = |name: &str| Unit::read(name.strip_suffix('S')?);
        let (unit, from, to) = if let Some(name) = name.strip_prefix("LAST_N_") {
            let unit = unit(name)?;
            (unit, -n, i64::from(unit == Unit::Day))
        } else if let Some(name) = name.strip_prefix("NEXT_N_") {
            (unit(name)?, 1, n + 1)
        } else {
            let name = name.strip_prefix("N_")?.strip_suffix("_AGO")?;
            (unit(name)?, -n, -n + 1)
        };
        Some(Self { unit, from, to })
    }

    /// The first day and the one behind the last, both counted from 1970.
    pub(crate) fn days(self, today: i64) -> (i64, i64) {
        (self.unit.start(today, self.from), self.unit.start(today, self.to))
    }
}

impl Unit {
    fn read(name: &str) -> Option<Self> {
        Some(match name {
            "DAY" => Self::Day,
            "WEEK" => Self::Week,
            "MONTH" => Self::Month,
            "QUARTER" => Self::Quarter,
            "YEAR" => Self::Year,
            _ => return None,
        })
    }

    /// The first day of a unit.
    fn start(self, today: i64, offset: i64) -> i64 {
        let (year, month, _) = calendar::civil(today);
        let months = |first: i64, step: i64| {
            let month = year * 12 + first + offset * step;
            calendar::from_civil(month.div_euclid(12), month.rem_euclid(12) + 1, 1)
        };
        let day = match self {
            Self::Day => today + offset,
            // 1 January 1970 was a Thursday.
            Self::Week => today - (today + 4).rem_euclid(7) + 7 * offset,
            Self::Month => months(month - 1, 1),
            Self::Quarter => months((month - 1) / 3 * 3, 3),
            Self::Year => months(0, 12),
        };
        let (least, most) = (calendar::from_civil(1, 1, 1), calendar::from_civil(9_999, 12, 31));
        day.clamp(least, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(word: &str, today: &str) -> Option<(String, String)> {
        let today = calendar::days(today).unwrap();
        let (from, to) = Period::read(word)?.days(today);
        Some((calendar::date(from), calendar::date(to)))
    }

    #[test]
    fn literals_are_spans_of_whole_units() {
        // A Wednesday.
        for (word, from, to) in [
            ("TODAY", "2026-02-18", "2026-02-19"),
            ("yesterday", "2026-02-17", "2026-02-18"),
            ("TOMORROW", "2026-02-19", "2026-02-20"),
            ("LAST_90_DAYS", "2025-11-20", "2026-02-19"),
            ("NEXT_90_DAYS", "2026-02-19", "2026-05-20"),
            ("LAST_N_DAYS:1", "2026-02-17", "2026-02-19"),
            ("NEXT_N_DAYS:1", "2026-02-19", "2026-02-20"),
            ("N_DAYS_AGO:18", "2026-01-31", "2026-02-01"),
            ("THIS_WEEK", "2026-02-15", "2026-02-22"),
            ("LAST_WEEK", "2026-02-08", "2026-02-15"),
            ("NEXT_WEEK", "2026-02-22", "2026-03-01"),
            ("LAST_N_WEEKS:2", "2026-02-01", "2026-02-15"),
            ("THIS_MONTH", "2026-02-01", "2026-03-01"),
            ("LAST_MONTH", "2026-01-01", "2026-02-01"),
            ("LAST_N_MONTHS:3", "2025-11-01", "2026-02-01"),
            ("NEXT_N_MONTHS:12", "2026-03-01", "2027-03-01"),
            ("N_MONTHS_AGO:2", "2025-12-01", "2026-01-01"),
            ("THIS_QUARTER", "2026-01-01", "2026-04-01"),
            ("LAST_QUARTER", "2025-10-01", "2026-01-01"),
            ("NEXT_FISCAL_QUARTER", "2026-04-01", "2026-07-01"),
            ("THIS_YEAR", "2026-01-01", "2027-01-01"),
            ("LAST_N_FISCAL_YEARS:2", "2024-01-01", "2026-01-01"),
            ("N_YEARS_AGO:9999", "0001-01-01", "0001-01-01"),
            ("NEXT_N_YEARS:9999", "2027-01-01", "9999-12-31"),
        ] {
            assert_eq!(span(word, "2026-02-18"), Some((from.into(), to.into())), "{word}");
        }
        assert_eq!(span("THIS_WEEK", "2026-02-15").unwrap().0, "2026-02-15", "a Sunday");
        assert_eq!(span("THIS_WEEK", "2026-02-14").unwrap().0, "2026-02-08", "a Saturday");
    }

    #[test]
    fn other_words_are_no_literals() {
        for word in [
            "THIS_DAY",
            "LAST_N_DAYS",
            "TODAY:1",
            "LAST_N_DAYS:",
            "LAST_N_DAYS:10000",
            "SOON",
            "LAST_N_DAYS:-1",
            "LAST_FISCAL_WEEK",
            "NEXT_WEEKS",
            "LAST_N_WEEK:2",
            "N_DAYS:3",
            "",
        ] {
            assert_eq!(Period::read(word), None, "{word}");
        }
    }
}
