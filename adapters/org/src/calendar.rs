//! Dates as the wire writes them. The org counts milliseconds since 1970, UTC, and knows the
//! proleptic Gregorian calendar; nothing here looks at a clock.

pub(crate) const DAY: i64 = 86_400_000;

/// `2026-03-01T10:15:30.000Z`: XML documents and CSV results.
pub(crate) fn instant(ms: i64) -> String {
    let date = date(ms.div_euclid(DAY));
    let rest = ms.rem_euclid(DAY);
    let (h, m, s) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60);
    format!("{date}T{h:02}:{m:02}:{s:02}.{:03}Z", rest % 1_000)
}

/// `2026-03-01`, from days since 1970.
pub(crate) fn date(days: i64) -> String {
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `2026-03-01T10:15:30.000+0000`: JSON documents.
pub(crate) fn json_instant(ms: i64) -> String {
    let mut text = instant(ms);
    text.pop();
    text.push_str("+0000");
    text
}

/// `yyyy-MM-dd`, a day that exists, and nothing around it.
pub(crate) fn is_date(text: &str) -> bool {
    text.len() == 10 && days(text).is_some()
}

/// `yyyy-MM-ddTHH:mm:ss[.SSS…](Z|±HH:mm)` as milliseconds since 1970; the colon of the offset may
/// be missing. In UTC too it has a year of four digits, or it could not be written again.
pub(crate) fn read_instant(text: &str) -> Option<i64> {
    let (date, time) = text.split_at_checked(10)?;
    let time = time.strip_prefix('T')?;
    let (clock, rest) = time.split_at_checked(8)?;
    let [h, m, s] = split_numbers(clock, b':')?;
    if h > 23 || m > 59 || s > 59 {
        return None;
    }
    let (millis, zone) = fraction(rest)?;
    let seconds = h * 3_600 + m * 60 + s - offset(zone)?;
    let moment = days(date)? * DAY + seconds * 1_000 + millis;
    (from_civil(1, 1, 1) * DAY..from_civil(10_000, 1, 1) * DAY).contains(&moment).then_some(moment)
}

/// An optional `.SSS…`, cut to milliseconds, and what follows it.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(digits) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = digits.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(digits.len());
    if end == 0 || end > 9 {
        return None;
    }
    let millis = format!("{:0<3.3}", &digits[..end]).parse().ok()?;
    Some((millis, &digits[end..]))
}

/// The zone in seconds east of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = zone[1..].replacen(':', "", 1);
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (h, m): (i64, i64) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    (h <= 18 && m <= 59).then_some(sign * (h * 3_600 + m * 60))
}

/// Days since 1970 of `yyyy-MM-dd`.
pub(crate) fn days(date: &str) -> Option<i64> {
    let [year, month, day] = split_numbers(date, b'-')?;
    if date.len() != 10 || date.as_bytes()[4] != b'-' || year == 0 {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    (1..=length).contains(&day).then(|| from_civil(year, month, day))
}

fn split_numbers(text: &str, by: u8) -> Option<[i64; 3]> {
    let mut parts = text.split(char::from(by)).map(|part| {
        let plain = (2..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| part.parse::<i64>().ok()).flatten()
    });
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

/// Days since 1970 of a date, by counting from 1 March so that the leap day comes last.
pub(crate) fn from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The way back: year, month and day.
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_with_their_zone_and_written_in_utc() {
        for (text, utc) in [
            ("2026-03-01T10:15:30.000Z", "2026-03-01T10:15:30.000Z"),
            ("2026-03-01T12:00:00+05:00", "2026-03-01T07:00:00.000Z"),
            ("2026-03-01T00:30:00-0100", "2026-03-01T01:30:00.000Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500Z"),
            ("2024-02-29T23:59:59.123456Z", "2024-02-29T23:59:59.123Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(read_instant(text).map(instant).as_deref(), Some(utc), "{text}");
        }
        assert_eq!(json_instant(0), "1970-01-01T00:00:00.000+0000");
    }

    #[test]
    fn what_is_not_a_moment_is_refused() {
        for bad in [
            "",
            "2026-03-01",
            "2026-03-01T10:15:30",
            "0001-01-01T00:00:00+18:00",
            "9999-12-31T23:59:59-18:00",
            "2026-03-01 10:15:30Z",
            "2026-03-01T24:00:00Z",
            "2026-02-29T10:00:00Z",
            "2026-03-01T10:15Z",
            "2026-03-01T10:15:30.Z",
            "2026-03-01T10:15:30+5",
            "2026-03-01T10:15:30é",
            "éééééééééé",
            "2026-3-001T10:15:30Z",
        ] {
            assert_eq!(read_instant(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_have_no_zone_and_exist() {
        for good in ["2026-03-01", "2024-02-29", "2000-02-29", "9999-12-31"] {
            assert!(is_date(good), "{good}");
        }
        for bad in [
            "2026-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "1940-06-07Z",
            "20260301",
            "0000-01-01",
            "2026-3-001",
        ] {
            assert!(!is_date(bad), "{bad}");
        }
    }
}
