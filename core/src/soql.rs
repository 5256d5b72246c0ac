//! As much SOQL as the machine must understand: which object a query is about, because a job is
//! created for an object, and which columns it selects, because an empty result has no header.

/// The words and signs of a query outside string literals and parentheses, of which only the
/// opening one is given.
fn tokens(soql: &str) -> impl Iterator<Item = &str> {
    let mut rest = soql;
    let mut depth = 0_u32;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start();
            let first = rest.chars().next()?;
            let end = match first {
                '\'' => literal_end(rest),
                _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                _ => first.len_utf8(),
            };
            let (token, tail) = rest.split_at(end);
            rest = tail;
            match first {
                '(' => {
                    depth += 1;
                    if depth == 1 {
                        return Some(token);
                    }
                }
                ')' => depth = depth.saturating_sub(1),
                '\'' => {}
                _ if depth == 0 => return Some(token),
                _ => {}
            }
        }
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.')
}

/// Where the string literal at the beginning of `text` ends; a backslash escapes what follows it.
fn literal_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\'' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The object in the FROM clause of the query itself, not of a sub-query.
pub(crate) fn root_object(soql: &str) -> Option<&str> {
    let mut tokens = tokens(soql);
    tokens.next().filter(|token| token.eq_ignore_ascii_case("select"))?;
    tokens.find(|token| token.eq_ignore_ascii_case("from"))?;
    tokens.next()
}

/// The selected columns, if the list holds nothing but field names.
pub(crate) fn columns(soql: &str) -> Option<Vec<&str>> {
    let mut tokens = tokens(soql);
    if !tokens.next()?.eq_ignore_ascii_case("select") {
        return None;
    }
    let mut columns = Vec::new();
    loop {
        columns.push(tokens.next().filter(|field| field.starts_with(is_word))?);
        match tokens.next()? {
            "," => {}
            from if from.eq_ignore_ascii_case("from") => return Some(columns),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_object_is_the_one_of_the_outer_query() {
        for (soql, object) in [
            ("SELECT Id FROM Account", Some("Account")),
            (
                "select From__c, (SELECT Id FROM Contacts) from\n\tAccount where Name = ' from X'",
                Some("Account"),
            ),
            ("SELECT Id FROM Lead WHERE Id IN (SELECT LeadId FROM X)", Some("Lead")),
            (r"SELECT Id FROM Case WHERE Subject = 'it\'s from Bob'", Some("Case")),
            ("SELECT Id", None),
            ("DELETE FROM Account", None),
            ("", None),
            ("SELECT 'from x", None),
        ] {
            assert_eq!(root_object(soql), object, "{soql}");
        }
    }

    #[test]
    fn columns_are_known_only_if_they_are_plain_fields() {
        assert_eq!(columns("SELECT Id, Owner.Name FROM Account"), Some(vec!["Id", "Owner.Name"]));
        assert_eq!(columns("SELECT COUNT() FROM Account"), None);
        assert_eq!(columns("SELECT Id, (SELECT Id FROM Contacts) FROM Account"), None);
        assert_eq!(columns("SELECT FIELDS(ALL) FROM Account"), None);
        assert_eq!(columns("SELECT Id name FROM Account"), None);
    }
}
