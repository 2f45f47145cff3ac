//! The command line of the rig: what to measure.

#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) base_url: String,
    pub(crate) mode: Mode,
    /// The model's name selects the server's answer.
    pub(crate) model: String,
    pub(crate) requests: u64,
    pub(crate) warmup: u64,
    pub(crate) concurrency: usize,
    pub(crate) threads: usize,
    /// What is around the provider; nothing by default.
    pub(crate) variant: String,
    pub(crate) count_alloc: bool,
    /// How many messages a request has, the system message included.
    pub(crate) history: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Whole answers.
    Complete,
    /// Streams.
    Stream,
    /// Streams whose text is the time at which it was sent.
    Paced,
    /// Streams that are kept open.
    Hold,
}

impl Mode {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Stream => "stream",
            Self::Paced => "paced",
            Self::Hold => "hold",
        }
    }

    /// What the names of the server's answers begin with, and which one is the default.
    fn answers(self) -> (&'static str, &'static str) {
        match self {
            Self::Complete => ("c-", "small"),
            Self::Stream => ("s-", "100-coal"),
            Self::Paced => ("t-", "200-1000"),
            Self::Hold => ("h-", "4000"),
        }
    }
}

impl Args {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self {
            base_url: "http://127.0.0.1:8000/v1".into(),
            mode: Mode::Complete,
            model: String::new(),
            requests: 100,
            warmup: 20,
            concurrency: 1,
            threads: 1,
            variant: String::new(),
            count_alloc: false,
            history: 2,
        };
        let mut size = String::new();
        while let Some(word) = words.next() {
            if word == "--count-alloc" {
                args.count_alloc = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{word} wants a value"))?;
            match word.as_str() {
                "--base-url" => args.base_url = value,
                "--mode" => {
                    args.mode = [Mode::Complete, Mode::Stream, Mode::Paced, Mode::Hold]
                        .into_iter()
                        .find(|mode| mode.as_str() == value)
                        .ok_or_else(|| format!("there is no mode {value}"))?;
                }
                "--size" => size = value,
                "--requests" => args.requests = number(&value)?,
                "--warmup" => args.warmup = number(&value)?,
                "--concurrency" => args.concurrency = number(&value)? as usize,
                "--threads" => args.threads = number(&value)? as usize,
                "--history" => args.history = number(&value)?.max(2) as usize,
                "--variant" => args.variant = value,
                _ => return Err(format!("there is no option {word}")),
            }
        }
        let (prefix, default) = args.mode.answers();
        args.model = match size.as_str() {
            "" => format!("{prefix}{default}"),
            fault if fault.starts_with("f-") => size,
            _ => format!("{prefix}{size}"),
        };
        Ok(args)
    }

    /// The same for the warm-up: short answers where the measured ones take long.
    pub(crate) fn warming(&self) -> Self {
        let mut args = self.clone();
        match args.mode {
            Mode::Hold => {
                args.model = "h-1".into();
                args.concurrency = 1;
            }
            Mode::Paced => args.model = "t-5-1000".into(),
            Mode::Complete | Mode::Stream => {}
        }
        args
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}
