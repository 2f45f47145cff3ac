//! Stop reasons under this wire's names, and the finish reasons they stand for.

use crate::FinishReason;

/// The finish reason that a `stop_reason` stands for. One that is not known is
/// [`Error`](FinishReason::Error).
pub(super) fn finish_reason(stop_reason: Option<&str>) -> FinishReason {
    match stop_reason {
        Some("end_turn" | "stop_sequence" | "pause_turn") => FinishReason::Stop,
        Some("max_tokens" | "model_context_window_exceeded") => FinishReason::Length,
        Some("tool_use") => FinishReason::ToolCalls,
        Some("refusal") => FinishReason::ContentFilter,
        _ => FinishReason::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_an_error() {
        for word in [Some("abort"), Some("stop"), Some(""), None] {
            assert_eq!(finish_reason(word), FinishReason::Error, "{word:?}");
        }
        assert_eq!(finish_reason(Some("refusal")), FinishReason::ContentFilter);
    }
}
