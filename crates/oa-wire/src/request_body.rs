//! The body of a request as it is written, and the extras among its members.

use crate::{
    Error, Tool,
    json::{equal, push_sorted, push_text},
};
use serde_json::{Map, Value};
use std::{convert::Infallible, fmt, marker::PhantomData, ops::Range};

/// The most members that a mapping writes itself.
const MOST: usize = 17;

/// The members that a mapping itself writes.
pub(crate) trait Members {
    const NAMES: &'static [&'static str];
}

/// The place of a name among [`Members::NAMES`].
pub(crate) struct Member<M>(usize, PhantomData<M>);

impl<M> Clone for Member<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Member<M> {}

impl<M: Members> Member<M> {
    /// The member of this name. In a constant, so that a name that is not in the list does not compile.
    pub(crate) const fn named(name: &str) -> Self {
        assert!(M::NAMES.len() <= MOST);
        let mut at = 0;
        while at < M::NAMES.len() {
            if is_equal(M::NAMES[at].as_bytes(), name.as_bytes()) {
                return Self(at, PhantomData);
            }
            at += 1;
        }
        panic!("the name is not in the list of members");
    }
}

const fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// The bytes so far, and where in them the values of members lie.
pub(crate) struct RequestBody<M> {
    pub(crate) out: Vec<u8>,
    values: [Range<usize>; MOST],
    members: PhantomData<M>,
}

impl<M: Members> RequestBody<M> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            out: Vec::with_capacity(capacity),
            values: std::array::from_fn(|_| 0..0),
            members: PhantomData,
        }
    }

    /// Writes a member of the mapping's own.
    #[inline]
    pub(crate) fn member(&mut self, member: Member<M>, value: impl FnOnce(&mut Vec<u8>)) {
        let written: Result<(), Infallible> = self.try_member(member, |out| {
            value(out);
            Ok(())
        });
        match written {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }

    /// Writes a member of the mapping's own that may be refused.
    #[inline]
    pub(crate) fn try_member<E>(
        &mut self,
        member: Member<M>,
        value: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.key(M::NAMES[member.0]);
        let from = self.out.len();
        value(&mut self.out)?;
        self.values[member.0] = from..self.out.len();
        Ok(())
    }

    /// Writes a number, where there is one.
    pub(crate) fn integer(&mut self, member: Member<M>, number: Option<impl fmt::Display>) {
        if let Some(number) = number {
            self.member(member, |out| out.extend_from_slice(number.to_string().as_bytes()));
        }
    }

    /// Says that a member stands in the body under another name, so that an extra of its own name must be
    /// equal to it.
    pub(crate) fn written_as(&mut self, member: Member<M>, other: Member<M>) {
        self.values[member.0] = self.values[other.0].clone();
    }

    /// Writes a number, where there is one.
    pub(crate) fn float(&mut self, member: Member<M>, number: Option<f64>) {
        // Display of a serde_json value: the shortest text that reads back, with a point or an exponent.
        self.integer(member, number.map(Value::from));
    }

    /// Writes the key of any other member; its value is to follow.
    #[inline]
    pub(crate) fn key(&mut self, name: &str) {
        self.out.push(if self.out.is_empty() { b'{' } else { b',' });
        push_text(&mut self.out, name);
        self.out.push(b':');
    }

    /// The value that the mapping wrote for the member of this name.
    pub(crate) fn written(&self, name: &str) -> Option<Value> {
        let at = M::NAMES.iter().position(|known| *known == name)?;
        let range = self.values[at].clone();
        (!range.is_empty()).then(|| serde_json::from_slice(&self.out[range]).ok()).flatten()
    }

    /// Writes values that stand in the body under these names: what each is, its name, and the value. An
    /// extra of that name must be equal to it, and is written in its place.
    ///
    /// # Errors
    ///
    /// One that differs.
    pub(crate) fn push_spelled<'a>(
        &mut self,
        values: impl Iterator<Item = (&'static str, &'a str, Value)>,
        extras: &Map<String, Value>,
    ) -> Result<(), Error> {
        for (what, name, value) in values {
            match extras.get(name) {
                None if self.written(name).is_none() => {
                    self.key(name);
                    push_sorted(&mut self.out, &value);
                }
                Some(extra) if equal(extra, &value) => {}
                _ => {
                    let text = format!("{what}: the body has another `{name}`");
                    return Err(Error::invalid_request(text));
                }
            }
        }
        Ok(())
    }

    /// Writes the extras, sorted by name. One that the mapping wrote must be equal to what it wrote, unless
    /// it is `merged`, which has it already; those of the names `own` must be so even where it wrote none.
    ///
    /// # Errors
    ///
    /// One that differs.
    pub(crate) fn push_extras(
        &mut self,
        extras: &Map<String, Value>,
        merged: &[&str],
        own: &[&str],
    ) -> Result<(), Error> {
        let mut sorted: Vec<_> = extras.iter().collect();
        sorted.sort_unstable_by(|a, b| a.0.cmp(b.0));
        for (name, value) in sorted {
            match self.written(name) {
                Some(_) if merged.contains(&name.as_str()) => {}
                None if name == "stream" && value == &Value::Bool(false) => {}
                Some(written) if equal(&written, value) => {}
                Some(_) => return Err(collision("config.extras", name, DIFFERS)),
                None if own.contains(&name.as_str()) => {
                    return Err(collision("config.extras", name, "is a field of the request itself"));
                }
                None => {
                    self.key(name);
                    push_sorted(&mut self.out, value);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }
}

/// Adds further members to the object that stands in `out` from `from` to the end, sorted by name. One that
/// it has already must be equal to it; those of the names `own` must be so even where it has none.
///
/// # Errors
///
/// One that differs, with its place.
#[inline]
pub(crate) fn push_object_extras(
    out: &mut Vec<u8>,
    from: usize,
    extras: &Map<String, Value>,
    own: &[&str],
    place: impl FnOnce() -> String,
) -> Result<(), Error> {
    if extras.is_empty() {
        return Ok(());
    }
    push_further_members(out, from, extras, own, &place())
}

fn push_further_members(
    out: &mut Vec<u8>,
    from: usize,
    extras: &Map<String, Value>,
    own: &[&str],
    place: &str,
) -> Result<(), Error> {
    let written: Value = serde_json::from_slice(&out[from..]).unwrap_or_default();
    out.pop();
    let mut extras: Vec<_> = extras.iter().collect();
    extras.sort_unstable_by(|a, b| a.0.cmp(b.0));
    for (name, value) in extras {
        match written.get(name) {
            Some(written) if equal(written, value) => {}
            Some(_) => return Err(collision(place, name, DIFFERS)),
            None if own.contains(&name.as_str()) => {
                return Err(collision(place, name, "is a field of the value itself"));
            }
            None => {
                if out.last() != Some(&b'{') {
                    out.push(b',');
                }
                push_text(out, name);
                out.push(b':');
                push_sorted(out, value);
            }
        }
    }
    out.push(b'}');
    Ok(())
}

const DIFFERS: &str = "differs from what the request itself says";

fn collision(place: &str, name: &str, why: &str) -> Error {
    Error::invalid_request(format!("{place}.{name}: {why}; set it there"))
}

/// The declared texts first, then those of an extra; duplicates dropped. An extra that is no list of texts
/// counts as absent.
pub(crate) fn merged_texts<'a>(declared: &'a [String], extra: Option<&'a Value>) -> Vec<&'a str> {
    let extra: Option<Vec<&str>> =
        extra.and_then(Value::as_array).and_then(|list| list.iter().map(Value::as_str).collect());
    let mut texts: Vec<&str> = Vec::new();
    for text in declared.iter().map(String::as_str).chain(extra.unwrap_or_default()) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}

/// About as many bytes as the tools take.
pub(crate) fn tools_length(tools: &[Tool]) -> usize {
    let length = |tool: &Tool| {
        let parameters = tool.parameters().map_or(0, |schema| schema.as_json().len());
        parameters + tool.description().map_or(0, str::len) + 128
    };
    tools.iter().map(length).sum()
}
