//! Tables and marker lists, a row a cue: what spreadsheets, REAPER, Ardour and Audition read.

use super::{Programme, SpokenCue, clock, milliseconds, one_line, shown};

/// Rows in the way of RFC 4180 or with another delimiter.
fn table(delimiter: u8, rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut out = csv::WriterBuilder::new().delimiter(delimiter).flexible(true).from_writer(Vec::new());
    for row in rows {
        // Writing to memory doesn't fail; should it, an empty table is refused by every reader, and no half of one is
        // believed.
        if out.write_record(&row).is_err() {
            return String::new();
        }
    }
    out.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

/// A row of names, then one a cue.
fn rows<'a>(
    programme: &'a Programme,
    head: &[&str],
    row: impl Fn(usize, &'a SpokenCue) -> Vec<String> + 'a,
) -> impl Iterator<Item = Vec<String>> {
    let head: Vec<String> = head.iter().map(|h| (*h).to_owned()).collect();
    std::iter::once(head).chain(programme.cues.iter().filter(|c| shown(c)).enumerate().map(move |(k, c)| row(k, c)))
}

/// Times as `00:01:02.345`, the speakers, the text in one line.
pub(super) fn csv(programme: &Programme) -> String {
    let language = programme.spoken_in();
    table(
        b',',
        rows(programme, &["start", "end", "speaker", "text"], move |_, c| {
            let mut who: Vec<&str> = c.speakers.iter().flatten().map(String::as_str).collect();
            who.dedup();
            let text: Vec<String> = super::dashed_lines(c).collect();
            let text = if c.shared() { text.join(" ") } else { language.joined(text.iter().map(String::as_str)) };
            vec![clock(c.cue.start, '.'), clock(c.cue.end, '.'), who.join(", "), text]
        }),
    )
}

/// Minutes, which may pass sixty, seconds and milliseconds.
fn minutes(seconds: f64) -> String {
    let ms = milliseconds(seconds);
    format!("{}:{:02}.{:03}", ms / 60_000, ms / 1000 % 60, ms % 1000)
}

/// What REAPER's region and marker manager exports and imports, in its time format of hours, minutes and seconds.
pub(super) fn reaper(programme: &Programme) -> String {
    let language = programme.spoken_in();
    let time = |seconds: f64| {
        let ms = milliseconds(seconds);
        let (hours, rest) = (ms / 3_600_000, ms % 3_600_000);
        let (minutes, seconds, ms) = (rest / 60_000, rest / 1000 % 60, rest % 1000);
        if hours > 0 {
            format!("{hours}:{minutes:02}:{seconds:02}.{ms:03}")
        } else {
            format!("{minutes}:{seconds:02}.{ms:03}")
        }
    };
    table(
        b',',
        rows(programme, &["#", "Name", "Start", "End", "Length"], move |k, c| {
            vec![
                format!("R{}", k + 1),
                one_line(c, &language),
                time(c.cue.start),
                time(c.cue.end),
                time(c.cue.end - c.cue.start),
            ]
        }),
    )
}

/// What Audition's markers panel exports and imports.
pub(super) fn audition(programme: &Programme) -> String {
    let language = programme.spoken_in();
    table(
        b'\t',
        rows(programme, &["Name", "Start", "Duration", "Time Format", "Type", "Description"], move |k, c| {
            let (start, length) = (minutes(c.cue.start), minutes(c.cue.end - c.cue.start));
            vec![
                format!("Caption {}", k + 1),
                start,
                length,
                "decimal".to_owned(),
                "Cue".to_owned(),
                one_line(c, &language),
            ]
        }),
    )
}

/// An action script for Ardour 7 or newer: it has no import for markers, but its scripts may add them. Run it once with
/// the session open (Edit, Lua Scripts, Script Manager), or paste its inner function into the scripting window.
pub(super) fn ardour(programme: &Programme) -> String {
    let language = programme.spoken_in();
    let mut out = String::from(
        "ardour { [\"type\"] = \"EditorAction\", name = \"Add captions as range markers\", author = \"Mynah\",\n\
         \tdescription = [[Adds a range marker for each caption.]] }\n\n\
         function factory () return function ()\n\
         \tlocal captions = {\n",
    );
    for cue in programme.cues.iter().filter(|c| shown(c)) {
        out.push_str(&format!(
            "\t\t{{{}, {}, {}}},\n",
            milliseconds(cue.cue.start),
            milliseconds(cue.cue.end),
            quoted(&one_line(cue, &language))
        ));
    }
    out.push_str(
        "\t}\n\
         \tlocal rate = Session:nominal_sample_rate ()\n\
         \tlocal at = function (ms) return Temporal.timepos_t (math.floor (ms * rate / 1000 + 0.5)) end\n\
         \tfor _, caption in ipairs (captions) do\n\
         \t\tlocal range = Session:locations ():add_range (at (caption[1]), at (caption[2]))\n\
         \t\trange:set_name (caption[3])\n\
         \tend\n\
         end end\n",
    );
    out
}

/// A string of Lua.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
