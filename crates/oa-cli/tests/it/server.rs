//! Which server, model and key does a command take?

use crate::support::{oa, run, sim};
use oa_sim::Sim;

#[test]
fn no_server_means_the_simulator_and_one_line_that_says_so() {
    for (args, stdout) in [
        (&["chat", "hi"][..], "You said: hi\n"),
        (&["models"], "ID      STATUS  CONTEXT  OWNER\noa-sim  -             -  oa-sim\n"),
    ] {
        let ran = run(&mut oa(args.iter().copied()));
        assert_eq!((ran.code, ran.stdout.as_str()), (0, stdout), "{ran:?}");
        let want = "oa: no server named, so this is the built-in simulator; name one with --base-url \
                    http://localhost:8000 or OA_BASE_URL\n";
        assert_eq!(ran.stderr, want);
    }
    let ran = run(&mut oa(["ready", "--warm-up"]));
    assert!(
        ran.code == 0 && ran.stdout.starts_with("ready and warm: oa-sim at http://127.0.0.1:"),
        "{ran:?}"
    );
}

#[test]
fn a_model_that_the_simulator_does_not_have_is_refused() {
    let ran = run(&mut oa(["chat", "hi", "-m", "gpt-4o"]));
    assert_eq!((ran.code, ran.stdout.as_str()), (12, ""));
    assert!(ran.stderr.starts_with("oa: no server named"), "{ran:?}");
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
}

#[test]
fn the_version_is_that_of_the_crate() {
    let ran = run(&mut oa(["--version"]));
    assert_eq!(ran.stdout, concat!("oa ", env!("CARGO_PKG_VERSION"), "\n"));
}
