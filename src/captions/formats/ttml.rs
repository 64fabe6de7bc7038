//! TTML 1 with media time, which broadcasters' tools and iTT importers read.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::{clean_lines, clock, shown};
use crate::captions::cues::Cue;

/// The document. The language isn't known here, so it is left open as TTML allows.
pub(super) fn ttml(cues: &[Cue]) -> String {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    // Writing to memory doesn't fail; should it, an empty document is refused by every reader, and no half of one is believed.
    match document(&mut xml, cues) {
        Ok(()) => String::from_utf8(xml.into_inner()).map(|s| s + "\n").unwrap_or_default(),
        Err(_) => String::new(),
    }
}

fn document(xml: &mut Writer<Vec<u8>>, cues: &[Cue]) -> std::io::Result<()> {
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.create_element("tt")
        .with_attributes([
            ("xmlns", "http://www.w3.org/ns/ttml"),
            ("xmlns:ttp", "http://www.w3.org/ns/ttml#parameter"),
            ("xmlns:tts", "http://www.w3.org/ns/ttml#styling"),
            ("ttp:timeBase", "media"),
            ("xml:lang", ""),
        ])
        .write_inner_content(|xml| {
            head(xml)?;
            xml.create_element("body").with_attributes([("region", "bottom"), ("style", "plain")]).write_inner_content(|xml| {
                xml.create_element("div").write_inner_content(|xml| {
                    for cue in cues.iter().filter(|c| shown(c)) {
                        paragraph(xml, cue)?;
                    }
                    Ok(())
                })?;
                Ok(())
            })?;
            Ok(())
        })?;
    Ok(())
}

fn head(xml: &mut Writer<Vec<u8>>) -> std::io::Result<()> {
    xml.create_element("head").write_inner_content(|xml| {
        xml.create_element("styling").write_inner_content(|xml| {
            let look = [("xml:id", "plain"), ("tts:color", "white"), ("tts:fontFamily", "sansSerif"), ("tts:textAlign", "center")];
            xml.create_element("style").with_attributes(look).write_empty()?;
            Ok(())
        })?;
        xml.create_element("layout").write_inner_content(|xml| {
            let place = [("xml:id", "bottom"), ("tts:origin", "10% 80%"), ("tts:extent", "80% 15%"), ("tts:displayAlign", "after")];
            xml.create_element("region").with_attributes(place).write_empty()?;
            Ok(())
        })?;
        Ok(())
    })?;
    Ok(())
}

fn paragraph(xml: &mut Writer<Vec<u8>>, cue: &Cue) -> std::io::Result<()> {
    let (begin, end) = (clock(cue.start, '.'), clock(cue.end, '.'));
    xml.create_element("p").with_attributes([("begin", begin.as_str()), ("end", end.as_str())]).write_inner_content(|xml| {
        for (i, line) in clean_lines(cue).enumerate() {
            if i > 0 {
                xml.create_element("br").write_empty()?;
            }
            xml.write_event(Event::Text(BytesText::new(&line)))?;
        }
        Ok(())
    })?;
    Ok(())
}
