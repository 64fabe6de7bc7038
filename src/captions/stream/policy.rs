//! The numbers of the streaming policy.

/// When the recogniser runs and how much it hears; all in seconds.
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
}

impl Default for Policy {
    fn default() -> Self {
        Self { step: 1.0, pre_roll: 0.4, settle: 0.35, endpoint: 0.7, trim: 15.0, cap: 25.0, max_step: 8.0, urgent: 6.0 }
    }
}

impl Policy {
    /// The longest buffer that any recogniser is given, less a frame for rounding.
    const LONGEST: f64 = 29.9;

    /// The same with each number inside what the stream can keep to.
    pub(super) fn bounded(self) -> Self {
        let or = |x: f64, standard: f64| if x.is_finite() { x } else { standard };
        let standard = Self::default();
        let step = or(self.step, standard.step).clamp(0.1, 10.0);
        let endpoint = or(self.endpoint, standard.endpoint).clamp(0.1, 5.0);
        Self {
            step,
            pre_roll: or(self.pre_roll, standard.pre_roll).clamp(0.0, 2.0),
            settle: or(self.settle, standard.settle).clamp(0.0, endpoint),
            endpoint,
            trim: or(self.trim, standard.trim).clamp(3.0, 20.0),
            cap: or(self.cap, standard.cap).clamp(8.0, Self::LONGEST),
            max_step: or(self.max_step, standard.max_step).clamp(step, 15.0),
            urgent: or(self.urgent, standard.urgent).max(step),
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
}
