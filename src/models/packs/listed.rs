//! The list of published models: what can be fetched from the model hub by name. Knows neither the network nor what a
//! model computes.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{FileName, Kind, PackError, PackId, Sha256, user_folder};

/// A published model: other people's weights, in a repository of the model hub.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// The id of the pack that is made of it.
    pub id: PackId,
    /// What it is for.
    pub kind: Kind,
    /// The name shown to the user.
    pub title: String,
    /// The licence of the weights, as an SPDX expression where there is one.
    pub licence: String,
    /// What is worth knowing before it is fetched: which part has which licence, what nobody could verify.
    pub note: Option<String>,
    /// The repository, as `owner/name`.
    pub hub: String,
    /// The revision of the repository; its newest where none is named.
    #[serde(default = "newest")]
    pub revision: String,
    /// Bytes in all, rounded, where the files' own sizes weren't published to the byte. Nothing is compared with it.
    pub about: Option<u64>,
    /// Its files.
    pub files: Vec<ListedFile>,
}

/// A file of a published model.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedFile {
    /// Its name in the pack's folder, and in the repository unless `at` says otherwise.
    pub name: FileName,
    /// Its path in the repository, where that is another.
    pub at: Option<FileName>,
    /// Where nobody published its path: the precision in which the hub's own list of the repository is searched for a
    /// file of that name.
    pub find: Option<Precision>,
    /// Its size, where it is known.
    pub bytes: Option<u64>,
    /// The hash of its bytes, where somebody published it.
    pub sha256: Option<Sha256>,
}

impl ListedFile {
    /// Where the list says that it lies in the repository.
    pub fn path(&self) -> &str {
        self.at.as_ref().unwrap_or(&self.name)
    }
}

/// The precision of a graph's numbers, as the paths of files tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    Full,
    /// Weights of 8 bits.
    Int8,
}

impl Precision {
    /// The word for it in a path; none for the full one.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Precision::Full => None,
            Precision::Int8 => Some("int8"),
        }
    }
}

/// How well the bytes of what was fetched are known to be the right ones; the weakest of a model's files counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// Nothing tells what the bytes should be.
    Unverified,
    /// They are those that the hub itself names.
    Hub,
    /// They are those of the list.
    Listed,
}

impl Trust {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Trust::Unverified => "unverified: no hash was published for some of its files",
            Trust::Hub => "verified by the hub's own hashes",
            Trust::Listed => "verified by the list's hashes",
        }
    }
}

impl Listing {
    /// Bytes in all, to the byte or rounded; none where nobody published them.
    pub fn bytes(&self) -> Option<u64> {
        self.files.iter().map(|f| f.bytes).sum::<Option<u64>>().or(self.about)
    }

    /// The same in words.
    pub fn size(&self) -> Option<String> {
        let rounded = if self.files.iter().all(|f| f.bytes.is_some()) { "" } else { "about " };
        self.bytes().map(|bytes| format!("{rounded}{:.0} MB", bytes as f64 / 1e6))
    }

    /// What can be told of its bytes before they are fetched.
    pub fn trust(&self) -> Trust {
        if self.files.iter().all(|f| f.sha256.is_some()) { Trust::Listed } else { Trust::Unverified }
    }
}

/// A licence in words, for a person who is about to use what it covers.
pub fn licence_in_words(licence: &str) -> String {
    match licence {
        "unknown" => "its licence is not known: look at where it comes from".to_owned(),
        _ if forbids_commerce(licence) => format!("licence {licence}, which forbids commercial use"),
        _ => format!("licence {licence}"),
    }
}

/// Whether a licence forbids commerce: one of its SPDX identifiers has the part `NC`, or it says so in words.
pub fn forbids_commerce(licence: &str) -> bool {
    let words = licence.to_lowercase();
    words.contains("non-commercial")
        || words.contains("noncommercial")
        || words.split(|c: char| !c.is_alphanumeric()).any(|part| part == "nc")
}

fn newest() -> String {
    "main".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    model: Vec<Listing>,
}

/// The list that is part of the program.
const EMBEDDED: (&str, &str) = ("models/catalogue.toml", include_str!("../../../models/catalogue.toml"));
/// A user's own list, in the user's folder.
const OWN: &str = "catalogue.toml";

/// The published models: those of Mynah's list, then those of `catalogue.toml` in the user's folder, where there is
/// one; an own entry takes the place of one of the same id.
pub fn listings() -> Result<Vec<Listing>, PackError> {
    let mut all = parse(EMBEDDED.1, Path::new(EMBEDDED.0))?;
    let Some(path) = user_folder().map(|folder| folder.join(OWN)) else { return Ok(all) };
    let own = match std::fs::read_to_string(&path) {
        Ok(text) => parse(&text, &path)?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(PackError::Read { path, why: e.to_string() }),
    };
    all.retain(|known| own.iter().all(|o| o.id != known.id));
    all.extend(own);
    Ok(all)
}

fn parse(text: &str, path: &Path) -> Result<Vec<Listing>, PackError> {
    let wrong = |at: usize, why: String| {
        let line = text.as_bytes()[..at.min(text.len())].iter().filter(|&&b| b == b'\n').count() + 1;
        PackError::Manifest { path: PathBuf::from(path), line, why }
    };
    let list: List = toml::from_str(text)
        .map_err(|e: toml::de::Error| wrong(e.span().map_or(0, |s| s.start), e.message().trim().replace('\n', ", ")))?;
    for listing in &list.model {
        let at = text.find(&format!("\"{}\"", listing.hub)).unwrap_or(0);
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let halves: Vec<&str> = listing.hub.split('/').collect();
        if halves.len() != 2 || halves.iter().any(|half| half.is_empty() || !half.chars().all(fits)) {
            return Err(wrong(at, format!("`{}` is no repository of the hub: write `owner/name`", listing.hub)));
        }
        if listing.files.is_empty() {
            return Err(wrong(at, format!("the model `{}` has no files", &*listing.id)));
        }
        if let Some(both) = listing.files.iter().find(|f| f.at.is_some() && f.find.is_some()) {
            return Err(wrong(
                at,
                format!("`{}` of `{}` has both `at` and `find`: write one of them", both.name, &*listing.id),
            ));
        }
    }
    Ok(list.model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_the_program_parses_and_no_id_is_one_of_the_catalogue() {
        let all = parse(EMBEDDED.1, Path::new(EMBEDDED.0)).expect("it parses");
        assert!(all.len() >= 10);
        let known = super::super::catalogue().expect("the catalogue");
        assert!(all.iter().all(|l| known.iter().all(|m| m.id != l.id)));
        assert!(all.iter().any(|l| l.trust() == Trust::Listed) && all.iter().any(|l| l.trust() == Trust::Unverified));
    }

    #[test]
    fn sizes_are_told_to_the_byte_or_rounded() {
        let told = |more: &str, files: &str| {
            let entry = format!(
                "[[model]]\nid = \"a\"\nkind = \"voice\"\ntitle = \"A\"\nlicence = \"MIT\"\nhub = \"a/b\"\n{more}files = [{files}]\n"
            );
            parse(&entry, Path::new("list")).expect("it parses")[0].size()
        };
        assert_eq!(
            told("", "{ name = \"x\", bytes = 2000000 }, { name = \"y\", bytes = 600000 }").as_deref(),
            Some("3 MB")
        );
        assert_eq!(
            told("about = 5000000\n", "{ name = \"x\", bytes = 2000000 }, { name = \"y\" }").as_deref(),
            Some("about 5 MB")
        );
        assert_eq!(told("", "{ name = \"x\" }"), None);
    }

    #[test]
    fn licences_that_forbid_commerce_are_known() {
        for licence in ["CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "MIT AND CC-BY-NC-4.0", "for Non-Commercial use"] {
            assert!(forbids_commerce(licence), "{licence}");
        }
        for licence in ["MIT", "Apache-2.0", "CC-BY-4.0", "NCSA", "unknown"] {
            assert!(!forbids_commerce(licence), "{licence}");
        }
    }

    #[test]
    fn a_wrong_list_is_told_with_its_line() {
        let entry = |hub: &str, files: &str| {
            format!(
                "[[model]]\nid = \"a\"\nkind = \"captions\"\ntitle = \"A\"\nlicence = \"MIT\"\nhub = \"{hub}\"\nfiles \
                 = [{files}]\n"
            )
        };
        let told = |text: &str| parse(text, Path::new("list")).expect_err("wrong").to_string();
        assert!(told(&entry("no repository", "{ name = \"x\" }")).contains("line 6"));
        assert!(told(&entry("a/../b", "{ name = \"x\" }")).contains("owner/name"));
        assert!(told(&entry("a/b", "")).contains("no files"));
        assert!(told(&entry("a/b", "{ name = \"../x\" }")).contains("line 7"));
        assert!(told(&entry("a/b", "{ name = \"x\", at = \"../x\" }")).contains("line 7"));
        assert!(
            told(&entry("a/b", "{ name = \"x\", at = \"y/x\", find = \"full\" }")).contains("both `at` and `find`")
        );
        assert!(told(&entry("a/b", "{ name = \"x\", find = \"q4\" }")).contains("line 7"));
        assert!(told(&(entry("a/b", "{ name = \"x\" }") + "colour = 1\n")).contains("colour"));
    }
}
