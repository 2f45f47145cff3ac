//! The bytes of real servers, decoded in any split.
//!
//! Runs over the exchanges of this repository, and over those of the folder that `OA_CORPUS_DIR` names, if it
//! does.

use crate::common::{
    self, Random, cut,
    exchange::{Exchange, load},
    finish, reading,
    reading::{Call, Reading},
    render_error, seed, singles, steps,
};
use bytes::Bytes;
use oa_wire::ModelList;
use oa_wire::{Category, CompletionRequest, Error, Response, Usage};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

fn exchanges() -> Vec<Exchange> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exchanges");
    let more = std::env::var_os("OA_CORPUS_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let mut exchanges = load(&own);
    assert!(exchanges.len() >= 25, "{} exchanges in {}", exchanges.len(), own.display());
    exchanges.extend(more.iter().flat_map(|folder| load(folder)));
    exchanges
}

/// What comes of an exchange, in one piece.
fn outcome(exchange: &Exchange, request: &CompletionRequest) -> Result<Response, Error> {
    finish(exchange.decoder(request), [exchange.body.clone()])
}

#[test]
fn every_exchange_is_read_as_its_bytes_say() {
    let exchanges: Vec<_> = exchanges().into_iter().filter(Exchange::is_chat).collect();
    let wrong: Vec<String> = exchanges.iter().filter_map(|exchange| judge(exchange).err()).collect();
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), exchanges.len(), wrong.join("\n"));
}

fn judge(exchange: &Exchange) -> Result<(), String> {
    let request = exchange.request();
    let got = outcome(exchange, &request);
    let judged = expected(exchange, &got).and_then(|()| {
        if !exchange.status.is_success() {
            return refused(exchange, &got);
        }
        if !exchange.is_stream {
            return match reading::atomic(&exchange.body) {
                Some(reading) => answered(exchange, &request, &reading, &got),
                None => want_error(&got, None),
            };
        }
        let reading = reading::joined(&String::from_utf8_lossy(&exchange.body));
        if reading.error.is_some() {
            want_error(&got, None)?;
            return kept(&reading, &got);
        }
        if !(reading.done || reading.finish.is_some()) {
            want_error(&got, Some(Category::Unavailable))?;
            return kept(&reading, &got);
        }
        answered(exchange, &request, &reading, &got)
    });
    judged.map_err(|why| match &got {
        Ok(response) => format!("{}: {why}; got {}", exchange.name, common::render(response)),
        Err(error) => format!("{}: {why}; got {}", exchange.name, render_error(error)),
    })
}

/// Holds the outcome against what the exchange itself names.
fn expected(exchange: &Exchange, got: &Result<Response, Error>) -> Result<(), String> {
    let Some(category) = exchange.expect["category"].as_str() else { return Ok(()) };
    want_error(got, Some(category.parse().map_err(|_| format!("no category: {category}"))?))?;
    let Err(error) = got else { return Ok(()) };
    let mentions = exchange.expect["mentions"].as_str().unwrap_or_default();
    same("what is mentioned", &error.message().contains(mentions), &true)?;
    let wait = exchange.expect["retry_after"].as_f64();
    same("retry_after", &error.retry_after().map(|wait| wait.delay.as_secs_f64()), &wait)?;
    let transient = exchange.expect["transient"].as_bool().unwrap_or(error.category().is_transient());
    same("transient", &error.is_transient(), &transient)
}

fn want_error(got: &Result<Response, Error>, category: Option<Category>) -> Result<(), String> {
    match (got, category) {
        (Ok(_), _) => Err("want an error".to_owned()),
        (Err(error), Some(category)) => same("category", &error.category(), &category),
        (Err(_), None) => Ok(()),
    }
}

/// An answer with an error status. Which category it has, each exchange of our own names itself; what the
/// status alone decides holds for all.
fn refused(exchange: &Exchange, got: &Result<Response, Error>) -> Result<(), String> {
    want_error(got, None)?;
    let Err(error) = got else { return Ok(()) };
    same("status", &error.status(), &Some(exchange.status.as_u16()))?;
    same("an empty message", &error.message().trim().is_empty(), &false)?;
    match exchange.status.as_u16() {
        401 | 403 => same("category", &error.category(), &Category::Authentication),
        429 => same("category", &error.category(), &Category::RateLimit),
        408 | 409 | 425 | 502 | 504 => same("category", &error.category(), &Category::Unavailable),
        _ if error.category() == Category::InvalidResponse => {
            Err("a refusal is no invalid response".to_owned())
        }
        _ => Ok(()),
    }
}

/// What came before an error is kept.
fn kept(reading: &Reading, got: &Result<Response, Error>) -> Result<(), String> {
    let Err(error) = got else { return Ok(()) };
    let nothing = reading.text.is_empty() && reading.reasoning.is_empty() && reading.calls.is_empty();
    match error.partial() {
        Some(partial) => message(reading, partial),
        None if nothing => Ok(()),
        None => Err("what came is lost".to_owned()),
    }
}

fn answered(
    exchange: &Exchange,
    request: &CompletionRequest,
    reading: &Reading,
    got: &Result<Response, Error>,
) -> Result<(), String> {
    let is_well_formed = |call: &Call| {
        let tool = request.tools.get(&call.name);
        let object = call.object();
        tool.zip(object).is_some_and(|(tool, object)| {
            tool.parameters().is_none_or(|schema| schema.validate(&object).is_ok())
        })
    };
    if reading.finish_name() != "error" && !reading.calls.iter().all(is_well_formed) {
        want_error(got, Some(Category::InvalidResponse))?;
        return kept(reading, got);
    }
    let mut parsed = None;
    if let Some(schema) = request.response_schema.as_ref().filter(|_| reading.calls.is_empty()) {
        parsed = serde_json::from_str(&reading.text).ok().filter(|value| schema.validate(value).is_ok());
        if parsed.is_none() {
            want_error(got, Some(Category::StructuredOutputInvalid))?;
            let failure = got.as_ref().err().and_then(Error::structured).ok_or("no details")?;
            same("output_content", &failure.output_content, &reading.text)?;
            same("finish_reason", &failure.finish_reason.as_str(), &reading.finish_name())?;
            return usage(reading, &failure.usage);
        }
    }
    let response = got.as_ref().map_err(|_| "want a response")?;
    message(reading, response)?;
    same("finish_reason", &response.finish_reason.as_str(), &reading.finish_name())?;
    same("the server's finish reason", &response.server_finish_reason, &reading.finish)?;
    usage(reading, &response.usage)?;
    same("id", &response.id, &reading.id)?;
    same("model", &response.model, &reading.model)?;
    same("parsed", &response.parsed, &parsed)?;
    if !exchange.is_stream {
        return same("raw", &response.raw.to_bytes(), &exchange.body);
    }
    let raw = response.raw.json().map_err(|error| error.to_string())?;
    same("raw usage", &raw["usage"], &reading.usage)?;
    same("raw id", &raw["id"], &json!(reading.id))?;
    same("raw model", &raw["model"], &json!(reading.model))?;
    same("raw finish_reason", &raw["choices"][0]["finish_reason"], &json!(reading.finish))?;
    let content = raw["choices"][0]["message"]["content"].as_str().unwrap_or_default();
    same("raw content", &content, &reading.text.as_str())
}

/// Text, reasoning and calls.
fn message(reading: &Reading, response: &Response) -> Result<(), String> {
    same("text", &*response.text(), &*reading.text)?;
    same("reasoning", &response.message.reasoning().unwrap_or_default(), &reading.reasoning.as_str())?;
    let calls = &response.message.tool_calls;
    let got: Vec<_> = calls
        .iter()
        .map(|call| (call.name.clone(), call.arguments.as_object().cloned().map(Value::Object)))
        .collect();
    let want: Vec<_> = reading.calls.iter().map(|call| (call.name.clone(), call.object())).collect();
    same("calls", &got, &want)?;
    for (call, reading) in calls.iter().zip(&reading.calls) {
        same("a local id", &call.id_is_local, &reading.id.is_none())?;
        same("id of a call", &call.id, reading.id.as_ref().unwrap_or(&call.id))?;
    }
    Ok(())
}

fn usage(reading: &Reading, got: &Usage) -> Result<(), String> {
    let Usage { prompt_tokens, completion_tokens, total_tokens, cached_tokens, reasoning_tokens, .. } = *got;
    let got = [prompt_tokens, completion_tokens, total_tokens, cached_tokens, reasoning_tokens];
    same("usage", &got, &counters(reading))
}

fn counters(reading: &Reading) -> [Option<u64>; 5] {
    [
        reading.counter("/prompt_tokens"),
        reading.counter("/completion_tokens"),
        reading.counter("/total_tokens"),
        reading.counter("/prompt_tokens_details/cached_tokens"),
        // SGLang counts it beside the others.
        reading
            .counter("/completion_tokens_details/reasoning_tokens")
            .or_else(|| reading.counter("/reasoning_tokens")),
    ]
}

fn same<T: ?Sized + PartialEq + std::fmt::Debug>(what: &str, got: &T, want: &T) -> Result<(), String> {
    if got == want { Ok(()) } else { Err(format!("{what}: {got:?}, want {want:?}")) }
}

#[test]
fn every_split_of_a_stream_gives_the_same_events_and_the_same_response() {
    let seed = seed();
    let streams: Vec<_> = exchanges().into_iter().filter(|exchange| exchange.is_stream).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(exchange) = streams.get(next.fetch_add(1, Ordering::Relaxed)) {
                    split(exchange, seed);
                }
            });
        }
    });
}

/// Without optimization, streams up to this length are cut in two at every place. The time grows with the
/// square of the length, so longer ones are cut at every place too, but at several places at once, this far
/// apart.
const EVERY_CUT: usize = if cfg!(debug_assertions) { 1_500 } else { usize::MAX };
const APART: usize = 47;

fn split(exchange: &Exchange, seed: u64) {
    let request = exchange.request();
    let call = exchange.caller(&request);
    let body = &exchange.body;
    let decode = |pieces: Vec<Bytes>| {
        steps(call.clone().on_response(exchange.status, &exchange.headers, None), pieces)
    };
    let whole = decode(vec![body.clone()]);
    let length = body.len();
    if length <= EVERY_CUT {
        for at in 0..=length {
            assert_eq!(decode(cut(body, &[at])), whole, "{}, cut at {at}", exchange.name);
        }
    } else {
        for from in 0..APART {
            let cuts: Vec<_> = (from..length).step_by(APART).collect();
            assert_eq!(
                decode(cut(body, &cuts)),
                whole,
                "{}, cut at every {APART} from {from}",
                exchange.name
            );
        }
    }
    assert_eq!(decode(singles(body)), whole, "{}, one byte a piece", exchange.name);
    let mut random = Random(seed);
    for _ in 0..16 {
        let cuts = random.cuts(length, 40);
        assert_eq!(decode(cut(body, &cuts)), whole, "{}, cut at {cuts:?}, OA_SEED={seed}", exchange.name);
    }
}

#[test]
fn pieces_that_nobody_asked_events_of_are_not_lost() {
    for exchange in exchanges().iter().filter(|exchange| exchange.is_chat()) {
        let request = exchange.request();
        let outcome = |pieces: Vec<Bytes>| match finish(exchange.decoder(&request), pieces) {
            Ok(response) => common::render(&response),
            Err(error) => render_error(&error),
        };
        let whole = steps(exchange.decoder(&request), [exchange.body.clone()]);
        let pieces: Vec<Bytes> = exchange.body.chunks(7).map(Bytes::copy_from_slice).collect();
        let got = outcome(pieces);
        match whole.last() {
            Some(common::Step::Done(want) | common::Step::Failed(want)) => {
                assert_eq!(&got, want, "{}", exchange.name);
            }
            other => panic!("{}: the last step is {other:?}", exchange.name),
        }
    }
}

#[test]
fn a_stream_gives_what_the_atomic_call_gives() {
    let exchanges: Vec<_> = exchanges().into_iter().filter(Exchange::is_chat).collect();
    let mut pairs = 0;
    for stream in exchanges.iter().filter(|exchange| exchange.is_stream && exchange.is_complete) {
        let (server, key) = (server(stream), question(stream));
        let twin = |other: &&Exchange| {
            !other.is_stream
                && other.status.is_success()
                && server == self::server(other)
                && question(other) == key
        };
        // A sampled answer is another one each time, and some routers answer otherwise in a stream.
        let Some(atomic) = exchanges.iter().find(twin).filter(|_| stream.asked["temperature"] == 0) else {
            continue;
        };
        let reading = reading::joined(&String::from_utf8_lossy(&stream.body));
        let Some(whole) = reading::atomic(&atomic.body).filter(|whole| reads_the_same(&reading, whole))
        else {
            continue;
        };
        // Only where it was asked to, a stream counts its tokens; and a router counts those of the reasoning
        // in streams alone.
        let counted = counters(&reading) == counters(&whole);
        pairs += 1;
        let (streamed, whole) = (outcome(stream, &stream.request()), outcome(atomic, &atomic.request()));
        let names = format!("{} and {}", stream.name, atomic.name);
        match (streamed, whole) {
            (Ok(streamed), Ok(whole)) => {
                assert_eq!(facts(&streamed, counted), facts(&whole, counted), "{names}");
            }
            (Err(streamed), Err(whole)) => assert_eq!(streamed.category(), whole.category(), "{names}"),
            (streamed, whole) => panic!("{names}: {streamed:?} and {whole:?}"),
        }
    }
    assert!(pairs >= 9, "{pairs} pairs");
}

fn server(exchange: &Exchange) -> &str {
    exchange.name.split('/').next().unwrap_or_default()
}

/// What was asked, but for how the answer comes.
fn question(exchange: &Exchange) -> Value {
    let mut asked = exchange.asked.clone();
    if let Some(asked) = asked.as_object_mut() {
        asked.remove("stream");
        asked.remove("stream_options");
    }
    asked
}

fn reads_the_same(a: &Reading, b: &Reading) -> bool {
    let calls = |reading: &Reading| {
        reading.calls.iter().map(|call| (call.name.clone(), call.object())).collect::<Vec<_>>()
    };
    (&a.text, &a.reasoning, &a.finish) == (&b.text, &b.reasoning, &b.finish) && calls(a) == calls(b)
}

/// What is the same in two answers of a server to one question. Ids are not: they are made anew.
fn facts(response: &Response, counted: bool) -> Value {
    let calls = response.message.tool_calls.iter();
    json!({
        "text": response.text(),
        "reasoning": response.message.reasoning(),
        "calls": calls.map(|call| json!([call.name, call.arguments.as_object()])).collect::<Vec<_>>(),
        "finish": response.finish_reason,
        "server_finish": response.server_finish_reason,
        "usage": counted.then_some(response.usage),
        "parsed": response.parsed,
        "model": response.model,
    })
}

#[test]
fn every_list_of_models_names_its_models() {
    let lists: Vec<_> = exchanges().into_iter().filter(Exchange::is_models).collect();
    assert!(lists.len() >= 3, "{} lists", lists.len());
    for exchange in lists.iter().filter(|exchange| exchange.status.is_success()) {
        let body: Value = serde_json::from_slice(&exchange.body).unwrap();
        let want: Vec<_> =
            body["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect();
        let catalogue =
            ModelList::parse(&exchange.body).unwrap_or_else(|error| panic!("{}: {error}", exchange.name));
        assert_eq!(catalogue.ids().collect::<Vec<_>>(), want, "{}", exchange.name);
        let not_loaded: Vec<_> = exchange.expect["not_loaded"].as_array().into_iter().flatten().collect();
        for id in want {
            let want = not_loaded.iter().any(|name| *name == id).then_some(Category::ModelNotLoaded);
            assert_eq!(
                catalogue.check(id).err().map(|error| error.category()),
                want,
                "{}: {id}",
                exchange.name
            );
        }
        let error = catalogue.check("no-such-model").unwrap_err();
        assert_eq!(error.category(), Category::InvalidModel, "{}", exchange.name);
    }
}
