//! The shape that a tower service must have to carry completions.

use bytes::Bytes;
use tower_service::Service;

/// Any error that can cross threads: what a foreign transport and its body may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A service that sends one HTTP request and gives one HTTP response.
///
/// Nobody implements this by hand: every [`Service`] over `http::Request<Bytes>` whose response has a body of
/// [`Bytes`] is a transport, so that [`HyperTransport`](crate::HyperTransport), a tower stack around it, a
/// service of another HTTP client and a test double all plug in alike.
///
/// What a transport owes its caller:
///
/// - The request's URI is absolute (`http`, `https`, or `unix` as made by
///   [`unix_authority`](crate::unix_authority) where it is known).
/// - A response of any status is `Ok`. An error means that there was no whole response head.
/// - Dropping the future or the body ends the exchange: nothing more is sent, and the server can see it.
///
/// A service that is `Clone` but not `Sync` fits after boxing it with tower's `BoxCloneSyncService`.
///
/// ```
/// use bytes::Bytes;
/// use oa_transport::{HyperTransport, Transport};
///
/// async fn status<T: Transport>(mut transport: T, uri: &'static str) -> Option<http::StatusCode> {
///     let mut request = http::Request::new(Bytes::new());
///     *request.uri_mut() = http::Uri::from_static(uri);
///     std::future::poll_fn(|cx| transport.poll_ready(cx)).await.ok()?;
///     transport.call(request).await.ok().map(|response| response.status())
/// }
/// # let _ = status(HyperTransport::new(), "http://127.0.0.1:1/");
/// ```
pub trait Transport:
    Service<
        http::Request<Bytes>,
        Response = http::Response<<Self as Transport>::Body>,
        Error: Into<BoxError>,
        Future: Send,
    > + Clone
    + Send
    + Sync
    + 'static
{
    /// The response's body, as it arrives.
    type Body: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

impl<S, B> Transport for S
where
    S: Service<http::Request<Bytes>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Body = B;
}
