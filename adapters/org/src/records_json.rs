//! Records in JSON: an array of objects, each a record, whose members are fields.
//!
//! A value is a text, a number, `true`, `false` or `null`; a parent is an object of one level more,
//! which becomes a column in CSV's spelling, `{"Owner":{"Username":…}}` → `Owner.Username`, with the
//! type that its `attributes` tell in front, `Contact:Who.Email`. The `attributes` of the record
//! itself, which answers have, are passed over. Nothing here recurses, and what is nested deeper is
//! refused by the reader underneath before it is a burden.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::table::{Cell, Table, parent_column};

/// Reads a batch, or says what its state message says.
pub(crate) fn read<'a>(text: &'a str, mut table: Table<'a>) -> Result<Table<'a>, String> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = reader.deserialize_seq(Records(&mut table)).and_then(|()| reader.end());
    read.map_err(|error| format!("Failed to parse JSON. {error}"))?;
    Ok(table)
}

/// The whole array.
struct Records<'t, 'a>(&'t mut Table<'a>);

impl<'de: 'a, 'a> Visitor<'de> for Records<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<(), A::Error> {
        while records.next_element_seed(Record(self.0))?.is_some() {}
        Ok(())
    }
}

struct Record<'t, 'a>(&'t mut Table<'a>);

impl<'de: 'a, 'a> DeserializeSeed<'de> for Record<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Record<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record, which is an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key::<Cow<'_, str>>()? {
            if name == "attributes" {
                fields.next_value::<IgnoredAny>()?;
            } else {
                fields.next_value_seed(Field { table: self.0, name: &name })?;
            }
        }
        self.0.end_named().map_err(A::Error::custom)
    }
}

/// One member of a record.
struct Field<'t, 'a> {
    table: &'t mut Table<'a>,
    name: &'t str,
}

impl<'a> Field<'_, 'a> {
    fn add<E: Error>(self, value: Option<Cell<'a>>) -> Result<(), E> {
        self.table.push_named(self.name, value).map_err(E::custom)
    }
}

impl<'de: 'a, 'a> DeserializeSeed<'de> for Field<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Field<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true, false, null or a parent record")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<(), E> {
        self.add(Some(text.into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.add(Some(text.to_owned().into()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.add(Some(value.to_string().into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.add(Some(value.to_string().into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.add(Some(value.to_string().into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.add(Some(format!("{value:?}").into()))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.add(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut parent = Map::new();
        while let Some((name, value)) = members.next_entry::<String, Value>()? {
            parent.insert(name, value);
        }
        let kind = parent.remove("attributes");
        let kind = kind.as_ref().and_then(|attributes| attributes["type"].as_str());
        for (name, value) in parent {
            let text = match value {
                Value::Null => None,
                Value::String(text) => Some(text.into()),
                Value::Bool(_) | Value::Number(_) => Some(value.to_string().into()),
                Value::Array(_) | Value::Object(_) => {
                    return Err(A::Error::custom(format!("{} is nested too deep", self.name)));
                }
            };
            let column = parent_column(kind, self.name, &name);
            self.table.push_named(&column, text).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::format::Format;
    use crate::table;

    fn cut(text: &str) -> Result<Vec<Vec<String>>, String> {
        table::cut(Format::Json, text)
    }

    #[test]
    fn columns_are_the_union_of_the_names_as_they_come() {
        let text = r#"[{"Name":"A \"B\"","Fax":null},{"Site":"","name":"C"},{}]"#;
        let expected =
            [["Name", "Fax", "Site"], ["A \"B\"", "#N/A", ""], ["C", "", ""], ["", "", ""]];
        assert_eq!(cut(text).unwrap(), expected);
        assert_eq!(cut("[]").unwrap(), [[""; 0]]);
    }

    #[test]
    fn values_have_types_and_parents() {
        let text = r#"[{"attributes":{"type":"Task"},"A":1,"B":-1.5e20,"C":true,"D":125000.5,
            "Owner":{"Username":"x"},"Who":{"Email":"e","attributes":{"type":"Contact"}}}]"#;
        assert_eq!(
            cut(text).unwrap(),
            [
                ["A", "B", "C", "D", "Owner.Username", "Contact:Who.Email"],
                ["1", "-1.5e20", "true", "125000.5", "x", "e"]
            ]
        );
    }

    #[test]
    fn what_are_no_records_is_refused() {
        let deep = format!("[{}", r#"{"a":"#.repeat(100_000));
        for (text, problem) in [
            ("", "EOF"),
            ("{}", "an array of records"),
            ("[1]", "a record, which is an object"),
            ("[{}", "EOF"),
            ("[{}] x", "trailing characters"),
            (r#"[{"A":[]}]"#, "a parent record"),
            (r#"[{"A":{"B":{"C":1}}}]"#, "A is nested too deep"),
            (r#"[{"A":1,"a":2}]"#, "Duplicate field name found : a"),
            (&deep, "recursion limit exceeded"),
        ] {
            let told = cut(text).unwrap_err();
            assert!(told.starts_with("Failed to parse JSON. ") && told.contains(problem), "{told}");
        }
    }
}
