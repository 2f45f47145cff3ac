//! The arguments of a program: names with values, and flags.

use std::str::FromStr;

/// The arguments that the program was started with.
#[derive(Clone, Debug)]
pub struct Args(Vec<String>);

impl Args {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// Whether this word is among them.
    pub fn has(&self, flag: &str) -> bool {
        self.0.iter().any(|arg| arg == flag)
    }

    /// All values of this name, which may be given several times.
    pub fn values(&self, name: &str) -> Vec<String> {
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        pairs.filter(|(arg, _)| *arg == name).map(|(_, value)| value.clone()).collect()
    }

    /// The value of this name; of several, the last.
    pub fn value(&self, name: &str) -> Option<String> {
        self.values(name).pop()
    }

    /// The same of a name that must be given.
    ///
    /// # Errors
    ///
    /// It is missing.
    pub fn required(&self, name: &str) -> Result<String, String> {
        self.value(name).ok_or_else(|| format!("{name} is missing"))
    }

    /// The number of this name, or the default.
    ///
    /// # Errors
    ///
    /// The value is no such number.
    pub fn number<N: FromStr>(&self, name: &str, default: N) -> Result<N, String> {
        let Some(value) = self.value(name) else { return Ok(default) };
        value.parse().map_err(|_| format!("{name} {value}: no such number"))
    }
}
