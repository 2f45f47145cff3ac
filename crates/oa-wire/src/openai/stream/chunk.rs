//! One chunk of a stream: its members into the answer, its deltas into the queue.

use super::{
    answer::{Answer, ChunkContent},
    numbering::Numbering,
    raw::{Owner, Scope},
};
use crate::{
    ChoiceEvent, Event, TextDelta,
    json::{Kind, Malformed, Reader},
    openai::decode::{
        MessageFields, choice_index, error_body, is_meaningful, owned, read_calls, read_message, read_usage,
    },
};
use std::collections::VecDeque;

/// What a chunk was.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
pub(super) struct Chunk {
    pub(super) has_choices: bool,
    pub(super) has_usage: bool,
    /// The chunk is an error.
    pub(super) is_error: bool,
    /// The error of its choice, as an error body.
    pub(super) choice_error: Option<String>,
    pub(super) has_too_many_calls: bool,
    pub(super) content: ChunkContent,
}

/// Reads a chunk into the answer and its events into the queue.
pub(super) fn read_chunk(
    reader: &mut Reader<'_>,
    answer: &mut Answer,
    queue: &mut VecDeque<Event>,
) -> Result<Chunk, Malformed> {
    let mut chunk = Chunk::default();
    reader.object(|reader, key| {
        match key {
            "choices" => {
                let is_one = reader.kind()? == Kind::Object
                    && (reader.lookup("delta")?.is_some() || reader.lookup("message")?.is_some());
                if is_one {
                    chunk.has_choices = true;
                    return read_choice(reader, 0, answer, queue, &mut chunk);
                }
                let is_list = reader.array(|reader, at| {
                    if at > 0 {
                        chunk.content = ChunkContent::More;
                    }
                    read_choice(reader, at as i64, answer, queue, &mut chunk)
                })?;
                chunk.has_choices |= is_list;
                return Ok(());
            }
            "error" => {
                let raw = reader.raw()?;
                let is_error = is_meaningful(&mut Reader::new(raw))?;
                chunk.is_error |= is_error;
                if !is_error {
                    answer.log.note(Scope::Root, key, raw);
                }
                return Ok(());
            }
            "usage" if reader.kind()? == Kind::Object => {
                chunk.has_usage = true;
                chunk.content = ChunkContent::More;
                let raw = reader.raw()?;
                if let Some(usage) = read_usage(&mut Reader::new(raw))? {
                    answer.log.note(Scope::Root, key, raw);
                    if answer.parts.usage != Some(usage) {
                        answer.parts.usage = Some(usage);
                        queue.push_back(Event::Usage(Box::new(usage)));
                    }
                } else {
                    answer.log.note_if_new(Scope::Root, key, raw);
                }
                return Ok(());
            }
            _ => {}
        }
        let raw = reader.raw()?;
        answer.log.note(Scope::Root, key, raw);
        let slot = match key {
            "id" => &mut answer.parts.id,
            "model" => &mut answer.parts.model,
            "object" => {
                chunk.is_error |= raw == "\"error\"";
                return Ok(());
            }
            _ => return Ok(()),
        };
        if slot.is_none() {
            *slot = owned(Reader::new(raw).text()?);
        }
        Ok(())
    })?;
    Ok(chunk)
}

#[expect(clippy::too_many_lines, reason = "one table of the members of a choice")]
fn read_choice(
    reader: &mut Reader<'_>,
    at: i64,
    answer: &mut Answer,
    queue: &mut VecDeque<Event>,
    chunk: &mut Chunk,
) -> Result<(), Malformed> {
    // The index may stand behind the delta: it is looked up first. It is short, and mostly first.
    let found = match reader.lookup("index")? {
        Some(mut place) => Some(choice_index(place.index()?, at)),
        None => None,
    };
    let index = found.unwrap_or(Some(at));
    let is_ours = match index {
        Some(index) => {
            let may_be_alone = at == 0 && answer.numbering == Numbering::Counting;
            answer.numbering.is_answer(index, may_be_alone && is_alone(reader)?)
        }
        // An index that cannot be read tells nothing of a choice that comes alone.
        None => at == 0 && !answer.many_choices && is_alone(reader)?,
    };
    let owner = if is_ours { Owner::Answer } else { index.map_or(Owner::Unknown, Owner::Other) };
    let (choice, delta) = (Scope::Choice(owner), Scope::Delta(owner));
    let mut fields = MessageFields::default();
    let (mut has_delta, mut message) = (false, None);
    let is_object = reader.object(|reader, key| {
        let kind = reader.kind()?;
        match key {
            "index" => return reader.skip(),
            "delta" if is_ours && kind == Kind::Object => {
                fields = MessageFields::default();
                has_delta = true;
                let (log, content) = (&mut answer.log, &mut chunk.content);
                read_message(reader, &mut fields, |reader, key| {
                    if log.note_delta(delta, key, reader.raw()?) {
                        *content = ChunkContent::More;
                    }
                    Ok(())
                })?;
            }
            "message" if is_ours && kind == Kind::Object => {
                message = Some(reader.ahead());
                reader.skip()?;
            }
            "delta" | "message" if kind == Kind::Object => {
                reader.object(|reader, key| {
                    let raw = reader.raw()?;
                    answer.log.note(delta, key, raw);
                    if let (true, Some(index)) = (answer.many_choices, index) {
                        read_piece_of_choice(index, key, raw, answer, queue)?;
                    }
                    Ok(())
                })?;
            }
            "delta" if kind == Kind::Null => reader.skip()?,
            "finish_reason" => {
                let raw = reader.raw()?;
                answer.log.note(choice, key, raw);
                let finish = owned(Reader::new(raw).text()?);
                answer.has_finish |= finish.is_some();
                if is_ours && finish.is_some() {
                    chunk.content = ChunkContent::More;
                    answer.parts.finish = finish;
                }
            }
            "error" => {
                let error = error_body(&mut reader.ahead())?;
                if is_ours && error.is_some() {
                    chunk.choice_error = error;
                    return reader.skip();
                }
                answer.log.note(choice, key, reader.raw()?);
            }
            "usage" if is_ours && kind == Kind::Object => {
                let raw = reader.raw()?;
                chunk.content = ChunkContent::More;
                let Some(usage) = read_usage(&mut Reader::new(raw))? else {
                    answer.log.note_if_new(choice, key, raw);
                    return Ok(());
                };
                answer.log.replace(choice, key, raw);
                if answer.parts.usage.is_none() && answer.parts.choice_usage != Some(usage) {
                    queue.push_back(Event::Usage(Box::new(usage)));
                }
                answer.parts.choice_usage = Some(usage);
            }
            _ => {
                answer.log.note(choice, key, reader.raw()?);
                if matches!(kind, Kind::Object | Kind::Array) {
                    chunk.content = ChunkContent::More;
                }
            }
        }
        Ok(())
    })?;
    if !is_ours || !is_object {
        return Ok(());
    }
    answer.has_choice = true;
    if let Some(Some(index)) = found {
        answer.log.note_index(index);
    }
    let content = &mut chunk.content;
    let is_whole = match message {
        _ if has_delta => answer.take_delta(fields, queue, content)?,
        Some(mut reader) => {
            *content = ChunkContent::More;
            let log = &mut answer.log;
            read_message(&mut reader, &mut fields, |reader, key| {
                log.note_if_new(delta, key, reader.raw()?);
                Ok(())
            })?;
            answer.take_message(fields, queue, content)?
        }
        None => true,
    };
    chunk.has_too_many_calls |= !is_whole;
    Ok(())
}

/// Reads a member of another choice's delta for its events.
fn read_piece_of_choice(
    index: i64,
    key: &str,
    raw: &str,
    answer: &mut Answer,
    queue: &mut VecDeque<Event>,
) -> Result<(), Malformed> {
    let event = match key {
        "content" => Event::Content,
        "reasoning" | "reasoning_content" => Event::Reasoning,
        "tool_calls" => {
            let mut fields = MessageFields::default();
            read_calls(&mut Reader::new(raw), &mut fields)?;
            answer.take_calls_of_choice(index, fields.calls, queue);
            return Ok(());
        }
        _ => return Ok(()),
    };
    let text = Reader::new(raw).text()?.filter(|text| !text.is_empty());
    queue.extend(
        text.map(|text| Event::Choice(Box::new(ChoiceEvent::new(index, event(TextDelta::from(&*text)))))),
    );
    Ok(())
}

/// True when no other choice follows the next.
fn is_alone(reader: &Reader<'_>) -> Result<bool, Malformed> {
    let mut rest = reader.ahead();
    rest.skip()?;
    Ok(!rest.has_next())
}

/// The index of the only choice of a chunk; none where there is none, or several.
pub(super) fn only_index(chunk: &Reader<'_>) -> Result<Option<i64>, Malformed> {
    let Some(mut choices) = chunk.lookup("choices")? else { return Ok(None) };
    let mut index = None;
    let mut count = 0;
    choices.array(|reader, at| {
        count += 1;
        if reader.kind()? == Kind::Object {
            index = match reader.lookup("index")? {
                Some(mut place) => choice_index(place.index()?, at as i64),
                None => Some(at as i64),
            };
        }
        reader.skip()
    })?;
    Ok(index.filter(|_| count == 1))
}

/// True for an object that is an error without saying so: it has a message of one, and a code or type beside
/// it, or nothing at all.
pub(super) fn is_bare_error(reader: &mut Reader<'_>) -> Result<bool, Malformed> {
    let (mut has_message, mut has_evidence, mut is_success) = (false, false, false);
    let mut count = 0;
    reader.object(|reader, key| {
        count += 1;
        match key {
            "message" | "msg" => has_message |= is_meaningful(reader)?,
            "detail" | "error_message" | "error_msg" | "error_description" => {
                let found = is_meaningful(reader)?;
                has_message |= found;
                has_evidence |= found;
            }
            "base_resp" => {
                let code = match reader.lookup("status_code")? {
                    Some(mut code) => code.counter()?,
                    None => None,
                };
                if code.is_some_and(|code| code != 0) {
                    has_message = true;
                    has_evidence = true;
                }
                reader.skip()?;
            }
            "code" | "status" | "status_code" | "error_code" | "errcode" => {
                let raw = reader.raw()?;
                let word = raw.trim_matches('"').to_ascii_lowercase();
                match &*word {
                    "0" | "200" | "ok" | "success" => is_success = true,
                    _ => has_evidence |= is_meaningful(&mut Reader::new(raw))?,
                }
            }
            "type" | "error_type" => match reader.text()?.as_deref() {
                Some("ping" | "heartbeat" | "keepalive" | "keep-alive" | "info" | "progress" | "status") => {
                    is_success = true;
                }
                kind => has_evidence |= kind.is_some_and(|kind| !kind.is_empty()),
            },
            "param" | "request_id" => {
                has_evidence |= key == "request_id";
                reader.skip()?;
            }
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(has_message && !is_success && (has_evidence || count == 1))
}
