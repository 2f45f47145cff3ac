//! The data of a response's body.

use crate::error::from_transport_error;
use bytes::Bytes;
use http_body::Body;
use oa_transport::BoxError;
use oa_wire::Error;
use std::{future::poll_fn, pin::Pin};

/// The next piece of data; none at the end. Trailers are passed over.
pub(crate) async fn next_data<B>(mut body: Pin<&mut B>) -> Option<Result<Bytes, Error>>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    loop {
        match poll_fn(|cx| body.as_mut().poll_frame(cx)).await? {
            Ok(frame) => {
                if let Ok(bytes) = frame.into_data() {
                    return Some(Ok(bytes));
                }
            }
            Err(error) => return Some(Err(from_transport_error(error))),
        }
    }
}
