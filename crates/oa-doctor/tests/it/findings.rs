//! The exact text of each finding.

use crate::support::{assert_text, completion, doctor, doctor_in, events, nowhere, step};
use oa_sim::{Answer, Sim};
use oa_wire::Category;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn all_is_fine() {
    let sim = Sim::builder().api_key("sk-canary").cached_tokens(1).start().await.unwrap();
    let report = doctor(sim.base_url()).api_key("sk-canary").model("oa-sim").run().await;
    assert_text(
        &report,
        sim.addr().port(),
        "\
ok environment http://127.0.0.1:PORT (given); key (given); model oa-sim (given) [T]
ok proxy none is set [T]
skipped dns an address needs no looking up
ok tcp 127.0.0.1:PORT connected [T]
skipped tls the URL does not ask for it
ok identity oa-sim VERSION (server: oa-sim/VERSION, models owned by oa-sim) [T]
ok models oa-sim is listed, its only one [T]
ok load /health is 200: healthy [T]
ok completion one token, finish reason length [T]
ok stream head after T, 13 pieces from T to T [T]
ok tools get_weather was called [T]
ok schema the answer fits the schema [T]
ok usage a completion: 2 + 1 tokens, a stream: 12 + 13 tokens; cached tokens are reported (1) \
            [T]
ok messages /v1/messages streams: 3 pieces, stop reason end_turn [T]

nothing failed, in T",
    );
}

#[tokio::test]
async fn nobody_listens_anywhere() {
    let (closed, other) = (Sim::closed_port().unwrap(), Sim::closed_port().unwrap());
    let report = doctor(closed.base_url()).ports([(other.addr().port(), "vLLM")]).run().await;
    let report_text = report.to_string().replace(&other.addr().port().to_string(), "8000");
    assert!(report_text.contains("; nobody answers on 8000 (vLLM) either"), "{report}");
    assert_eq!(report.first_failure().unwrap().category, Some(Category::Unavailable));
}

#[tokio::test]
async fn nobody_listens_and_nowhere_else_is_looked() {
    let closed = Sim::closed_port().unwrap();
    let report = doctor(closed.base_url()).run().await;
    assert_text(
        &report,
        closed.addr().port(),
        "\
ok environment http://127.0.0.1:PORT (given); no key; no model named [T]
ok proxy none is set [T]
skipped dns an address needs no looking up
failed tcp 127.0.0.1:PORT refused [T]
         cause: nobody listens on port PORT: the server is not up, still loads (vLLM, SGLang and LiteLLM \
            listen only after that), or listens on another port or interface; `ss -ltnp 'sport = :PORT'` \
            shows who listens here, `docker ps` which ports containers publish
         next: oa ready --wait 5m --base-url http://127.0.0.1:PORT
skipped tls, identity, models, load, completion, stream, tools, schema, usage, messages: no connection

1 failed, in T; look at `tcp` first",
    );
}

#[tokio::test]
async fn another_port_answers() {
    let closed = Sim::closed_port().unwrap();
    let sim = Sim::builder().models(["qwen3-8b", "qwen3-14b"]).start().await.unwrap();
    let report = doctor(closed.base_url()).ports([(sim.addr().port(), "vLLM")]).run().await;
    let tcp = report.step("tcp").unwrap();
    let (port, there) = (closed.addr().port(), sim.addr().port());
    let want = format!(
        "nobody takes connections on port {port}, but port {there} (vLLM) answers: the models qwen3-8b, \
         qwen3-14b (owned by \
         oa-sim)"
    );
    assert_eq!(tcp.cause.as_deref(), Some(&*want));
    assert_eq!(tcp.next, Some(format!("oa doctor {}", sim.base_url())));
}

#[tokio::test]
async fn a_chat_server_goes_before_what_else_answers() {
    let closed = Sim::closed_port().unwrap();
    let other = Sim::builder().script([Answer::text(404, "no").forever()]).start().await.unwrap();
    let chat = Sim::start().await.unwrap();
    let ports = [(other.addr().port(), "vLLM"), (chat.addr().port(), "LiteLLM")];
    let report = doctor(closed.base_url()).ports(ports).run().await;
    assert_eq!(report.step("tcp").unwrap().next, Some(format!("oa doctor {}", chat.base_url())));
}

#[tokio::test]
async fn a_port_of_the_environment_answers() {
    let closed = Sim::closed_port().unwrap();
    let sim = Sim::builder().start().await.unwrap();
    let variables = [("OA_BASE_URL", closed.base_url()), ("LITELLM_PORT", sim.addr().port().to_string())];
    let report = doctor_in(&variables).run().await;
    assert!(
        report.step("tcp").unwrap().cause.as_ref().unwrap().contains("(LITELLM_PORT) answers"),
        "{report}"
    );
}

#[tokio::test]
async fn the_key_is_wrong() {
    let sim = Sim::builder().api_key("sk-right").start().await.unwrap();
    let report = doctor_in(&[("OA_BASE_URL", sim.base_url()), ("OA_API_KEY", "sk-wrong".into())]).run().await;
    assert_text(
        &report,
        sim.addr().port(),
        "\
ok environment http://127.0.0.1:PORT (OA_BASE_URL); key (OA_API_KEY); no model named [T]
ok proxy none is set [T]
skipped dns an address needs no looking up
ok tcp 127.0.0.1:PORT connected [T]
skipped tls the URL does not ask for it
ok identity oa-sim VERSION (server: oa-sim/VERSION) [T]
failed models provider_authentication: Unauthorized (HTTP 401) [T]
         cause: the key in OA_API_KEY is not one of this server
         next: export OA_API_KEY=KEY
skipped load, completion, stream, tools, schema, usage, messages: the server refuses the key

1 failed, in T; look at `models` first",
    );
    assert_eq!(report.first_failure().unwrap().category, Some(Category::Authentication));
}

#[tokio::test]
async fn the_key_is_held_back() {
    let sim = Sim::builder().api_key("sk-right").start().await.unwrap();
    let variables = [("OA_BASE_URL", sim.base_url()), ("OPENAI_API_KEY", "sk-right".into())];
    let report = doctor_in(&variables).run().await;
    let models = report.step("models").unwrap();
    let want = "no key was sent: OPENAI_API_KEY does not go to the server of OA_BASE_URL or a URL";
    assert_eq!(models.cause.as_deref(), Some(want));
    assert!(sim.requests().iter().all(|request| request.header("authorization").is_none()));
}

#[tokio::test]
async fn the_model_is_wrong() {
    let sim = Sim::builder().models(["qwen3-8b", "llama-3"]).start().await.unwrap();
    let report = doctor(sim.base_url()).model("qwen-8b").run().await;
    assert_text(
        &report,
        sim.addr().port(),
        "\
ok environment http://127.0.0.1:PORT (given); no key; model qwen-8b (given) [T]
ok proxy none is set [T]
skipped dns an address needs no looking up
ok tcp 127.0.0.1:PORT connected [T]
skipped tls the URL does not ask for it
ok identity oa-sim VERSION (server: oa-sim/VERSION, models owned by oa-sim) [T]
failed models the server does not list the model `qwen-8b`; it lists 2: qwen3-8b, llama-3. A proxy may serve \
            what it does not list, which the chat probe tells [T]
         cause: the name is misspelt, or the server was started with another model or served \
            name
         next: oa doctor http://127.0.0.1:PORT --model qwen3-8b
ok load /health is 200: healthy [T]
failed completion provider_invalid_model: The model `qwen-8b` does not exist. Valid aliases: qwen3-8b, \
            llama-3. (HTTP 404) [T]
         cause: the server does not serve a model of this name, or the key may not use it
         next: oa models --base-url http://127.0.0.1:PORT
skipped stream, tools, schema, usage, messages: no completion works

2 failed, in T; look at `models` first",
    );
    assert_eq!(report.first_failure().unwrap().category, Some(Category::InvalidModel));
}

#[tokio::test]
async fn a_server_that_takes_any_name() {
    let any = Answer::json(
        200,
        json!({"model": "tiny", "choices": [{"message": {"content": "Hi"}, "finish_reason": "length"}]}),
    );
    let sim = Sim::builder().model("tiny").script([any.on("POST", "/v1/chat/completions")]).then_generate();
    let sim = sim.start().await.unwrap();
    let report = doctor(sim.base_url()).model("other").run().await;
    let found = report.step("completion").unwrap();
    assert_eq!(
        step(&report, "completion"),
        ("warning", "one token, finish reason length; the answer is tiny's")
    );
    assert_eq!(found.next, Some(format!("oa doctor {} --model tiny", sim.base_url())));
}

#[tokio::test]
async fn no_model_is_named() {
    let sim = Sim::builder().models(["a", "b"]).start().await.unwrap();
    let report = doctor(sim.base_url()).no_completion(true).run().await;
    assert_eq!(step(&report, "models"), ("warning", "none is named, so this is the first of 2 listed: a, b"));
    assert_eq!(report.model.as_deref(), Some("a"));
}

#[tokio::test]
async fn the_model_loads() {
    let sim = Sim::builder().start().await.unwrap();
    sim.set_loading(true);
    let report = doctor(sim.base_url()).model("oa-sim").run().await;
    assert_text(
        &report,
        sim.addr().port(),
        "\
ok environment http://127.0.0.1:PORT (given); no key; model oa-sim (given) [T]
ok proxy none is set [T]
skipped dns an address needs no looking up
ok tcp 127.0.0.1:PORT connected [T]
skipped tls the URL does not ask for it
ok identity oa-sim VERSION (server: oa-sim/VERSION) [T]
failed models provider_model_not_loaded: Loading model (HTTP 503) [T]
         cause: the server is up, and still loads its model
         next: oa ready --probe chat --wait 5m --base-url http://127.0.0.1:PORT --model oa-sim
failed load provider_model_not_loaded: Loading model (HTTP 503) [T]
         cause: the server is up, and still loads its model
         next: oa ready --probe chat --wait 5m --base-url http://127.0.0.1:PORT --model oa-sim
skipped completion, stream, tools, schema, usage, messages: the server is not ready

2 failed, in T; look at `models` first",
    );
    assert_eq!(report.first_failure().unwrap().category, Some(Category::ModelNotLoaded));
}

#[tokio::test]
async fn the_list_says_loading() {
    let sim = Sim::builder().model_status("loading").start().await.unwrap();
    let report = doctor(sim.base_url()).run().await;
    assert_eq!(step(&report, "load"), ("failed", "the list says of oa-sim: loading"));
    assert_eq!(step(&report, "completion"), ("skipped", "the server is not ready"));
}

#[tokio::test]
async fn v1_is_given() {
    let sim = Sim::start().await.unwrap();
    let report = doctor(format!("{}/v1/", sim.base_url())).no_completion(true).run().await;
    assert_text(
        &report,
        sim.addr().port(),
        "\
warning environment http://127.0.0.1:PORT (given); no key; no model named [T]
         cause: the base URL ends in /v1, which is appended to it: corrected here, refused \
            elsewhere
         next: oa doctor http://127.0.0.1:PORT
ok proxy none is set [T]
skipped dns an address needs no looking up
ok tcp 127.0.0.1:PORT connected [T]
skipped tls the URL does not ask for it
ok identity oa-sim VERSION (server: oa-sim/VERSION, models owned by oa-sim) [T]
ok models none is named, so this is the only one listed: oa-sim [T]
ok load /health is 200: healthy [T]
skipped completion, stream, tools, schema, usage, messages: no completion is to be made

nothing failed, 1 warning, in T",
    );
    assert_eq!(report.url, Some(sim.base_url()));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_holds_the_stream_back() {
    let whole =
        events(&["1 ", "2 ", "3 ", "4 ", "5 "]).header("server", "nginx").delay(Duration::from_secs(2));
    let sim = Sim::builder()
        .script([
            Answer::generated().on("POST", "/v1/chat/completions"),
            whole.on("POST", "/v1/chat/completions"),
        ])
        .then_generate()
        .start()
        .await
        .unwrap();
    let report = doctor(sim.base_url()).run().await;
    let stream = report.step("stream").unwrap();
    assert_eq!(
        step(&report, "stream"),
        ("warning", "head after 2.0 s, 5 pieces from 2.0 s to 2.0 s: the head late, and everything at once")
    );
    let want = "a gateway on the way (server: nginx) holds the stream back until it is complete: nginx needs \
                `proxy_buffering off`, others their own word for it";
    assert_eq!(stream.cause.as_deref(), Some(want));
}

#[tokio::test(start_paused = true)]
async fn a_slow_first_token_is_no_buffering() {
    let pieces: Vec<oa_sim::Piece> = events(&["1 ", "2 ", "3 ", "4 ", "5 "])
        .body()
        .iter()
        .flat_map(|piece| [piece.clone(), oa_sim::Piece::Delay(Duration::from_millis(20))])
        .collect();
    let slow = Answer::stream(pieces).delay(Duration::from_secs(2)).on("POST", "/v1/chat/completions");
    let sim =
        Sim::builder().script([Answer::generated().on("POST", "/v1/chat/completions"), slow]).then_generate();
    let sim = sim.start().await.unwrap();
    let report = doctor(sim.base_url()).run().await;
    assert_eq!(step(&report, "stream"), ("ok", "head after 2.0 s, 5 pieces from 2.0 s to 2.1 s"));
}

#[tokio::test]
async fn no_stream_comes() {
    let sim = Sim::builder()
        .handler(|request| request.json()["stream"].as_bool().unwrap_or(false).then(|| completion("1 2 3")))
        .start()
        .await
        .unwrap();
    let report = doctor(sim.base_url()).run().await;
    assert_eq!(step(&report, "stream"), ("warning", "no stream: the answer is application/json"));
}

#[tokio::test]
async fn no_usage_is_reported() {
    let sim = Sim::builder()
        .handler(|request| {
            let asked = request.json();
            let plain = asked["tools"].is_null() && asked["response_format"].is_null();
            let streamed = asked["stream"] == true;
            (request.method == "POST" && plain)
                .then(|| if streamed { events(&["1", " 2"]) } else { completion("Hi") })
        })
        .start()
        .await
        .unwrap();
    let report = doctor(sim.base_url()).run().await;
    assert_eq!(step(&report, "usage"), ("warning", "no token counts in a completion and a stream"));
}

#[tokio::test]
async fn tools_and_schemas_are_taken_no_notice_of() {
    let sim = Sim::builder()
        .handler(|request| {
            let asked = request.json();
            let special = !asked["tools"].is_null() || !asked["response_format"].is_null();
            special.then(|| completion("Green, I suppose."))
        })
        .start()
        .await
        .unwrap();
    let report = doctor(sim.base_url()).run().await;
    assert_text(
        &report,
        sim.addr().port(),
        "\
ok environment http://127.0.0.1:PORT (given); no key; no model named [T]
ok proxy none is set [T]
skipped dns an address needs no looking up
ok tcp 127.0.0.1:PORT connected [T]
skipped tls the URL does not ask for it
ok identity oa-sim VERSION (server: oa-sim/VERSION, models owned by oa-sim) [T]
ok models none is named, so this is the only one listed: oa-sim [T]
ok load /health is 200: healthy [T]
ok completion one token, finish reason length [T]
ok stream head after T, 13 pieces from T to T [T]
warning tools get_weather was not called: the answer is text [T]
         cause: the server or the model does not do tools; a small model may also fail to write a \
            call
         next: oa chat Hi --base-url http://127.0.0.1:PORT --model oa-sim
warning schema structured_output_invalid: the output does not satisfy the schema: at the root: not JSON: \
            expected value at line 1 column 1 (HTTP 200) [T]
         cause: the server takes no notice of response_format or cannot do json_schema: ask by prompt \
            (--fallback), which every model understands
         next: oa chat Hi --base-url http://127.0.0.1:PORT --model oa-sim --schema FILE \
            --fallback
ok usage a completion: 2 + 1 tokens, a stream: 12 + 13 tokens; cached tokens are not reported \
            [T]
ok messages /v1/messages streams: 3 pieces, stop reason end_turn [T]

nothing failed, 2 warnings, in T",
    );
    assert!(report.first_failure().is_none(), "{report}");
}

#[tokio::test]
async fn tools_that_are_refused_are_a_warning_and_a_dead_server_is_not() {
    for (status, want) in [(400, "warning"), (500, "failed")] {
        let sim = Sim::builder()
            .handler(move |request| {
                let refusal = json!({"error": {"message": "no tools here"}});
                (!request.json()["tools"].is_null()).then(|| Answer::json(status, refusal))
            })
            .start()
            .await
            .unwrap();
        let report = doctor(sim.base_url()).run().await;
        assert_eq!(step(&report, "tools").0, want, "{status}: {report}");
    }
}

#[tokio::test]
async fn variables_contradict_each_other() {
    let sim = Sim::start().await.unwrap();
    let variables = [
        ("OA_BASE_URL", sim.base_url()),
        ("OPENAI_BASE_URL", "http://127.0.0.1:1/v1".to_owned()),
        ("LITELLM_PORT", "4001".to_owned()),
        ("PORT", sim.addr().port().to_string()),
        ("HTTP_PROXY", "http://a:1".to_owned()),
        ("http_proxy", "http://b:1".to_owned()),
        ("OA_MODEL", "oa-sim".to_owned()),
    ];
    let report = doctor_in(&variables).no_completion(true).run().await;
    assert_text(
        &report,
        sim.addr().port(),
        "\
warning environment http://127.0.0.1:PORT (OA_BASE_URL); no key; model oa-sim (OA_MODEL); LITELLM_PORT is \
4001 [T]
         cause: OPENAI_BASE_URL names another server, http://127.0.0.1:1/v1: OA_BASE_URL wins; HTTP_PROXY \
            and http_proxy differ: HTTP_PROXY wins here, the other one \
            elsewhere
         next: unset OPENAI_BASE_URL
ok proxy HTTP_PROXY is set, and is not for this machine itself [T]
skipped dns an address needs no looking up
ok tcp 127.0.0.1:PORT connected [T]
skipped tls the URL does not ask for it
ok identity oa-sim VERSION (server: oa-sim/VERSION, models owned by oa-sim) [T]
ok models oa-sim is listed, its only one [T]
ok load /health is 200: healthy [T]
skipped completion, stream, tools, schema, usage, messages: no completion is to be made

nothing failed, 1 warning, in T",
    );
}

#[tokio::test]
async fn openais_own_variable_ends_in_v1_by_custom() {
    let sim = Sim::start().await.unwrap();
    let variables = [("OPENAI_BASE_URL", format!("{}/v1", sim.base_url()))];
    let report = doctor_in(&variables).no_completion(true).run().await;
    let want = format!("{} (OPENAI_BASE_URL); no key; no model named", sim.base_url());
    assert_eq!(step(&report, "environment"), ("ok", &*want));
}

#[tokio::test]
async fn what_cannot_be_used_is_refused() {
    for (variables, want) in [
        (vec![("OA_BASE_URL", " ")], "OA_BASE_URL is set but blank"),
        (
            vec![("OA_BASE_URL", "http://h:1"), ("OA_API_KEY", "a\nb")],
            "OA_API_KEY: the value holds a line break",
        ),
        (vec![("OA_BASE_URL", "ftp://h")], "OA_BASE_URL: the base URL `ftp://h` has the scheme `ftp`"),
        (vec![("OA_BASE_URL", "http://me:canary@h")], "OA_BASE_URL: the base URL holds user-info"),
        (
            vec![("OA_BASE_URL", "http://h:1"), ("OA_API_KEY", "Bearer canary")],
            "OA_API_KEY: the value starts with",
        ),
        (vec![("OA_BASE_URL", "http://${HOST}")], "OA_BASE_URL: the base URL `http://${HOST}` is a variable"),
        (vec![("OA_BASE_URL", "http://h:1"), ("OA_MODEL", "None")], "OA_MODEL: the value is `None`"),
        (
            vec![("OPENAI_API_BASE", "http://h:1/v1")],
            "no server is named: neither OA_BASE_URL nor OPENAI_BASE_URL is set; OPENAI_API_BASE is set, and \
            is not read",
        ),
        (vec![], "no server is named"),
    ] {
        let variables: Vec<_> = variables.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        let report = doctor_in(&variables).run().await;
        let (status, observed) = step(&report, "environment");
        assert!(status == "failed" && observed.starts_with(want), "{report}");
        assert_eq!(report.first_failure().unwrap().category, Some(Category::InvalidRequest));
        assert!(!report.to_string().contains("canary"), "{report}");
    }
}

#[tokio::test]
async fn without_a_name_this_machine_is_looked_over() {
    let sim = Sim::start().await.unwrap();
    let report = nowhere().ports([(sim.addr().port(), "vLLM")]).run().await;
    assert_eq!(report.step("environment").unwrap().next, Some(format!("oa doctor {}", sim.base_url())));
}

#[tokio::test(start_paused = true)]
async fn https_is_asked_of_a_plain_port() {
    let sim = Sim::start().await.unwrap();
    let report = doctor(sim.base_url().replace("http://", "https://")).run().await;
    let tls = report.step("tls").unwrap();
    assert_eq!(tls.cause.as_deref(), Some("the server speaks plain HTTP on this port"));
    assert_eq!(tls.next, Some(format!("oa doctor {}", sim.base_url())));
}

#[tokio::test]
async fn something_else_listens() {
    let sim =
        Sim::builder().script([Answer::raw("SSH-2.0-OpenSSH_9.2\r\n").forever()]).start().await.unwrap();
    let report = doctor(sim.base_url()).run().await;
    let identity = report.step("identity").unwrap();
    assert_eq!(step(&report, "tls").0, "skipped");
    assert_eq!(identity.cause.as_deref(), Some("something else than an HTTP server listens on this port"));
}

#[tokio::test]
async fn the_proxy_is_dead() {
    let closed = Sim::closed_port().unwrap();
    let variables = [
        ("OA_BASE_URL", "http://model.example:8000".to_owned()),
        ("HTTP_PROXY", format!("http://me:canary@{}", closed.addr())),
    ];
    let report = doctor_in(&variables).run().await;
    assert_text(
        &report,
        closed.addr().port(),
        "\
ok environment http://model.example:8000 (OA_BASE_URL); no key; no model named [T]
failed proxy could not connect to http://model.example:8000 through the proxy http://127.0.0.1:PORT (from \
            HTTP_PROXY): connection refused (tried 127.0.0.1:PORT) [T]
         cause: the proxy http://127.0.0.1:PORT (HTTP_PROXY) is down, refuses this server, or is not meant \
            for it
         next: NO_PROXY=model.example oa doctor
skipped dns, tcp, tls, identity, models, load, completion, stream, tools, schema, usage, messages: \
            the proxy does not let it through

1 failed, in T; look at `proxy` first",
    );
}

#[tokio::test]
async fn a_proxy_that_works_stands_between() {
    let sim = Sim::start().await.unwrap();
    let variables = [("OA_BASE_URL", "http://model.example:8000".to_owned()), ("ALL_PROXY", sim.base_url())];
    let report = doctor_in(&variables).no_completion(true).run().await;
    let want = format!("through the proxy {} (ALL_PROXY)", sim.base_url());
    assert_eq!(step(&report, "proxy"), ("ok", &*want));
    assert_eq!(step(&report, "tcp"), ("skipped", "the proxy connects"));
    assert_eq!(step(&report, "models").0, "ok");
}

#[tokio::test]
async fn there_is_no_socket() {
    let report = doctor("unix:///no/such/dir/oa.sock").run().await;
    let tcp = report.step("tcp").unwrap();
    assert_eq!(step(&report, "tcp").0, "failed");
    assert_eq!(tcp.next.as_deref(), Some("ls -l /no/such/dir/oa.sock"));
}

#[tokio::test]
async fn the_host_has_no_name() {
    // A label of more than 63 characters is refused by the resolver itself.
    let host = "x".repeat(64);
    let report = doctor(format!("http://{host}:8000")).run().await;
    let (status, observed) = step(&report, "dns");
    assert_eq!(status, "failed");
    assert!(observed.starts_with(&format!("the host name {host} could not be resolved: ")), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_cooldown_hides_a_refused_key() {
    let chat = |answer: Answer| answer.on("POST", "/v1/chat/completions");
    let cooldown = json!({"error": {"message": "No deployments available for selected model, Try again in 5 \
                           seconds.",
        "type": "all_deployments_in_cooldown", "code": "429"}});
    let refused = json!({"error": {"message": "litellm.AuthenticationError: - {\"error\":\"Unauthorized\"}",
        "type": "authentication_error", "code": "401"}});
    let sim = Sim::builder()
        .script([
            chat(Answer::json(429, &cooldown).header("retry-after", "5")),
            chat(Answer::json(401, &refused).forever()),
        ])
        .then_generate()
        .start()
        .await
        .unwrap();
    let report = doctor(sim.base_url()).api_key("sk-1234").run().await;
    let (_, observed) = step(&report, "completion");
    assert!(
        observed.starts_with("after 5.0 s of the router's cooldown (429): provider_authentication: "),
        "{report}"
    );
    assert_eq!(report.first_failure().unwrap().category, Some(Category::Authentication));
}

#[tokio::test]
async fn a_cooldown_that_is_too_long_is_named() {
    let cooldown = json!({"error": {"message": "No deployments available for selected model",
        "type": "all_deployments_in_cooldown", "code": "429"}});
    let answer = Answer::json(429, cooldown).header("retry-after", "300").on("POST", "/v1/chat/completions");
    let sim = Sim::builder().script([answer]).then_generate().start().await.unwrap();
    let report = doctor(sim.base_url()).run().await;
    let completion = report.step("completion").unwrap();
    assert!(completion.cause.as_ref().unwrap().contains("refuses its key (401)"), "{report}");
    let want = format!("oa ready --probe chat --wait 360s --base-url {} --model oa-sim", sim.base_url());
    assert_eq!(completion.next, Some(want));
}

#[tokio::test]
async fn a_model_that_wants_max_completion_tokens() {
    let sim = Sim::builder()
        .handler(|request| {
            let refusal = json!({"error": {"type": "invalid_request_error", "param": "max_tokens",
                "message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}});
            (!request.json()["max_tokens"].is_null()).then(|| Answer::json(400, refusal))
        })
        .start()
        .await
        .unwrap();
    let report = doctor(sim.base_url()).run().await;
    assert_eq!(step(&report, "completion").0, "warning");
    assert_eq!(step(&report, "stream").0, "ok");
    // One request was refused, and then none.
    let asked = sim.requests().into_iter().filter(|request| request.path == "/v1/chat/completions");
    assert_eq!(asked.count(), 5);
}
