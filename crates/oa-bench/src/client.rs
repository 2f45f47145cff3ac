//! The calls that are measured, as a user of the library makes them.

use crate::{
    args::{Args, Mode},
    sink::Sink,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use oa_provider::{OpenAiProvider, Provider};
use oa_wire::{CompletionRequest, Error, Message, RuntimeConfig, SessionId, Tool, Tools};
use serde_json::json;
use std::sync::Arc;

pub(crate) struct Client<P> {
    provider: P,
    tools: Tools,
    texts: Vec<String>,
    logprobs: bool,
    stream: bool,
    /// The session and the headers of each call, where they are measured.
    session: Option<(SessionId, Arc<HeaderMap>)>,
}

impl<P: Provider> Client<P> {
    /// `wrap` puts around the provider what is to be measured.
    pub(crate) fn new(args: &Args, wrap: fn(OpenAiProvider) -> P) -> Result<Self, Error> {
        let root = args.base_url.trim_end_matches('/').trim_end_matches("/v1");
        let provider = wrap(OpenAiProvider::builder(root, args.model.as_str()).api_key("sk-bench").build()?);
        let tools = match args.model.as_str() {
            "c-tool" => Tools::new([tool("get_weather")?, tool("search_places")?])?,
            _ => Tools::default(),
        };
        Ok(Self {
            provider,
            tools,
            texts: texts(args.history),
            logprobs: args.model == "c-logprobs",
            stream: args.mode != Mode::Complete,
            session: (args.variant == "session").then(session).transpose()?,
        })
    }

    pub(crate) async fn call(&self, sink: &mut Sink) -> Result<(), Error> {
        let request = self.request();
        if !self.stream {
            sink.response(&self.provider.complete(&request).await?, self.logprobs);
            return Ok(());
        }
        let mut stream = self.provider.stream(&request).await?;
        while let Some(event) = stream.next().await {
            sink.event(&event?);
        }
        Ok(())
    }

    /// Built anew for each call, as a program with a conversation does.
    fn request(&self) -> CompletionRequest {
        let message = |(at, text): (usize, &String)| match at {
            0 => Message::system(text.as_str()),
            at if at % 2 == 1 => Message::user(text.as_str()),
            _ => Message::assistant(text.as_str()),
        };
        let messages: Vec<Message> = self.texts.iter().enumerate().map(message).collect();
        let request = CompletionRequest::new(messages)
            .with_tools(self.tools.clone())
            .with_config(RuntimeConfig::new().with_temperature(0.0).with_max_tokens(64))
            .with_stream(self.stream);
        match &self.session {
            Some((id, headers)) => request.with_session_id(id.clone()).with_headers(Arc::clone(headers)),
            None => request,
        }
    }
}

fn session() -> Result<(SessionId, Arc<HeaderMap>), Error> {
    let headers = [("x-tenant", "search"), ("x-user", "4711")];
    let headers = headers
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .into_iter()
        .collect();
    Ok((SessionId::new("conversation-4711")?, Arc::new(headers)))
}

fn tool(name: &str) -> Result<Tool, Error> {
    Tool::new(name, json!({"type": "object"}))
}

fn texts(history: usize) -> Vec<String> {
    let mut texts = vec!["You are a helpful assistant. Answer briefly.".to_owned()];
    if history <= 2 {
        texts.push("What is the capital of France?".to_owned());
        return texts;
    }
    // The last must be the user's.
    texts.extend((1..history - history % 2).map(|at| {
        format!(
            "Message {at}: tell what a \"stream\" and a whole answer have in common,\nand which of them you \
             would rather take for a long history like this, with a line of code: \
             `for x in y {{ f(x) }}`. Then stop."
        )
    }));
    texts
}
