//! A simulator, and a provider over it.

use oa_provider::OpenAiProvider;
use oa_sim::{Answer, Sim};
use oa_wire::{CompletionRequest, Message};

pub(crate) async fn sim() -> (Sim, OpenAiProvider) {
    let sim = Sim::start().await.unwrap();
    let provider = provider(&sim);
    (sim, provider)
}

pub(crate) async fn scripted(answers: impl IntoIterator<Item = Answer>) -> (Sim, OpenAiProvider) {
    let sim = Sim::builder().script(answers).start().await.unwrap();
    let provider = provider(&sim);
    (sim, provider)
}

pub(crate) fn provider(sim: &Sim) -> OpenAiProvider {
    OpenAiProvider::builder(sim.base_url(), "oa-sim").build().unwrap()
}

pub(crate) fn hello() -> CompletionRequest {
    CompletionRequest::new(Message::user("Hello!"))
}
