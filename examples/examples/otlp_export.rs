//! The spans of each attempt to an OpenTelemetry collector, by OTLP over HTTP.
//!
//! `OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 cargo run -p oa-examples --example otlp_export`

mod server;

use oa_middleware::Stack;
use oa_provider::{Layered, Provider};
use oa_wire::{CompletionRequest, Message, RuntimeConfig};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing::Instrument;
use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (provider, _simulator) = server::provider()?;

    // Where to: `OTEL_EXPORTER_OTLP_ENDPOINT`, or http://localhost:4318.
    let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpJson).build()?;
    let tracing = SdkTracerProvider::builder()
        .with_resource(Resource::builder().with_service_name("otlp_export").build())
        .with_batch_exporter(exporter)
        .build();
    // With the feature `otel` of oa-middleware, lists arrive as arrays.
    let layer = tracing_opentelemetry::layer().with_tracer(tracing.tracer("otlp_export"));
    // Without the filter, every event of the HTTP client would be in the spans too.
    tracing_subscriber::registry().with(LevelFilter::INFO).with(layer).init();

    let stack = Stack::new(provider.profile()).trace(|spans| spans.payload(true)).layer(provider.clone());
    let provider = Layered::new(stack, provider);
    let request = CompletionRequest::new([Message::user("The capital of France?")])
        .with_config(RuntimeConfig::new().with_max_tokens(64).with_stop_sequences(["\n\n", "###"]));

    // The attempts' spans are children of the span that the call is made in: here one of your own.
    let answer = provider.complete(&request).instrument(tracing::info_span!("geography")).await;
    // Spans leave in batches. This sends the last ones, and says if that failed, which a shutdown does not.
    let sent = tracing.force_flush();
    println!("{}", answer?.text());
    Ok(sent?)
}

// Against a real server, with a collector:
// OA_BASE_URL=http://localhost:8000 OA_MODEL=my-model OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 \
//     cargo run -p oa-examples --example otlp_export
