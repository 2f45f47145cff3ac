//! The splitter of reasoning that a model writes in tags at the start of its text.

use crate::{AssistantBlock, AssistantContent, AssistantMessage};

/// The tags, with those that close them.
const TAGS: [(&str, &str); 3] =
    [("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<thought>", "</thought>")];

/// Splits a text in `<think>`, `<thinking>` or `<thought>` at its start from the text behind it, over any
/// split of the whole. For servers that do not do it themselves.
///
/// Tags anywhere else are text. White space around the tags is dropped. A section that is never closed is
/// reasoning to its end: the model was cut off.
///
/// ```
/// use oa_wire::{ThinkPiece, ThinkSplitter};
///
/// let mut splitter = ThinkSplitter::new();
/// let (mut reasoning, mut text) = (String::new(), String::new());
/// let mut take = |piece: ThinkPiece<'_>| match piece {
///     ThinkPiece::Reasoning(piece) => reasoning.push_str(piece),
///     ThinkPiece::Text(piece) => text.push_str(piece),
///     _ => {}
/// };
/// for piece in ["<th", "ink>2 and 2 is", " 4.</thi", "nk>\n\nFour."] {
///     splitter.push(piece, &mut take);
/// }
/// splitter.finish(&mut take);
/// assert_eq!((reasoning.as_str(), text.as_str()), ("2 and 2 is 4.", "Four."));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a splitter does nothing until text is pushed"]
pub struct ThinkSplitter {
    /// The opening tag may be missing.
    is_open: bool,
    state: State,
    /// What may be a part of a tag, or white space that is dropped before one.
    held: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// Nothing but white space and a part of a tag was received.
    Start,
    /// In the section; none for one whose opening tag was missing.
    Thinking { tag: Option<usize>, is_fresh: bool },
    /// Behind the section; nothing but white space was received.
    Closed,
    /// The rest is text.
    Text,
}

/// A piece of what was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThinkPiece<'a> {
    /// Of the section.
    Reasoning(&'a str),
    /// Of the text behind it.
    Text(&'a str),
}

impl Default for ThinkSplitter {
    fn default() -> Self {
        Self::new()
    }
}

impl ThinkSplitter {
    /// A splitter of one text.
    pub fn new() -> Self {
        Self { is_open: false, state: State::Start, held: String::new() }
    }

    /// Sets whether the section is open from the start: some chat templates write the opening tag into the
    /// prompt, so that the answer has the closing one alone. Then a text without one is reasoning as a whole.
    pub fn with_open_section(mut self, on: bool) -> Self {
        self.is_open = on;
        self
    }

    /// Takes the next piece of the text.
    pub fn push(&mut self, text: &str, mut take: impl FnMut(ThinkPiece<'_>)) {
        if self.state == State::Text {
            if !text.is_empty() {
                take(ThinkPiece::Text(text));
            }
            return;
        }
        self.held.push_str(text);
        while self.step(&mut take) {}
    }

    /// Ends the text: what was held back follows.
    pub fn finish(&mut self, mut take: impl FnMut(ThinkPiece<'_>)) {
        let held = std::mem::take(&mut self.held);
        match std::mem::replace(&mut self.state, State::Text) {
            State::Closed => {}
            _ if held.is_empty() => {}
            State::Thinking { .. } => take(ThinkPiece::Reasoning(&held)),
            State::Start | State::Text => take(ThinkPiece::Text(&held)),
        }
    }

    /// Splits the text of a whole message, unless it has reasoning already.
    pub fn split(mut self, message: &mut AssistantMessage) {
        let AssistantContent::Text(whole) = &message.content else { return };
        let (mut reasoning, mut text) = (String::new(), String::new());
        let mut take = |piece: ThinkPiece<'_>| match piece {
            ThinkPiece::Reasoning(piece) => reasoning.push_str(piece),
            ThinkPiece::Text(piece) => text.push_str(piece),
        };
        self.push(whole, &mut take);
        self.finish(&mut take);
        if text.len() == whole.len() {
            return;
        }
        let thinking = (!reasoning.is_empty()).then(|| AssistantBlock::thinking(reasoning));
        message.content = match thinking {
            Some(thinking) => {
                let text = (!text.is_empty()).then_some(AssistantBlock::Text { text });
                AssistantContent::Blocks(std::iter::once(thinking).chain(text).collect())
            }
            None => AssistantContent::Text(text),
        };
    }

    /// Goes on by one state; false when more text is needed.
    fn step(&mut self, take: &mut impl FnMut(ThinkPiece<'_>)) -> bool {
        match self.state {
            State::Start => {
                let text = self.held.trim_start();
                let opened = TAGS.iter().position(|(open, _)| text.starts_with(open));
                if let Some(tag) = opened {
                    let from = self.held.len() - text.len() + TAGS[tag].0.len();
                    self.held.drain(..from);
                    self.state = State::Thinking { tag: Some(tag), is_fresh: true };
                } else if TAGS.iter().any(|(open, _)| open.starts_with(text)) {
                    return false;
                } else if self.is_open {
                    self.state = State::Thinking { tag: None, is_fresh: true };
                } else {
                    self.state = State::Text;
                    take(ThinkPiece::Text(&std::mem::take(&mut self.held)));
                }
                true
            }
            State::Thinking { tag, is_fresh: true } => {
                drop_leading_space(&mut self.held);
                if self.held.is_empty() {
                    return false;
                }
                self.state = State::Thinking { tag, is_fresh: false };
                true
            }
            State::Thinking { tag, is_fresh: false } => {
                let closing = |(at, (_, close)): (usize, &(&str, &'static str))| {
                    tag.is_none_or(|tag| tag == at).then_some(*close)
                };
                let closings = || TAGS.iter().enumerate().filter_map(closing);
                let found = closings().filter_map(|close| Some((self.held.find(close)?, close))).min();
                if let Some((at, close)) = found {
                    give(self.held[..at].trim_end(), take);
                    self.held.drain(..at + close.len());
                    self.state = State::Closed;
                    return true;
                }
                // The end may be the start of the closing tag, and white space before it.
                let partial = closings().map(|close| partial_at_end(&self.held, close)).max().unwrap_or(0);
                let kept = self.held[..self.held.len() - partial].trim_end().len();
                give(&self.held[..kept], take);
                self.held.drain(..kept);
                false
            }
            State::Closed => {
                drop_leading_space(&mut self.held);
                if self.held.is_empty() {
                    return false;
                }
                self.state = State::Text;
                take(ThinkPiece::Text(&std::mem::take(&mut self.held)));
                false
            }
            State::Text => false,
        }
    }
}

fn give(reasoning: &str, take: &mut impl FnMut(ThinkPiece<'_>)) {
    if !reasoning.is_empty() {
        take(ThinkPiece::Reasoning(reasoning));
    }
}

fn drop_leading_space(held: &mut String) {
    let space = held.len() - held.trim_start().len();
    held.drain(..space);
}

/// The length of the longest start of the tag that the text ends with.
fn partial_at_end(text: &str, tag: &str) -> usize {
    (1..tag.len()).rev().find(|&length| text.ends_with(&tag[..length])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split<'a>(pieces: impl IntoIterator<Item = &'a str>, is_open: bool) -> (String, String) {
        let mut splitter = ThinkSplitter::new().with_open_section(is_open);
        let (mut reasoning, mut text) = (String::new(), String::new());
        let mut take = |piece: ThinkPiece<'_>| match piece {
            ThinkPiece::Reasoning("") | ThinkPiece::Text("") => panic!("an empty piece"),
            ThinkPiece::Reasoning(piece) => reasoning.push_str(piece),
            ThinkPiece::Text(piece) => text.push_str(piece),
        };
        for piece in pieces {
            splitter.push(piece, &mut take);
        }
        splitter.finish(&mut take);
        (reasoning, text)
    }

    #[test]
    fn only_a_section_at_the_start_is_reasoning() {
        let cases = [
            ("", false, "", ""),
            ("Hi", false, "", "Hi"),
            ("  Hi <think>x</think>", false, "", "  Hi <think>x</think>"),
            ("<think>a</think>b", false, "a", "b"),
            ("\n <thinking>\na b\n</thinking>\n\nc ", false, "a b", "c "),
            ("<thought>a</think>b</thought>c<think>d</think>", false, "a</think>b", "c<think>d</think>"),
            ("<think></think>b", false, "", "b"),
            ("<think>a", false, "a", ""),
            ("<think>a </thi", false, "a </thi", ""),
            ("<thin", false, "", "<thin"),
            ("<thinker>a</thinker>", false, "", "<thinker>a</thinker>"),
            ("a</think>b", false, "", "a</think>b"),
            ("a\n</think>\nb", true, "a", "b"),
            ("<think>a</think>b", true, "a", "b"),
            ("a</thinking>b", true, "a", "b"),
            ("a", true, "a", ""),
        ];
        for (whole, is_open, reasoning, text) in cases {
            assert_eq!(split([whole], is_open), (reasoning.to_owned(), text.to_owned()), "{whole}");
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            parts in prop::collection::vec(
                prop::sample::select(&[
                    "<think>", "</think>", "<thinking>", "</thought>", "<", "</", "thi", "nk>", " ", "\n",
                    "a", "\u{e9}", "\u{1f600}",
                ][..]),
                0..12,
            ),
            cuts in prop::collection::vec(0..80usize, 0..8),
            is_open in any::<bool>(),
        ) {
            let whole = parts.concat();
            let mut cuts: Vec<_> = cuts.into_iter().filter(|&at| whole.is_char_boundary(at)).collect();
            cuts.extend([0, whole.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|ends| &whole[ends[0]..ends[1]]);
            let once = split([&*whole], is_open);
            prop_assert_eq!(&split(pieces, is_open), &once);
            let each: Vec<String> = whole.chars().map(String::from).collect();
            prop_assert_eq!(split(each.iter().map(String::as_str), is_open), once);
        }
    }
}
