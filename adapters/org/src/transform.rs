//! Foreign CSV into records, by a job's transformation spec (topic "Map Data Fields").
//!
//! ```text
//! Salesforce Field,Csv Header,Value,Hint
//! Name,Contact person,,
//! Rating,,Warm,
//! Birthdate,Born on,,dd.MM.yyyy
//! DoNotCall,Opt out,,^(yes|y)$
//! ```
//!
//! A field gets the cell of its column, or `Value` if that is empty or there is none. The hint is a
//! pattern of Java for a date or a moment (in UTC), and for a boolean a regular expression that
//! finds something in each value that means true. Columns of the file that nothing maps are left out.

use std::borrow::Cow;
use std::collections::HashSet;

use regex_lite::{Regex, RegexBuilder};

use crate::calendar::{self, DAY};
use crate::config::Limits;
use crate::format::Format;
use crate::schema::{Kind, Object};
use crate::table::{Cell, NULL, Table, characters};

/// As what a spec is kept with its job.
pub(crate) const NAME: &str = "spec";
/// A spec has fewer characters.
pub(crate) const LENGTH: usize = 8_192;
const HEADER: [&str; 4] = ["Salesforce Field", "Csv Header", "Value", "Hint"];
/// Bytes of a compiled expression: a list of some dozen words. A larger one would take too long over
/// a file of 10 MB, which is read with the org in hand.
const EXPRESSION: usize = 1 << 12;
/// Java reads two digits as a year from 80 years ago to 20 years ahead.
const YEARS_AHEAD: i64 = 20;

/// A field of the records and where its values come from.
struct Mapping<'s> {
    field: &'s str,
    column: &'s str,
    value: &'s str,
    hint: &'s str,
}

/// Reads a spec to see whether it is one.
pub(crate) fn check(text: &str) -> Result<(), String> {
    if characters(text) >= LENGTH {
        return Err(format!("A transformation spec has fewer than {LENGTH} characters"));
    }
    let limits = Limits::default();
    let table = Table::read(Format::Csv, text, &limits)?;
    mappings(&table).map(drop)
}

fn mappings<'t>(table: &'t Table<'_>) -> Result<Vec<Mapping<'t>>, String> {
    if *table.header() != HEADER {
        return Err(format!("The header of a transformation spec is {}", HEADER.join(",")));
    }
    let mut mappings = Vec::with_capacity(table.len());
    let mut fields = HashSet::new();
    for at in 0..table.len() {
        let [field, column, value, hint] = table.cells(at) else {
            return Err(format!("Row {} of the spec has not four values", at + 1));
        };
        if field.is_empty() || (column.is_empty() && value.is_empty()) {
            return Err(format!("Row {} of the spec maps nothing", at + 1));
        }
        if !fields.insert(field.to_ascii_lowercase()) {
            return Err(format!("Duplicate field name found : {field}"));
        }
        mappings.push(Mapping { field, column, value, hint });
    }
    if mappings.is_empty() {
        return Err("The transformation spec maps nothing".into());
    }
    Ok(mappings)
}

/// Makes the table of an object's records out of a foreign file.
pub(crate) fn apply<'a>(
    spec: &str,
    foreign: &Table<'a>,
    object: &Object,
    limits: &'a Limits,
    now: i64,
) -> Result<Table<'a>, String> {
    let spec_limits = Limits::default();
    let spec = Table::read(Format::Csv, spec, &spec_limits)?;
    let rules: Result<Vec<_>, _> = mappings(&spec)?
        .iter()
        .map(|mapping| Rule::new(mapping, foreign.header(), object, now))
        .collect();
    let (rules, mut table) = (rules?, Table::new(limits));
    for rule in &rules {
        rule.names().iter().try_for_each(|name| table.push((*name).to_owned().into()))?;
    }
    table.end_header();
    let mut made = 0;
    for at in 0..foreign.len() {
        let cells = foreign.cells(at);
        // A row that is not as wide as the header fails by itself, so it gets no values.
        if cells.len() == foreign.header().len() {
            for rule in &rules {
                made += characters(rule.value(cells)) + 1; // a comma, were it written
                if made > limits.characters {
                    let most = limits.characters;
                    return Err(format!("Failed to transform. Exceeded max size limit of {most}"));
                }
                rule.push(cells, &mut table)?;
            }
        }
        table.end_row("")?;
    }
    Ok(table)
}

/// A mapping made ready for the rows of a file.
struct Rule<'s> {
    field: &'s str,
    /// The column of the file.
    cell: Option<usize>,
    default: &'s str,
    reads: Reads,
}

/// How a value is understood.
enum Reads {
    AsItIs,
    /// A whole name, of a person: first and last name.
    Name,
    True(Regex),
    Moment {
        pattern: Pattern,
        with_time: bool,
        now: i64,
    },
}

impl<'s> Rule<'s> {
    fn new(
        mapping: &Mapping<'s>,
        header: &[Cell<'_>],
        object: &Object,
        now: i64,
    ) -> Result<Self, String> {
        let Mapping { field, column, value, hint } = *mapping;
        let cell = header.iter().position(|name| name == column);
        if cell.is_none() && !column.is_empty() {
            return Err(format!("Field name not found : {column}"));
        }
        let kind = object.field(field).map(|field| &field.kind);
        let is_name = field.eq_ignore_ascii_case("Name") && object.field("LastName").is_some();
        let reads = match kind {
            _ if is_name => Reads::Name,
            Some(Kind::Boolean) if !hint.is_empty() => {
                let expression = RegexBuilder::new(hint).size_limit(EXPRESSION).build();
                Reads::True(expression.map_err(|error| format!("Invalid hint {hint}: {error}"))?)
            }
            Some(Kind::Date | Kind::DateTime) if !hint.is_empty() => {
                let pattern = Pattern::read(hint).ok_or_else(|| format!("Invalid hint {hint}"))?;
                Reads::Moment { pattern, with_time: kind == Some(&Kind::DateTime), now }
            }
            _ => Reads::AsItIs,
        };
        Ok(Self { field, cell, default: value, reads })
    }

    /// The fields it fills.
    fn names(&self) -> &[&'s str] {
        match self.reads {
            Reads::Name => &["FirstName", "LastName"],
            _ => std::slice::from_ref(&self.field),
        }
    }

    /// The cell of its column in a row, if that says anything.
    fn told<'c, 'a>(&self, cells: &'c [Cell<'a>]) -> Option<&'c Cell<'a>> {
        self.cell.map(|at| &cells[at]).filter(|cell| !cell.is_empty())
    }

    /// What is to be understood in a row.
    fn value<'c>(&'c self, cells: &'c [Cell<'_>]) -> &'c str {
        self.told(cells).map_or(self.default, |cell| cell)
    }

    /// Adds what a row says to the record.
    fn push<'a>(&self, cells: &[Cell<'a>], table: &mut Table<'a>) -> Result<(), String> {
        let told = self.told(cells).cloned();
        let value = told.unwrap_or_else(|| Cow::Owned(self.default.to_owned()));
        let silent = value.is_empty() || value == NULL;
        match &self.reads {
            Reads::Name => {
                let (first, last) = split_name(&value);
                let (first, last) = (first.to_owned(), last.to_owned());
                table.push(first.into())?;
                table.push(last.into())
            }
            Reads::True(expression) if !silent => {
                table.push(if expression.is_match(&value) { "true" } else { "false" }.into())
            }
            // What does not fit the pattern is read as if there were none, and seldom is a date.
            Reads::Moment { pattern, with_time, now } if !silent => {
                let told = pattern.moment(&value, *now).map(|ms| match with_time {
                    true => calendar::instant(ms),
                    false => calendar::date(ms.div_euclid(DAY)),
                });
                table.push(told.map_or(value, Cow::Owned))
            }
            _ => table.push(value),
        }
    }
}

/// `Ada Byron` or `Byron, Ada` as first and last name; a single word is the last name.
fn split_name(name: &str) -> (&str, &str) {
    let name = name.trim();
    let (first, last) = match (name.split_once(','), name.rsplit_once(char::is_whitespace)) {
        (Some((last, first)), _) | (None, Some((first, last))) => (first, last),
        (None, None) => ("", name),
    };
    (first.trim(), last.trim())
}

/// A date pattern of Java, as far as it is made of numbers and literals.
struct Pattern(Vec<Part>);

enum Part {
    /// A letter and how often it stands there.
    Number(char, usize),
    Literal(char),
}

impl Pattern {
    fn read(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if first == '\'' {
                let (literal, after) = rest[1..].split_once('\'')?;
                let literal = if literal.is_empty() { "'" } else { literal };
                parts.extend(literal.chars().map(Part::Literal));
                rest = after;
                continue;
            }
            let after = rest.trim_start_matches(first);
            let times = (rest.len() - after.len()) / first.len_utf8();
            match first {
                'y' | 'd' | 'H' | 'm' | 's' | 'S' => parts.push(Part::Number(first, times)),
                'M' if times <= 2 => parts.push(Part::Number('M', times)),
                'a'..='z' | 'A'..='Z' => return None, // names of months, zones and the like
                _ => parts.extend(std::iter::repeat_n(first, times).map(Part::Literal)),
            }
            rest = after;
        }
        Some(Self(parts))
    }

    /// Reads a text as milliseconds since 1970; `None` if it does not fit, or names no moment.
    fn moment(&self, text: &str, now: i64) -> Option<i64> {
        let ([mut year, mut month, mut day], mut time) = ([1970, 1, 1], 0);
        let mut rest = text.trim();
        for (at, part) in self.0.iter().enumerate() {
            let (letter, times) = match part {
                Part::Literal(wanted) => {
                    rest = rest.strip_prefix(*wanted)?;
                    continue;
                }
                Part::Number(letter, times) => (*letter, *times),
            };
            // Where numbers touch, each has as many digits as letters.
            let touches = matches!(self.0.get(at + 1), Some(Part::Number(..)));
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let digits = if touches { digits.min(times) } else { digits };
            let (number, after) = rest.split_at(digits);
            rest = after;
            let value: i64 = number.parse().ok().filter(|_| digits <= 4)?;
            match letter {
                'y' if times == 2 && digits == 2 => year = full_year(value, now),
                'y' => year = value,
                'M' => month = value,
                'd' => day = value,
                'H' if value < 24 => time += value * 3_600_000,
                'm' if value < 60 => time += value * 60_000,
                's' if value < 60 => time += value * 1_000,
                'S' if value < 1_000 => time += value,
                _ => return None,
            }
        }
        let day = calendar::days(&format!("{year:04}-{month:02}-{day:02}"))?;
        rest.is_empty().then_some(day * DAY + time)
    }
}

fn full_year(two_digits: i64, now: i64) -> i64 {
    let (year, ..) = calendar::civil(now.div_euclid(DAY));
    let latest = year + YEARS_AHEAD;
    latest - (latest - two_digits).rem_euclid(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_by_their_pattern() {
        let now = calendar::read_instant("2026-03-01T00:00:00Z").unwrap();
        let read = |pattern: &str, text: &str| {
            Pattern::read(pattern).unwrap().moment(text, now).map(calendar::instant)
        };
        for (pattern, text, utc) in [
            ("dd.MM.yyyy", "9.3.2026", "2026-03-09T00:00:00.000Z"),
            ("yyyyMMdd", "20260309", "2026-03-09T00:00:00.000Z"),
            ("d/M/yy", "09/12/46", "2046-12-09T00:00:00.000Z"),
            ("d/M/yy", "09/12/47", "1947-12-09T00:00:00.000Z"),
            ("yyyy-MM-dd'T'HH:mm:ss.SSS", "2026-03-09T23:59:58.007", "2026-03-09T23:59:58.007Z"),
            ("HH'h'''yyyy", "7h'2026", "2026-01-01T07:00:00.000Z"),
        ] {
            assert_eq!(read(pattern, text).as_deref(), Some(utc), "{pattern}: {text}");
        }
        for (pattern, text) in [
            ("dd.MM.yyyy", "2026-03-09"),
            ("dd.MM.yyyy", "31.2.2026"),
            ("dd.MM.yyyy", "1.2.2026 "),
            ("dd.MM.yyyy", "1.2.2026x"),
            ("dd.MM.yyyy", "1.2.99999"),
            ("dd.MM.yyyy", ""),
            ("HH:mm", "24:00"),
        ] {
            let found = read(pattern, text);
            assert_eq!(found.is_some(), text.ends_with(' '), "{pattern}: {text}");
        }
        assert!(Pattern::read("dd MMM yyyy").is_none());
        assert!(Pattern::read("dd 'of").is_none());
    }

    #[test]
    fn whole_names_come_in_two_orders() {
        assert_eq!(split_name("Ada Byron"), ("Ada", "Byron"));
        assert_eq!(split_name("Byron, Ada"), ("Ada", "Byron"));
        assert_eq!(split_name(" Ada  King Byron "), ("Ada  King", "Byron"));
        assert_eq!(split_name("Byron"), ("", "Byron"));
        assert_eq!(split_name(NULL), ("", NULL));
        assert_eq!(split_name(""), ("", ""));
    }

    #[test]
    fn what_is_no_spec_is_refused() {
        let head = HEADER.join(",");
        assert_eq!(check(&format!("{head}\nName,Firm,,\n")), Ok(()));
        for bad in [
            String::new(),
            head.clone(),
            "Salesforce field,Csv Header,Value,Hint\nName,Firm,,\n".into(),
            format!("{head}\nName,Firm,\n"),
            format!("{head}\n,Firm,,\n"),
            format!("{head}\nName,,,\n"),
            format!("{head}\nName,\"Firm,,\n"),
            format!("{head}\nName,Firm,,\nname,Company,,\n"),
            format!("{head}\nName,{},,\n", "x".repeat(LENGTH)),
        ] {
            assert!(check(&bad).is_err(), "{bad}");
        }
    }
}
