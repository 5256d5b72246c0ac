//! Serde rows → records, in each syntax.
//!
//! ```text
//!         serde row ── row ──► cells, by column ──► csv     Name,Owner.Username
//!                                              └──► nested ──► json  {"Name":…,"Owner":{"Username":…}}
//!                                                         └──► xml   <sObject><Name>…
//! ```
//!
//! A row means the same in each of them: a value that is absent leaves the field alone, null
//! (`#N/A`) clears it, and names are paths. Only CSV cannot tell an empty value from an absent one.

mod csv;
mod json;
mod nested;
mod refused;
mod row;
mod xml;

use serde::Serialize;

use crate::error::Error;
use crate::info::Syntax;
use crate::rows::batch::{CELL_CHARS, check_cell, check_names, check_record, input};
use crate::rows::scan::without_end;
use crate::xml::NAMESPACE;

use self::json::Json;
use self::nested::Paths;
use self::refused::Refused;
use self::row::{Row, Value};
use self::xml::Xml;

/// The namespace of `xsi:nil`.
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Writes rows as records, and what is around them in a batch.
#[derive(Debug)]
pub(crate) struct Encoder {
    syntax: Syntax,
    row: Row,
    /// Where the columns' values go, unless it is CSV.
    paths: Paths,
}

impl Encoder {
    /// No row yet.
    pub(crate) fn new(syntax: Syntax) -> Self {
        Self { syntax, row: Row::new(syntax == Syntax::Csv), paths: Paths::default() }
    }

    /// Adds a row to `to`, as one record. After an error, there may be a part of it.
    ///
    /// Fails with [`ErrorKind::Input`](crate::ErrorKind::Input) if it is none that the API would
    /// take as it was meant: no struct or map, names that are none, a list in a cell, more than the
    /// topic "Limits" of the vendor's guide allows; in CSV, other columns than the first row's; in
    /// XML, a character that XML cannot carry.
    pub(crate) fn record<T: Serialize>(&mut self, row: &T, to: &mut Vec<u8>) -> Result<(), Error> {
        let (start, known) = (to.len(), self.names().len());
        self.row.read(row).map_err(|why| unsendable(&why))?;
        if self.names().len() > known {
            check_names(self.names())?;
        }
        if self.row.length() > CELL_CHARS {
            for (name, value) in self.names().iter().zip(self.row.values()) {
                if let Value::Text(text) = value {
                    check_cell(name, text.as_bytes())?;
                }
            }
        }
        match self.syntax {
            Syntax::Csv => csv::write(to, self.row.values()),
            Syntax::Json | Syntax::Xml => self.write_nested(to).map_err(|why| unsendable(&why))?,
        }
        check_record(without_end(to.get(start..).unwrap_or_default()))
    }

    fn write_nested(&mut self, to: &mut Vec<u8>) -> Result<(), Refused> {
        self.paths.learn(self.row.names())?;
        let values: Vec<Value<'_>> = self.row.values().collect();
        match self.syntax {
            Syntax::Json => self.paths.write::<Json>(to, &values),
            _ => self.paths.write::<Xml>(to, &values),
        }
    }

    /// The names of the columns, as far as rows have told them.
    pub(crate) fn names(&self) -> &[String] {
        self.row.names()
    }

    /// The cells of the last row that hold something, with their columns' names.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names().iter().zip(self.row.values()).filter_map(|(name, value)| match value {
            Value::Text(text) | Value::Literal(text) => Some((name.as_str(), text)),
            Value::Null | Value::Absent => None,
        })
    }

    /// What comes before the first record; in CSV, that is the header, which the first row tells.
    pub(crate) fn head(&self) -> Vec<u8> {
        match self.syntax {
            Syntax::Csv => {
                let mut header = Vec::new();
                csv::write_header(&mut header, self.names());
                header
            }
            Syntax::Json => b"[".to_vec(),
            Syntax::Xml => format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><sObjects xmlns=\"{NAMESPACE}\" xmlns:xsi=\"{XSI}\">"
            )
            .into_bytes(),
        }
    }

    /// What comes between two records.
    pub(crate) fn between(&self) -> &'static [u8] {
        match self.syntax {
            Syntax::Json => b",",
            Syntax::Csv | Syntax::Xml => b"",
        }
    }

    /// What comes after the last record.
    pub(crate) fn tail(&self) -> &'static [u8] {
        match self.syntax {
            Syntax::Csv => b"",
            Syntax::Json => b"]",
            Syntax::Xml => b"</sObjects>",
        }
    }
}

fn unsendable(why: &Refused) -> Error {
    input(format!("this row cannot be sent: {why}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(serde::Serialize, Default)]
    #[serde(rename_all = "PascalCase")]
    struct Account<'a> {
        name: &'a str,
        employees: Option<u32>,
        #[serde(rename = "Rating__c")]
        rating: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        site: Option<char>,
    }

    #[derive(serde::Serialize)]
    struct Task {
        #[serde(rename = "Owner")]
        owner: BTreeMap<&'static str, &'static str>,
        #[serde(rename = "Subject")]
        subject: Option<&'static str>,
        #[serde(rename = "Lead:Who.Email")]
        who: Option<&'static str>,
        #[serde(rename = "Owner.Alias")]
        alias: Option<&'static str>,
    }

    fn write<T: Serialize>(syntax: Syntax, rows: &[T]) -> Result<String, Error> {
        let (mut encoder, mut records) = (Encoder::new(syntax), Vec::new());
        for row in rows {
            if !records.is_empty() {
                records.extend_from_slice(encoder.between());
            }
            encoder.record(row, &mut records)?;
        }
        let head = if syntax == Syntax::Xml { b"<x>".to_vec() } else { encoder.head() };
        let text = [head, records, encoder.tail().to_vec()].concat();
        Ok(String::from_utf8(text).unwrap())
    }

    fn refusal<T: Serialize>(syntax: Syntax, rows: &[T]) -> String {
        let error = write(syntax, rows).unwrap_err().to_string();
        error.trim_start_matches("this row cannot be sent: ").to_owned()
    }

    #[test]
    fn rows_become_records() {
        let plain = Account { name: "Ada", employees: Some(3), rating: 1e21, site: Some('x') };
        let quoted =
            Account { name: " \"a\", <b>\r\n", employees: None, rating: 0.1, site: Some('"') };
        let rows = [plain, quoted];
        assert_eq!(
            write(Syntax::Csv, &rows).unwrap(),
            "Name,Employees,Rating__c,Site\nAda,3,1000000000000000000000,x\n\" \"\"a\"\", <b>\r\n\",,0.1,\"\"\"\"\n"
        );
        assert_eq!(
            write(Syntax::Json, &rows).unwrap(),
            r#"[{"Name":"Ada","Employees":3,"Rating__c":1000000000000000000000,"Site":"x"},{"Name":" \"a\", <b>\r\n","Rating__c":0.1,"Site":"\""}]"#
        );
        assert_eq!(
            write(Syntax::Xml, &rows).unwrap(),
            "<x><sObject><Name>Ada</Name><Employees>3</Employees><Rating__c>1000000000000000000000</Rating__c><Site>x</Site></sObject>\
             <sObject><Name> \"a\", &lt;b&gt;&#13;\n</Name><Rating__c>0.1</Rating__c><Site>\"</Site></sObject></sObjects>"
        );
    }

    #[test]
    fn parents_nest_wherever_their_fields_stand() {
        let owner = BTreeMap::from([("Username", "u")]);
        let full = Task { owner, subject: Some("#N/A"), who: Some("e"), alias: Some("") };
        let bare = Task { owner: BTreeMap::new(), subject: Some("s"), who: None, alias: None };
        let rows = [full, bare];
        assert_eq!(
            write(Syntax::Json, &rows).unwrap(),
            r#"[{"Owner":{"Username":"u","Alias":""},"Subject":null,"Who":{"attributes":{"type":"Lead"},"Email":"e"}},{"Subject":"s"}]"#
        );
        assert_eq!(
            write(Syntax::Xml, &rows).unwrap(),
            "<x><sObject><Owner><sObject><Username>u</Username><Alias/></sObject></Owner><Subject xsi:nil=\"true\"/>\
             <Who><sObject><type>Lead</type><Email>e</Email></sObject></Who></sObject><sObject><Subject>s</Subject></sObject></sObjects>"
        );
        assert_eq!(
            write(Syntax::Csv, &rows[..1]).unwrap(),
            "Owner.Username,Subject,Lead:Who.Email,Owner.Alias\nu,#N/A,e,\n"
        );
    }

    #[test]
    fn a_parent_has_one_type_in_a_row() {
        let row = |kinds: &[&'static str]| -> BTreeMap<String, u8> {
            kinds.iter().map(|kind| (format!("{kind}:Who.Key__c"), 1)).collect()
        };
        assert_eq!(
            write(Syntax::Json, &[row(&["Lead"]), row(&["Contact"])]).unwrap(),
            r#"[{"Who":{"attributes":{"type":"Lead"},"Key__c":1}},{"Who":{"attributes":{"type":"Contact"},"Key__c":1}}]"#
        );
        let error = refusal(Syntax::Xml, &[row(&["Lead", "Contact"])]);
        assert_eq!(error, "it has both \"Contact:Who.Key__c\" and \"Lead:Who.Key__c\"");
        let both = BTreeMap::from([("Owner", "#N/A"), ("owner.Alias", "a")]);
        assert_eq!(refusal(Syntax::Json, &[both]), "it has both \"Owner\" and \"owner.Alias\"");
    }

    #[test]
    fn maps_and_flattened_fields_are_columns_too() {
        #[derive(serde::Serialize)]
        struct Row {
            id: u8,
            #[serde(flatten)]
            rest: BTreeMap<&'static str, bool>,
        }
        let row = || [Row { id: 1, rest: BTreeMap::from([("a", true), ("b,", false)]) }];
        assert_eq!(write(Syntax::Csv, &row()).unwrap(), "id,a,\"b,\"\n1,true,false\n");
        assert!(refusal(Syntax::Json, &row()).starts_with("column \"b,\": names look like Field"));
    }

    #[test]
    fn names_that_would_be_markup_or_nest_deeper_are_refused() {
        for name in ["a><b", "A.B.C", "T:A", "A:B:C.D", ".A", "A.", "a b", "1a", "ä"] {
            for syntax in [Syntax::Json, Syntax::Xml] {
                let error = refusal(syntax, &[BTreeMap::from([(name, 1)])]);
                assert!(error.contains("names look like"), "{name}: {error}");
            }
        }
        let deep = BTreeMap::from([("A", BTreeMap::from([("B", BTreeMap::from([("C", 1)]))]))]);
        let error = refusal(Syntax::Json, &[deep]);
        assert_eq!(error, "column \"A.B\": a parent has no parent of its own here");
    }

    #[test]
    fn an_empty_cell_alone_is_no_blank_line() {
        let rows = [BTreeMap::from([("Id", None::<u8>)])];
        assert_eq!(write(Syntax::Csv, &rows).unwrap(), "Id\n\"\"\n");
        assert_eq!(write(Syntax::Json, &rows).unwrap(), "[{}]");
    }

    #[test]
    fn a_skipped_field_is_refused_in_csv_and_not_filled_by_its_neighbour() {
        let with = || Account { site: Some('x'), ..Account::default() };
        let error = refusal(Syntax::Csv, &[with(), Account::default()]);
        assert_eq!(error, "it lacks the column \"Site\", which the first row has");
        let error = refusal(Syntax::Csv, &[Account::default(), with()]);
        assert_eq!(error, "it has a column \"Site\", which the first row lacks");
        let other = [BTreeMap::from([("a", 1)]), BTreeMap::from([("b", 1)])];
        assert_eq!(
            refusal(Syntax::Csv, &other),
            "its column 1 is \"b\", the first row's \"a\"; write an empty cell rather than skip a field"
        );
        assert_eq!(write(Syntax::Json, &other).unwrap(), r#"[{"a":1},{"b":1}]"#);
    }

    #[test]
    fn what_is_no_cell_is_refused_by_name() {
        for syntax in [Syntax::Csv, Syntax::Json, Syntax::Xml] {
            let error = refusal(syntax, &[BTreeMap::from([("tags", vec![1, 2])])]);
            assert!(error.starts_with("column \"tags\": a cell holds one value"), "{error}");
            let error = refusal(syntax, &[BTreeMap::from([("n", f64::NAN)])]);
            assert_eq!(error, "column \"n\": NaN is no number that the API takes");
            assert!(write(syntax, &[(1, 2)]).is_err() && write(syntax, &[7]).is_err());
            assert!(write(syntax, &[BTreeMap::<u8, u8>::new()]).is_err());
            let twice = [BTreeMap::from([("a", 1), ("A", 2)])];
            assert!(refusal(syntax, &twice).contains("columns 1 and 2 are named"));
        }
    }

    #[test]
    fn xml_refuses_the_characters_it_cannot_carry() {
        let row = |text| [BTreeMap::from([("A", text)])];
        for bad in ["\0", "a\u{1f}", "\u{b}", "x\u{fffe}", "\u{ffff}", "é\u{1}"] {
            let error = refusal(Syntax::Xml, &row(bad));
            assert!(
                error.starts_with("column \"A\": XML cannot carry the character U+"),
                "{error}"
            );
            assert!(
                write(Syntax::Json, &row(bad)).is_ok() && write(Syntax::Csv, &row(bad)).is_ok()
            );
        }
        for good in ["\t\n", "\u{7f}", "\u{fffd}", "\u{feff}", "ï¿½", "\u{10ffff}", "\u{f000}"] {
            let record = format!("<x><sObject><A>{good}</A></sObject></sObjects>");
            assert_eq!(write(Syntax::Xml, &row(good)).unwrap(), record);
        }
    }

    #[test]
    fn a_record_has_as_many_characters_as_the_api_takes() {
        let row = |last: usize| {
            let cells = [("A", 100_000), ("B", 100_000), ("C", 100_000), ("D", last)];
            BTreeMap::from(cells.map(|(name, n)| (name, "x".repeat(n))))
        };
        assert!(write(Syntax::Csv, &[row(99_997)]).is_ok(), "with three commas");
        assert!(refusal(Syntax::Csv, &[row(99_998)]).contains("400001 characters"));
        let large = BTreeMap::from([("A", u128::from(u64::MAX) + 1)]);
        assert!(refusal(Syntax::Json, &[large]).contains("is no number that the API takes"));
        let row = BTreeMap::from([("A", i128::from(i64::MIN))]);
        assert_eq!(write(Syntax::Json, &[row]).unwrap(), r#"[{"A":-9223372036854775808}]"#);
    }

    #[test]
    fn long_cells_and_records_are_refused_in_every_syntax() {
        for syntax in [Syntax::Csv, Syntax::Json, Syntax::Xml] {
            let row = |n: usize| [BTreeMap::from([("A", "é".repeat(n))])];
            assert!(write(syntax, &row(CELL_CHARS)).is_ok());
            let error = refusal(syntax, &row(CELL_CHARS + 1));
            assert_eq!(error, "the cell \"A\" has 131073 characters; the API takes 131072");
            let row: BTreeMap<_, _> = ["A", "B", "C", "D"].map(|n| (n, "x".repeat(101_000))).into();
            assert!(refusal(syntax, &[row]).contains("this record has 404"));
        }
    }
}
