//! The way back from a value in the strict form to one of the source schema.

use serde_json::{Map, Value};
use std::{collections::HashMap, fmt::Write as _};

/// The name of the only property of the object around a schema whose root is no object.
pub(crate) const WRAPPER: &str = "value";
pub(super) const KEY: &str = "key";
pub(super) const ENTRY: &str = "value";

/// What a part of the strict schema accepts, and what becomes of it.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    /// Stays as it is.
    Scalar {
        types: Types,
        values: Option<Vec<Value>>,
    },
    /// An object with exactly these members.
    Object(Vec<Member>),
    /// An object with the members `0`, `1` and so on, which is an array in the source.
    Tuple(Vec<Plan>),
    Array(Box<Plan>),
    /// An array of entries, which is an object in the source.
    Map(Box<Plan>),
    Union(Vec<Plan>),
    /// A definition, by its place in [`Plans::definitions`].
    Definition(usize),
}

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) plan: Plan,
    /// Null stands for a member that is left out.
    pub(super) optional: bool,
    /// The source does not require it.
    pub(super) may_be_missing: bool,
}

/// How closely a value must have the strict form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Exact,
    /// A member that the source does not require may be missing: of servers that do not constrain.
    Lenient,
    /// Anything may be missing at the end: of a value that is still being written.
    Partial,
}

/// A set of JSON types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    pub(super) fn of(name: &str) -> Option<Self> {
        let names = ["null", "boolean", "integer", "number", "string", "array", "object"];
        // Every integer is a number too.
        names.iter().position(|known| *known == name).map(|at| Self(if at == 3 { 0b1100 } else { 1 << at }))
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, value: &Value) -> bool {
        let bit = match value {
            Value::Null => 0,
            Value::Bool(_) => 1,
            Value::Number(number) if is_integer(number) => 2,
            Value::Number(_) => 3,
            Value::String(_) => 4,
            Value::Array(_) => 5,
            Value::Object(_) => 6,
        };
        self.0 & (1 << bit) != 0
    }
}

fn is_integer(number: &serde_json::Number) -> bool {
    number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
}

/// The plan of a whole schema.
#[derive(Clone, Debug)]
pub(super) struct Plans {
    pub(super) root: Plan,
    pub(super) definitions: Vec<Plan>,
}

impl Plans {
    /// The value as the source schema has it; none where it is not of the strict form.
    pub(super) fn restore(&self, value: &Value) -> Option<Value> {
        [Form::Exact, Form::Lenient]
            .into_iter()
            .find_map(|form| Run::new(self, form).restore(&self.root, value))
    }

    /// The same of the beginning of a value: members and elements may be missing.
    pub(super) fn restore_partial(&self, value: &Value) -> Option<Value> {
        Run::new(self, Form::Partial).restore(&self.root, value)
    }

    /// Where a place of the restored value lies in the value it was made from.
    pub(super) fn locate(&self, value: &Value, pointer: &str) -> String {
        let mut run = Run::new(self, Form::Lenient);
        let (mut plan, mut at) = (Some(&self.root), Some(value));
        let mut place = String::new();
        for token in pointer.split('/').skip(1) {
            let here = plan.zip(at).and_then(|(plan, at)| run.choose(plan, at, 0));
            let name = token.replace("~1", "/").replace("~0", "~");
            match here {
                Some(Plan::Map(inner)) => {
                    let entries = at.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                    let entry = entries.iter().rposition(|entry| entry[KEY] == *name);
                    let _ = write!(place, "/{}/{ENTRY}", entry.unwrap_or_default());
                    at = entry.and_then(|entry| entries[entry].get(ENTRY));
                    plan = Some(inner);
                }
                here => {
                    let _ = write!(place, "/{token}");
                    at = at.and_then(|at| match at {
                        Value::Array(array) => array.get(name.parse::<usize>().ok()?),
                        at => at.get(&name),
                    });
                    plan = match here {
                        Some(Plan::Object(members)) => {
                            members.iter().find(|member| member.name == name).map(|member| &member.plan)
                        }
                        Some(Plan::Tuple(plans)) => name.parse().ok().and_then(|at: usize| plans.get(at)),
                        Some(Plan::Array(inner)) => Some(inner),
                        _ => None,
                    };
                }
            }
        }
        place
    }
}

/// The deepest chain of unions and definitions that is followed without a step into the value.
const MAX_CHAIN: usize = 64;

/// One walk over a value.
struct Run<'a> {
    plans: &'a Plans,
    form: Form,
    /// Whether a value fits a plan, by their addresses: so that branches within branches cost no more than
    /// their number times the size of the value.
    known: HashMap<(*const Plan, *const Value), bool>,
}

impl<'a> Run<'a> {
    fn new(plans: &'a Plans, form: Form) -> Self {
        Self { plans, form, known: HashMap::new() }
    }

    fn is_partial(&self) -> bool {
        self.form == Form::Partial
    }

    /// The plan behind unions and definitions that fits the value.
    fn choose(&mut self, plan: &'a Plan, value: &Value, chain: usize) -> Option<&'a Plan> {
        match plan {
            _ if chain > MAX_CHAIN => None,
            Plan::Union(plans) => {
                let fits = plans.iter().find(|plan| self.fits(plan, value, chain + 1))?;
                self.choose(fits, value, chain + 1)
            }
            Plan::Definition(at) => {
                let plans = self.plans;
                self.choose(&plans.definitions[*at], value, chain + 1)
            }
            plan => Some(plan),
        }
    }

    fn fits(&mut self, plan: &'a Plan, value: &Value, chain: usize) -> bool {
        let key = (std::ptr::from_ref(plan), std::ptr::from_ref(value));
        if let Some(&known) = self.known.get(&key) {
            return known;
        }
        let fits = self.is_of(plan, value, chain);
        self.known.insert(key, fits);
        fits
    }

    fn is_of(&mut self, plan: &'a Plan, value: &Value, chain: usize) -> bool {
        match (plan, value) {
            _ if chain > MAX_CHAIN => false,
            (Plan::Scalar { types, values }, value) => {
                types.has(value) && values.as_ref().is_none_or(|values| self.is_one_of(values, value))
            }
            (Plan::Object(members), Value::Object(object)) => {
                let known = members.iter().filter(|member| object.contains_key(&member.name)).count();
                known == object.len()
                    && members.iter().all(|member| match object.get(&member.name) {
                        Some(value) if member.optional && value.is_null() => true,
                        Some(value) => self.fits(&member.plan, value, 0),
                        None => match self.form {
                            Form::Exact => false,
                            Form::Lenient => member.may_be_missing,
                            Form::Partial => true,
                        },
                    })
            }
            (Plan::Tuple(plans), Value::Object(object)) => {
                let known = plans.iter().enumerate().map(|(at, plan)| (plan, object.get(&at.to_string())));
                let known: Vec<_> = known.filter_map(|(plan, value)| Some((plan, value?))).collect();
                known.len() == object.len()
                    && (self.is_partial() || known.len() == plans.len())
                    && known.into_iter().all(|(plan, value)| self.fits(plan, value, 0))
            }
            (Plan::Array(plan), Value::Array(array)) => array.iter().all(|value| self.fits(plan, value, 0)),
            (Plan::Map(plan), Value::Array(array)) => array.iter().all(|entry| match entry.as_object() {
                Some(entry) => {
                    let key = entry.get(KEY).map_or(self.is_partial(), Value::is_string);
                    let inner = entry.get(ENTRY);
                    let known = usize::from(entry.contains_key(KEY)) + usize::from(inner.is_some());
                    key && known == entry.len()
                        && inner.map_or(self.is_partial(), |value| self.fits(plan, value, 0))
                }
                None => false,
            }),
            (Plan::Union(plans), value) => plans.iter().any(|plan| self.fits(plan, value, chain + 1)),
            (Plan::Definition(at), value) => {
                let plans = self.plans;
                self.fits(&plans.definitions[*at], value, chain + 1)
            }
            _ => false,
        }
    }

    fn is_one_of(&self, values: &[Value], value: &Value) -> bool {
        values.iter().any(|known| match (known, value) {
            (Value::String(known), Value::String(text)) if self.is_partial() => {
                known.starts_with(text.as_str())
            }
            (known, value) => known == value,
        })
    }

    fn restore(&mut self, plan: &'a Plan, value: &Value) -> Option<Value> {
        let plan = self.choose(plan, value, 0)?;
        if !self.fits(plan, value, 0) {
            return None;
        }
        Some(match (plan, value) {
            (Plan::Object(members), Value::Object(object)) => {
                let mut restored = Map::new();
                for member in members {
                    let Some(value) = object.get(&member.name) else { continue };
                    if !(member.optional && value.is_null()) {
                        restored.insert(member.name.clone(), self.restore(&member.plan, value)?);
                    }
                }
                Value::Object(restored)
            }
            (Plan::Tuple(plans), Value::Object(object)) => {
                let mut restored = Vec::with_capacity(plans.len());
                for (at, plan) in plans.iter().enumerate() {
                    // Of a value that is still being written, the elements up to the first that is missing.
                    let Some(value) = object.get(&at.to_string()) else { break };
                    restored.push(self.restore(plan, value)?);
                }
                Value::Array(restored)
            }
            (Plan::Array(plan), Value::Array(array)) => {
                let restored: Option<Vec<_>> = array.iter().map(|value| self.restore(plan, value)).collect();
                Value::Array(restored?)
            }
            (Plan::Map(plan), Value::Array(array)) => {
                let mut restored = Map::new();
                for entry in array {
                    let (Some(Value::String(key)), Some(value)) = (entry.get(KEY), entry.get(ENTRY)) else {
                        continue;
                    };
                    restored.insert(key.clone(), self.restore(plan, value)?);
                }
                Value::Object(restored)
            }
            (_, value) => value.clone(),
        })
    }
}
