//! SOQL cut into tokens.

/// A token and where it begins, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token<'a> {
    pub(crate) at: usize,
    pub(crate) text: &'a str,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// A name, perhaps with dots; also a keyword, and a date literal with its count.
    Word,
    Text(Literal),
    /// Anything that begins with a digit or a sign: a number, a date or a moment.
    Number,
    Symbol,
    End,
}

/// A string literal, read for both of its uses: as text, and as a pattern of `LIKE`, in which an
/// escaped `%` or `_` stands for itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Literal {
    pub(crate) text: String,
    pub(crate) pattern: String,
}

/// Cuts a query. The error is a place and what is wrong there.
pub(crate) fn tokens(query: &str) -> Result<Vec<Token<'_>>, (usize, String)> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at += query[at..].len() - query[at..].trim_start().len();
        let rest = &query[at..];
        let Some(first) = rest.chars().next() else { break };
        let (len, kind) = match first {
            '\'' => {
                let (len, literal) = literal(rest).map_err(|(offset, text)| (at + offset, text))?;
                (len, Kind::Text(literal))
            }
            'a'..='z' | 'A'..='Z' | '_' => (run(rest, "_.:"), Kind::Word),
            '0'..='9' | '+' | '-' | '.' => (run(&rest[1..], "+-.:") + 1, Kind::Number),
            '<' | '>' | '!' if rest[1..].starts_with(['=', '>']) => (2, Kind::Symbol),
            '=' | '<' | '>' | '(' | ')' | ',' => (1, Kind::Symbol),
            other => return Err((at, format!("unexpected char: '{other}'"))),
        };
        tokens.push(Token { at, text: &rest[..len], kind });
        at += len;
    }
    tokens.push(Token { at, text: "<EOF>", kind: Kind::End });
    Ok(tokens)
}

/// How far letters, digits and some more characters reach.
fn run(text: &str, more: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && !more.contains(c)).unwrap_or(text.len())
}

/// Reads a string literal, its quotes included.
fn literal(text: &str) -> Result<(usize, Literal), (usize, String)> {
    let mut literal = Literal::default();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        let plain = match c {
            '\'' => return Ok((at + 1, literal)),
            '%' | '_' => {
                literal.text.push(c);
                literal.pattern.push(c);
                continue;
            }
            '\\' => match chars.next() {
                Some((_, 'n' | 'N')) => '\n',
                Some((_, 'r' | 'R')) => '\r',
                Some((_, 't' | 'T')) => '\t',
                Some((_, 'b' | 'B')) => '\u{8}',
                Some((_, 'f' | 'F')) => '\u{c}',
                Some((_, c @ ('\'' | '"' | '\\' | '%' | '_'))) => c,
                _ => {
                    return Err((
                        at,
                        "Illegal string literal: invalid string escape sequence".into(),
                    ));
                }
            },
            other => other,
        };
        literal.text.push(plain);
        if matches!(plain, '%' | '_' | '\\') {
            literal.pattern.push('\\');
        }
        literal.pattern.push(plain);
    }
    Err((0, "Illegal string literal: line breaks or missing quote".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_as_text_and_as_pattern() {
        let read = |text| literal(text).map(|(_, literal)| (literal.text, literal.pattern));
        assert_eq!(read(r"'a%_\%\_\\\''"), Ok((r"a%_%_\'".into(), r"a%_\%\_\\'".into())));
        assert_eq!(read(r"'\n\t'"), Ok(("\n\t".into(), "\n\t".into())));
        assert!(literal("'abc").is_err() && literal(r"'\x'").is_err() && literal(r"'\").is_err());
    }

    #[test]
    fn queries_are_cut() {
        let texts = |query| {
            tokens(query)
                .map(|all| all.iter().map(|token| token.text.to_owned()).collect::<Vec<_>>())
        };
        let cut =
            texts("SELECT Id,A.b FROM X WHERE(n>=-1.5e3 AND d<2026-01-01T00:00:00+01:00)").unwrap();
        let expected = [
            "SELECT",
            "Id",
            ",",
            "A.b",
            "FROM",
            "X",
            "WHERE",
            "(",
            "n",
            ">=",
            "-1.5e3",
            "AND",
            "d",
            "<",
            "2026-01-01T00:00:00+01:00",
            ")",
            "<EOF>",
        ];
        assert_eq!(cut, expected);
        assert_eq!(texts("a ; b"), Err((2, "unexpected char: ';'".into())));
        assert_eq!(texts("é"), Err((0, "unexpected char: 'é'".into())));
        assert!(texts("-é").is_err() && texts("<é").is_err());
    }
}
