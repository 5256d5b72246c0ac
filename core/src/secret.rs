//! Texts that nobody may see.

use std::fmt;

use quick_xml::escape::escape;
use zeroize::Zeroizing;

/// What stands in the place of one.
const BLANK: &str = "[redacted]";

/// A password, a token, a client's secret: wiped from memory when it is dropped, never printed, and
/// not to be serialised.
///
/// ```
/// let password = sfbulk::Secret::new("open sesame");
/// assert_eq!(format!("{password:?}"), "[redacted]");
/// assert_eq!(password.reveal(), "open sesame");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps this text to itself.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text, for whoever must have it: a request, a safe.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// A text without this one in it, also where it stands as in a form, an address or XML, and
    /// where the text was cut in the middle of it.
    pub(crate) fn blank_out(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        let form: String = form_urlencoded::byte_serialize(self.0.as_bytes()).collect();
        let address = form.replace('+', "%20").replace('*', "%2A").replace("%7E", "~");
        let xml = escape(self.reveal());
        [self.reveal(), &form, &address, &xml]
            .into_iter()
            .fold(text.to_owned(), |text, secret| blank_end(text.replace(secret, BLANK), secret))
    }
}

/// A text that was cut (it ends with `…`), without the beginning of a secret at its end.
fn blank_end(text: String, secret: &str) -> String {
    let Some(kept) = text.strip_suffix('…') else { return text };
    let mut ends = secret.char_indices().map(|(at, _)| at).rev().filter(|at| *at > 0);
    match ends.find_map(|end| kept.strip_suffix(&secret[..end])) {
        Some(clean) => format!("{clean}{BLANK}…"),
        None => text,
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(BLANK)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_blanked_out_in_every_form() {
        let secret = Secret::new("a!b&c");
        let text = "password=a%21b%26c, or a!b&c";
        assert_eq!(secret.blank_out(text), "password=[redacted], or [redacted]");
        let secret = Secret::new("a *~\"");
        let text = "a%20%2A~%22, a+*%7E%22, a *~&quot;";
        assert_eq!(secret.blank_out(text), "[redacted], [redacted], [redacted]");
        assert_eq!(Secret::new("").blank_out("abc"), "abc");
    }

    #[test]
    fn a_secret_is_blanked_out_where_the_text_was_cut() {
        let secret = Secret::new("open&sesame");
        for cut in ["open&sesam", "open&", "o", "open%26ses", "open%2", "open&amp;s", "open&am"] {
            assert_eq!(secret.blank_out(&format!("no: {cut}…")), "no: [redacted]…");
        }
        assert_eq!(secret.blank_out("not op"), "not op", "it ends so by itself");
        assert_eq!(secret.blank_out("not sesam…"), "not sesam…");
    }
}
