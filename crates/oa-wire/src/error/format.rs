//! The texts of an error: one line, the line with its causes, the fields.

use super::{details::ServerErrorDetails, record::Error, source::Source};
use crate::text::OneLine;
use std::{error::Error as StdError, fmt};

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_line(f)?;
        if f.alternate() { self.fmt_causes(f) } else { Ok(()) }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return self.fmt_fields(f);
        }
        self.fmt_line(f)?;
        self.fmt_causes(f)
    }
}

impl Error {
    /// The texts of the causes, outermost first; one that only repeats what a level above it says is left
    /// out.
    pub fn causes(&self) -> Vec<String> {
        let mut causes: Vec<String> = Vec::new();
        let mut source = self.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            let is_known = self.message().contains(&text) || causes.iter().any(|cause| cause.contains(&text));
            if !is_known {
                causes.push(text);
            }
            source = cause.source();
        }
        causes
    }

    fn fmt_line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.category, OneLine(&self.0.message))?;
        let mut open = false;
        let mut note = |f: &mut fmt::Formatter<'_>, text: fmt::Arguments<'_>| {
            f.write_str(if open { ", " } else { " (" })?;
            open = true;
            f.write_fmt(text)
        };
        match (self.0.status, &self.0.server.code) {
            // An error in the body of a success: its own code says more than the status.
            (Some(status @ 200..=299), Some(code)) => {
                note(f, format_args!("code {}, inside an HTTP {status}", OneLine(code)))?;
            }
            (Some(status), _) => note(f, format_args!("HTTP {status}"))?,
            (None, _) => {}
        }
        if let Some(proxy) = self.0.origin.as_ref().and_then(|origin| origin.proxy.as_ref()) {
            note(f, format_args!("through the proxy {}", OneLine(proxy)))?;
        }
        if let Some(wait) = self.0.retry_after {
            note(f, format_args!("retry after {:?}", wait.delay))?;
        }
        if self.0.quota_spent {
            note(f, format_args!("quota spent"))?;
        }
        if let Some(id) = &self.0.request_id {
            note(f, format_args!("request id {}", OneLine(id)))?;
        }
        if let Some(server) = self.0.attempts.last().and_then(|attempt| attempt.server.as_ref()) {
            note(f, format_args!("server {}", OneLine(server)))?;
        }
        if self.0.attempts.len() > 1 {
            note(f, format_args!("{} attempts", self.0.attempts.len()))?;
        }
        if open { f.write_str(")") } else { Ok(()) }
    }

    fn fmt_causes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.attempts.len() > 1 {
            for attempt in &self.0.attempts {
                write!(f, "\n  attempt {}: ", attempt.index)?;
                if let Some(server) = &attempt.server {
                    write!(f, "{}: ", OneLine(server))?;
                }
                write!(f, "{} ({})", OneLine(&attempt.message), attempt.reason)?;
            }
        }
        for cause in self.causes() {
            write!(f, "\n  caused by: {}", OneLine(&cause))?;
        }
        match &self.0.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }

    fn fmt_fields(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let mut out = f.debug_struct("Error");
        out.field("category", &inner.category).field("message", &inner.message);
        if let Some(status) = inner.status {
            out.field("status", &status);
        }
        if let Some(kind) = inner.kind {
            out.field("kind", &kind);
        }
        if inner.server != ServerErrorDetails::default() {
            out.field("server", &inner.server);
        }
        if let Some(wait) = inner.retry_after {
            out.field("retry_after", &wait);
        }
        if let Some(url) = &inner.url {
            out.field("url", url);
        }
        if let Some(connection) = &inner.connection {
            out.field("connection", connection);
        }
        if let Some(source) = inner.source.get() {
            out.field("source", &source);
        }
        if let Some(hint) = &inner.hint {
            out.field("hint", hint);
        }
        if !inner.attempts.is_empty() {
            out.field("attempts", &inner.attempts);
        }
        out.finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.source {
            Source::None => None,
            Source::Below(source) => Some(&**source),
            Source::Same(error) => error.source(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BODY_LIMIT, Category};

    #[test]
    fn it_is_one_word_and_travels() {
        fn travels<T: Clone + Send + Sync + 'static>() {}
        travels::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn the_plain_form_is_one_line_and_the_alternate_adds_causes_and_the_hint() {
        let error = Error::new(Category::Unavailable, "no answer\nfrom upstream")
            .with_status(503)
            .with_source(std::io::Error::other("connection refused"))
            .with_hint("start the server");
        assert_eq!(error.to_string(), "provider_unavailable: no answer from upstream (HTTP 503)");
        assert_eq!(
            format!("{error:#}"),
            "provider_unavailable: no answer from upstream (HTTP 503)\n  caused by: connection refused\n  \
             hint: start the server"
        );
    }

    #[test]
    fn the_debug_form_is_the_alternate_one_and_its_alternate_the_fields() {
        let error = Error::new(Category::Unavailable, "no answer")
            .with_source(std::io::Error::other("connection refused"))
            .with_hint("start the server");
        assert_eq!(format!("{error:?}"), format!("{error:#}"));
        let fields = format!("{error:#?}");
        assert!(fields.starts_with("Error {") && fields.contains("category: Unavailable"), "{fields}");
    }

    #[test]
    fn an_error_in_the_place_of_another_has_its_text_and_its_source() {
        #[derive(Debug)]
        struct Outer(std::io::Error);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the tunnel broke")
            }
        }
        impl StdError for Outer {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(&self.0)
            }
        }
        let error = Error::from_source(Category::Unavailable, Outer(std::io::Error::other("reset")));
        assert_eq!(error.message(), "the tunnel broke");
        assert_eq!(error.source().unwrap().to_string(), "reset");
        assert!(error.get_ref().unwrap().is::<Outer>());
        assert_eq!(format!("{error:#}"), "provider_unavailable: the tunnel broke\n  caused by: reset");
    }

    #[test]
    fn the_body_is_bounded() {
        let error = Error::invalid_response("x").with_body(&vec![b'a'; 2 * BODY_LIMIT]);
        assert_eq!(error.body().unwrap().len(), BODY_LIMIT);
    }
}
