//! The outlets as people see them: the overlay in Chromium, words in a real OBS. Where one of them isn't installed its
//! tests say so and stop.

#[path = "outlets_seen/browser.rs"]
mod browser;
#[cfg(unix)]
#[path = "outlets_seen/obs.rs"]
mod obs;

use std::path::PathBuf;

/// A program on the search path.
fn program(names: &[&str]) -> Option<PathBuf> {
    let folders: Vec<_> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    names.iter().flat_map(|name| folders.iter().map(move |f| f.join(name))).find(|p| p.is_file())
}

/// Keeps a picture where a person can look at it, and gives its pixels: width, height, RGBA.
fn picture(name: &str, png: &[u8]) -> (usize, usize, Vec<u8>) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(folder.join(name), png).expect("the picture is kept");
    let mut reader = png::Decoder::new(png).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size()];
    let info = reader.next_frame(&mut pixels).expect("pixels");
    let rgba = match info.color_type {
        png::ColorType::Rgba => pixels,
        png::ColorType::Rgb => pixels.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect(),
        other => panic!("an odd kind of picture: {other:?}"),
    };
    (info.width as usize, info.height as usize, rgba)
}
