//! Every program does what it says. Each is run as a reader would run it, against a simulator.
//!
//! `cargo test -p oa-examples` builds the programs first. With a test's name, `--test run` or `--all-targets`
//! it does not: then these tests fail rather than run what was left by an earlier build.

#![allow(clippy::unwrap_used, reason = "the functions that the tests share are tests too")]

use oa_sim::{Answer, Piece, Sim};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// Longer than anything here takes: only a failure waits for it.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn quickstart_prints_a_completion() {
    let sim = Sim::start_blocking().unwrap();
    let out = run("quickstart", &sim, &[]);
    assert_eq!(stdout(&out), "You said: The capital of France, in one word?\n(17 tokens)\n");
    assert_eq!(stderr(&out), "");
    let request = sim.last_request().unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(request.header("authorization"), Some("Bearer sk-test"));
}

#[test]
fn a_program_with_a_provider_starts_the_simulator_where_no_server_is_named() {
    let out = command("quickstart").output().unwrap();
    assert_eq!(stdout(&out), "You said: The capital of France, in one word?\n(17 tokens)\n");
    assert!(stderr(&out).contains("simulator") && stderr(&out).contains("OA_BASE_URL="), "{}", stderr(&out));
}

#[test]
fn a_program_of_the_wire_crate_starts_the_simulator_where_no_server_is_named() {
    let out = command("wire_blocking").output().unwrap();
    assert!(stdout(&out).ends_with("(stop)\n"), "{}", stdout(&out));
    assert!(stderr(&out).contains("simulator") && stderr(&out).contains("OA_BASE_URL="), "{}", stderr(&out));
}

#[test]
fn a_server_without_a_model_is_refused_by_the_variables_name() {
    for name in ["quickstart", "wire_blocking"] {
        let out = command(name).env("OA_BASE_URL", "http://127.0.0.1:9").output().unwrap();
        assert!(!out.status.success() && stderr(&out).contains("OA_MODEL"), "{name}: {}", stderr(&out));
    }
}

#[test]
fn structured_output_comes_as_the_type() {
    let sim = scripted([Answer::json(
        200,
        completion(&json!({"content": r#"{"name":"Tokyo","country":"Japan","inhabitants":14000000}"#})),
    )]);
    let out = run("structured_output", &sim, &[]);
    assert_eq!(stdout(&out), "Tokyo, Japan: 14000000 inhabitants\n");
    let format = &sim.last_request().unwrap().json()["response_format"];
    assert_eq!(format["type"], "json_schema");
    assert_eq!(format["json_schema"]["strict"], true);
    assert_eq!(format["json_schema"]["schema"]["properties"]["name"]["description"], "Its English name.");
}

#[test]
fn structured_output_takes_what_the_simulator_makes_of_the_schema() {
    let sim = Sim::start_blocking().unwrap();
    assert!(stdout(&run("structured_output", &sim, &[])).ends_with(" inhabitants\n"));
}

#[test]
fn a_typed_answer_is_shown_while_it_is_written() {
    let texts = [r#"{"reasoning":"R","name":"To"#, r#"kyo","mayor":null,"inhabitants":14000000}"#];
    let answer = r#"{"reasoning":"four","name":"Osaka","mayor":null,"inhabitants":1}"#;
    let sim = scripted([Answer::streamed(texts), Answer::completion(answer)]);
    let out = run("typed_extraction", &sim, &[]);
    let lines: Vec<&str> = stdout(&out).lines().collect();
    assert!(lines.contains(&r#"{"reasoning":"R","name":"To"}"#), "{lines:?}");
    assert_eq!(lines[lines.len() - 2..], ["Tokyo: 14000000 inhabitants, mayor None", "4"]);
    let schema = sim.requests()[0].text();
    assert!(schema.find("\"reasoning\":") < schema.find("\"inhabitants\":"), "{schema}");
}

#[test]
fn a_loop_runs_tools_and_prints_the_answer_as_it_comes() {
    let sim = Sim::start_blocking().unwrap();
    let out = run("tool_loop", &sim, &[]);
    assert!(stdout(&out).starts_with("(get_weather: Rain in "), "{}", stdout(&out));
    assert!(stdout(&out).contains("\nThe tool said: Rain in "), "{}", stdout(&out));
    assert!(sim.requests().iter().all(|request| request.json()["stream"] == true));
}

#[test]
fn a_tools_result_goes_back_and_the_answer_is_printed() {
    let sim = Sim::start_blocking().unwrap();
    let out = run("tool_round_trip", &sim, &[]);
    assert_eq!(stdout(&out), "(called get_weather for Paris)\nThe tool said: Rain in Paris, 12 degrees.\n");
    let requests = sim.requests();
    assert_eq!(requests.len(), 2);
    let messages = &requests[1].json()["messages"];
    assert_eq!(messages[1]["tool_calls"][0]["id"], messages[2]["tool_call_id"]);
    assert_eq!(messages[2]["content"], "Rain in Paris, 12 degrees.");
}

#[test]
fn a_model_that_only_calls_tools_is_stopped() {
    let call = json!({"content": null, "tool_calls": [
        {"id": "a", "function": {"name": "get_weather", "arguments": "{\"city\":\"Paris\"}"}}
    ]});
    let sim = scripted([Answer::json(200, completion(&call)).forever()]);
    let out = command_for("tool_round_trip", &sim).output().unwrap();
    assert!(!out.status.success() && stderr(&out).contains("nothing but call tools"), "{}", stderr(&out));
    assert_eq!(sim.requests().len(), 4);
}

#[test]
fn an_image_goes_inline() {
    let sim = Sim::start_blocking().unwrap();
    let out = run("image_input", &sim, &[]);
    assert_eq!(stdout(&out), "You said: What does this image show? (and 1 image)\n");
    let image = sim.last_request().unwrap().json()["messages"][0]["content"][1].clone();
    let url = image["image_url"]["url"].as_str().unwrap();
    // The signature, and the head of 32 by 32 pixels of 8 bits of red, green and blue.
    assert!(url.starts_with("data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAA"), "{url}");
}

#[test]
fn an_image_goes_by_url() {
    let sim = Sim::start_blocking().unwrap();
    run("image_input", &sim, &["https://example.com/cat.png"]);
    let image = sim.last_request().unwrap().json()["messages"][0]["content"][1].clone();
    assert_eq!(image["image_url"], json!({"url": "https://example.com/cat.png", "detail": "low"}));
}

#[test]
fn a_model_without_eyes_is_told_apart() {
    let sim = Sim::builder().refuse_images(oa_sim::ImageRefusal::Vllm).start_blocking().unwrap();
    let out = run("image_input", &sim, &[]);
    assert!(stdout(&out).starts_with("this model takes no images: "), "{}", stdout(&out));
}

#[test]
fn an_own_transport_needs_no_server() {
    let out = command("own_transport").output().unwrap();
    let lines: Vec<&str> = stdout(&out).lines().collect();
    assert!(lines[0].starts_with("(POST http://test.invalid/v1/chat/completions with "), "{lines:?}");
    assert_eq!(lines[1], "Paris.");
    assert_eq!(lines[3], "provider_rate_limit: slow down (HTTP 429, retry after 2s)");
}

#[test]
fn the_wire_crate_works_under_reqwest() {
    let sim = Sim::start_blocking().unwrap();
    let out = run("wire_with_reqwest", &sim, &[]);
    let pieces = r#""You"|" said:"|" The"|" capital"|" of"|" France?"|(stop)|"#.replace('|', "\n");
    assert_eq!(stdout(&out), format!("You said: The capital of France?\n{pieces}"));
    let streams: Vec<Value> = sim.requests().iter().map(|request| request.json()["stream"].clone()).collect();
    assert_eq!(streams, [Value::Null, json!(true)]);
}

#[test]
fn the_wire_crate_works_without_a_runtime() {
    let sim = Sim::start_blocking().unwrap();
    let out = run("wire_blocking", &sim, &[]);
    let pieces = r#""You"|" said:"|" The"|" capital"|" of"|" France?"|(stop)|"#.replace('|', "\n");
    assert_eq!(stdout(&out), pieces);
}

#[test]
fn the_wire_crate_works_under_smol() {
    let sim = Sim::start_blocking().unwrap();
    let out = run("wire_smol", &sim, &[]);
    let pieces = r#""You"|" said:"|" The"|" capital"|" of"|" France?"|(stop)|"#.replace('|', "\n");
    assert_eq!(stdout(&out), pieces);
    assert_eq!(sim.last_request().unwrap().header("authorization"), Some("Bearer sk-test"));
}

#[test]
fn the_last_lines_of_each_program_show_a_real_server() {
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension() != Some("rs".as_ref()) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let (_, last) = text.trim_end().rsplit_once("\n\n").unwrap();
        assert!(last.lines().all(|line| line.starts_with("// ")), "{}: {last}", path.display());
        assert!(last.contains("real server") && last.contains("--example"), "{}: {last}", path.display());
    }
}

#[test]
fn foreign_clients_hand_refusals_to_the_decoder() {
    for name in ["wire_with_reqwest", "wire_blocking", "wire_smol"] {
        let sim = scripted([Answer::json(401, json!({"error": {"message": "who are you?"}}))]);
        let out = command_for(name, &sim).output().unwrap();
        let text = stderr(&out);
        assert!(
            !out.status.success()
                && text.contains("provider_authentication")
                && text.contains("who are you?"),
            "{name}: {text}"
        );
    }
}

#[test]
fn a_stream_is_printed() {
    let sim = Sim::start_blocking().unwrap();
    let out = run("stream_print", &sim, &[]);
    assert_eq!(stdout(&out), "You said: Count from one to five.\n(stop)\n");
}

#[test]
fn a_broken_stream_says_what_it_left() {
    let sim = scripted([Answer::stream([delta("one, "), delta("two"), Piece::Cut])]);
    let out = command_for("stream_print", &sim).output().unwrap();
    assert_eq!(stdout(&out), "one, two\n(broke off after 8 characters)\n");
    assert!(!out.status.success() && stderr(&out).contains("provider_unavailable"), "{}", stderr(&out));
}

#[test]
fn tool_calls_come_from_a_stream() {
    let sim = Sim::start_blocking().unwrap();
    let out = run("stream_tool_calls", &sim, &[]);
    let text = stdout(&out);
    assert!(text.starts_with("call 0: get_weather\n"), "{text}");
    let (_, end) = text.split_once("whole: ").unwrap();
    assert_eq!(
        end,
        "get_weather({\"city\":\"city\"})\nwhole: get_time({\"city\":\"city\"})\nrun: get_weather, get_time\n"
    );
}

#[test]
fn the_decoder_reads_a_file() {
    let out = command("sse_over_file").output().unwrap();
    let events = "message: {\\\"temp\\\": 12}\nwarning: Sturmböen,\\n90 km/h\nmessage: [DONE]\n";
    assert_eq!(stdout(&out), events);
}

#[test]
fn a_relayed_stream_ends_with_its_reason() {
    let sim = Sim::start_blocking().unwrap();
    let relay = Relay::start(&sim);
    let answer = relay.ask("a\\b");
    let events: Vec<&str> =
        answer.lines().filter(|line| line.starts_with("data:") || line.starts_with("event:")).collect();
    let expected = [
        r#"data: {"text":"You"}"#,
        r#"data: {"text":" said:"}"#,
        r#"data: {"text":" a\\b"}"#,
        "event: done",
        "data: stop",
    ];
    assert_eq!(events, expected, "{answer}");
}

#[test]
fn a_relayed_failure_is_an_event_or_a_status() {
    let busy = Answer::json(429, json!({"error": {"message": "slow down"}}));
    let sim = scripted([Answer::stream([delta("one"), Piece::Cut]), busy]);
    let relay = Relay::start(&sim);
    let broken = relay.ask("go");
    assert!(broken.contains("event: error\ndata: provider_unavailable\n"), "{broken}");
    let refused = relay.ask("go");
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.ends_with("provider_rate_limit"), "{refused}");
}

#[test]
fn a_browser_that_leaves_stops_the_model() {
    let sim = scripted([Answer::stream([delta("one"), Piece::Stall])]);
    let relay = Relay::start(&sim);
    let mut browser = BufReader::new(relay.send("go"));
    let mut line = String::new();
    while !line.starts_with("data:") {
        line.clear();
        assert!(browser.read_line(&mut line).unwrap() > 0, "the relay ended its answer");
    }
    assert_eq!((sim.stats().open, sim.stats().client_left), (1, 0));
    drop(browser);
    assert!(
        sim.wait_for_blocking(LIMIT, |stats| stats.client_left == 1 && stats.open == 0),
        "{:?}",
        sim.stats()
    );
}

#[test]
fn a_stack_asks_again_and_shows_each_attempt() {
    // The second call finds a server that says nothing: its own limit ends it, and its own policy asks once.
    let sim = scripted([loading(), Answer::generated(), Answer::stall()]);
    let out = run("full_stack", &sim, &[]);
    let lines: Vec<&str> = stdout(&out).lines().collect();
    let attempt = "(an attempt of 1 message(s))";
    assert_eq!(lines[..4], [attempt, attempt, "(answered)", "You said: The capital of France?"], "{lines:?}");
    assert_eq!(lines[4], attempt, "{lines:?}");
    assert!(lines[5].starts_with("(provider_unavailable after 2."), "{lines:?}");
    assert!(lines[6].starts_with("provider_unavailable: ") && lines[6].contains("2s"), "{lines:?}");
    let text = stderr(&out);
    for index in 0..2 {
        assert!(text.contains(&format!("openarmature.llm.attempt_index={index}")), "{text}");
    }
    assert_eq!(text.matches("close time.busy").count(), 3, "{text}");
}

#[test]
fn a_call_goes_on_to_another_replica() {
    let down = Sim::closed_port().unwrap();
    let sims = [Sim::start_blocking().unwrap(), Sim::start_blocking().unwrap()];
    let urls = [down.base_url(), sims[0].base_url(), sims[1].base_url()].join(",");
    let out = command_for_all("replicas", &urls).arg("400").output().unwrap();
    assert!(out.status.success(), "{}{}", stdout(&out), stderr(&out));
    let (failures, summary): (Vec<&str>, Vec<&str>) =
        stdout(&out).lines().partition(|line| line.starts_with("call "));
    assert!(!failures.is_empty());
    for line in &failures {
        let server = format!(": {}: could not connect to", down.base_url());
        assert!(line.contains(&server) && line.ends_with("(failed over)"), "{line}");
    }
    let helped = failures.len();
    let (last, changes) = summary.split_last().unwrap();
    assert_eq!(*last, format!("400 calls: 400 answered, {helped} of them by more than one attempt"));
    // What is told between is the one that is down, going out of rotation.
    assert!(changes.iter().all(|line| line.contains(&down.base_url())), "{changes:?}");
    // The breaker opened: then only calls that were under way had asked the one that is down.
    assert!(helped < 50, "{helped}");
    let answered: Vec<usize> = sims.iter().map(|sim| sim.requests().len()).collect();
    assert!(answered.iter().all(|&calls| calls > 0) && answered.iter().sum::<usize>() == 400, "{answered:?}");
}

#[test]
fn replicas_are_simulators_where_no_servers_are_named() {
    let out = command("replicas").arg("20").output().unwrap();
    assert_eq!(stdout(&out), "20 calls: 20 answered, 0 of them by more than one attempt\n");
    assert!(
        stderr(&out).contains("simulators") && stderr(&out).contains("OA_BASE_URLS="),
        "{}",
        stderr(&out)
    );
}

#[test]
fn the_secondary_answers_where_the_primary_does_not() {
    let (primary, secondary) = (scripted([loading()]), Sim::start_blocking().unwrap());
    let urls = [primary.base_url(), secondary.base_url()];
    let out = command_for_all("failover", &urls.join(",")).output().unwrap();
    let told = format!("\n({} failed)\nYou said: Count from one to five.\n({} answered)\n", urls[0], urls[1]);
    assert_eq!(stdout(&out), told);
    assert!(out.status.success());
}

#[test]
fn the_secondary_is_not_asked_when_the_primary_answers() {
    let sims = [Sim::start_blocking().unwrap(), Sim::start_blocking().unwrap()];
    let urls = [sims[0].base_url(), sims[1].base_url()];
    let out = command_for_all("failover", &urls.join(",")).output().unwrap();
    assert_eq!(stdout(&out), format!("You said: Count from one to five.\n({} answered)\n", urls[0]));
    assert_eq!(sims[1].requests().len(), 0);
}

#[test]
fn no_other_server_is_asked_after_the_first_event() {
    let (primary, secondary) =
        (scripted([Answer::stream([delta("one"), Piece::Cut])]), Sim::start_blocking().unwrap());
    let urls = [primary.base_url(), secondary.base_url()];
    let out = command_for_all("failover", &urls.join(",")).output().unwrap();
    assert!(!out.status.success());
    assert_eq!(stdout(&out), format!("one\n({} failed)\n(broke off after \"one\")\n", urls[0]));
    assert_eq!(secondary.requests().len(), 0);
}

#[test]
fn spans_arrive_at_a_collector() {
    let sim = scripted([loading(), Answer::generated()]);
    // What a collector is to an exporter: it takes a POST, and answers with an empty object.
    let collector = Sim::builder()
        .handler(|request| (request.path == "/v1/traces").then(|| Answer::json(200, json!({}))))
        .start_blocking()
        .unwrap();
    let out = command_for("otlp_export", &sim)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.base_url())
        .output()
        .unwrap();
    assert_eq!(stdout(&out), "You said: The capital of France?\n", "{}", stderr(&out));

    let exports: Vec<Value> = collector.requests().iter().map(oa_sim::Recorded::json).collect();
    let resources: Vec<Value> = exports.iter().flat_map(|export| list(export, "resourceSpans")).collect();
    assert_eq!(attribute(&resources[0]["resource"], "service.name"), "otlp_export");
    let scopes = resources.iter().flat_map(|resource| list(resource, "scopeSpans"));
    let spans: Vec<Value> = scopes.flat_map(|scope| list(&scope, "spans")).collect();
    let [failed, answered, own] = spans.as_slice() else { panic!("{spans:#?}") };

    assert_eq!(own["name"], "geography");
    for attempt in [failed, answered] {
        assert_eq!(attempt["name"], "openarmature.llm.complete");
        assert_eq!((&attempt["traceId"], &attempt["parentSpanId"]), (&own["traceId"], &own["spanId"]));
    }
    // By the protocol's numbers: 2 is an error, 1 is fine.
    assert_eq!((&failed["status"]["code"], &answered["status"]["code"]), (&json!(2), &json!(1)));
    assert_eq!(failed["events"][0]["name"], "exception");
    assert_eq!(attribute(failed, "openarmature.error.category"), "provider_model_not_loaded");
    assert_eq!(attribute(failed, "openarmature.llm.attempt_index"), "0");
    assert_eq!(attribute(answered, "openarmature.llm.attempt_index"), "1");
    assert_eq!(attribute(answered, "gen_ai.request.max_tokens"), "64");
    assert_eq!(attribute(answered, "gen_ai.request.stop_sequences"), json!(["\n\n", "###"]));
    assert_eq!(attribute(answered, "gen_ai.response.finish_reasons"), json!(["stop"]));
    assert_eq!(attribute(answered, "openarmature.llm.output.content"), "You said: The capital of France?");
}

#[test]
fn spans_that_do_not_arrive_are_told_of() {
    let (sim, nowhere) = (Sim::start_blocking().unwrap(), Sim::closed_port().unwrap());
    let mut command = command_for("otlp_export", &sim);
    let out = command.env("OTEL_EXPORTER_OTLP_ENDPOINT", nowhere.base_url()).output().unwrap();
    assert_eq!(stdout(&out), "You said: The capital of France?\n");
    assert!(!out.status.success() && stderr(&out).contains("export failed"), "{}", stderr(&out));
}

/// A list within an export of OTLP's JSON.
fn list(value: &Value, key: &str) -> Vec<Value> {
    value[key].as_array().cloned().unwrap_or_default()
}

/// An attribute's value without its type: integers are texts, as the protocol has them.
fn attribute(of: &Value, key: &str) -> Value {
    let value = |value: &Value| value.as_object().and_then(|value| value.values().next().cloned());
    let found = list(of, "attributes").into_iter().find(|attribute| attribute["key"] == key);
    let found = found.and_then(|attribute| value(&attribute["value"])).unwrap_or_default();
    match found.get("values") {
        Some(_) => list(&found, "values").iter().filter_map(value).collect(),
        None => found,
    }
}

#[test]
fn relay_openai_answers_in_the_form_of_openai() {
    let sim = Sim::start_blocking().unwrap();
    let relay = Relay::of("relay_openai", "/v1", &sim);
    let body = |stream: bool| {
        json!({"model": "m", "messages": [{"role": "user", "content": "Hello"}], "top_k": 5, "stream": stream,
            "stream_options": {"include_usage": true}})
    };
    let whole = relay.complete(&body(false));
    assert!(whole.starts_with("HTTP/1.1 200") && whole.contains("You said: Hello"), "{whole}");
    let streamed = relay.complete(&body(true));
    for part in ["text/event-stream", "chat.completion.chunk", "\"usage\":{", "data: [DONE]"] {
        assert!(streamed.contains(part), "{streamed}");
    }
    assert_eq!(sim.last_request().unwrap().json()["top_k"], 5);
    let refused = relay.complete(&json!({"messages": []}));
    assert!(refused.starts_with("HTTP/1.1 400") && refused.contains("messages: there is none"), "{refused}");
}

/// The relay of an example, killed when it is dropped.
struct Relay {
    child: Child,
    address: String,
}

impl Relay {
    fn start(sim: &Sim) -> Self {
        Self::of("stream_relay_axum", "/chat", sim)
    }

    fn of(example: &str, path: &str, sim: &Sim) -> Self {
        let mut child = command_for(example, sim).arg("127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        let mut relay = Relay { child, address: String::new() };
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let (_, url) = line.trim().split_once("http://").unwrap();
        url.strip_suffix(path).unwrap().clone_into(&mut relay.address);
        relay
    }

    fn send(&self, prompt: &str) -> TcpStream {
        let mut browser = TcpStream::connect(&self.address).unwrap();
        browser.set_read_timeout(Some(LIMIT)).unwrap();
        let length = prompt.len();
        let head = format!(
            "POST /chat HTTP/1.1\r\nhost: relay\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        browser.write_all((head + prompt).as_bytes()).unwrap();
        browser
    }

    fn ask(&self, prompt: &str) -> String {
        let mut answer = String::new();
        self.send(prompt).read_to_string(&mut answer).unwrap();
        answer
    }

    fn complete(&self, body: &Value) -> String {
        let mut client = TcpStream::connect(&self.address).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        let body = body.to_string();
        let length = body.len();
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: relay\r\nconnection: close\r\n";
        let head = format!("{head}content-length: {length}\r\n\r\n");
        client.write_all((head + &body).as_bytes()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn scripted<const N: usize>(answers: [Answer; N]) -> Sim {
    Sim::builder().script(answers).start_blocking().unwrap()
}

fn loading() -> Answer {
    Answer::json(503, json!({"error": {"message": "Loading model"}}))
}

fn completion(message: &Value) -> Value {
    json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
}

fn delta(text: &str) -> Piece {
    format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}]})).into()
}

/// Runs a program against this simulator to its good end.
fn run(name: &str, sim: &Sim, arguments: &[&str]) -> Output {
    let out = command_for(name, sim).args(arguments).output().unwrap();
    assert!(out.status.success(), "{name}: {}\n{}{}", out.status, stdout(&out), stderr(&out));
    out
}

/// For the programs with several servers.
fn command_for_all(name: &str, urls: &str) -> Command {
    let mut command = command(name);
    command.env("OA_BASE_URLS", urls).env("OA_MODEL", "oa-sim");
    command
}

fn command_for(name: &str, sim: &Sim) -> Command {
    let mut command = command(name);
    command.env("OA_BASE_URL", sim.base_url()).env("OA_MODEL", "oa-sim").env("OA_API_KEY", "sk-test");
    command
}

/// A program, in an environment that names neither server nor proxy.
fn command(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap().join("examples");
    let program = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(is_fresh(&program), "{} is missing or old: run `cargo test -p oa-examples`", program.display());
    let mut command = Command::new(program);
    for name in ["OA_BASE_URL", "OA_BASE_URLS", "OA_MODEL", "OA_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_KEY"]
    {
        command.env_remove(name);
    }
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command.stdin(Stdio::null());
    command
}

/// Whether a program is there, and no older than any source that it was built from, as cargo notes beside it.
fn is_fresh(program: &Path) -> bool {
    let modified = |path: &Path| path.metadata().and_then(|file| file.modified()).ok();
    let Ok(note) = std::fs::read_to_string(program.with_extension("d")) else { return false };
    // `PROGRAM: SOURCE SOURCE ...`, a space within a path escaped.
    let note = note.trim().replace("\\ ", "\0");
    let mut sources = note.split(' ').skip(1).map(|path| path.replace('\0', " "));
    let built = modified(program);
    built.is_some() && sources.all(|source| modified(source.as_ref()) <= built)
}

fn stdout(out: &Output) -> &str {
    std::str::from_utf8(&out.stdout).unwrap()
}

fn stderr(out: &Output) -> &str {
    std::str::from_utf8(&out.stderr).unwrap()
}
