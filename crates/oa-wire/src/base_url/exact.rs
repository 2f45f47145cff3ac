//! The URLs beside the whole URL of completions, where that is given in the place of a base URL.

pub(super) const CHAT: &str = "/chat/completions";

/// The whole URL of a path that counts tokens, beside the whole URL of completions; that itself for any other
/// path.
pub(super) fn beside(chat: &str, path: &str) -> String {
    let (completions, query) = chat.find('?').map_or((chat, ""), |at| chat.split_at(at));
    match path.rsplit_once('/') {
        Some(("", tokenize @ "tokenize")) => {
            let parent = completions.strip_suffix(CHAT).unwrap_or(completions);
            format!("{}/{tokenize}{query}", parent.strip_suffix("/v1").unwrap_or(parent))
        }
        Some((_, last @ ("input_tokens" | "count_tokens"))) => format!("{completions}/{last}{query}"),
        _ => chat.to_owned(),
    }
}
