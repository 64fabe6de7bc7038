//! A target voice as a person names it: a reference recording or a name in the library. Not for the audio thread.

use std::path::Path;

use super::{OpenError, enrol_file};
use mynah_files::names::did_you_mean;
use mynah_files::typed::{meant, same_text, title};
use mynah_voice::TargetVoice;
use mynah_voice::library::{Library, LibraryError};

/// A file is enrolled, which takes some seconds; anything else is a name in the library.
pub fn find_voice(typed: &str) -> Result<TargetVoice, OpenError> {
    let path = meant(Path::new(typed)).path;
    if path.is_file() {
        return enrol_file(&path, &title(&path));
    }
    let voices = Library::standard().list().map_err(|e| OpenError(e.to_string()))?;
    let exact = voices.iter().find(|v| v.name == typed);
    if let Some(found) = exact.or_else(|| voices.iter().find(|v| same_text(Path::new(&v.name), Path::new(typed)))) {
        return Ok(found.clone());
    }
    let names: Vec<&str> = voices.iter().map(|v| v.name.as_str()).collect();
    Err(OpenError(missing(typed, &names)))
}

/// The error of the library, and the name that may have been meant.
pub fn with_suggestion(e: &LibraryError) -> String {
    let LibraryError::Missing { name, .. } = e else { return e.to_string() };
    let voices = Library::standard().list().unwrap_or_default();
    let names: Vec<&str> = voices.iter().map(|v| v.name.as_str()).collect();
    format!("{e}{}", did_you_mean(&names, name))
}

fn missing(typed: &str, names: &[&str]) -> String {
    let none = format!("`{typed}` is neither a file nor an enrolled voice");
    if names.is_empty() {
        return format!("{none}, and none is enrolled yet; run `mynah voices enrol REF.wav --name NAME`");
    }
    let guess = did_you_mean(names, typed);
    let all: Vec<_> = names.iter().map(|n| format!("`{n}`")).collect();
    format!("{none}{guess}{} enrolled are {}", if guess.is_empty() { ";" } else { "" }, all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_in_a_name_gets_a_suggestion() {
        assert_eq!(
            missing("Adda", &["Ada", "Grace"]),
            "`Adda` is neither a file nor an enrolled voice; did you mean `Ada`? enrolled are `Ada`, `Grace`"
        );
        assert_eq!(missing("xyz", &["Ada"]), "`xyz` is neither a file nor an enrolled voice; enrolled are `Ada`");
        assert!(missing("x", &[]).contains("mynah voices enrol"));
    }
}
