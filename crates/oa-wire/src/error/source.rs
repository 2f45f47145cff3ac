//! The cause of an error.

use std::{error::Error as StdError, sync::Arc};

/// The cause of an error.
#[derive(Clone)]
pub(super) enum Source {
    None,
    /// The next level of the chain.
    Below(Arc<dyn StdError + Send + Sync>),
    /// An error in whose place ours stands: the chain goes on with its source.
    Same(Arc<dyn StdError + Send + Sync>),
}

impl Source {
    pub(super) fn get(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        match self {
            Self::None => None,
            Self::Below(error) | Self::Same(error) => Some(&**error),
        }
    }
}
