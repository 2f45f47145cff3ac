//! The answer that the events of a stream add up to.

use super::members::Members;
use crate::{
    Event, TextDelta, ToolCallDelta,
    anthropic::{
        decode::{
            AnswerParts, Block, BlockFields, BlockKind, Call, input_text, read_content, read_explanation,
            thinking,
        },
        usage::read_usage,
    },
    json::{Index, Joined, Malformed, Piece, Reader, owned, push_text},
    response::RawParts,
};
use std::collections::VecDeque;

/// The most content blocks of one answer. No model makes as many, and finding one among them takes time.
const MAX_BLOCKS: usize = 10_000;

#[derive(Clone, Debug, Default)]
pub(in crate::anthropic) struct Answer {
    /// The members of the message, without its content and usage.
    members: Members,
    usage: Members,
    blocks: Vec<StreamedBlock>,
    /// How many of the blocks are calls.
    calls: usize,
    request_id: Option<String>,
    pub(super) events: u64,
    /// The start of the first data that was not understood.
    unread: Option<String>,
}

/// A block and the deltas to it.
#[derive(Clone, Debug, Default)]
struct StreamedBlock {
    index: Index,
    kind: BlockKind,
    /// The text, reasoning, data, or input of the deltas.
    text: Joined,
    signature: Joined,
    /// The input that the block began with.
    input: Option<String>,
    id: String,
    name: String,
    /// The place among the calls, of one.
    position: usize,
    /// As the block began, and what deltas of other types brought.
    members: Members,
    /// The citations of the deltas, as they are written.
    citations: Vec<String>,
}

/// What of an event was not there before.
pub(super) enum Delta<'a> {
    /// A text to this block; `is_plain` where the delta has nothing else.
    Text {
        block: usize,
        piece: Piece<'a>,
        is_plain: bool,
    },
    Other,
}

impl Answer {
    pub(super) fn new(request_id: Option<String>) -> Self {
        Self { request_id, ..Self::default() }
    }

    /// Takes a message: of its start, or a whole one.
    pub(super) fn take_message(
        &mut self,
        reader: &mut Reader<'_>,
        queue: &mut VecDeque<Event>,
    ) -> Result<bool, Malformed> {
        let mut fits = true;
        reader.object(|reader, key| {
            match key {
                "content" => {
                    read_content(reader, |block| fits &= self.start(Index::Absent, block, queue))?;
                    self.members.set(key, "[]");
                }
                "usage" => {
                    self.members.set(key, "{}");
                    self.take_usage(reader, queue)?;
                }
                _ => self.members.set(key, reader.raw()?),
            }
            Ok(())
        })?;
        Ok(fits)
    }

    /// Takes the members of a message that changed: of an event's `delta`, or of the event itself.
    pub(super) fn take_member(&mut self, key: &str, raw: &str) {
        if !matches!(key, "content" | "usage") {
            self.members.set(key, raw);
        }
    }

    /// Takes a usage block: its counters in the place of those before it.
    pub(super) fn take_usage(
        &mut self,
        reader: &mut Reader<'_>,
        queue: &mut VecDeque<Event>,
    ) -> Result<(), Malformed> {
        let before = self.usage();
        reader.object(|reader, key| {
            self.usage.set(key, reader.raw()?);
            Ok(())
        })?;
        let usage = self.usage();
        if usage != before {
            queue.extend(usage.map(|usage| Event::Usage(Box::new(usage))));
        }
        Ok(())
    }

    fn usage(&self) -> Option<crate::Usage> {
        let text = self.usage.render(|_| None);
        read_usage(&mut Reader::new(&text)).ok().flatten()
    }

    /// Begins a block. False when there are too many.
    pub(super) fn start(
        &mut self,
        index: Index,
        fields: BlockFields<'_>,
        queue: &mut VecDeque<Event>,
    ) -> bool {
        let mut block = StreamedBlock { index, kind: fields.kind, ..StreamedBlock::default() };
        if fields.raw.starts_with('"') {
            block.members.set("type", "\"text\"");
            block.members.set("text", "\"\"");
        }
        let noted = Reader::new(fields.raw).object(|reader, key| {
            block.members.set(key, reader.raw()?);
            Ok(())
        });
        debug_assert!(noted.is_ok(), "it was read before");
        block.signature = Joined::from(fields.signature.as_deref().unwrap_or_default());
        block.input = fields.input.map(input_text).filter(|input| !input.trim_ascii().is_empty());
        block.id = fields.id.unwrap_or_default();
        block.name = fields.name.unwrap_or_default();
        let text = fields.text.and_then(|raw| Reader::new(raw).piece().ok().flatten());
        let at = self.push(block);
        let Some(block) = self.blocks.get(at).filter(|_| at < MAX_BLOCKS) else { return false };
        if block.kind == BlockKind::Call {
            let some = |text: &str| (!text.is_empty()).then(|| TextDelta::from(text));
            let input = block.input.as_deref().filter(|input| *input != "{}").unwrap_or_default();
            let (id, name) = (some(&block.id), some(&block.name));
            let delta = ToolCallDelta::new(block.position, id, name, TextDelta::from(input));
            queue.push_back(Event::ToolCallDelta(Box::new(delta)));
        }
        if let Some(piece) = text {
            queue.extend(self.append_delta(at, piece));
        }
        true
    }

    fn push(&mut self, mut block: StreamedBlock) -> usize {
        if block.kind == BlockKind::Call {
            block.position = self.calls;
            self.calls += 1;
        }
        self.blocks.push(block);
        self.blocks.len() - 1
    }

    /// Takes a delta to the block of this index. None when there are too many blocks.
    pub(super) fn take_delta<'a>(
        &mut self,
        index: Index,
        reader: &mut Reader<'a>,
    ) -> Result<Option<Delta<'a>>, Malformed> {
        let (mut kind, mut piece) = (None, None);
        let mut others: Vec<(String, &'a str)> = Vec::new();
        reader.object(|reader, key| {
            match key {
                "type" => kind = reader.text()?,
                "text" | "thinking" | "partial_json" if piece.is_none() => {
                    piece = Some((key.to_owned(), reader.ahead()));
                    reader.skip()?;
                }
                _ => others.push((key.to_owned(), reader.raw()?)),
            }
            Ok(())
        })?;
        let own = match &piece {
            Some((key, ..)) if key == "text" => BlockKind::Text,
            Some((key, ..)) if key == "thinking" => BlockKind::Thinking,
            Some(_) => BlockKind::Call,
            None if kind.as_deref() == Some("signature_delta") => BlockKind::Thinking,
            None => BlockKind::Other,
        };
        let at = self.block_for(index, own);
        if at >= MAX_BLOCKS {
            return Ok(None);
        }
        let block = &mut self.blocks[at];
        let is_plain = others.is_empty();
        for (key, raw) in others {
            match (key.as_str(), kind.as_deref()) {
                ("signature", _) => {
                    if let Some(piece) = Reader::new(raw).piece()? {
                        block.signature.push(piece);
                    }
                }
                ("citation", Some("citations_delta")) => block.citations.push(raw.to_owned()),
                _ => block.members.set(&key, raw),
            }
        }
        let piece = match piece {
            Some((_, mut place)) => place.piece()?,
            None => None,
        };
        Ok(Some(piece.map_or(Delta::Other, |piece| Delta::Text { block: at, piece, is_plain })))
    }

    /// The block of this index that such a delta belongs to; a new one where there is none.
    fn block_for(&mut self, index: Index, kind: BlockKind) -> usize {
        let takes = |block: &StreamedBlock| match kind {
            BlockKind::Other => true,
            // Tools of the server have an input too.
            BlockKind::Call => matches!(block.kind, BlockKind::Call | BlockKind::Other),
            kind => block.kind == kind,
        };
        let found = match index {
            Index::Number(_) => self.blocks.iter().rposition(|block| block.index == index),
            Index::Absent | Index::Unreadable => self.blocks.len().checked_sub(1),
        };
        match found.filter(|at| takes(&self.blocks[*at])) {
            Some(at) => at,
            None => self.push(StreamedBlock { index, kind, ..StreamedBlock::default() }),
        }
    }

    /// Appends a piece to the text of a block; none when nothing is new that an event tells.
    #[inline]
    pub(super) fn append_delta(&mut self, at: usize, piece: Piece<'_>) -> Option<Event> {
        let block = self.blocks.get_mut(at)?;
        let new = block.text.push(piece);
        if new.is_empty() {
            return None;
        }
        let new = TextDelta::from(&*new);
        match block.kind {
            BlockKind::Text => Some(Event::Content(new)),
            BlockKind::Thinking => Some(Event::Reasoning(new)),
            BlockKind::Call => {
                let delta = ToolCallDelta::new(block.position, None, None, new);
                Some(Event::ToolCallDelta(Box::new(delta)))
            }
            BlockKind::Redacted | BlockKind::Other => None,
        }
    }

    /// True once the answer has a stop reason.
    pub(super) fn has_finish(&self) -> bool {
        self.members.get("stop_reason").is_some_and(|raw| raw.len() > 2 && raw.starts_with('"'))
    }

    /// Keeps the start of data that was not understood, for the error that ends a stream without an answer.
    #[cold]
    pub(super) fn note_unread(&mut self, text: &str) {
        if self.unread.is_none() {
            self.unread = Some(crate::error_body::body_start(text)).filter(|start| !start.is_empty());
        }
    }

    pub(super) fn unread(&self) -> Option<&str> {
        self.unread.as_deref()
    }

    /// Ends the texts: what was withheld goes into the queue.
    pub(super) fn end_texts(&mut self, queue: &mut VecDeque<Event>) {
        for block in &mut self.blocks {
            block.signature.finish();
            let Some(new) = block.text.finish() else { continue };
            let new = TextDelta::from(new);
            match block.kind {
                BlockKind::Text => queue.push_back(Event::Content(new)),
                BlockKind::Thinking => queue.push_back(Event::Reasoning(new)),
                BlockKind::Call => {
                    let delta = ToolCallDelta::new(block.position, None, None, new);
                    queue.push_back(Event::ToolCallDelta(Box::new(delta)));
                }
                BlockKind::Redacted | BlockKind::Other => {}
            }
        }
    }

    /// The parts of the answer.
    pub(super) fn parts(&self) -> AnswerParts {
        let text = |key: &str| owned(Reader::new(self.members.get(key)?).text().ok()?);
        let details = self.members.get("stop_details");
        AnswerParts {
            blocks: self.blocks.iter().filter_map(StreamedBlock::part).collect(),
            stop_reason: text("stop_reason"),
            explanation: details.and_then(|raw| read_explanation(&mut Reader::new(raw)).ok().flatten()),
            usage: self.usage(),
            id: text("id"),
            model: text("model"),
            request_id: self.request_id.clone(),
        }
    }
}

impl StreamedBlock {
    fn part(&self) -> Option<Block> {
        let text = || self.text.clone().into_string();
        match self.kind {
            BlockKind::Text => Some(Block::Text(text())),
            BlockKind::Thinking => {
                let signature = self.signature.clone().into_string();
                thinking(text(), (!signature.is_empty()).then_some(signature))
            }
            BlockKind::Redacted => Some(Block::Redacted(text())),
            BlockKind::Call => {
                Some(Block::Call(Call { id: self.id.clone(), name: self.name.clone(), input: self.input() }))
            }
            BlockKind::Other => None,
        }
    }

    /// The input: that of the deltas, or else that which the block began with.
    fn input(&self) -> String {
        match &self.input {
            Some(input) if self.text.is_empty() => input.clone(),
            _ => self.text.clone().into_string(),
        }
    }

    /// The block as the non-streaming call would have had it.
    fn render(&self) -> String {
        let quoted = |text: &str| {
            let mut out = Vec::new();
            push_text(&mut out, text);
            String::from_utf8_lossy(&out).into_owned()
        };
        let mut members = self.members.clone();
        let (kind, key) = match self.kind {
            BlockKind::Text => ("\"text\"", "text"),
            BlockKind::Thinking => ("\"thinking\"", "thinking"),
            BlockKind::Redacted => ("\"redacted_thinking\"", "data"),
            BlockKind::Call => ("\"tool_use\"", "input"),
            BlockKind::Other => ("null", "input"),
        };
        if members.is_empty() {
            members.set("type", kind);
        }
        let text = self.text.clone().into_string();
        match self.kind {
            BlockKind::Other if text.is_empty() => {}
            BlockKind::Call | BlockKind::Other => {
                let input = self.input();
                let mut reader = Reader::new(&input);
                let is_json = reader.skip().and_then(|()| reader.end()).is_ok();
                let raw = match () {
                    () if input.trim_ascii().is_empty() => "{}".to_owned(),
                    () if is_json => input.trim_ascii().to_owned(),
                    () => quoted(&input),
                };
                members.set(key, &raw);
            }
            _ => members.set(key, &quoted(&text)),
        }
        let signature = self.signature.clone().into_string();
        if !signature.is_empty() {
            members.set("signature", &quoted(&signature));
        }
        if !self.citations.is_empty() {
            members.set("citations", &format!("[{}]", self.citations.join(",")));
        }
        members.render(|_| None)
    }
}

impl RawParts for Answer {
    fn render(&self) -> Vec<u8> {
        let mut members = self.members.clone();
        if !self.blocks.is_empty() {
            members.set("content", "[]");
        }
        if !self.usage.is_empty() {
            members.set("usage", "{}");
        }
        let body = members.render(|key| match key {
            "content" => {
                let blocks: Vec<String> = self.blocks.iter().map(StreamedBlock::render).collect();
                Some(format!("[{}]", blocks.join(",")))
            }
            "usage" => Some(self.usage.render(|_| None)),
            _ => None,
        });
        body.into_bytes()
    }
}
