//! The headers of one call, beside those of its server.

use crate::{CompletionRequest, Error, Place, Priority, Profile};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::Value;
use std::sync::Arc;

/// The headers that belong to the connection or to the body: a call cannot set them.
const NOT_OF_A_CALL: [HeaderName; 11] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The headers of one call: those that it sets, and those that its session, priority and trace are. Cloning
/// costs reference counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallHeaders {
    own: Option<Arc<HeaderMap>>,
    spelled: Vec<(HeaderName, HeaderValue)>,
}

impl CallHeaders {
    /// The headers of a request, or what is wrong with them.
    pub(crate) fn new(profile: &Profile, request: &CompletionRequest) -> Result<Self, Error> {
        let mut spelled = Vec::new();
        let own = request.headers();
        if let Some(own) = &own {
            if let Some(name) = own.keys().find(|name| NOT_OF_A_CALL.contains(name)) {
                let text =
                    format!("headers.{name}: is not of one call: it belongs to the connection or body");
                return Err(Error::invalid_request(text));
            }
        }
        let mut spell = |name: &HeaderName, value: HeaderValue| {
            // What is set by hand counts.
            if own.as_ref().is_none_or(|own| !own.contains_key(name)) {
                spelled.push((name.clone(), value));
            }
        };
        if let (Some(session), Some(Place::Header(name))) =
            (&request.session_id, &profile.spellings().session)
        {
            spell(name, session.header().clone());
        }
        if let (Some(priority), Some(Place::Header(name))) = (&request.priority, place(profile, request)) {
            spell(name, priority.header()?);
        }
        if let Some(trace) = &request.trace_context {
            for (name, value) in trace.headers() {
                spell(&HeaderName::from_static(name), value.clone());
            }
        }
        Ok(Self { own: own.cloned(), spelled })
    }

    /// Sets the headers; those of the server that have the same name are replaced.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.spelled {
            headers.insert(name.clone(), value.clone());
        }
        let Some(own) = &self.own else { return };
        // The values of one name follow each other.
        let mut before = None;
        for (name, value) in own.iter() {
            if before == Some(name) {
                headers.append(name.clone(), value.clone());
            } else {
                headers.insert(name.clone(), value.clone());
            }
            before = Some(name);
        }
    }

    /// What must not be shown.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        let own = self.own.iter().flat_map(|own| own.values());
        own.filter(|value| value.is_sensitive()).filter_map(|value| {
            let value = value.to_str().ok()?;
            Some(value.strip_prefix("Bearer ").unwrap_or(value))
        })
    }
}

/// The members of the body that a request's session and priority are, with what they are.
pub(crate) fn body_members<'a>(
    profile: &'a Profile,
    request: &CompletionRequest,
) -> impl Iterator<Item = (&'static str, &'a str, Value)> {
    let session = match (&request.session_id, &profile.spellings().session) {
        (Some(session), Some(Place::Body(name))) => {
            Some(("session_id", name.as_str(), Value::from(session.as_str())))
        }
        _ => None,
    };
    let priority = match (&request.priority, place(profile, request)) {
        (Some(priority), Some(Place::Body(name))) => Some(("priority", name.as_str(), priority.value())),
        _ => None,
    };
    session.into_iter().chain(priority)
}

/// Where the request's priority is sent.
fn place<'a>(profile: &'a Profile, request: &CompletionRequest) -> Option<&'a Place> {
    let spellings = profile.spellings();
    match request.priority.as_ref()? {
        Priority::Level(_) => spellings.priority_level.as_ref(),
        Priority::Class(_) => spellings.priority_class.as_ref(),
    }
}
