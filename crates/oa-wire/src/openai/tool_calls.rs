//! Fragments of tool calls to whole calls: which fragment belongs to which call.
//!
//! Servers disagree on everything here, so the rule is one state machine. The calls keep the order in which
//! they began, in the deltas as in the message. A fragment goes
//!
//! 1. by `index`: to the latest call of that index;
//! 2. without one, by `id`: to the call of that id;
//! 3. without either, by `name`: to the open call (the last one touched), if that has the same name or none
//!    yet;
//! 4. with none of them: to the open call.
//!
//! It begins a call of its own instead
//!
//! - when there is no such call;
//! - when it names another tool than the call has: two calls share an index, or none has one. Two pieces of a
//!   name that only together begin the name of an offered tool are one name;
//! - when it brings another id, and either a name or a call whose arguments are complete: likewise. Another
//!   id alone, in the middle of the arguments, is a server that makes a fresh id for every fragment;
//! - when it is named and stands behind another in the same list, with neither id nor index.
//!
//! Arguments that are a complete object cannot go on. What comes after them
//!
//! | comes | to arguments that are | is |
//! |---|---|---|
//! | nothing, or the name and id alone | any object | a repetition |
//! | the same object, as a text or a value, whole or in pieces | any object | a repetition |
//! | anything, without a name or with the same id | `{}` | the arguments: `{}` held their place |
//! | another object, named | any other object | a call of its own |
//! | anything else | any other object | an error: the arguments are no JSON |
//!
//! A fragment that names a known id and its tool under another index is the start of a repetition too, or of
//! a call of its own where its arguments turn out to be other ones. Until that is known its deltas are
//! withheld. Arguments whose every fragment repeats all of the text before it are the last of these
//! fragments.
//!
//! An id and a name are set once: a repeated one is never appended, an empty or null one counts as absent.
//! Only fragments that say something begin a call, so gaps between indexes make none. The input of a custom
//! tool is a text and never complete.

mod arguments;
mod raw_call;

use crate::{
    Event, TextDelta, ToolCallDelta, Tools,
    json::{Index, Joined, Piece},
};
use arguments::Scan;
pub(super) use arguments::repeated;
pub(super) use raw_call::{RawCall, distinct};
use std::borrow::Cow;

/// One fragment, as a chunk has it. Empty texts count as absent.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
pub(super) struct Fragment<'a> {
    pub(super) index: Index,
    pub(super) id: Cow<'a, str>,
    pub(super) name: Cow<'a, str>,
    /// The next piece of the arguments' text, or all of them as JSON.
    pub(super) arguments: Option<Piece<'a>>,
    /// The arguments came as an object or array of their own, not as a text: they are whole.
    pub(super) is_value: bool,
    /// A call of a custom tool: its arguments are a text.
    pub(super) is_custom: bool,
    /// Name or arguments came in a member of their own, not in the call itself.
    pub(super) is_nested: bool,
    /// Another stands before it in the same list.
    pub(super) follows: bool,
}

/// Puts fragments together.
#[derive(Clone, Debug, Default)]
pub(super) struct Assembler {
    calls: Vec<Call>,
    /// The call that was touched last.
    open: usize,
    /// How many calls have a place in the message.
    placed: usize,
}

#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
struct Call {
    index: Index,
    id: String,
    name: String,
    arguments: Joined,
    scan: Scan,
    is_value: bool,
    is_custom: bool,
    is_nested: bool,
    has_arguments: bool,
    /// Its place in the message; none while it may be a repetition.
    place: Option<usize>,
    state: State,
    /// Every fragment of the arguments began with all of the one before, which stands from here on.
    repeats_from: Option<usize>,
    pieces: u32,
    /// `{}` was not handed out yet: it may hold the place of the arguments.
    is_withheld: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A call of the message.
    #[default]
    Real,
    /// A repetition of this call, as far as is known. `named`: where it turns out to be none, it is a call of
    /// its own.
    Repeats { of: usize, named: bool },
    /// A repetition.
    Dropped,
}

/// Where a fragment goes.
enum Target {
    Call(usize),
    New,
    Repetition { of: usize, named: bool },
    Nowhere,
}

impl Assembler {
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The number of the call that the last fragment went to.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// True when a call with this id, or with this name and these arguments, is known.
    pub(super) fn knows(&self, fragment: &Fragment<'_>) -> bool {
        let written = fragment.arguments.as_ref().map_or("", |piece| &*piece.text);
        self.calls.iter().any(|call| {
            let same_id = !fragment.id.is_empty() && call.id == *fragment.id;
            same_id || call.name == *fragment.name && arguments::are_equal(call.arguments.as_str(), written)
        })
    }

    /// Takes a fragment. None when it says nothing, or may be a repetition.
    pub(super) fn push(&mut self, fragment: Fragment<'_>, tools: &Tools) -> Option<ToolCallDelta> {
        let at = match self.target(&fragment, tools) {
            Target::Call(at) => at,
            Target::New => self.begin(&fragment, State::Real),
            Target::Repetition { of, named } => self.begin(&fragment, State::Repeats { of, named }),
            Target::Nowhere => return None,
        };
        self.open = at;
        let is_known_id =
            self.calls[at].id.is_empty() && !fragment.id.is_empty() && self.has_id(&fragment.id);
        let call = &mut self.calls[at];
        let id = set(&mut call.id, &fragment.id).filter(|_| !is_known_id);
        let name = call.take_name(&fragment.name, tools);
        call.is_custom |= fragment.is_custom;
        call.is_nested |= fragment.is_nested;
        let arguments = match fragment.arguments {
            Some(piece) => call.take_arguments(piece, fragment.is_value),
            None => TextDelta::default(),
        };
        match call.state {
            State::Real => {
                Some(ToolCallDelta::new(call.place.unwrap_or(at), id.map(delta), name.map(delta), arguments))
            }
            State::Repeats { .. } if call.scan.is_complete() => self.settle(at, false),
            State::Repeats { .. } | State::Dropped => None,
        }
    }

    /// Ends the calls, and gives the deltas that were withheld.
    pub(super) fn finish(&mut self) -> Vec<Event> {
        let mut deltas = Vec::new();
        for at in 0..self.calls.len() {
            let call = &mut self.calls[at];
            if matches!(call.state, State::Repeats { .. }) {
                call.arguments.finish();
                deltas.extend(self.settle(at, true));
                continue;
            }
            let Some(place) = call.place else { continue };
            let rest = call.arguments.finish().map(TextDelta::from);
            let withheld =
                std::mem::take(&mut call.is_withheld).then(|| TextDelta::from(call.arguments.as_str()));
            deltas.extend(
                withheld.into_iter().chain(rest).map(|rest| ToolCallDelta::new(place, None, None, rest)),
            );
        }
        deltas.into_iter().map(|delta| Event::ToolCallDelta(Box::new(delta))).collect()
    }

    /// The calls in the order of the message, once they are at their end.
    pub(super) fn calls(&self) -> Vec<RawCall> {
        let mut ended = None;
        let calls = if self.calls.iter().all(|call| call.state != State::Dropped && call.place.is_some()) {
            &self.calls
        } else {
            // What may be a repetition is decided on a copy: more may come.
            let copy: &mut Self = ended.insert(self.clone());
            copy.finish();
            &copy.calls
        };
        let mut placed: Vec<_> = calls.iter().enumerate().filter(|(_, call)| call.place.is_some()).collect();
        placed.sort_by_key(|(_, call)| call.place);
        placed.into_iter().map(|(number, call)| call.as_sent(number)).collect()
    }

    fn target(&self, fragment: &Fragment<'_>, tools: &Tools) -> Target {
        let named = !fragment.name.is_empty();
        let Some(at) = self.find(fragment) else {
            if fragment.says_nothing() {
                return Target::Nowhere;
            }
            let known = self.by_id(&fragment.id);
            let same = known.filter(|&at| !named || self.calls[at].name == *fragment.name);
            return same.map_or(Target::New, |of| Target::Repetition { of, named: true });
        };
        let call = &self.calls[at];
        if call.ends_before(fragment, tools) {
            return Target::New;
        }
        if !call.scan.is_complete() {
            return Target::Call(at);
        }
        let is_same_id = !fragment.id.is_empty() && call.id == *fragment.id;
        let written = fragment.arguments.as_ref().map_or("", |piece| piece.text.trim_ascii());
        let held_the_place = arguments::is_empty_object(call.arguments.as_str()) && (!named || is_same_id);
        match written {
            "" if !named => Target::Call(at),
            "" => Target::Repetition { of: at, named },
            _ if held_the_place => Target::Call(at),
            _ => Target::Repetition { of: at, named },
        }
    }

    #[inline]
    fn find(&self, fragment: &Fragment<'_>) -> Option<usize> {
        if let Index::Number(_) = fragment.index {
            return self.calls.iter().rposition(|call| call.index == fragment.index && call.is_live());
        }
        let open = (!self.calls.is_empty()).then_some(self.open);
        if fragment.id.is_empty() {
            return open;
        }
        self.by_id(&fragment.id).or_else(|| open.filter(|&at| self.calls[at].id.is_empty()))
    }

    fn by_id(&self, id: &str) -> Option<usize> {
        if id.is_empty() {
            return None;
        }
        self.calls.iter().rposition(|call| call.id == id && call.is_live())
    }

    fn has_id(&self, id: &str) -> bool {
        self.calls.iter().any(|call| call.id == id)
    }

    fn begin(&mut self, fragment: &Fragment<'_>, state: State) -> usize {
        // A repetition of a repetition is one of the call itself.
        let state = match state {
            State::Repeats { of, named } => match self.calls[of].state {
                State::Repeats { of, .. } => State::Repeats { of, named },
                _ => State::Repeats { of, named },
            },
            state => state,
        };
        let place = (state == State::Real).then_some(self.placed);
        self.placed += usize::from(place.is_some());
        self.calls.push(Call { index: fragment.index, place, state, ..Call::default() });
        self.calls.len() - 1
    }

    /// Decides whether a call that began as a repetition is one.
    fn settle(&mut self, at: usize, is_end: bool) -> Option<ToolCallDelta> {
        let State::Repeats { of, named } = self.calls[at].state else { return None };
        let (first, this) = (&self.calls[of], &self.calls[at]);
        let text = this.arguments.as_str();
        if text.trim_ascii().is_empty() || arguments::are_equal(first.arguments.as_str(), text) {
            self.calls[at].state = State::Dropped;
            if self.open == at {
                self.open = of;
            }
            return None;
        }
        // The first may still become the same.
        if !is_end && first.scan.is_open() {
            return None;
        }
        let text = text.to_owned();
        if !named {
            self.calls[of].arguments.push_str(&text);
            self.calls[of].scan = Scan::broken();
            self.calls[at].state = State::Dropped;
            let place = self.calls[of].place?;
            return Some(ToolCallDelta::new(place, None, None, TextDelta::from(&*text)));
        }
        let place = self.placed;
        self.placed += 1;
        let named = if self.calls[at].name.is_empty() { of } else { at };
        let name = self.calls[named].name.clone();
        let call = &mut self.calls[at];
        call.name.clone_from(&name);
        call.place = Some(place);
        call.state = State::Real;
        Some(ToolCallDelta::new(place, None, Some(delta(&name)), TextDelta::from(&*text)))
    }
}

impl Call {
    fn is_live(&self) -> bool {
        self.state != State::Dropped
    }

    /// Whether this fragment, which would be the call's by its place, begins another.
    fn ends_before(&self, fragment: &Fragment<'_>, tools: &Tools) -> bool {
        if fragment.name.is_empty() && fragment.id.is_empty() {
            return false;
        }
        let named = !fragment.name.is_empty();
        let has_other_id = !fragment.id.is_empty() && !self.id.is_empty() && *fragment.id != self.id;
        let has_other_name = named && !self.name.is_empty() && *fragment.name != self.name;
        if has_other_name {
            return has_other_id || self.longer_name(&fragment.name, tools).is_none();
        }
        if has_other_id {
            return named && !self.is_under_way() || self.scan.is_complete();
        }
        let has_place = fragment.index != Index::Absent || !fragment.id.is_empty();
        named && fragment.follows && !has_place
    }

    /// Some of the arguments came, but not all.
    fn is_under_way(&self) -> bool {
        !self.arguments.is_empty() && !self.scan.is_complete()
    }

    /// The start of an offered tool's name that this name and another piece are together, where neither is a
    /// tool's.
    fn longer_name(&self, piece: &str, tools: &Tools) -> Option<String> {
        let is_offered = |name: &str| tools.get(name).is_some();
        if !self.arguments.is_empty() || is_offered(&self.name) {
            return None;
        }
        let begins = |name: &str| tools.as_slice().iter().any(|tool| tool.name().starts_with(name));
        if piece.starts_with(&self.name) && begins(piece) {
            return Some(piece.to_owned());
        }
        let joined = format!("{}{piece}", self.name);
        (!is_offered(piece) && begins(&joined)).then_some(joined)
    }

    /// Takes a name, or the next piece of it; gives what is new.
    fn take_name<'a>(&mut self, name: &'a str, tools: &Tools) -> Option<Cow<'a, str>> {
        if name.is_empty() || *name == self.name {
            return None;
        }
        if self.name.is_empty() {
            name.clone_into(&mut self.name);
            return Some(Cow::Borrowed(name));
        }
        let longer = self.longer_name(name, tools)?;
        let new = longer[self.name.len()..].to_owned();
        self.name = longer;
        Some(Cow::Owned(new))
    }

    /// Takes a piece of the arguments; gives what is new.
    #[inline]
    fn take_arguments(&mut self, piece: Piece<'_>, is_value: bool) -> TextDelta {
        self.has_arguments = true;
        if piece.written.is_empty() {
            return TextDelta::default();
        }
        if self.scan.is_complete() {
            if piece.text.trim_ascii().is_empty() || arguments::is_empty_object(&piece.text) {
                return TextDelta::default();
            }
            // What stood here held the place of this.
            self.arguments.clear();
            self.scan = Scan::default();
            (self.pieces, self.repeats_from, self.is_withheld, self.is_value) = (0, None, false, false);
        }
        let before = self.arguments.as_str().len();
        self.is_value |= is_value;
        let has_close = piece.written.as_bytes().contains(&b'}');
        let new = self.arguments.push(piece);
        self.note_repeated(before);
        if has_close && !self.is_custom {
            self.scan.advance(self.arguments.as_str());
            let is_whole = before == 0 && self.scan.is_complete();
            if is_whole && self.state == State::Real && arguments::is_empty_object(&new) {
                self.is_withheld = true;
                return TextDelta::default();
            }
        }
        TextDelta::from(&*new)
    }

    /// Notes whether the piece from here on begins with all of the one before.
    #[inline]
    fn note_repeated(&mut self, before: usize) {
        if self.pieces == 0 {
            self.repeats_from = Some(0);
        } else if let Some(from) = self.repeats_from {
            let (earlier, piece) =
                (&self.arguments.as_str()[from..before], &self.arguments.as_str()[before..]);
            let repeats = piece.len() > earlier.len() && piece.starts_with(earlier);
            self.repeats_from = repeats.then_some(before);
        }
        self.pieces = self.pieces.saturating_add(1);
    }

    fn as_sent(&self, number: usize) -> RawCall {
        let text = self.arguments.as_str();
        let last = self.repeats_from.filter(|_| self.pieces > 1 && !self.scan.is_complete());
        let last = last.map(|from| &text[from..]).filter(|last| arguments::is_object(last));
        RawCall {
            number,
            id: self.id.clone(),
            name: self.name.clone(),
            arguments: last.unwrap_or(text).to_owned(),
            is_value: self.is_value,
            is_custom: self.is_custom,
            is_nested: self.is_nested,
            has_arguments: self.has_arguments,
        }
    }
}

impl Fragment<'_> {
    pub(super) fn says_nothing(&self) -> bool {
        let empty = |piece: &Piece<'_>| piece.text.is_empty();
        self.id.is_empty() && self.name.is_empty() && self.arguments.as_ref().is_none_or(empty)
    }
}

/// Sets a field once; gives what is new.
fn set<'a>(field: &mut String, text: &'a str) -> Option<&'a str> {
    if !field.is_empty() || text.is_empty() {
        return None;
    }
    field.push_str(text);
    Some(text)
}

fn delta(text: impl AsRef<str>) -> TextDelta {
    TextDelta::from(text.as_ref())
}

#[cfg(test)]
mod tests;
