//! The spans of a call, as a `tracing` subscriber sees them.

use serde_json::{Map, Value, json};
use std::{
    fmt,
    sync::{Mutex, PoisonError},
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// Fields hold no lists: these are JSON text.
const LISTS: &[&str] = &[
    "openarmature.llm.output.tool_calls.names",
    "openarmature.llm.output.tool_calls.ids",
    "gen_ai.request.stop_sequences",
    "gen_ai.response.finish_reasons",
];

static SPANS: Mutex<Vec<Map<String, Value>>> = Mutex::new(Vec::new());

/// Listens from now on.
pub(crate) fn listen() {
    // It fails only where somebody listens already, which in this program nobody does.
    let _ = tracing::subscriber::set_global_default(Recorder);
}

/// Forgets the spans so far.
pub(crate) fn clear() {
    with(Vec::clear);
}

/// The spans since the last time, in the order in which they began.
pub(crate) fn taken() -> Value {
    with(std::mem::take).into_iter().map(report).collect()
}

fn with<T>(change: impl FnOnce(&mut Vec<Map<String, Value>>) -> T) -> T {
    change(&mut SPANS.lock().unwrap_or_else(PoisonError::into_inner))
}

fn report(mut fields: Map<String, Value>) -> Value {
    let status = fields.remove("otel.status_code").unwrap_or_default();
    let description = fields.remove("otel.status_description").unwrap_or_default();
    let exception = fields.remove("exception").is_some();
    fields.retain(|name, _| !name.starts_with("otel."));
    for name in LISTS {
        if let Some(list) = fields.get_mut(*name) {
            *list = list.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        }
    }
    json!({
        "attempt_index": fields.get("openarmature.llm.attempt_index"),
        "error_category": fields.get("openarmature.error.category"),
        "status": status,
        "status_description": description,
        "exception_recorded": exception,
        "attributes": fields,
    })
}

struct Recorder;

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        matches!(metadata.name(), "openarmature.llm.complete" | "exception")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields(Map::new());
        span.record(&mut fields);
        with(|spans| {
            spans.push(fields.0);
            Id::from_u64(spans.len() as u64)
        })
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut fields = Fields(Map::new());
        values.record(&mut fields);
        change(span, |known| known.extend(fields.0));
    }

    fn event(&self, event: &Event<'_>) {
        if let Some(span) = event.parent() {
            change(span, |known| {
                known.insert("exception".into(), Value::Bool(true));
            });
        }
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn change(span: &Id, change: impl FnOnce(&mut Map<String, Value>)) {
    with(|spans| {
        let at = usize::try_from(span.into_u64()).unwrap_or(usize::MAX).wrapping_sub(1);
        if let Some(span) = spans.get_mut(at) {
            change(span);
        }
    });
}

struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().into(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().into(), value.into());
    }
}
