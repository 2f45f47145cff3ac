//! Running a call in a program without a runtime.

use oa_wire::{Category, Error};
use std::future::Future;
use tokio::runtime::{Builder, Handle};

/// Runs calls to their end on a runtime of their own, on this thread: for a program that has no async code
/// otherwise.
///
/// ```no_run
/// use oa_provider::{Error, OpenAiProvider, Provider};
///
/// fn main() -> Result<(), Error> {
///     oa_provider::block_on(async {
///         let provider = OpenAiProvider::from_env()?;
///         println!("{}", provider.complete(&"The capital of France?".into()).await?.text());
///         Ok(())
///     })
/// }
/// ```
///
/// Connections do not outlive it: a program with many calls makes them in one `block_on`.
///
/// # Errors
///
/// Those of the future, and [`InvalidRequest`](Category::InvalidRequest) within a tokio runtime: there the
/// future is to be awaited.
pub fn block_on<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    if Handle::try_current().is_ok() {
        return Err(Error::invalid_request(
            "block_on was called within a tokio runtime: await the future instead",
        ));
    }
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::from_source(Category::Unavailable, error))?.block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs_a_future_and_refuses_to_block_a_runtime() {
        let nested = block_on(async {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            Ok(block_on(async { Ok(()) }))
        });
        assert!(nested.unwrap().unwrap_err().message().contains("await"));
    }
}
