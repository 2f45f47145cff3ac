//! Runs a command on one thread, until it is done or Ctrl-C.

use crate::failure::Failure;
use std::future::Future;
use tokio::{runtime::Builder, signal::ctrl_c};

/// Runs the command. On Ctrl-C its future is dropped, which closes its connections, so that the server stops
/// working for it.
pub(crate) fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        tokio::select! {
            biased;
            pressed = ctrl_c() => {
                pressed?;
                Err(Failure::Interrupted)
            }
            result = command => result,
        }
    });
    // A name that is still being looked up would hold up the end.
    runtime.shutdown_background();
    result
}
