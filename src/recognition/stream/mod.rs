//! Makes a recogniser that reads whole buffers caption a stream: voice activity in front, agreement behind, bounded in
//! memory and in lag.
//!
//! Every decision falls on frames of the voice activity model, cut on sample positions: how the sound is portioned
//! changes nothing. Knows nothing of threads; the worker says how far behind it is.

mod again;
mod agreement;
mod level;
mod marks;
mod policy;
mod run;
mod said;
#[cfg(test)]
mod tests;

pub use marks::{SKIPPED, UNCLEAR};
pub use mynah_subtitles::Event;
pub use policy::{Commit, Policy, Settings};

use again::Sound;
use agreement::{Agreement, Trust};
use level::Follower;
use said::Said;

use super::{RecognizeError, Recognizer, Word};
use mynah_models::vad::{Detector, FRAME, GO_ON, RATE, START, Vad};

/// Fewer frames of speech than this are a click: the recogniser isn't asked.
const MIN_SPEECH_FRAMES: usize = 3;
/// Samples of quiet behind a last word that make its hypothesis a good one.
const QUIET_BEHIND: u64 = RATE as u64 / 5;
/// A timeline that steps less than this goes on, while there is sound that it would cut.
const SAME_PLACE: f64 = 0.05;
/// The buffer is cut so many seconds before a word that isn't final.
const BEFORE: f64 = 0.25;
/// The buffer is cut so many seconds behind the end of a final word: what is left of a word is heard as another one.
const BEHIND: f64 = 0.1;
/// Words that end in the last so many seconds of a buffer are not trusted when there is no second hypothesis.
const UNSURE: f64 = 1.0;
/// A buffer of a policy that hears again is cut in a pause, or behind a final word, that is this near to its end.
const CLOSE: f64 = 6.0;

/// The streaming policy around a recogniser. One thread; a call takes as long as the recogniser does.
pub struct Streamer {
    recognizer: Box<dyn Recognizer>,
    detector: Box<dyn Detector>,
    policy: Policy,
    agreement: Agreement,
    backlog: f64,
    /// The samples of a frame that isn't full.
    frame: Vec<f32>,
    /// The position of the first sample of `frame`, in samples since the start.
    position: u64,
    /// Samples of silence that filled the last frame.
    padding: u64,
    /// The timeline: this position lies at this second.
    base: (u64, f64),
    jump: Option<f64>,
    /// Whole frames: while nobody speaks the last ones, else all since speech began or the last trim.
    buffer: Vec<f32>,
    /// The probability of each frame in `buffer`.
    probabilities: Vec<f32>,
    speaking: bool,
    speech_frames: usize,
    /// Where the last frame of speech ends.
    last_speech: u64,
    /// Where the buffer ended when the recogniser last ran.
    heard_until: u64,
    said: Said,
    partial: Vec<Word>,
    /// Where the last hypothesis was all invented, or empty although somebody spoke for long: from when to when, in
    /// seconds.
    unclear: Option<(f64, f64)>,
    /// Where sound began to be left out, while it is.
    skipped_from: Option<u64>,
    /// Text that leads the recogniser on before all else.
    hint: String,
    /// Raises soft speech for the detector; and room for the buffer, raised for the recogniser.
    follower: Follower,
    raised: Vec<f32>,
}

impl std::fmt::Debug for Streamer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streamer")
            .field("position", &self.position)
            .field("speaking", &self.speaking)
            .finish_non_exhaustive()
    }
}

impl Streamer {
    /// With the voice activity model.
    pub fn new(mut recognizer: Box<dyn Recognizer>, vad: Vad, settings: &Settings) -> Result<Streamer, RecognizeError> {
        recognizer.expect(&settings.hot)?;
        recognizer.speak(settings.language.as_deref())?;
        let mut streamer = Self::with(recognizer, Box::new(vad), settings.policy);
        settings.hint.trim().clone_into(&mut streamer.hint);
        Ok(streamer)
    }

    /// With any detector of speech and any policy.
    pub fn with(recognizer: Box<dyn Recognizer>, detector: Box<dyn Detector>, policy: Policy) -> Streamer {
        Streamer {
            recognizer,
            detector,
            policy: policy.bounded(),
            agreement: Agreement::default(),
            backlog: 0.0,
            frame: Vec::with_capacity(FRAME),
            position: 0,
            padding: 0,
            base: (0, 0.0),
            jump: None,
            buffer: Vec::new(),
            probabilities: Vec::new(),
            speaking: false,
            speech_frames: 0,
            last_speech: 0,
            heard_until: 0,
            said: Said::default(),
            partial: Vec::new(),
            unclear: None,
            skipped_from: None,
            hint: String::new(),
            follower: Follower::default(),
            raised: Vec::new(),
        }
    }

    /// The codes of the languages that the recogniser can be told; none where it hears its own alone.
    pub fn languages(&self) -> Vec<&str> {
        self.recognizer.languages()
    }

    /// The code of the language that was told or, so far, heard; none where that isn't known.
    pub fn spoken(&self) -> Option<&str> {
        self.recognizer.spoken()
    }

    /// Says where on the timeline the next pushed sample lies. A jump makes all that was said before final, with the
    /// next call.
    pub fn at(&mut self, seconds: f64) {
        let here = self.seconds(self.position + self.frame.len() as u64);
        let held = self.buffer.len() + self.frame.len() > 0;
        self.jump =
            ((seconds - here).abs() > if held { SAME_PLACE } else { 0.0 } && seconds.is_finite()).then_some(seconds);
    }

    /// Says how many seconds of sound wait behind what is pushed next. The further behind, the more sound each run of
    /// the recogniser takes; far behind, one hypothesis is enough; and what waits beyond [`Policy::skip`] is left out,
    /// with [`SKIPPED`] in its place. So each second of sound costs less and the lag is bounded on any machine.
    pub fn set_backlog(&mut self, seconds: f64) {
        self.backlog = if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
    }

    /// Seconds of sound that are kept.
    pub fn buffered_seconds(&self) -> f64 {
        (self.buffer.len() + self.frame.len()) as f64 / RATE as f64
    }

    /// Takes the next samples, 16 kHz mono ±1, and appends what they bring about.
    ///
    /// On an error all samples are still taken and the stream goes on; the first error is given.
    pub fn push(&mut self, samples_16k: &[f32], events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        let mut outcome = Ok(());
        if let Some(seconds) = self.jump.take() {
            outcome = outcome.and(self.flush(events));
            self.base = (self.position, seconds);
        }
        let mut rest = samples_16k;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(FRAME - self.frame.len()));
            self.frame.extend(now.iter().map(|x| if x.is_finite() { *x } else { 0.0 }));
            rest = later;
            if self.frame.len() == FRAME {
                outcome = outcome.and(self.take_frame(events));
            }
        }
        outcome
    }

    /// The stream ends: everything said becomes final. What is pushed later starts anew, at the same place of the
    /// timeline.
    pub fn end(&mut self, events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        self.flush(events)
    }

    /// The second up to which all words have been told: no later word starts before it.
    pub fn settled(&self) -> f64 {
        self.seconds(self.skipped_from.unwrap_or_else(|| self.buffer_position()))
    }

    fn seconds(&self, position: u64) -> f64 {
        self.base.1 + (position - self.base.0) as f64 / RATE as f64
    }

    /// The position of the first sample of the buffer.
    fn buffer_position(&self) -> u64 {
        self.position - self.buffer.len() as u64
    }

    /// Whether there is speech whose end the recogniser hasn't heard together with the quiet behind it.
    fn unheard(&self) -> bool {
        self.speech_frames >= MIN_SPEECH_FRAMES && self.last_speech + QUIET_BEHIND > self.heard_until
    }

    /// Moves a full frame into the buffer and decides.
    fn take_frame(&mut self, events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        if self.skips(events) {
            return Ok(());
        }
        let heard =
            self.detector.probability(self.follower.raise(&self.frame)).map_err(|e| RecognizeError::Run(e.to_string()));
        let p = *heard.as_ref().unwrap_or(&0.0);
        self.buffer.append(&mut self.frame);
        self.probabilities.push(p);
        self.position += FRAME as u64;
        let decided = self.decide(p, events);
        heard.map(|_| ()).and(decided)
    }

    fn decide(&mut self, p: f32, events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        if !self.speaking {
            if p < START {
                let keep = (self.policy.pre_roll * RATE as f64) as usize / FRAME + 1;
                self.keep_last(keep);
                return Ok(());
            }
            self.speaking = true;
            self.speech_frames = 0;
            self.heard_until = self.position - FRAME as u64;
        }
        if p >= GO_ON {
            self.last_speech = self.position;
            self.speech_frames += 1;
        }
        let silence = (self.position - self.last_speech) as f64 / RATE as f64;
        if silence >= self.policy.endpoint {
            return self.close(events);
        }
        if self.buffer.len() as f64 >= self.policy.cap * RATE as f64 {
            let outcome = self.run(Trust::Until(self.sure_until()), events);
            self.mark_unclear(events);
            self.cut_hard();
            return outcome;
        }
        let due = (self.position - self.heard_until) as f64 >= self.policy.step(self.backlog) * RATE as f64;
        let settled = silence >= self.policy.settle && self.backlog < self.policy.step;
        if self.unheard() && (due || settled) {
            if self.policy.urgent(self.backlog) {
                self.run(Trust::Until(self.seconds(self.position) - UNSURE), events)?;
                self.mark_unclear(events);
                self.cut_hard();
                return Ok(());
            }
            self.run(Trust::Policy(self.policy.commit), events)?;
            if self.buffer.len() as f64 > self.policy.trim * RATE as f64 {
                self.trim();
            }
        }
        Ok(())
    }

    /// Up to where the words of a buffer that may grow no further are trusted: a policy that has time gives the next
    /// one whole sentences.
    fn sure_until(&self) -> f64 {
        let sound = Sound { samples: &self.buffer, probabilities: &self.probabilities };
        let pause = sound.pause(sound.length() - CLOSE, sound.length()).filter(|_| self.policy.again);
        pause.map_or(self.seconds(self.position) - UNSURE, |pause| self.seconds(self.buffer_position()) + pause)
    }

    /// Speech ended: what was said becomes final, and the last frames wait for the next speech.
    fn close(&mut self, events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        let mut outcome = Ok(());
        if self.unheard() {
            outcome = self.run(Trust::Until(f64::INFINITY), events);
        }
        // Where the last run already heard the end of the speech, or failed, what it said stands.
        let rest = self.agreement.finish();
        self.tell(rest, events);
        self.mark_unclear(events);
        self.leave_segment();
        self.keep_last((self.policy.pre_roll * RATE as f64) as usize / FRAME + 1);
        outcome
    }

    fn leave_segment(&mut self) {
        self.unclear = None;
        self.agreement.next_segment();
        self.said.scroll(f64::INFINITY);
        self.speaking = false;
    }

    fn flush(&mut self, events: &mut Vec<Event>) -> Result<(), RecognizeError> {
        let mut outcome = Ok(());
        let length = self.frame.len();
        let padding = if length > 0 { FRAME - length } else { 0 };
        if length > 0 {
            self.frame.resize(FRAME, 0.0);
            self.padding = padding as u64;
            outcome = self.take_frame(events);
        }
        if self.speaking {
            outcome = outcome.and(self.close(events));
        }
        self.mark_skipped(events);
        // Padding is no time that passed.
        self.position -= std::mem::take(&mut self.padding);
        self.keep_last(0);
        self.detector.reset();
        self.follower.reset();
        self.agreement.reset();
        self.said.forget_text();
        self.base = (self.position, self.seconds(self.position));
        outcome
    }

    /// Appends a final where there are words, and a partial where it changed.
    fn tell(&mut self, words: Vec<Word>, events: &mut Vec<Event>) {
        if !words.is_empty() {
            self.said.add(&words);
            events.push(Event::Final(words));
        }
        if self.partial != self.agreement.pending() {
            self.partial = self.agreement.pending().to_vec();
            events.push(Event::Partial(self.partial.clone()));
        }
    }

    /// Cuts the buffer behind the last sentence that is final, or else behind the last final word.
    fn trim(&mut self) {
        let third = self.seconds(self.buffer_position()) + self.buffer.len() as f64 / RATE as f64 / 3.0;
        let sentence = |w: &&Word| w.end > third && w.text.ends_with(['.', '?', '!', '…']);
        if let Some(word) = self.said.in_buffer().iter().rev().find(sentence).or(self.said.in_buffer().last()) {
            let end = word.end + BEHIND;
            self.cut(end);
        }
    }

    /// The buffer may grow no further: cuts it before the first word that isn't final.
    fn cut_hard(&mut self) {
        let end = self.seconds(self.position);
        let last = self.said.in_buffer().last().map_or(f64::NEG_INFINITY, |w| w.end + BEHIND);
        let unsure = if self.policy.again && last > end - CLOSE { last } else { end - UNSURE };
        let cut = self.agreement.pending().first().map_or(unsure, |w| w.start - BEFORE).max(last);
        // A word that is not final and longer than the buffer can hold is no word.
        self.cut(cut.max(end - self.policy.trim));
    }

    fn cut(&mut self, seconds: f64) {
        let samples = ((seconds - self.seconds(self.buffer_position())) * RATE as f64).max(0.0) as usize;
        let frames = self.probabilities.len() - (samples / FRAME).min(self.probabilities.len());
        self.keep_last(frames);
        self.said.scroll(seconds);
    }

    fn keep_last(&mut self, frames: usize) {
        let drop = self.probabilities.len().saturating_sub(frames);
        self.probabilities.drain(..drop);
        self.buffer.drain(..drop * FRAME);
    }
}
