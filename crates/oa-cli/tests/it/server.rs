//! The server, model and key that a command takes.

use crate::support::{oa, run, sim};
use oa_sim::Sim;

#[test]
fn chat_without_a_server_asks_the_simulator_and_prints_so() {
    let ran = run(&mut oa(["chat", "hi", "there"]));
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "You said: hi there\n"), "{ran:?}");
    let want = "oa: no server is named: neither OA_BASE_URL nor OPENAI_BASE_URL is set, so this is the \
                built-in simulator; name a server with --base-url http://localhost:8000 or \
                OA_BASE_URL\n";
    assert_eq!(ran.stderr, want);
}

#[test]
fn every_other_command_without_a_server_is_wrong_usage() {
    for args in [&["ready"][..], &["ready", "--wait", "5m", "--probe", "chat"], &["models"]] {
        let ran = run(oa(args.iter().copied()).env("OPENAI_API_BASE", "http://127.0.0.1:1/v1"));
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
        for word in
            ["OA_BASE_URL", "OPENAI_BASE_URL", "--base-url", "OPENAI_API_BASE is set, and is not read"]
        {
            assert!(ran.stderr.contains(word), "{word}: {ran:?}");
        }
    }
    let ran = run(oa(["doctor"]).env("OA_BASE_ULR", "http://127.0.0.1:1"));
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stdout.contains("OA_BASE_ULR is set, and is not read"), "{ran:?}");
}

#[test]
fn a_value_that_is_none_is_refused_with_the_name_of_its_variable_or_flag() {
    for (name, value, want) in [
        ("OA_BASE_URL", "\"http://h:1\"", "OA_BASE_URL: the base URL `\"http://h:1\"` has quotes around it"),
        ("OA_API_KEY", "'canary'", "OA_API_KEY: the value has quotes around it"),
        ("OA_API_KEY", "${CANARY}", "OA_API_KEY: the value is a variable that was not expanded"),
        ("OA_MODEL", "null", "OA_MODEL: the value is `null`"),
    ] {
        let mut command = oa(["chat", "hi"]);
        command.env("OA_BASE_URL", "http://127.0.0.1:1").env("OA_MODEL", "m").env(name, value);
        let ran = run(&mut command);
        assert_eq!(ran.code, 16, "{ran:?}");
        assert!(ran.stderr.contains(want) && !ran.stderr.to_lowercase().contains("canary"), "{ran:?}");
    }
    let ran = run(&mut oa(["models", "--base-url", "http://127.0.0.1:1", "--api-key", "Bearer canary"]));
    assert_eq!(ran.code, 16, "{ran:?}");
    assert!(ran.stderr.contains("--api-key: the value starts with `Bearer `"), "{ran:?}");
    assert!(!ran.stderr.contains("canary"), "{ran:?}");
}

#[test]
fn a_model_that_the_simulator_does_not_have_is_refused() {
    let ran = run(&mut oa(["chat", "hi", "-m", "gpt-4o"]));
    assert_eq!((ran.code, ran.stdout.as_str()), (12, ""));
    assert!(ran.stderr.starts_with("oa: no server is named"), "{ran:?}");
}

#[test]
fn the_simulator_can_be_asked_for() {
    let ran =
        run(oa(["chat", "hi", "--sim"]).env("OA_BASE_URL", "http://127.0.0.1:1").env("OA_MODEL", "other"));
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "You said: hi\n"));
    assert_eq!(ran.stderr, "oa: this is the built-in simulator\n");
}

#[test]
fn the_only_model_is_taken_and_named() {
    let sim = Sim::builder().model("qwen3-8b").start_blocking().unwrap();
    let ran = run(oa(["chat", "hi", "--base-url"]).arg(sim.base_url()));
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "You said: hi\n"));
    assert_eq!(ran.stderr, "oa: no model named, so this is the server's only one: qwen3-8b\n");
    assert_eq!(sim.last_request().unwrap().json()["model"], "qwen3-8b");
}

#[test]
fn of_several_models_one_must_be_named() {
    let sim = Sim::builder().models(["a", "b", "c"]).start_blocking().unwrap();
    let ran = run(oa(["chat", "hi", "--base-url"]).arg(sim.base_url()));
    assert_eq!((ran.code, ran.stdout.as_str()), (16, ""));
    assert!(ran.stderr.contains("the server lists 3: a, b, c; name one with --model or OA_MODEL"), "{ran:?}");
    let ran = run(oa(["chat", "hi", "-m", "b", "--base-url"]).arg(sim.base_url()));
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_long_list_of_models_is_cut() {
    let names: Vec<String> = (0..50).map(|n| format!("m{n}")).collect();
    let sim = Sim::builder().models(names).start_blocking().unwrap();
    let ran = run(oa(["chat", "hi", "--base-url"]).arg(sim.base_url()));
    assert!(ran.stderr.contains("m19 and 30 more") && !ran.stderr.contains("m20"), "{ran:?}");
}

#[test]
fn flags_win_over_variables() {
    let sim = Sim::builder().model("by-flag").api_key("key-by-flag").start_blocking().unwrap();
    let url = sim.base_url();
    let mut command = oa(["chat", "hi", "-m", "by-flag", "--api-key", "key-by-flag", "--base-url", &url]);
    command.env("OA_BASE_URL", "http://127.0.0.1:1").env("OA_MODEL", "other").env("OA_API_KEY", "other");
    let ran = run(&mut command);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

#[test]
fn openais_variables_work_and_their_key_stays_with_their_server() {
    let sim = sim();
    let theirs = format!("{}/v1/", sim.base_url());
    let mut command = oa(["chat", "hi"]);
    let ran = run(command.env("OPENAI_BASE_URL", theirs).env("OPENAI_API_KEY", "k"));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(sim.last_request().unwrap().header("authorization"), Some("Bearer k"));
    let ran = run(oa(["chat", "hi", "--base-url"]).arg(sim.base_url()).env("OPENAI_API_KEY", "k"));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(sim.last_request().unwrap().header("authorization"), None);
}

#[test]
fn headers_are_sent_with_every_request() {
    let sim = sim();
    let url = sim.base_url();
    run(&mut oa(["chat", "hi", "--base-url", &url, "--header", "X-Team: search", "--header", "x-org:a:b"]));
    let headers: Vec<_> = sim
        .requests()
        .iter()
        .map(|request| {
            [request.header("x-team"), request.header("x-org")].map(|value| value.unwrap().to_owned())
        })
        .collect();
    assert_eq!(headers, [["search", "a:b"], ["search", "a:b"]]);
}

#[test]
fn what_is_blank_is_named() {
    for (name, args) in [
        ("--base-url", &["chat", "hi", "--base-url", " "][..]),
        ("--model", &["chat", "hi", "--model", ""]),
        ("--api-key", &["models", "--api-key", ""]),
    ] {
        let ran = run(&mut oa(args.iter().copied()));
        assert_eq!(ran.code, 16, "{ran:?}");
        assert!(ran.stderr.contains(&format!("{name} is blank")), "{ran:?}");
    }
    for name in ["OA_BASE_URL", "OA_MODEL", "OA_API_KEY"] {
        let ran = run(oa(["chat", "hi"]).env(name, ""));
        assert_eq!(ran.code, 16, "{ran:?}");
        assert!(ran.stderr.contains(&format!("{name} is set but blank")), "{ran:?}");
    }
}

#[test]
fn a_doubled_v1_is_corrected() {
    let ran = run(&mut oa(["chat", "hi", "-m", "m", "--base-url", "http://localhost:8000/v1"]));
    assert_eq!(ran.code, 16);
    assert!(ran.stderr.contains("use `http://localhost:8000`"), "{ran:?}");
    let ran = run(&mut oa(["chat", "hi", "-m", "m", "--base-url", "localhost:8000/v1"]));
    assert!(ran.stderr.contains("use `http://localhost:8000`"), "{ran:?}");
}

#[test]
fn the_version_is_that_of_the_crate() {
    let ran = run(&mut oa(["--version"]));
    assert_eq!(ran.stdout, concat!("oa ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn the_flags_of_the_connection_are_used_and_named_where_they_are_wrong() {
    let sim = sim();
    let url = sim.base_url();
    for command in ["models", "doctor"] {
        for (flag, value, want) in [
            ("--ca-file", "/no/such/ca.pem", "--ca-file /no/such/ca.pem: "),
            ("--proxy", "'http://me:canary@h'", "--proxy: the value has quotes around it"),
        ] {
            let ran = run(&mut oa([command, "--base-url", &url, flag, value]));
            assert_eq!(ran.code, 16, "{ran:?}");
            assert!(ran.stderr.contains(want) && !ran.stderr.contains("canary"), "{ran:?}");
        }
    }
    let proxy = Sim::start_blocking().unwrap();
    let ran =
        run(&mut oa(["models", "--base-url", &url, "--proxy", &proxy.base_url(), "--connect-timeout", "3s"]));
    assert_eq!((ran.code, proxy.requests().len(), sim.requests().len()), (0, 1, 0), "{ran:?}");
    let ran = run(&mut oa(["doctor", &url, "--no-completion", "--proxy", &proxy.base_url()]));
    assert!(ran.code == 0 && ran.stdout.contains("through the proxy http://127.0.0.1:"), "{ran:?}");
}

#[test]
fn a_server_without_a_list_is_told_of_the_chat_probe() {
    let none = oa_sim::Answer::json(404, serde_json::json!({"error": "Not Found"}))
        .on("GET", "/v1/models")
        .forever();
    let sim = Sim::builder().script([none]).then_generate().start_blocking().unwrap();
    let ran = run(&mut oa(["ready", "-m", "oa-sim", "--base-url", &sim.base_url()]));
    assert!(ran.code == 16 && ran.stderr.contains("hint: --probe chat asks"), "{ran:?}");
    let ran = run(&mut oa(["ready", "-m", "oa-sim", "--probe", "chat", "--base-url", &sim.base_url()]));
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn completions_and_the_manual_page_are_printed() {
    for (args, want) in [(&["completions", "bash"][..], "_oa()"), (&["man"], ".TH oa 1")] {
        let ran = run(&mut oa(args.iter().copied()));
        assert!(ran.code == 0 && ran.stdout.contains(want), "{ran:?}");
    }
}

#[test]
fn a_server_of_another_path_is_reached_on_purpose() {
    let sim = Sim::builder()
        .handler(|request| {
            let answer = crate::support::completion(&serde_json::json!({"content": "Hi!"}), "stop");
            let missing = oa_sim::Answer::json(404, serde_json::json!({"error": "Not Found"}));
            Some(if request.target == "/api/v3/chat/completions?api-version=1" { answer } else { missing })
        })
        .start_blocking()
        .unwrap();
    let url = format!("{}/api/v3/chat/completions?api-version=1", sim.base_url());
    let ran = run(oa(["chat", "hi", "-m", "m", "--base-url"]).arg(format!("exact:{url}")));
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "Hi!\n"), "{ran:?}");
    let ran = run(oa(["chat", "hi", "-m", "m", "--base-url"]).arg(&url));
    assert_eq!(ran.code, 16, "{ran:?}");
    assert!(ran.stderr.contains(&format!("use `exact:{url}`")), "{ran:?}");
    let ran = run(oa(["doctor", "-m", "m"]).arg(format!("exact:{url}")));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("warning  models"), "{ran:?}");
}
