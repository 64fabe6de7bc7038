//! For tests that load the plugin as a host does.

use std::path::PathBuf;

/// The library as this build has it.
pub fn library() -> PathBuf {
    let name = format!("{}mynah{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let deps = std::env::current_exe().expect("this test").parent().expect("a folder").to_owned();
    let places = [deps.join(&name), deps.parent().expect("a folder").join(&name)];
    places.iter().find(|p| p.is_file()).unwrap_or_else(|| panic!("none of {places:?} is there")).clone()
}
