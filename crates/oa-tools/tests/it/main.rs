//! Tests of the crate's public interface.

mod types;

struct Print;

impl types::Visit for Print {
    fn visit<T>(&mut self, name: &str, sample: T)
    where
        T: schemars::JsonSchema + serde::de::DeserializeOwned + serde::Serialize + PartialEq + std::fmt::Debug + Send + Sync + 'static {
        println!("== {name}: {} {}", serde_json::to_string(&sample).unwrap(), schemars::schema_for!(T).to_value());
    }
}

#[test]
fn print() {
    types::each(&mut Print);
}
