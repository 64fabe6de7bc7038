//! The strings of a `pack.toml` that must keep a form: ids, file names, hashes. Knows nothing of what they name.

use std::ops::Deref;

use serde::Deserialize;

use super::manifest::MANIFEST;

/// Declares a string that is checked when it is read, so that the error carries its line.
macro_rules! checked_string {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(s: String) -> Result<Self, String> {
                let check: fn(&str) -> Result<(), String> = $check;
                check(&s).map(|()| $name(s))
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_string! {
    /// A pack's name: lower-case letters, digits, `-`, `_` and `.`, starting with a letter or digit; also its folder's
    /// name.
    PackId, |s| {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        if s.starts_with(|c: char| c.is_ascii_alphanumeric()) && s.len() <= 64 && s.chars().all(fits) {
            Ok(())
        } else {
            Err(format!("`{s}` is no pack id: use up to 64 lower-case letters, digits, `-`, `_` and `.`, starting \
                with a letter or digit"))
        }
    }
}

checked_string! {
    /// A file's name relative to the pack's folder, with `/` between folders; it can't leave the folder.
    FileName, |s| {
        let part_fits = |part: &str| !part.is_empty() && part != "." && part != "..";
        if s.split('/').all(part_fits) && !s.contains(['\\', ':', '\0']) && s != MANIFEST {
            Ok(())
        } else {
            Err(format!("`{s}` is no file name inside the pack: no absolute path, no `..`, no `\\`, no `:`, and not \
                `pack.toml`"))
        }
    }
}

checked_string! {
    /// A sha256 as 64 lower-case hexadecimal digits.
    Sha256, |s| {
        if s.len() == 64 && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(())
        } else {
            Err(format!("`{s}` is no sha256: write 64 lower-case hexadecimal digits"))
        }
    }
}
