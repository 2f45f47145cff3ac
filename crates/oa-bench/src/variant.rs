//! What is put around the provider: nothing, one layer of the default stack, or the whole of it.

use crate::{args::Args, load};
use oa_middleware::{DeadlineLayer, FirstEventTimeoutLayer, IdleTimeoutLayer, RetryLayer, Stack, TraceLayer};
use oa_provider::{OpenAiProvider, ServiceProvider};
use std::{error::Error, time::Duration};
use tower_layer::{Identity, Layer};

/// Never reached here.
const LIMIT: Duration = Duration::from_secs(600);

pub(crate) async fn measure(args: Args) -> Result<String, Box<dyn Error>> {
    match args.variant.as_str() {
        "" => load::measure(args, |provider| provider).await,
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

fn around<L: Layer<OpenAiProvider>>(
    layer: L,
    provider: OpenAiProvider,
) -> ServiceProvider<L::Service, OpenAiProvider> {
    ServiceProvider::new(layer.layer(provider.clone()), provider)
}

/// The two time limits of an attempt.
struct Timeouts;

impl<S> Layer<S> for Timeouts {
    type Service = <FirstEventTimeoutLayer as Layer<<IdleTimeoutLayer as Layer<S>>::Service>>::Service;

    fn layer(&self, service: S) -> Self::Service {
        FirstEventTimeoutLayer::new(LIMIT).layer(IdleTimeoutLayer::default().layer(service))
    }
}
