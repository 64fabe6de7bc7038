//! The rooms and who uses whom, read from Cargo's own metadata: the drawing in docs/architecture.md.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run::cargo;

const PAGE: &str = "docs/architecture.md";
const BEGIN: &str = "<!-- graph: cargo xtask graph -->\n";
const END: &str = "<!-- end of graph -->\n";
const PREFIX: &str = "mynah-";
/// The root package, by what it holds.
const ROOT: (&str, &str) = ("mynah", "plugin, editor, bin");

/// The rooms that each room names in its `Cargo.toml`.
type Rooms = BTreeMap<String, BTreeSet<String>>;

/// Writes the drawing into the page.
pub(crate) fn graph() -> Result<()> {
    let page = std::fs::read_to_string(PAGE)?;
    std::fs::write(PAGE, with_drawing(&page, &drawing(&rooms()?)?)?)?;
    Ok(())
}

fn rooms() -> Result<Rooms> {
    let told = cargo().args(["metadata", "--no-deps", "--format-version", "1"]).output()?;
    let all: Value = serde_json::from_slice(&told.stdout).context("cargo metadata told no JSON")?;
    Ok(rooms_of(&all))
}

fn rooms_of(metadata: &Value) -> Rooms {
    let texts = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let room = |package: &Value| {
        let name = texts(package, "name");
        if name == ROOT.0 { Some(ROOT.1.to_owned()) } else { name.strip_prefix(PREFIX).map(str::to_owned) }
    };
    let used = |package: &Value| {
        let all = package["dependencies"].as_array().into_iter().flatten();
        all.filter_map(|d| texts(d, "name").strip_prefix(PREFIX).map(str::to_owned)).collect()
    };
    packages.filter_map(|package| Some((room(package)?, used(package)))).collect()
}

/// A line a room, in storeys: each room stands above all that it uses, so every arrow runs down.
fn drawing(rooms: &Rooms) -> Result<String> {
    let mut storeys: Vec<Vec<&String>> = Vec::new();
    let mut placed = BTreeSet::new();
    while placed.len() < rooms.len() {
        let ready: Vec<&String> =
            rooms.iter().filter(|(n, uses)| !placed.contains(*n) && uses.is_subset(&placed)).map(|(n, _)| n).collect();
        if ready.is_empty() {
            bail!("rooms use each other in a circle; cargo would say so too");
        }
        placed.extend(ready.iter().map(|n| (*n).clone()));
        storeys.push(ready);
    }
    let width = rooms.keys().map(|n| n.chars().count()).max().unwrap_or_default();
    let mut drawn = String::from("```\n");
    for (height, storey) in storeys.iter().enumerate().rev() {
        for room in storey {
            let below: Vec<&str> = rooms[*room].iter().map(String::as_str).collect();
            let arrow = if below.is_empty() { String::new() } else { format!("─► {}", below.join(", ")) };
            drawn += format!("{height}  {room:width$}  {arrow}").trim_end();
            drawn.push('\n');
        }
    }
    Ok(drawn + "```\n")
}

/// The page with another drawing in its place.
fn with_drawing(page: &str, drawing: &str) -> Result<String> {
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) =
        parts.with_context(|| format!("`{}` has no place for the drawing", Path::new(PAGE).display()))?;
    Ok(format!("{before}{BEGIN}{drawing}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_the_rooms_as_they_are() {
        crate::run::enter_root().expect("the repository");
        let page = std::fs::read_to_string(PAGE).expect("the page");
        let drawn = drawing(&rooms().expect("metadata")).expect("no circle");
        assert_eq!(with_drawing(&page, &drawn).expect("a place"), page, "run `cargo xtask graph`");
        for room in rooms().expect("metadata").keys().filter(|r| *r != ROOT.1) {
            assert!(page.contains(&format!("| `{room}` |")), "the table of rooms lacks `{room}`");
            assert!(Path::new("src").join(room).join("README.md").is_file(), "`src/{room}` has no README.md");
        }
    }

    #[test]
    fn a_circle_is_an_error_and_storeys_stand_on_each_other() {
        let rooms = |pairs: &[(&str, &[&str])]| -> Rooms {
            pairs.iter().map(|(n, uses)| ((*n).to_owned(), uses.iter().map(|u| (*u).to_owned()).collect())).collect()
        };
        assert!(drawing(&rooms(&[("a", &["b"]), ("b", &["a"])])).is_err());
        let drawn = drawing(&rooms(&[("top", &["a", "b"]), ("a", &["b"]), ("b", &[])])).expect("no circle");
        assert_eq!(drawn, "```\n2  top  ─► a, b\n1  a    ─► b\n0  b\n```\n");
    }
}
