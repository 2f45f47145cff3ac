//! The decoder of a completion's response as users see it: the same verbs for every wire mapping.

/// Declares the decoder of an answer in this form.
macro_rules! response_decoder {
    ($(#[$doc:meta])* $name:ident($format:ty)) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name($crate::body_decoder::BodyDecoder<$format>);

        impl $name {
            /// A decoder for a recorded response: with the default limits, without tools or a schema to check
            /// it against, and without a key to redact.
            pub fn new(status: http::StatusCode, headers: &http::HeaderMap) -> Self {
                Self($crate::body_decoder::BodyDecoder::of_recording(status, headers))
            }

            /// Sets the forward proxy that the response came through, with the variable that names it
            /// (`http://proxy:3128 (HTTP_PROXY)`), for the error of an answer that is the proxy's own.
            #[must_use]
            pub fn with_proxy(self, proxy: Option<String>) -> Self {
                Self(self.0.with_proxy(proxy))
            }

            /// Sets the headers of the response, which [`Response::headers`](crate::Response::headers) or
            /// [`Error::headers`](crate::Error::headers) then share.
            #[must_use]
            pub fn with_headers(self, headers: std::sync::Arc<http::HeaderMap>) -> Self {
                Self(self.0.with_headers(headers.into()))
            }

            /// Adds a piece of the body. Poll its events before the next.
            #[inline]
            pub fn push(&mut self, bytes: bytes::Bytes) {
                self.0.push(bytes);
            }

            /// The next event that the bytes so far hold. None when more bytes are needed, or nothing
            /// follows.
            #[inline]
            pub fn poll_event(&mut self) -> Option<Result<$crate::Event, $crate::Error>> {
                self.0.poll_event()
            }

            /// Ends the body. The remaining events follow, the last of them
            /// [`Event::Done`](crate::Event::Done) or an error.
            pub fn end(&mut self) {
                self.0.end();
            }

            /// Ends the body, and gives the response; after [`Event::Done`](crate::Event::Done) was handed
            /// out, the same one.
            ///
            /// # Errors
            ///
            /// The error that the server answered with, or what is wrong with its answer.
            pub fn finish(self) -> Result<$crate::Response, $crate::Error> {
                self.0.finish()
            }

            /// Gives up because of `cause`, which is returned with what was received before it. Nothing
            /// follows.
            pub fn abort(&mut self, cause: $crate::Error) -> $crate::Error {
                self.0.abort(cause)
            }

            /// True when nothing more of the body is needed: a stream ended as it should, or an error was
            /// met.
            #[inline]
            pub fn is_done(&self) -> bool {
                self.0.is_done()
            }

            /// What was received so far of a stream; an empty response of any other.
            pub fn snapshot(&self) -> $crate::Response {
                self.0.snapshot()
            }
        }

        impl $crate::mapping::Decoder for $name {
            type Output = $crate::Response;

            fn with_proxy(self, proxy: Option<String>) -> Self {
                self.with_proxy(proxy)
            }

            fn with_headers(self, headers: std::sync::Arc<http::HeaderMap>) -> Self {
                self.with_headers(headers)
            }

            #[inline]
            fn push(&mut self, bytes: bytes::Bytes) {
                self.0.push(bytes);
            }

            #[inline]
            fn is_done(&self) -> bool {
                self.0.is_done()
            }

            fn finish(self) -> Result<$crate::Response, $crate::Error> {
                self.0.finish()
            }

            fn abort(&mut self, cause: $crate::Error) -> $crate::Error {
                self.0.abort(cause)
            }
        }

        impl $crate::mapping::EventDecoder for $name {
            #[inline]
            fn poll_event(&mut self) -> Option<Result<$crate::Event, $crate::Error>> {
                self.0.poll_event()
            }

            fn end(&mut self) {
                self.0.end();
            }

            fn snapshot(&self) -> $crate::Response {
                self.0.snapshot()
            }
        }
    };
}

pub(crate) use response_decoder;
