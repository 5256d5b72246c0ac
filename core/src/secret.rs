//! Texts that nobody may see.

use std::fmt;

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

    /// A text without this one in it, also where it stands as in an address or a form.
    pub(crate) fn blank_out(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        let encoded: String = form_urlencoded::byte_serialize(self.0.as_bytes()).collect();
        text.replace(self.reveal(), BLANK).replace(&encoded, BLANK)
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
        assert_eq!(Secret::new("").blank_out("abc"), "abc");
    }
}
