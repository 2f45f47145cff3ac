//! `oa ready`: its exit code, and waiting.

use crate::support::{oa, oa_at, run, sim};
use oa_sim::{Answer, Sim};
use serde_json::json;

fn paths(sim: &Sim) -> Vec<String> {
    sim.requests().into_iter().map(|request| request.path).collect()
}

#[test]
fn ready_says_so() {
    let sim = sim();
    let ran = run(&mut oa_at(&sim, ["ready"]));
    let want = format!("ready: oa-sim at {}\n", sim.base_url());
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, want.as_str(), ""));
}

#[test]
fn the_probe_and_the_warm_up_ask_what_they_say() {
    for (args, asked) in [
        (&["ready"][..], &["/v1/models"][..]),
        (&["ready", "--probe", "chat"], &["/v1/chat/completions"]),
        (&["ready", "--probe", "both"], &["/v1/models", "/v1/chat/completions"]),
        (&["ready", "--warm-up"], &["/v1/models", "/v1/chat/completions"]),
    ] {
        let sim = sim();
        let ran = run(&mut oa_at(&sim, args.iter().copied()));
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        assert_eq!(paths(&sim), asked, "{args:?}");
    }
}

#[test]
fn not_ready_is_told_at_once() {
    let sim = sim();
    sim.set_loading(true);
    let ran = run(&mut oa_at(&sim, ["ready"]));
    assert_eq!((ran.code, ran.stdout.as_str(), paths(&sim).len()), (13, "", 1));
    let ran = run(oa_at(&Sim::start_blocking().unwrap(), ["ready", "--wait", "1h"]).env("OA_MODEL", "wrong"));
    assert_eq!(ran.code, 12, "{ran:?}");
}

#[test]
fn waiting_goes_through_a_loading_model_and_tells_of_it() {
    let sim = Sim::builder().loading_for(2).start_blocking().unwrap();
    let ran = run(&mut oa_at(&sim, ["ready", "--wait", "1h"]));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.starts_with("ready: "), "{ran:?}");
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert!(
        lines[0].starts_with("oa: waiting, ") && lines[0].contains(" s: provider_model_not_loaded: "),
        "{ran:?}"
    );
    assert_eq!(lines.len(), 1, "the same reason is told once: {ran:?}");
}

#[test]
fn waiting_finds_the_model_when_the_list_is_there() {
    let sim = Sim::builder().model("the-only-one").loading_for(1).start_blocking().unwrap();
    let ran = run(oa(["ready", "--wait", "1h", "--base-url"]).arg(sim.base_url()));
    assert_eq!((ran.code, ran.stdout), (0, format!("ready: the-only-one at {}\n", sim.base_url())));
    assert!(ran.stderr.contains("the server's only one: the-only-one"), "{}", ran.stderr);
}

#[test]
fn waiting_ends_with_the_last_failure() {
    let port = Sim::closed_port().unwrap();
    let ran = run(oa(["ready", "-m", "m", "--wait", "400ms", "--base-url"]).arg(port.base_url()));
    assert_eq!((ran.code, ran.stdout.as_str()), (11, ""));
    assert!(
        ran.stderr.lines().last().is_some() && ran.stderr.contains("\noa: provider_unavailable: "),
        "{ran:?}"
    );
}

#[test]
fn a_probe_has_its_time_limit() {
    let sim = Sim::builder().script([Answer::stall().forever()]).start_blocking().unwrap();
    let ran = run(&mut oa_at(&sim, ["ready", "--timeout", "100ms"]));
    assert_eq!(ran.code, 11, "{ran:?}");
}

#[test]
fn a_gateway_that_lists_but_refuses_is_found_by_the_chat_probe() {
    let no = json!({"error": {"message": "not allowed"}});
    let refusal = Answer::json(403, no).on("POST", "/v1/chat/completions").forever();
    let sim = Sim::builder().script([refusal]).then_generate().start_blocking().unwrap();
    assert_eq!(run(&mut oa_at(&sim, ["ready"])).code, 0);
    assert_eq!(run(&mut oa_at(&sim, ["ready", "--probe", "both"])).code, 10);
}
