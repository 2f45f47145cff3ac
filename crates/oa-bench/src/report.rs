//! The result as the rig reads it: one line of JSON.

use crate::{alloc, args::Args, total::Total};
use serde_json::json;
use std::time::Duration;

pub(crate) struct Report {
    pub(crate) wall: Duration,
    pub(crate) user_us: u64,
    pub(crate) system_us: u64,
    pub(crate) memory_before: u64,
    pub(crate) memory_held: u64,
    pub(crate) memory_peak: u64,
}

impl Report {
    pub(crate) fn line(&self, args: &Args, mut total: Total) -> String {
        let requests = args.requests as f64;
        let cpu = (self.user_us + self.system_us) as f64;
        let (count, bytes) = alloc::counted();
        let sink = &mut total.sink;
        json!({
            "client": if args.variant.is_empty() { "oa".to_owned() } else { format!("oa:{}", args.variant) },
            "mode": args.mode.as_str(),
            "model": args.model,
            "concurrency": args.concurrency,
            "threads": args.threads,
            "requests": args.requests,
            "errors": total.errors,
            "last_error": total.last_error,
            "events": sink.events,
            "text_bytes": sink.text,
            // The arguments are handed out parsed: what they were in bytes is not known.
            "tool_bytes": 0,
            "tool_calls": sink.tool_calls,
            "logprob_tokens": sink.logprobs,
            "prompt": sink.prompt,
            "completion": sink.completion,
            "finishes": sink.finishes,
            "raw_bytes": 0,
            "wall_s": self.wall.as_secs_f64(),
            "user_us": self.user_us,
            "sys_us": self.system_us,
            "cpu_us_per_request": cpu / requests,
            "cpu_us_per_event": cpu / sink.events.max(1) as f64,
            "p50_us": quantile_us(&mut total.latencies, 0.5),
            "p99_us": quantile_us(&mut total.latencies, 0.99),
            "first_p50_us": quantile_us(&mut total.firsts, 0.5),
            "lag_p50_us": quantile_us(&mut sink.lags, 0.5),
            "lag_p99_us": quantile_us(&mut sink.lags, 0.99),
            "lags": sink.lags.len(),
            "peak_rss_kb": self.memory_peak,
            "rss_before_kb": self.memory_before,
            "rss_held_kb": self.memory_held,
            "allocs_per_request": count as f64 / requests,
            "alloc_bytes_per_request": bytes as f64 / requests,
        })
        .to_string()
    }
}

fn quantile_us(values: &mut [u64], quantile: f64) -> f64 {
    values.sort_unstable();
    let at = ((values.len().max(1) - 1) as f64 * quantile).round() as usize;
    values.get(at).map_or(0.0, |ns| *ns as f64 / 1000.0)
}
