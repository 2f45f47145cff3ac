//! The conversation that a request belongs to, and how much its prompt weighs.

use super::pick::{hash, mix};
use oa_wire::{AssistantBlock, AssistantContent, CompletionRequest, Message, UserBlock, UserContent};

/// Which conversation a call belongs to, in its [`extensions`](CompletionRequest::extensions). Calls with
/// equal keys go to the same server where the policy is [affinity](crate::Servers::affinity), since that one
/// has cached their common prefix.
///
/// Without one, the key is the request's session id, or else a hash of the system message and the first user
/// message.
///
/// ```
/// use oa_middleware::AffinityKey;
/// use oa_wire::{CompletionRequest, Message};
///
/// let mut request = CompletionRequest::new([Message::user("Hello!")]);
/// request.extensions.insert(AffinityKey::new("session 4711"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AffinityKey(u64);

impl AffinityKey {
    /// The key of this session, user or document. Of the text only a hash is kept.
    pub fn new(key: impl AsRef<[u8]>) -> Self {
        Self(hash(key.as_ref()))
    }

    /// The key of a request: its own, or else its session's, or else the one of its first messages.
    pub(super) fn of(request: &CompletionRequest) -> u64 {
        if let Some(Self(key)) = request.extensions.get() {
            return *key;
        }
        if let Some(session) = &request.session_id {
            return hash(session.as_str().as_bytes());
        }
        let mut key = 0;
        for message in request.messages() {
            key = mix(key ^ hash_of(message));
            if matches!(message, Message::User { .. }) {
                break;
            }
        }
        key
    }
}

/// Whether the conversation has been answered before.
pub(super) fn has_answers(request: &CompletionRequest) -> bool {
    request.messages().iter().any(|message| matches!(message, Message::Assistant(_)))
}

/// The most bytes of one text that are hashed: conversations that differ only later share a prefix worth
/// keeping together.
const HASHED: usize = 16 * 1024;

fn hash_of(message: &Message) -> u64 {
    let mut key = 0;
    texts(message, |text| key = mix(key ^ hash(&text.as_bytes()[..text.len().min(HASHED)])));
    key
}

/// What every call costs a server beside its prompt, in bytes of a prompt.
pub(super) const EACH_CALL: u64 = 1024;

/// What an image costs, in bytes of a prompt: its size in bytes says nothing about its tokens.
const EACH_IMAGE: u64 = 4096;

/// The load of a call: the bytes of its prompt, and something for the call itself.
pub(super) fn load(request: &CompletionRequest) -> u64 {
    let mut bytes = EACH_CALL;
    for message in request.messages() {
        texts(message, |text| bytes += text.len() as u64);
        if let Message::User { content: UserContent::Blocks(blocks), .. } = message {
            let images = blocks.iter().filter(|block| !matches!(block, UserBlock::Text { .. })).count();
            bytes += images as u64 * EACH_IMAGE;
        }
    }
    bytes
}

/// Shows the texts of a message to a function.
fn texts(message: &Message, mut show: impl FnMut(&str)) {
    match message {
        Message::System { content, .. }
        | Message::Developer { content, .. }
        | Message::Tool { content, .. } => show(content),
        Message::Raw { message, .. } => {
            if let Some(content) = message.get("content").and_then(serde_json::Value::as_str) {
                show(content);
            }
        }
        Message::User { content: UserContent::Text(text), .. } => show(text),
        Message::User { content: UserContent::Blocks(blocks), .. } => {
            for block in blocks {
                if let UserBlock::Text { text, .. } = block {
                    show(text);
                }
            }
        }
        Message::Assistant(message) => match &message.content {
            AssistantContent::Text(text) => show(text),
            AssistantContent::Blocks(blocks) => {
                for block in blocks {
                    if let AssistantBlock::Text { text, .. } = block {
                        show(text);
                    }
                }
            }
        },
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oa_wire::Image;

    fn key(messages: impl Into<oa_wire::Messages>) -> u64 {
        AffinityKey::of(&CompletionRequest::new(messages))
    }

    #[test]
    fn all_turns_of_a_conversation_have_one_key_and_others_have_others() {
        let first = [Message::system("Be brief."), Message::user("Hello!")];
        let mut later = first.to_vec();
        later.extend([Message::assistant("Hi."), Message::user("And now?")]);
        assert_eq!(key(first.clone()), key(later));
        let others = [
            vec![Message::system("Be long."), Message::user("Hello!")],
            vec![Message::system("Be brief."), Message::user("Good-bye!")],
            vec![Message::user("Hello!")],
            vec![Message::user("Be brief."), Message::user("Hello!")],
        ];
        for other in others {
            assert_ne!(key(first.clone()), key(other.clone()), "{other:?}");
        }
    }

    #[test]
    fn a_key_of_the_request_takes_precedence() {
        let keyed = |text| {
            let mut request = CompletionRequest::new([Message::user(text)]);
            request.extensions.insert(AffinityKey::new("session"));
            AffinityKey::of(&request)
        };
        assert_eq!(keyed("a"), keyed("b"));
    }

    #[test]
    fn a_long_prompt_weighs_more_than_a_short_one_and_an_image_something() {
        let load = |message| load(&CompletionRequest::new([message]));
        assert_eq!(load(Message::user("hi")), EACH_CALL + 2);
        assert_eq!(load(Message::user("x".repeat(400_000))), EACH_CALL + 400_000);
        let image = Image::base64("image/png", "A".repeat(4_000_000));
        assert_eq!(load(Message::user([UserBlock::text("hi"), image.into()])), EACH_CALL + 2 + EACH_IMAGE);
    }
}
