//! Which pack of a kind the user chose, where several are here: `chosen.toml` in the user's folder. Knows no model.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Kind, PackError, user_folder};

const FILE: &str = "chosen.toml";

fn file() -> Option<PathBuf> {
    user_folder().map(|folder| folder.join(FILE))
}

fn read(path: &Path) -> Result<BTreeMap<String, String>, PackError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(e) => return Err(PackError::Read { path: path.to_owned(), why: e.to_string() }),
    };
    toml::from_str(&text).map_err(|e: toml::de::Error| {
        let line = text[..e.span().map_or(0, |s| s.start)].matches('\n').count() + 1;
        PackError::Manifest { path: path.to_owned(), line, why: e.message().trim().replace('\n', ", ") }
    })
}

/// The id of the pack that was chosen for a kind; none where nobody chose.
pub fn chosen(kind: Kind) -> Result<Option<String>, PackError> {
    file().map_or(Ok(None), |path| read(&path).map(|mut all| all.remove(kind.name())))
}

/// Chooses a pack for its kind from now on, or none: then Mynah's own goes first. Other kinds keep theirs.
pub fn choose(kind: Kind, id: Option<&str>) -> Result<(), PackError> {
    let Some(path) = file() else {
        return Err(PackError::Write {
            path: PathBuf::from(FILE),
            why: "this machine tells no home; set MYNAH_HOME to a folder".to_owned(),
        });
    };
    choose_in(&path, kind, id)
}

fn choose_in(path: &Path, kind: Kind, id: Option<&str>) -> Result<(), PackError> {
    let mut all = read(path)?;
    match id {
        Some(id) => all.insert(kind.name().to_owned(), id.to_owned()),
        None => all.remove(kind.name()),
    };
    let cant = |e: std::io::Error| PackError::Write { path: path.to_owned(), why: e.to_string() };
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(cant)?;
    // Whole or not at all.
    let mut new = tempfile::NamedTempFile::new_in(folder).map_err(cant)?;
    for (kind, id) in &all {
        writeln!(new, "{kind} = \"{id}\"").map_err(cant)?;
    }
    new.persist(path).map_err(|e| cant(e.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_kept_beside_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deeper").join(FILE);
        assert!(read(&path).expect("nothing yet").is_empty());
        choose_in(&path, Kind::Captions, Some("zipformer-en")).expect("kept");
        choose_in(&path, Kind::Voice, Some("other")).expect("kept");
        choose_in(&path, Kind::Captions, Some("lstm")).expect("kept");
        assert_eq!(read(&path).expect("both").get("captions").map(String::as_str), Some("lstm"));
        choose_in(&path, Kind::Captions, None).expect("taken back");
        assert_eq!(
            read(&path).expect("one").into_iter().collect::<Vec<_>>(),
            [("voice".to_owned(), "other".to_owned())]
        );
        std::fs::write(&path, "voice = \"a\"\ncaptions = 3\n").expect("written");
        assert!(read(&path).expect_err("a number").to_string().contains("line 2"));
        assert!(choose_in(&path, Kind::Captions, Some("x")).is_err(), "what can't be read isn't written over");
    }
}
