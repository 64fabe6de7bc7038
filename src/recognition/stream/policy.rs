//! The numbers of the streaming policy.

/// What is asked of a word before it is final.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Commit {
    /// So many hypotheses in a row said it: LocalAgreement-n (Macháček, Dabre and Bojar, "Turning Whisper into
    /// Real-Time Transcription System", 2023).
    Agreement {
        /// At least 1.
        hypotheses: usize,
    },
    /// The sound goes on for so many seconds past the place that the model attended to when it chose the word: AlignAtt
    /// (Papi, Turchi and Negri, "AlignAtt: Using Attention-based Audio-Translation Alignments as a Guide for
    /// Simultaneous Speech Translation", 2023).
    Attention {
        /// In seconds.
        wait: f64,
    },
    /// Both: two hypotheses in a row, and a wait that is each word's own, shorter the surer the model is of it.
    Adaptive {
        /// Seconds of a word that is sure.
        least: f64,
        /// Seconds of a word that is not: the bound.
        most: f64,
    },
}

/// A word of this confidence is sure.
const SURE: f32 = 0.95;
/// A word of this confidence is as unsure as can be.
const UNSURE: f32 = 0.5;

impl Commit {
    /// Whether a word may be final which `seen` hypotheses in a row said, the last one with this confidence, and behind
    /// whose place there are `heard` seconds of sound.
    pub(super) fn allows(&self, seen: usize, confidence: f32, heard: f64) -> bool {
        match *self {
            Commit::Agreement { hypotheses } => seen >= hypotheses,
            Commit::Attention { wait } => heard >= wait,
            Commit::Adaptive { least, most } => {
                let doubt = f64::from(((SURE - confidence) / (SURE - UNSURE)).clamp(0.0, 1.0));
                seen > 1 && heard >= least + (most - least) * doubt
            }
        }
    }
}

/// When the recogniser runs, how much it hears and what becomes final; all in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// New sound between two runs while somebody speaks and the worker keeps up.
    pub step: f64,
    /// Sound before the detected start of speech: first words are never clipped.
    pub pre_roll: f64,
    /// A pause after which the recogniser runs early, so that its words wait when the speech is seen to have ended.
    pub settle: f64,
    /// A pause that ends speech and makes it final.
    pub endpoint: f64,
    /// A longer buffer is cut behind final words.
    pub trim: f64,
    /// A buffer is never longer.
    pub cap: f64,
    /// The widest step when the worker is behind.
    pub max_step: f64,
    /// A backlog above this makes one hypothesis enough.
    pub urgent: f64,
    /// A backlog above this is never heard: the sound is left out and marked. The bound on the lag.
    pub skip: f64,
    /// What is asked of a word before it is final.
    pub commit: Commit,
    /// Speech that no word covers is heard again, in short windows, when it has ended.
    pub again: bool,
}

impl Default for Policy {
    /// For live captions.
    fn default() -> Self {
        Self {
            step: 0.4,
            pre_roll: 0.4,
            settle: 0.35,
            endpoint: 0.7,
            trim: 8.0,
            cap: 20.0,
            max_step: 6.0,
            urgent: 4.0,
            skip: 8.0,
            commit: Commit::Adaptive { least: 0.5, most: 1.0 },
            again: false,
        }
    }
}

/// How a stream is captioned.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// When the recogniser runs and what becomes final.
    pub policy: Policy,
    /// Text that leads the recogniser on before all else: names and words that are likely to come. Empty for none.
    pub hint: String,
    /// Names and terms that are likelier than they sound.
    pub hot: Vec<String>,
    /// The code of the language that is spoken, such as `de`; `None` to hear it, where the model knows several.
    pub language: Option<String>,
}

impl Policy {
    /// The longest buffer that any recogniser is given, less a frame for rounding.
    const LONGEST: f64 = 29.9;

    /// For whole files, where nobody waits for a word: each stretch of speech is heard once, as long as the recogniser
    /// can hear.
    pub fn whole() -> Self {
        let never = 1e9;
        Self {
            step: 60.0,
            settle: 10.0,
            endpoint: 2.0,
            trim: 20.0,
            cap: 25.0,
            max_step: 60.0,
            urgent: never,
            skip: never,
            commit: Commit::Agreement { hypotheses: 1 },
            again: true,
            ..Self::default()
        }
    }

    /// The same with each number inside what the stream can keep to.
    pub(super) fn bounded(self) -> Self {
        let or = |x: f64, standard: f64| if x.is_finite() { x } else { standard };
        let standard = Self::default();
        let step = or(self.step, standard.step).clamp(0.1, 60.0);
        let urgent = or(self.urgent, standard.urgent).max(step);
        let wait = |x: f64| or(x, 1.0).clamp(0.0, 5.0);
        Self {
            step,
            pre_roll: or(self.pre_roll, standard.pre_roll).clamp(0.0, 2.0),
            settle: or(self.settle, standard.settle).clamp(0.0, 60.0),
            endpoint: or(self.endpoint, standard.endpoint).clamp(0.1, 5.0),
            trim: or(self.trim, standard.trim).clamp(3.0, 20.0),
            cap: or(self.cap, standard.cap).clamp(8.0, Self::LONGEST),
            max_step: or(self.max_step, standard.max_step).clamp(step, 60.0),
            urgent,
            skip: or(self.skip, standard.skip).max(urgent),
            again: self.again,
            commit: match self.commit {
                Commit::Agreement { hypotheses } => Commit::Agreement { hypotheses: hypotheses.max(1) },
                Commit::Attention { wait: w } => Commit::Attention { wait: wait(w) },
                Commit::Adaptive { least, most } => {
                    Commit::Adaptive { least: wait(least).min(wait(most)), most: wait(most) }
                }
            },
        }
    }

    /// New sound between two runs at this backlog.
    pub(super) fn step(&self, backlog: f64) -> f64 {
        (self.step + backlog).min(self.max_step)
    }

    /// Whether one hypothesis must be enough.
    pub(super) fn urgent(&self, backlog: f64) -> bool {
        backlog > self.urgent
    }

    /// Whether so much waits that it must be left out.
    pub(super) fn hopeless(&self, backlog: f64) -> bool {
        backlog > self.skip
    }
}
