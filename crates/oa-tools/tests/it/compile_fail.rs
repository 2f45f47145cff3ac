//! Programs that must not compile, and the messages of the compiler.

#[test]
fn mistakes_are_refused_by_the_compiler() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
