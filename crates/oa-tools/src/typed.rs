//! Answers as values of Rust types, whole and while they are streamed.

use crate::{PartialJson, StrictSchema, from_value::from_value};
use oa_provider::Provider;
use oa_wire::{
    CompletionRequest, CompletionStream, Error, Event, JsonSchema, Response, StructuredOutputFailure,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{fmt, future::Future, marker::PhantomData};

/// Typed answers from any [`Provider`].
///
/// The schema of the type goes out in its [strict form](StrictSchema), made once for each type. An answer
/// that is no value of the type, whether its text, the schema or the type says so, is an error of the
/// category [`StructuredOutputInvalid`](oa_wire::Category::StructuredOutputInvalid) with the JSON pointer,
/// what was expected, and the text as the model wrote it ([`Error::structured`]). It is found below a retry
/// layer, whose `reask` treats it as any other such error.
pub trait ProviderExt: Provider {
    /// One completion as a value of a type.
    ///
    /// ```no_run
    /// use oa_provider::OpenAiProvider;
    /// use oa_tools::ProviderExt;
    /// use oa_wire::CompletionRequest;
    ///
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct City {
    ///     name: String,
    ///     inhabitants: u32,
    /// }
    ///
    /// # async fn example() -> Result<(), oa_wire::Error> {
    /// let provider = OpenAiProvider::builder("http://localhost:8000", "my-model").build()?;
    /// let request = CompletionRequest::new("The largest city of Japan?");
    /// let city = provider.complete_as::<City>(&request).await?.value;
    /// println!("{}: {}", city.name, city.inhabitants);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`complete`](Provider::complete); an answer that is no value of the type; with tools in the
    /// request, [`InvalidResponse`](oa_wire::Category::InvalidResponse) where the model called some instead
    /// ([`Error::partial`] has the calls).
    fn complete_as<T>(
        &self,
        request: &CompletionRequest,
    ) -> impl Future<Output = Result<Typed<T>, Error>> + Send
    where
        T: DeserializeOwned + schemars::JsonSchema + Send + 'static,
    {
        async move {
            let (request, strict) = typed::<T>(request)?;
            read(&strict, self.complete(&request).await?)
        }
    }

    /// One completion as it comes, whose text is read as a value of a type.
    ///
    /// # Errors
    ///
    /// Those of [`stream`](Provider::stream).
    fn stream_as<T>(
        &self,
        request: &CompletionRequest,
    ) -> impl Future<Output = Result<TypedStream<T>, Error>> + Send
    where
        T: DeserializeOwned + schemars::JsonSchema + Send + 'static,
    {
        async move {
            let (request, strict) = typed::<T>(request)?;
            let has_tools = !request.tools.is_empty();
            let stream = self.stream(&request).await?;
            Ok(TypedStream {
                stream,
                strict,
                has_tools,
                reader: PartialJson::new(),
                end: None,
                ty: PhantomData,
            })
        }
    }
}

impl<P: Provider + ?Sized> ProviderExt for P {}

/// The request with the schema of a type in place of its own.
fn typed<T>(request: &CompletionRequest) -> Result<(CompletionRequest, StrictSchema), Error>
where
    T: DeserializeOwned + schemars::JsonSchema + 'static,
{
    let strict = StrictSchema::of::<T>()?;
    let request = request.clone().with_response_schema(answer_schema_of::<T>(&strict));
    Ok((request, strict))
}

/// The schema to send for a type: for a request of one's own, whose `parsed` value
/// [`StrictSchema::read`] makes a value of the type.
///
/// An answer is checked against the schema and against the type.
///
/// # Errors
///
/// Those of [`StrictSchema::of`].
pub fn answer_schema<T>() -> Result<JsonSchema, Error>
where
    T: DeserializeOwned + schemars::JsonSchema + 'static,
{
    Ok(answer_schema_of::<T>(&StrictSchema::of::<T>()?))
}

fn answer_schema_of<T: DeserializeOwned + 'static>(strict: &StrictSchema) -> JsonSchema {
    let check = strict.clone();
    strict.schema().clone().with_validator(move |value| check.read::<T>(value).map(drop))
}

fn read<T: DeserializeOwned>(strict: &StrictSchema, response: Response) -> Result<Typed<T>, Error> {
    let Some(parsed) = &response.parsed else {
        let text = if response.message.tool_calls.is_empty() {
            "the response has no structured output"
        } else {
            "the model called tools instead of answering"
        };
        return Err(Error::invalid_response(text).with_partial(response));
    };
    match strict.read(parsed) {
        Ok(value) => Ok(Typed { value, response }),
        Err(violation) => {
            let failure =
                StructuredOutputFailure::new(strict.schema().clone(), &response, violation.to_string());
            Err(Error::structured_output(failure).with_partial(response))
        }
    }
}

/// A value of a type, and the response that it was read from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Typed<T> {
    /// The value.
    pub value: T,
    /// The response.
    pub response: Response,
}

impl<T> Typed<T> {
    /// The value alone.
    pub fn into_inner(self) -> T {
        self.value
    }
}

/// A streamed answer whose text is read as a value of a type.
///
/// ```no_run
/// # use oa_provider::OpenAiProvider;
/// # use oa_wire::CompletionRequest;
/// use oa_tools::ProviderExt;
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Recipe {
///     title: String,
///     steps: Vec<String>,
/// }
///
/// # async fn example(provider: OpenAiProvider, request: CompletionRequest) -> Result<(), oa_wire::Error> {
/// let mut stream = provider.stream_as::<Recipe>(&request).await?;
/// while let Some(event) = stream.next().await {
///     event?;
///     if let Some(so_far) = stream.value() {
///         println!("{so_far}");
///     }
/// }
/// let recipe = stream.finish().await?.value;
/// println!("{} steps", recipe.steps.len());
/// # Ok(()) }
/// ```
///
/// Dropping it closes the request, so that the server stops generating.
pub struct TypedStream<T> {
    stream: CompletionStream,
    strict: StrictSchema,
    has_tools: bool,
    reader: PartialJson,
    end: Option<Result<Response, Error>>,
    ty: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> TypedStream<T> {
    /// The next event; `None` at the end, where [`finish`](Self::finish) has the value. The events are those
    /// of a [`CompletionStream`] without [`Event::Done`].
    ///
    /// # Errors
    ///
    /// What broke the stream, or an answer that is no value of the type.
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        if self.end.is_some() {
            return None;
        }
        match self.stream.next().await? {
            Ok(Event::Done(response)) => {
                self.end = Some(Ok(*response));
                None
            }
            Ok(event) => {
                match &event {
                    Event::Content(delta) => self.reader.push(delta),
                    // Where the server is made to call a tool with the answer, that is the answer.
                    Event::ToolCallDelta(delta) if !self.has_tools && delta.position == 0 => {
                        self.reader.push(&delta.arguments);
                    }
                    _ => {}
                }
                Some(Ok(event))
            }
            Err(error) => {
                self.end = Some(Err(error.clone()));
                Some(Err(error))
            }
        }
    }

    /// What the text that has come so far stands for, as it was sent. Costs nothing.
    pub fn value(&self) -> Option<&Value> {
        self.reader.value()
    }

    /// What the text that has come so far stands for, as a type whose members may be missing: `T` itself with
    /// `#[serde(default)]`, or one like it with members of `Option`. `None` where it is no such value yet.
    ///
    /// Costs time in proportion to the value: call it when something is to be shown, not for each event.
    pub fn partial<P: DeserializeOwned>(&self) -> Option<P> {
        let value = self.strict.restore_partial(self.reader.value()?);
        from_value(&value).ok()
    }

    /// Reads the stream to its end and returns the value.
    ///
    /// # Errors
    ///
    /// What broke the stream, or an answer that is no value of the type.
    pub async fn finish(mut self) -> Result<Typed<T>, Error> {
        while let Some(event) = self.next().await {
            event?;
        }
        match self.end {
            Some(end) => read(&self.strict, end?),
            None => Err(Error::invalid_response("the stream ended without a response")),
        }
    }
}

impl<T> fmt::Debug for TypedStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedStream").field("stream", &self.stream).finish_non_exhaustive()
    }
}
