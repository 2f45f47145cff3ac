//! Exchanges with servers, stored as JSON: a request, and the response with its exact bytes.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use oa_wire::Profile;
use oa_wire::openai::{ChatCall, Endpoint, ResponseDecoder};
use oa_wire::{CompletionRequest, JsonSchema, Message, Tool, ToolChoice, Tools};
use serde_json::Value;
use std::path::Path;

/// One exchange.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// `SERVER/NAME`.
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) path: String,
    /// The body of the request, where it is JSON.
    pub(crate) asked: Value,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The body is an event stream.
    pub(crate) is_stream: bool,
    /// The body came to its end.
    pub(crate) is_complete: bool,
    /// What the exchange itself says must come of it, where it does.
    pub(crate) expect: Value,
}

/// The exchanges of `FOLDER/SERVER/NAME.json`, in order. Files of another form, and those without a response,
/// are passed over.
pub(crate) fn load(folder: &Path) -> Vec<Exchange> {
    let mut paths = Vec::new();
    for server in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let server = server.unwrap().path();
        if server.is_dir() {
            paths.extend(std::fs::read_dir(server).unwrap().map(|file| file.unwrap().path()));
        }
    }
    paths.sort();
    paths
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .filter_map(|path| read(path))
        .collect()
}

fn read(path: &Path) -> Option<Exchange> {
    let text = std::fs::read(path).unwrap();
    let file: Value =
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (request, response) = (file.get("request")?, file.get("response")?);
    let status = StatusCode::from_u16(response["status"].as_u64()?.try_into().ok()?).ok()?;
    let chunks = response["sse_chunks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let body = match chunks {
        [] => response["body"].as_str().unwrap_or_default().to_owned(),
        chunks => chunks.iter().map(|chunk| chunk["data"].as_str().unwrap()).collect(),
    };
    let headers = response["headers"].as_array().into_iter().flatten().filter_map(|header| {
        let name = HeaderName::try_from(header[0].as_str()?).ok()?;
        Some((name, HeaderValue::from_str(header[1].as_str()?).ok()?))
    });
    let server = path.parent()?.file_name()?.to_string_lossy();
    Some(Exchange {
        name: format!("{server}/{}", path.file_stem()?.to_string_lossy()),
        method: request["method"].as_str()?.to_owned(),
        path: request["path"].as_str()?.split('?').next()?.to_owned(),
        asked: request["body"].as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default(),
        status,
        headers: headers.collect(),
        body: body.into(),
        is_stream: !chunks.is_empty(),
        is_complete: response["end"] == "complete",
        expect: file.get("expect").cloned().unwrap_or_default(),
    })
}

impl Exchange {
    pub(crate) fn is_chat(&self) -> bool {
        self.method == "POST" && self.path == "/v1/chat/completions"
    }

    pub(crate) fn is_message(&self) -> bool {
        self.method == "POST" && self.path == "/v1/messages"
    }

    pub(crate) fn is_models(&self) -> bool {
        self.method == "GET" && self.path == "/v1/models"
    }

    /// The tools, choice, schema and number of choices that the request had, as far as they are valid; with a
    /// message of no account.
    pub(crate) fn request(&self) -> CompletionRequest {
        let mut request = CompletionRequest::new([Message::user("hi")])
            .with_stream(self.is_stream || self.asked["stream"] == true);
        let tools = self.asked["tools"].as_array().into_iter().flatten().filter_map(|tool| {
            let function = &tool["function"];
            let parameters = function.get("parameters").cloned();
            let parameters = parameters.unwrap_or_else(|| serde_json::json!({"type": "object"}));
            Tool::new(function["name"].as_str()?, parameters).ok()
        });
        if let Ok(tools) = Tools::new(tools) {
            request = request.with_tools(tools);
        }
        let choice = &self.asked["tool_choice"];
        let named = choice["function"]["name"].as_str().filter(|name| request.tools.get(name).is_some());
        let choice = match (choice.as_str(), named) {
            (Some("auto"), _) => Some(ToolChoice::Auto),
            (Some("none"), _) => Some(ToolChoice::None),
            (Some("required"), _) if !request.tools.is_empty() => Some(ToolChoice::Required),
            (_, Some(name)) => Some(ToolChoice::Tool(name.to_owned())),
            _ => None,
        };
        request.tool_choice = choice;
        let schema = self.asked.pointer("/response_format/json_schema/schema").cloned();
        request.response_schema = schema.and_then(|schema| JsonSchema::new(schema).ok());
        if let Some(choices) = self.asked["n"].as_u64() {
            request.config = request.config.with_extra("n", choices);
        }
        request
    }

    /// The decoder of the response.
    pub(crate) fn decoder(&self, request: &CompletionRequest) -> ResponseDecoder {
        self.caller(request).on_response(self.status, &self.headers, None)
    }

    pub(crate) fn caller(&self, request: &CompletionRequest) -> ChatCall {
        let endpoint = Endpoint::new("http://localhost:8000", None).unwrap();
        ChatCall::new(&endpoint, &Profile::new("tiny"), request)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}
