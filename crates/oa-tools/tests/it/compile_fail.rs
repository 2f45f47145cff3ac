//! What does not compile, and what the compiler says.

#[test]
fn mistakes_are_refused_by_the_compiler() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
