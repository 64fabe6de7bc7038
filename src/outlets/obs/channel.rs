//! One of the two ways in which OBS shows words: a text source, or captions in the stream. Decides what is sent when;
//! knows no connection.

use std::time::{Duration, Instant};

use super::super::display::{Display, Shown};
use super::super::wire::News;
use super::protocol;
use mynah_subtitles::cues::Style;

/// After so long without words what stands is taken away.
const CLEAR_AFTER: Duration = Duration::from_secs(5);
/// The shortest time between two texts of a source: more often than anybody sees.
const TEXT_INTERVAL: Duration = Duration::from_millis(100);
/// The shortest time between two captions in a stream, and how many bytes a second of them the stream carries: two a
/// frame at 30 frames, less the commands between them.
const CAPTION_INTERVAL: f64 = 1.0;
const CAPTION_BYTES_A_SECOND: f64 = 40.0;
/// Bytes of a stream caption. OBS takes 128, but what its encoder writes beside a frame holds 53 characters, and the
/// rest is never seen (measured with OBS 29; `tests/outlets_seen` reads the captions out of the stream). Some
/// characters take more room than one.
pub const CAPTION_BYTES: usize = 48;

/// Where a channel's words go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A text source of this name.
    Source(String),
    /// The running stream.
    Stream,
}

/// See the top of the file.
#[derive(Debug)]
pub struct Channel {
    pub target: Target,
    display: Display,
    /// Whether OBS can take words at the moment: the source is there, or the stream runs.
    pub open: bool,
    /// What OBS shows, where that is known.
    shown: Option<String>,
    /// What is to be shown next; kept until OBS has taken it.
    outbox: Option<Shown>,
    in_flight: bool,
    /// Words have come that the outbox doesn't hold.
    news: bool,
    /// When they came last, or were shown last where that was later.
    news_at: Instant,
    /// Nothing is sent before.
    due: Instant,
}

impl Channel {
    /// A text source with rows of a style.
    pub fn source(name: &str, style: Style, now: Instant) -> Self {
        // A text is small beside what OBS takes.
        Self::new(Target::Source(name.to_owned()), Display::new(style, usize::MAX, true), now)
    }

    /// Captions in the stream: three rows of 32 characters, without words that may still change, because each text
    /// takes seconds to be carried.
    pub fn stream(now: Instant) -> Self {
        Self::new(Target::Stream, Display::new(Style { pause: 2.0, ..Style::cea608() }, CAPTION_BYTES, false), now)
    }

    fn new(target: Target, display: Display, now: Instant) -> Self {
        Self {
            target,
            display,
            open: false,
            shown: None,
            outbox: None,
            in_flight: false,
            news: false,
            news_at: now,
            due: now,
        }
    }

    /// Takes what has come. Nobody sees captions while OBS does not stream, so they don't wait where that is `known`.
    pub fn take(&mut self, news: News, known: bool, now: Instant) {
        if self.target == Target::Stream && known && !self.open {
            return;
        }
        self.display.take(news);
        (self.news, self.news_at) = (true, now);
    }

    /// The text to send now, if any: `sent` or `failed` must follow.
    pub fn next(&mut self, now: Instant) -> Option<String> {
        if !self.open || self.in_flight || now < self.due {
            return None;
        }
        if self.outbox.is_none() && self.news {
            let shown = self.display.show();
            self.news = shown.stand.is_some();
            self.outbox = Some(shown);
        } else if self.outbox.is_none() && now.saturating_duration_since(self.news_at) >= CLEAR_AFTER && self.shows() {
            self.display.clear();
            self.outbox = Some(Shown { text: String::new(), stand: None });
        }
        let shown = self.outbox.as_ref()?;
        if self.shown.as_ref() == Some(&shown.text) {
            self.sent(now);
            return None;
        }
        self.in_flight = true;
        self.outbox.as_ref().map(|shown| shown.text.clone())
    }

    /// Whether OBS shows words, or may do so.
    pub fn shows(&self) -> bool {
        self.shown.as_ref().is_none_or(|text| !text.is_empty())
    }

    /// The request that shows a text.
    pub fn request(&self, id: &str, text: &str) -> String {
        match &self.target {
            Target::Source(name) => protocol::set_text(id, name, text),
            Target::Stream => protocol::send_caption(id, text),
        }
    }

    /// OBS has taken what `next` gave.
    pub fn sent(&mut self, now: Instant) {
        self.in_flight = false;
        if let Some(Shown { text, stand }) = self.outbox.take() {
            let carried = match self.target {
                Target::Source(_) => TEXT_INTERVAL,
                Target::Stream => {
                    Duration::from_secs_f64((text.len() as f64 / CAPTION_BYTES_A_SECOND).max(CAPTION_INTERVAL))
                }
            };
            self.news_at = self.news_at.max(now);
            self.due = now + stand.unwrap_or_default().max(carried);
            self.shown = Some(text);
        }
    }

    /// OBS has not taken what `next` gave: it is sent again once the channel is open.
    pub fn failed(&mut self) {
        self.in_flight = false;
        self.open = false;
        self.shown = None;
        if self.target == Target::Stream {
            self.forget();
        }
    }

    /// The connection is gone, and with it what is known of OBS.
    pub fn disconnected(&mut self) {
        self.in_flight = false;
        self.open = false;
        self.shown = None;
    }

    fn forget(&mut self) {
        self.display.clear();
        self.outbox = None;
        self.news = false;
    }

    /// When `next` may have something, at the latest.
    pub fn wake(&self) -> Option<Instant> {
        if !self.open || self.in_flight {
            None
        } else if self.outbox.is_some() || self.news {
            Some(self.due)
        } else {
            self.shows().then_some(self.due.max(self.news_at + CLEAR_AFTER))
        }
    }

    /// Final words that were dropped before OBS could show them.
    pub fn lost(&self) -> u64 {
        self.display.lost()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::words;

    fn finals(text: &str) -> News {
        News { finals: (1..).zip(words(text)).collect(), ..News::default() }
    }

    #[test]
    fn a_text_is_sent_again_until_it_is_taken_and_goes_after_a_pause() {
        let now = Instant::now();
        let mut channel = Channel::source("s", Style::live(), now);
        channel.take(finals("one two"), true, now);
        assert_eq!(channel.next(now), None, "the source is not there yet");
        channel.open = true;
        assert_eq!(channel.next(now).as_deref(), Some("one two"));
        assert_eq!(channel.next(now), None, "one at a time");
        channel.disconnected();
        channel.open = true;
        assert_eq!(channel.next(now).as_deref(), Some("one two"));
        channel.sent(now);
        assert_eq!(channel.wake(), Some(now + CLEAR_AFTER));
        assert_eq!(channel.next(now + CLEAR_AFTER).as_deref(), Some(""));
        channel.sent(now + CLEAR_AFTER);
        assert_eq!((channel.wake(), channel.next(now + 2 * CLEAR_AFTER)), (None, None));
    }

    #[test]
    fn captions_keep_the_pace_of_the_stream_and_do_not_wait_for_its_start() {
        let now = Instant::now();
        let mut channel = Channel::stream(now);
        channel.take(finals("said before the stream"), true, now);
        channel.open = true;
        channel.next(now);
        channel.sent(now);
        channel.take(finals(&"word ".repeat(40)), true, now);
        let later = now + Duration::from_secs(2);
        let first = channel.next(later).expect("a caption");
        assert!(first.len() <= CAPTION_BYTES && !first.contains("before"), "{first}");
        channel.sent(later);
        assert!(channel.wake().is_some_and(|at| at >= later + Duration::from_secs_f64(CAPTION_INTERVAL)));
        channel.failed();
        assert_eq!((channel.open, channel.lost()), (false, 0));
    }
}
