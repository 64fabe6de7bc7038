//! TTML in its two forms: the text profile of IMSC 1.1, which broadcasters take, and iTunes Timed Text, a TTML 1 in
//! SMPTE time.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::{Programme, SpokenCue, clock, said_lines, shown};

/// A document that grows; elements on lines of their own, but none inside a paragraph, where white space is text.
type Xml = Writer<Vec<u8>>;
type Done = std::io::Result<()>;

const NAMESPACES: [(&str, &str); 4] = [
    ("xmlns", "http://www.w3.org/ns/ttml"),
    ("xmlns:ttp", "http://www.w3.org/ns/ttml#parameter"),
    ("xmlns:tts", "http://www.w3.org/ns/ttml#styling"),
    ("xmlns:ttm", "http://www.w3.org/ns/ttml#metadata"),
];

/// IMSC 1.1 in media time.
pub(super) fn ttml(programme: &Programme) -> String {
    let root = [
        ("ttp:contentProfiles", "http://www.w3.org/ns/ttml/profile/imsc1.1/text"),
        ("ttp:timeBase", "media"),
        ("xml:lang", programme.language),
    ];
    let region =
        [("xml:id", "bottom"), ("tts:origin", "10% 80%"), ("tts:extent", "80% 15%"), ("tts:displayAlign", "after")];
    document(programme, &root, &region, &|cue| (clock(cue.cue.start, '.'), clock(cue.cue.end, '.')))
}

/// iTT in SMPTE time at the programme's frame rate.
pub(super) fn itt(programme: &Programme) -> String {
    let rate = programme.frame_rate;
    let nominal = rate.nominal().to_string();
    let root = [
        ("ttp:timeBase", "smpte"),
        ("ttp:frameRate", nominal.as_str()),
        ("ttp:frameRateMultiplier", if rate.slowed() { "1000 1001" } else { "1 1" }),
        ("ttp:dropMode", if rate.drops() { "dropNTSC" } else { "nonDrop" }),
        ("xml:lang", programme.language),
    ];
    let region =
        [("xml:id", "bottom"), ("tts:origin", "0% 85%"), ("tts:extent", "100% 15%"), ("tts:displayAlign", "after")];
    document(programme, &root, &region, &|cue| {
        let (begin, end) = (rate.begin(cue.cue.start), rate.end(cue.cue.end));
        (rate.code(begin), rate.code(end.max(begin + 1)))
    })
}

fn document(
    programme: &Programme,
    root: &[(&str, &str)],
    region: &[(&str, &str)],
    times: &dyn Fn(&SpokenCue) -> (String, String),
) -> String {
    let mut xml = Writer::new(Vec::new());
    // Writing to memory doesn't fail; should it, an empty document is refused by every reader, and no half of one is
    // believed.
    match fill(&mut xml, programme, root, region, times) {
        Ok(()) => String::from_utf8(xml.into_inner()).unwrap_or_default(),
        Err(_) => String::new(),
    }
}

fn fill(
    xml: &mut Xml,
    programme: &Programme,
    root: &[(&str, &str)],
    region: &[(&str, &str)],
    times: &dyn Fn(&SpokenCue) -> (String, String),
) -> Done {
    let names = names(programme);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    line(xml)?;
    open(xml, "tt", NAMESPACES.iter().chain(root).copied())?;
    line(xml)?;
    open(xml, "head", [])?;
    line(xml)?;
    if !names.is_empty() {
        open(xml, "metadata", [])?;
        for (k, name) in names.iter().enumerate() {
            open(xml, "ttm:agent", [("xml:id", agent(k).as_str()), ("type", "person")])?;
            open(xml, "ttm:name", [("type", "full")])?;
            xml.write_event(Event::Text(BytesText::new(&super::clean(name))))?;
            close(xml, &["ttm:name", "ttm:agent"])?;
        }
        close(xml, &["metadata"])?;
        line(xml)?;
    }
    open(xml, "styling", [])?;
    let look = [
        ("xml:id", "normal"),
        ("tts:fontFamily", "sansSerif"),
        ("tts:fontWeight", "normal"),
        ("tts:fontStyle", "normal"),
        ("tts:fontSize", "100%"),
        ("tts:color", "white"),
        ("tts:textAlign", "center"),
    ];
    // A paragraph's own direction; without it marks at the end of a line of Arabic or Hebrew stand at its wrong side.
    let direction = programme.spoken_in().runs_right_to_left().then_some(("tts:direction", "rtl"));
    empty(xml, "style", look.into_iter().chain(direction))?;
    close(xml, &["styling"])?;
    line(xml)?;
    open(xml, "layout", [])?;
    empty(xml, "region", region.iter().copied())?;
    close(xml, &["layout", "head"])?;
    line(xml)?;
    open(xml, "body", [("region", "bottom"), ("style", "normal")])?;
    open(xml, "div", [])?;
    line(xml)?;
    for cue in programme.cues.iter().filter(|c| shown(c)) {
        paragraph(xml, cue, &names, &times(cue))?;
        line(xml)?;
    }
    close(xml, &["div", "body", "tt"])?;
    line(xml)
}

/// All named speakers, once each.
fn names<'a>(programme: &Programme<'a>) -> Vec<&'a str> {
    let mut out: Vec<&str> = Vec::new();
    for name in programme.cues.iter().flat_map(|c| c.speakers.iter().flatten()) {
        if !out.contains(&name.as_str()) {
            out.push(name);
        }
    }
    out
}

fn agent(k: usize) -> String {
    format!("speaker{}", k + 1)
}

/// A paragraph: a speaker's name goes to it if one speaks, to each line if several do.
fn paragraph(xml: &mut Xml, cue: &SpokenCue, names: &[&str], (begin, end): &(String, String)) -> Done {
    let id = |who: Option<&str>| who.and_then(|name| names.iter().position(|n| *n == name)).map(agent);
    let shared = cue.shared();
    let mut attributes = vec![("begin", begin.as_str()), ("end", end.as_str())];
    let whole = id(cue.speakers.first().and_then(Option::as_deref)).filter(|_| !shared);
    attributes.extend(whole.as_deref().map(|a| ("ttm:agent", a)));
    open(xml, "p", attributes)?;
    for (k, (who, text)) in said_lines(cue).enumerate() {
        if k > 0 {
            empty(xml, "br", [])?;
        }
        if !shared {
            xml.write_event(Event::Text(BytesText::new(&text)))?;
            continue;
        }
        let agent = id(who);
        open(xml, "span", agent.as_deref().map(|a| ("ttm:agent", a)))?;
        xml.write_event(Event::Text(BytesText::new(&format!("{}{text}", crate::cues::DASH))))?;
        close(xml, &["span"])?;
    }
    close(xml, &["p"])
}

fn open<'a>(xml: &mut Xml, name: &str, attributes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Done {
    xml.write_event(Event::Start(BytesStart::new(name).with_attributes(attributes)))
}

fn empty<'a>(xml: &mut Xml, name: &str, attributes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Done {
    xml.write_event(Event::Empty(BytesStart::new(name).with_attributes(attributes)))
}

fn close(xml: &mut Xml, names: &[&str]) -> Done {
    names.iter().try_for_each(|name| xml.write_event(Event::End(BytesEnd::new(*name))))
}

fn line(xml: &mut Xml) -> Done {
    xml.write_event(Event::Text(BytesText::new("\n")))
}
