//! A step of an answer's body: bytes, a pause or an end.

use bytes::Bytes;
use std::{fmt, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// One step of a body.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Piece {
    /// These bytes, in one write; in a chunked body they are one HTTP chunk. Empty bytes send nothing.
    Bytes(Bytes),
    /// Nothing for this long (tokio's clock, which a test can pause).
    Delay(Duration),
    /// Nothing until the gate lets it pass.
    Wait(Gate),
    /// Stop here: the connection is closed in an orderly way (FIN), the body stays unfinished.
    Cut,
    /// Stop here: the connection is reset (RST), and what the client has not read yet may be lost to it.
    Reset,
    /// Stop here, send nothing more and keep the connection until the client leaves.
    Stall,
}

impl From<&str> for Piece {
    fn from(text: &str) -> Self {
        Self::Bytes(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Piece {
    fn from(text: String) -> Self {
        Self::Bytes(Bytes::from(text))
    }
}

impl From<&[u8]> for Piece {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Bytes::copy_from_slice(bytes))
    }
}

impl From<Vec<u8>> for Piece {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Bytes::from(bytes))
    }
}

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

/// A point where an answer waits until the test lets it go on: order without sleeping.
///
/// ```
/// use oa_sim::{Answer, Gate, Piece};
///
/// let gate = Gate::new();
/// let (first, second) = (Piece::from("data: 1\n\n"), Piece::from("data: 2\n\n"));
/// let answer = Answer::stream([first, Piece::Wait(gate.clone()), second]);
/// // ... read the first event, look at the world, and then:
/// gate.open();
/// # let _ = answer;
/// ```
#[derive(Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// A shut gate. Clones are the same gate.
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets everything pass, now and later.
    pub fn open(&self) {
        self.0.close();
    }

    /// Lets one piece pass, the one that waits or the next one that comes.
    pub fn release(&self) {
        self.0.add_permits(1);
    }

    pub(crate) async fn wait(&self) {
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.0.is_closed() { "Gate(open)" } else { "Gate(shut)" };
        out.write_str(state)
    }
}
