//! Words as JSON lines, for programs: `mynah serve --jsonl` and the overlay's `/words.jsonl`. docs/outlets.md describes
//! them. Knows no way out.

use serde::Serialize;

use super::wire::News;
use mynah_subtitles::Word;

/// One line.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line<'a> {
    /// Words that never change.
    Final {
        /// The number of the last of them.
        id: u64,
        words: Vec<&'a Word>,
    },
    /// Words that may still change, in place of the former partial ones.
    Partial { words: &'a [Word] },
    /// Final words that this reader was too slow for.
    Lost { words: u64 },
    /// Nothing was said for a while, and the line still stands.
    Alive {},
}

fn line(line: &Line) -> String {
    // Words are plain data: they always have a JSON form.
    serde_json::to_string(line).unwrap_or_default() + "\n"
}

/// The lines that tell what has come, each with its line break.
pub fn lines(news: &News) -> String {
    let mut out = String::new();
    if news.lost > 0 {
        out += &line(&Line::Lost { words: news.lost });
    }
    if let Some((id, _)) = news.finals.last() {
        out += &line(&Line::Final { id: *id, words: news.finals.iter().map(|(_, w)| w).collect() });
    }
    if let Some(words) = &news.partial {
        out += &line(&Line::Partial { words });
    }
    out
}

/// The line of a quiet moment.
pub fn alive() -> String {
    line(&Line::Alive {})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::words;

    #[test]
    fn each_line_is_json_of_its_own() {
        let news = News {
            finals: (7..).zip(words("\"one\" zwei\u{2028}")).collect(),
            partial: Some(words("three").into()),
            lost: 2,
        };
        let text = lines(&news) + &alive();
        let values: Vec<serde_json::Value> =
            text.split_terminator('\n').map(|l| serde_json::from_str(l).expect("JSON")).collect();
        let kinds: Vec<_> = values.iter().map(|v| v["kind"].as_str().expect("a kind")).collect();
        assert_eq!(kinds, ["lost", "final", "partial", "alive"]);
        assert_eq!((values[1]["id"].as_u64(), values[1]["words"][0]["text"].as_str()), (Some(8), Some("\"one\"")));
        assert_eq!(values[2]["words"][0]["end"].as_f64(), Some(0.4));
    }
}
