//! How `caption` hears a file: at once, or as if it were spoken now.

use clap::Args;

use mynah::engine::offline::Pace;
use mynah::recognition::stream::{Commit, Policy};

use crate::terminal::Failure;

/// What of `caption` concerns live captions.
#[derive(Debug, Args)]
pub struct LiveArguments {
    /// Caption as if the recording were spoken now: words come while it is heard, with the delay and the bound on it of
    /// live captions
    #[arg(long)]
    live: bool,
    /// What a word needs to be final: agreement:N (N hypotheses), attention (a fixed wait) or adaptive
    #[arg(long, requires = "live", hide = true, value_name = "POLICY")]
    policy: Option<String>,
    /// Seconds of new sound between two runs of the recogniser
    #[arg(long, requires = "live", hide = true, value_name = "S")]
    step: Option<f64>,
    /// Seconds of sound behind a word that is final: the wait of `attention`, the longest one of `adaptive`
    #[arg(long, requires = "live", hide = true, value_name = "S")]
    wait: Option<f64>,
    /// The shortest wait of `adaptive`
    #[arg(long, requires = "live", hide = true, value_name = "S")]
    least: Option<f64>,
}

impl LiveArguments {
    /// Whether a recording is to be heard as if it were spoken now.
    pub fn asked(&self) -> bool {
        self.live
    }

    /// The policy and the pace.
    pub fn manner(&self) -> Result<(Policy, Pace), Failure> {
        if !self.live {
            return Ok((Policy::whole(), Pace::Whole));
        }
        let standard = Policy::default();
        let Commit::Adaptive { least, most } = standard.commit else { return Ok((standard, Pace::Live)) };
        let most = self.wait.unwrap_or(most);
        let commit = match self.policy.as_deref().unwrap_or("adaptive") {
            "adaptive" => Commit::Adaptive { least: self.least.unwrap_or(least), most },
            "attention" => Commit::Attention { wait: most },
            other => match other.strip_prefix("agreement:").and_then(|n| n.parse().ok()) {
                Some(hypotheses) => Commit::Agreement { hypotheses },
                None => {
                    return Err(Failure::Usage(format!(
                        "there is no policy `{other}`; choose agreement:2, attention or adaptive"
                    )));
                }
            },
        };
        Ok((Policy { commit, step: self.step.unwrap_or(standard.step), ..standard }, Pace::Live))
    }
}
