//! Refusals of builders and their messages; clients and the providers that they make.

use oa_provider::{Client, OpenAiProvider, Profile, Provider};
use oa_wire::Category;

#[test]
fn a_malformed_key_is_an_error_and_never_shown() {
    for key in
        ["", " ", "\n", "sk-se\ncret", "sk-se\r\nx-a: b", "sk-sécret", "sk-\0secret", "sk-\u{7f}secret"]
    {
        let error = OpenAiProvider::builder("http://h", "m").api_key(key).build().unwrap_err();
        assert_eq!(error.category(), Category::InvalidRequest, "{key:?}");
        assert!(error.message().contains("API key"), "{error}");
        assert!(!error.message().contains("sk-"), "{error}");
    }
}

#[test]
fn white_space_around_a_key_is_cut_off() {
    let provider = OpenAiProvider::builder("http://h", "m").api_key(" sk-1\n").build().unwrap();
    let request = oa_wire::openai::ModelsCall::new(provider.endpoint()).http_request();
    assert_eq!(request.headers()[http::header::AUTHORIZATION], "Bearer sk-1");
}

#[test]
fn a_base_url_that_ends_in_v1_is_refused_with_the_correction() {
    for (url, right) in [
        ("http://h:8000/v1", "`http://h:8000`"),
        ("http://h/p/V1//", "`http://h/p`"),
        ("http://h/v1?x=1", "`http://h`"),
    ] {
        let error = OpenAiProvider::builder(url, "m").build().unwrap_err();
        assert_eq!(error.category(), Category::InvalidRequest, "{url}");
        assert!(error.message().contains(url) && error.message().contains(right), "{error}");
        assert!(error.message().contains("/v1/v1/"), "{error}");
    }
}

#[test]
fn other_base_urls_that_cannot_work_are_refused() {
    for url in
        ["", "h:8000", "ftp://h", "http://", "http://:80", "http://h/?a=b", "http://h#x", "http://h:99999"]
    {
        let error = OpenAiProvider::builder(url, "m").build().unwrap_err();
        assert_eq!(error.category(), Category::InvalidRequest, "{url}");
        assert!(error.message().contains("base URL"), "{error}");
    }
}

#[test]
fn a_header_that_cannot_be_sent_is_refused_by_its_name_alone() {
    for (name, value) in [("x y", "secret"), ("x-a", "sec\nret"), ("", "secret")] {
        let error = OpenAiProvider::builder("http://h", "m").header(name, value).build().unwrap_err();
        assert_eq!(error.category(), Category::InvalidRequest);
        assert!(
            error.message().contains(&format!("`{name}`")) && !error.message().contains("sec"),
            "{error}"
        );
    }
}

#[test]
fn a_blank_model_is_refused() {
    let error = OpenAiProvider::builder("http://h", " ").build().unwrap_err();
    assert_eq!(error.category(), Category::InvalidRequest);
}

#[tokio::test]
async fn a_client_needs_no_model_and_makes_providers() {
    let sim = oa_sim::Sim::start().await.unwrap();
    let client = Client::builder(sim.base_url()).header("x-team", "search").build().unwrap();
    client.ready().await.unwrap();
    assert_eq!(client.models().await.unwrap().ids().collect::<Vec<_>>(), ["oa-sim"]);
    let provider = client.model("oa-sim");
    provider.complete(&"Hello".into()).await.unwrap();
    assert!(sim.requests().iter().all(|request| request.header("x-team") == Some("search")));
    let profile = Profile::new("m").with_genai_system("vllm");
    assert_eq!(client.provider(profile).profile().genai_system(), "vllm");
    assert_eq!(client.model("m").profile().genai_system(), "openai");
}

#[test]
fn a_provider_tells_its_settings() {
    let provider = OpenAiProvider::builder("http://h/p/", "m").genai_system("vllm").build().unwrap();
    assert_eq!((provider.model(), provider.endpoint().base_url()), ("m", "http://h/p"));
    assert_eq!(provider.profile().genai_system(), "vllm");
}
