//! How the outlets are doing, for windows and status lines: each in one sentence. Knows no connection.

/// How all of them are doing; none for one that is switched off.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// The overlay.
    pub overlay: Option<OverlayStatus>,
    /// The link to OBS.
    pub obs: Option<ObsStatus>,
}

/// How the overlay is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OverlayStatus {
    /// Being opened.
    Opening,
    /// It can be looked at.
    Open {
        /// The port in use.
        port: u16,
        /// The port that was asked for.
        wished: u16,
        /// Who reads words at the moment.
        viewers: usize,
    },
    /// It can't be served: a sentence that says what to do.
    Failed(String),
}

impl OverlayStatus {
    /// The address for a browser source, once there is one.
    pub fn link(&self) -> Option<String> {
        match self {
            OverlayStatus::Open { port, .. } => Some(format!("http://127.0.0.1:{port}/")),
            _ => None,
        }
    }

    /// Whether something is wrong.
    pub fn is_problem(&self) -> bool {
        matches!(self, OverlayStatus::Failed(_))
    }

    /// One sentence.
    pub fn sentence(&self) -> String {
        match self {
            OverlayStatus::Opening => "the overlay is being opened".to_owned(),
            OverlayStatus::Failed(why) => why.clone(),
            OverlayStatus::Open { port, wished, .. } => {
                let moved =
                    if *wished != 0 && port != wished { format!("; port {wished} was taken") } else { String::new() };
                format!("the overlay is at http://127.0.0.1:{port}/{moved}")
            }
        }
    }

    /// Who looks at it, in a few words; none before it is open.
    pub fn readers(&self) -> Option<String> {
        match self {
            OverlayStatus::Open { viewers: 0, .. } => Some("nobody looks at the overlay".to_owned()),
            OverlayStatus::Open { viewers: 1, .. } => Some("one reader of the overlay".to_owned()),
            OverlayStatus::Open { viewers, .. } => Some(format!("{viewers} readers of the overlay")),
            _ => None,
        }
    }
}

/// How the link to OBS is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObsStatus {
    /// The state of the link.
    pub link: ObsLink,
    /// Final words that were dropped before OBS could show them.
    pub lost: u64,
}

/// The state of the link to OBS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObsLink {
    /// The first try.
    Connecting,
    /// Nothing answers; tried again by and by.
    Unreachable {
        /// Host and port.
        address: String,
        /// What the system said.
        why: String,
    },
    /// It was there and broke off; tried again by and by.
    BrokeOff(String),
    /// Something answers that does not speak the protocol.
    NotObs {
        /// Host and port.
        address: String,
        /// What was odd.
        why: String,
    },
    /// OBS asks for a password and none is given.
    PasswordMissing,
    /// OBS refuses the password.
    PasswordWrong,
    /// The words are shown.
    Connected {
        /// Whether OBS streams at the moment.
        streaming: bool,
        /// What keeps the text source from showing words.
        source: Option<SourceProblem>,
        /// Whether stream captions are wanted.
        captions: bool,
    },
}

/// What is wrong with the text source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceProblem {
    /// OBS has no source of this name.
    Missing(String),
    /// The source shows no text.
    NoText {
        /// Its name.
        name: String,
        /// Its kind, as OBS calls it.
        kind: String,
    },
    /// OBS refuses the text.
    Refused(String),
}

impl ObsStatus {
    /// Whether something is wrong that the user can mend.
    pub fn is_problem(&self) -> bool {
        !matches!(self.link, ObsLink::Connecting | ObsLink::Connected { source: None, .. })
    }

    /// One sentence.
    pub fn sentence(&self) -> String {
        let lost = self.lost().map(|lost| format!("; {lost}")).unwrap_or_default();
        self.link.sentence() + &lost
    }

    /// What OBS could not show, in a few words; none where nothing was lost.
    pub fn lost(&self) -> Option<String> {
        match self.lost {
            0 => None,
            1 => Some("one word came too late to be shown".to_owned()),
            n => Some(format!("{n} words came too late to be shown")),
        }
    }
}

impl ObsLink {
    /// One sentence.
    pub fn sentence(&self) -> String {
        const WHERE: &str = "in OBS under Tools, WebSocket Server Settings";
        match self {
            ObsLink::Connecting => "connecting to OBS".to_owned(),
            ObsLink::Unreachable { address, why } => {
                format!("OBS does not answer at {address} ({why}); start it, and switch its server on {WHERE}")
            }
            ObsLink::BrokeOff(why) => format!("the connection to OBS broke off ({why}); trying again"),
            ObsLink::NotObs { address, why } => {
                format!("what answers at {address} is not OBS 28 or newer ({why}); look up the port {WHERE}")
            }
            ObsLink::PasswordMissing => format!("OBS asks for a password; look it up {WHERE}"),
            ObsLink::PasswordWrong => format!("OBS refuses the password; look it up {WHERE}"),
            ObsLink::Connected { source: Some(SourceProblem::Missing(name)), .. } => {
                format!("OBS is connected but has no source named `{name}`; add a Text source of that name")
            }
            ObsLink::Connected { source: Some(SourceProblem::NoText { name, kind }), .. } => {
                format!(
                    "OBS is connected, but its source `{name}` shows no text (it is of the kind {kind}); name a Text \
                     source"
                )
            }
            ObsLink::Connected { source: Some(SourceProblem::Refused(why)), .. } => {
                format!("OBS is connected but refuses the text ({why}); update OBS")
            }
            ObsLink::Connected { captions: true, streaming: false, .. } => {
                "OBS is connected; OBS is not streaming".to_owned()
            }
            ObsLink::Connected { captions: true, streaming: true, .. } => {
                "OBS is connected and streams the captions".to_owned()
            }
            ObsLink::Connected { .. } => "OBS is connected".to_owned(),
        }
    }
}
