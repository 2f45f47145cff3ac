//! The layers around the provider: none, one layer of the default stack, or the whole of it.

use crate::{args::Args, load};
use oa_middleware::{DeadlineLayer, FirstEventTimeoutLayer, IdleTimeoutLayer, RetryLayer, Stack, TraceLayer};
use oa_provider::{Completion, CompletionRequest, Layered, OpenAiProvider};
use std::{error::Error, time::Duration};
use tower_layer::{Identity, Layer};
use tower_service::Service;

/// Never reached here.
const LIMIT: Duration = Duration::from_secs(600);

pub(crate) async fn measure(args: Args) -> Result<String, Box<dyn Error>> {
    match args.variant.as_str() {
        // With a header and a session of each call, or without: see `Client::request`.
        "" | "session" => load::measure(args, |provider| provider).await,
        // What a stack costs that has no layers.
        "service" => load::measure(args, |provider| around(Identity::new(), provider)).await,
        "deadline" => load::measure(args, |provider| around(DeadlineLayer::new(LIMIT), provider)).await,
        "retry" => load::measure(args, |provider| around(RetryLayer::default(), provider)).await,
        "trace" => {
            load::measure(args, |provider| around(TraceLayer::new(provider.profile()), provider)).await
        }
        "timeouts" => load::measure(args, |provider| around(Timeouts, provider)).await,
        "stack" => load::measure(args, |provider| around(Stack::new(provider.profile()), provider)).await,
        other => Err(format!("there is no variant {other}").into()),
    }
}

fn around<L>(layer: L, provider: OpenAiProvider) -> Layered<L::Service, OpenAiProvider>
where
    L: Layer<OpenAiProvider>,
    L::Service: Service<CompletionRequest, Response = Completion, Error = oa_provider::Error> + Send,
    <L::Service as Service<CompletionRequest>>::Future: Send,
{
    Layered::new(layer.layer(provider.clone()), provider)
}

/// The two time limits of an attempt.
struct Timeouts;

impl<S> Layer<S> for Timeouts {
    type Service = <FirstEventTimeoutLayer as Layer<<IdleTimeoutLayer as Layer<S>>::Service>>::Service;

    fn layer(&self, service: S) -> Self::Service {
        FirstEventTimeoutLayer::new(LIMIT).layer(IdleTimeoutLayer::default().layer(service))
    }
}
