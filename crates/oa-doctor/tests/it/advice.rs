//! Each advice of the crate's table on refused connections, and the answer that the table promises.

use crate::{
    namespace,
    support::{doctor, doctor_in, list, nowhere, page, step},
};
use oa_doctor::Report;
use oa_sim::{Answer, Sim};
use serde_json::json;

/// The rows of the table: advice, step, words of the answer.
fn rows() -> Vec<[String; 3]> {
    let rows = include_str!("../../src/lib.rs").split_once("# Connection refused").unwrap().1.lines();
    let rows = rows.filter_map(|line| line.strip_prefix("//! | ")).filter(|row| !row.starts_with("advice"));
    let cells = |row: &str| {
        row.trim_end_matches(" |").split(" | ").map(|cell| cell.replace('`', "")).collect::<Vec<String>>()
    };
    rows.map(|row| <[String; 3]>::try_from(cells(row)).unwrap_or_else(|row: Vec<_>| panic!("{row:?}")))
        .collect()
}

/// The report's answer to an advice must hold what the table promises.
#[track_caller]
fn assert_answers(advice: &str, report: &Report) {
    // Of the rows that start so, the shortest: `http` is not `https`.
    let fitting = rows().into_iter().filter(|[asked, ..]| asked.starts_with(advice));
    let row = fitting.min_by_key(|[asked, ..]| asked.len());
    let [_, name, words] = row.unwrap_or_else(|| panic!("no row has {advice}"));
    let step = report.step(&name).unwrap();
    assert!(step.to_string().contains(&words), "{advice}: {words} is not in\n{step}");
}

/// The advice that has a test below.
const TESTED: [&str; 24] = [
    "is the server running",
    "which process has the port",
    "does it listen on another port",
    "is LITELLM_PORT or PORT set",
    "did LiteLLM take another port",
    "is it bound to 127.0.0.1",
    "is localhost the other loopback address",
    "do two programs share the port",
    "is localhost that of a container",
    "is the name of a container or service known",
    "does a firewall drop",
    "does a firewall reject",
    "does SELinux or another policy",
    "is a proxy variable set",
    "is the server among those of NO_PROXY",
    "can the proxy variable be read",
    "is it https",
    "is it http",
    "is the base URL right",
    "is the base URL's variable",
    "is the key right",
    "does the model still load",
    "does the proxy reach its upstream",
    "does a cooldown hide",
];

#[test]
fn every_row_is_tested() {
    let untested: Vec<_> = rows()
        .into_iter()
        .filter(|[asked, ..]| !TESTED.iter().any(|tested| asked.starts_with(tested)))
        .collect();
    assert_eq!((untested, rows().len()), (Vec::new(), TESTED.len()));
}

#[test]
fn the_guide_has_the_words_of_every_row() {
    let guide = include_str!("../../../oa-provider/src/guide/refused_connections.md").replace('`', "");
    let missing: Vec<_> = rows().into_iter().filter(|[_, _, words]| !guide.contains(&**words)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[tokio::test]
async fn a_closed_port() {
    let closed = Sim::closed_port().unwrap();
    let report = doctor(closed.base_url()).run().await;
    assert_answers("is the server running", &report);
    assert_answers("which process has the port", &report);
}

#[tokio::test]
async fn another_port() {
    let (closed, sim) = (Sim::closed_port().unwrap(), Sim::start().await.unwrap());
    let report = doctor(closed.base_url()).ports([(sim.addr().port(), "vLLM")]).run().await;
    assert_answers("does it listen on another port", &report);
    for variable in ["LITELLM_PORT", "PORT", "VLLM_PORT", "OLLAMA_HOST"] {
        let value = format!("0.0.0.0:{}", sim.addr().port());
        let report = doctor_in(&[("OA_BASE_URL", closed.base_url()), (variable, value)]).run().await;
        assert!(
            report.step("tcp").unwrap().to_string().contains(&format!("({variable}) answers")),
            "{report}"
        );
        if variable == "LITELLM_PORT" {
            assert_answers("is LITELLM_PORT or PORT set", &report);
        }
    }
}

#[tokio::test]
async fn names_proxies_and_urls() {
    let unknown = format!("http://{}:8000", "x".repeat(64));
    assert_answers("is the name of a container or service known", &doctor(unknown).run().await);

    let (sim, closed) = (Sim::start().await.unwrap(), Sim::closed_port().unwrap());
    let inner = ("OA_BASE_URL", "http://inner.invalid:8000".to_owned());
    let report = doctor_in(&[inner.clone(), ("HTTP_PROXY", closed.base_url())]).run().await;
    assert_answers("is a proxy variable set", &report);
    let excepted = [inner.clone(), ("HTTP_PROXY", closed.base_url()), ("NO_PROXY", ".invalid".to_owned())];
    assert_answers("is the server among those of NO_PROXY", &doctor_in(&excepted).run().await);
    let report = doctor_in(&[inner, ("HTTP_PROXY", "'http://h:1'".to_owned())]).run().await;
    assert_answers("can the proxy variable be read", &report);

    assert_answers("is it http", &doctor(sim.base_url().replace("http:", "https:")).run().await);
    let alert = Answer::raw(vec![0x15, 3, 1, 0, 2, 2, 70]).forever();
    let tls = Sim::builder().script([alert]).start().await.unwrap();
    assert_answers("is it https", &doctor(tls.base_url()).run().await);

    let report = doctor(format!("{}/v1", sim.base_url())).no_completion(true).run().await;
    assert_answers("is the base URL right", &report);
    let report = nowhere().environment([("OPENAI_API_BASE".to_owned(), sim.base_url())]).run().await;
    assert_answers("is the base URL's variable", &report);
}

#[tokio::test]
async fn keys_models_and_upstreams() {
    let sim = Sim::builder().api_key("sk-right").start().await.unwrap();
    assert_answers("is the key right", &doctor(sim.base_url()).api_key("sk-wrong").run().await);
    let sim = Sim::start().await.unwrap();
    sim.set_loading(true);
    assert_answers("does the model still load", &doctor(sim.base_url()).model("oa-sim").run().await);

    let litellm = "x-litellm-version: 1.109.1\r\n";
    let chat = |status: u16, body: serde_json::Value| {
        let body = body.to_string();
        Sim::builder().handler(move |request| {
            Some(match request.path.as_str() {
                "/" => page(200, litellm, "<title>LiteLLM API</title>"),
                "/v1/models" => page(200, litellm, &list("m", json!({}))),
                "/v1/chat/completions" => page(status, litellm, &body),
                _ => page(404, litellm, "{}"),
            })
        })
    };
    let refused =
        json!({"error": {"message": "litellm.InternalServerError: [Errno 111] Connection refused"}});
    let sim = chat(500, refused).start().await.unwrap();
    assert_answers("does the proxy reach its upstream", &doctor(sim.base_url()).run().await);
    let cooldown = json!({"error": {"message": "No deployments available for selected model, Try again in 60 \
                           seconds.",
        "type": "None", "param": "None", "code": "429"}});
    let sim = chat(429, cooldown).start().await.unwrap();
    assert_answers("does a cooldown hide", &doctor(sim.base_url()).run().await);
}

#[test]
fn localhost_is_only_ipv6_and_the_server_is_not() {
    let hosts = "printf '::1 localhost\\n' >/tmp/.oa-hosts-$$; mount --bind /tmp/.oa-hosts-$$ /etc/hosts; rm \
                 -f /tmp/.oa-hosts-$$ 2>/dev/null || true";
    namespace::run("advice::localhost_is_only_ipv6_and_the_server_is_not", hosts, || {
        namespace::block_on(async {
            let sim = Sim::start().await.unwrap();
            let port = sim.addr().port();
            let report = doctor(format!("http://localhost:{port}")).run().await;
            assert_eq!(step(&report, "tcp"), ("failed", &*format!("[::1]:{port} refused")));
            assert_answers("is localhost the other loopback address", &report);
            let next = report.step("tcp").unwrap().next.clone();
            assert_eq!(next, Some(format!("oa doctor http://127.0.0.1:{port}")), "{report}");
        });
    });
}

#[test]
fn localhost_is_two_programs() {
    let hosts = "printf '::1 localhost\\n127.0.0.1 localhost\\n' >/tmp/.oa-two-$$; mount --bind \
                 /tmp/.oa-two-$$ /etc/hosts; rm -f /tmp/.oa-two-$$ 2>/dev/null || true";
    namespace::run("advice::localhost_is_two_programs", hosts, || {
        namespace::block_on(async {
            let sim = Sim::start().await.unwrap();
            let port = sim.addr().port();
            let _other = tokio::net::TcpListener::bind(("::1", port)).await.unwrap();
            let report = doctor(format!("http://localhost:{port}")).run().await;
            assert_eq!(step(&report, "tcp").0, "warning", "{report}");
            assert_answers("do two programs share the port", &report);
        });
    });
}

#[test]
fn firewalls_and_policies() {
    // To the kernel's own routes a reject is an unreachable host, a policy is a prohibition, and what goes to
    // an address of nobody's on the loopback interface is dropped.
    let routes = "ip route add unreachable 192.0.2.1; ip route add prohibit 192.0.2.2; ip route add \
                  192.0.2.3 dev lo; ip address add 192.0.2.4/32 dev lo";
    namespace::run("advice::firewalls_and_policies", routes, || {
        namespace::block_on(async {
            let report = doctor("http://192.0.2.1:8000").run().await;
            assert_eq!(step(&report, "tcp"), ("failed", "192.0.2.1:8000 no route to the host"));
            assert_answers("does a firewall reject", &report);
            let report = doctor("http://192.0.2.2:8000").run().await;
            assert_eq!(step(&report, "tcp"), ("failed", "192.0.2.2:8000 not permitted"));
            assert_answers("does SELinux or another policy", &report);
            let report = doctor("http://192.0.2.3:8000").run().await;
            assert_eq!(step(&report, "tcp"), ("failed", "192.0.2.3:8000 timed out"));
            assert_answers("does a firewall drop", &report);
            let report = doctor("http://192.0.2.4:4000").run().await;
            assert_answers("is it bound to 127.0.0.1", &report);
            assert_answers("did LiteLLM take another port", &report);
        });
    });
}

#[test]
fn localhost_of_a_container() {
    let mark = "mount -t tmpfs none /run; : >/run/.containerenv";
    namespace::run("advice::localhost_of_a_container", mark, || {
        namespace::block_on(async {
            let report = doctor("http://127.0.0.1:9").run().await;
            assert_answers("is localhost that of a container", &report);
        });
    });
}
