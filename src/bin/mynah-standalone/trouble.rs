//! Why the standalone can't go on: one sentence that says what to do.

/// See the top of the file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub String);

impl Trouble {
    /// What another part of Mynah says.
    pub fn from_error(e: &dyn std::error::Error) -> Self {
        Self(e.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
    }
}
