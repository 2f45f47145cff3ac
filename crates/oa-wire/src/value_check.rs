//! Checks of configured values: what is visibly not a URL, a key, a model's name or a proxy.

use std::fmt;

/// A setting whose value comes from a variable, a flag or a file.
///
/// ```
/// use oa_wire::Setting;
///
/// assert!(Setting::ApiKey.check("sk-1234").is_ok());
/// let flaw = Setting::ApiKey.check("Bearer sk-1234").unwrap_err();
/// assert!(flaw.to_string().starts_with("starts with `Bearer `"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Setting {
    /// The base URL of a server.
    BaseUrl,
    /// The key of a server.
    ApiKey,
    /// The name of a model.
    Model,
    /// The URL of a proxy.
    Proxy,
}

/// Why a text is visibly not the value of a [`Setting`]. `Display` is the rest of a sentence that starts with
/// the setting's name; it never holds the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidSetting {
    /// Nothing but white space.
    Blank,
    /// Quotes at its start or end, straight or curly.
    Quoted,
    /// A zero-width character, a byte-order mark or the like.
    Invisible(char),
    /// The name of a header or an authentication scheme in front of a key.
    Prefixed(&'static str),
    /// A line of a file of variables: `NAME=value`.
    Assignment,
    /// A variable that nobody expanded: the form in which it is written.
    Unexpanded(&'static str),
    /// A placeholder that nobody filled in: the form in which it is written.
    Placeholder(&'static str),
    /// What a program prints for a value that is missing.
    Null(&'static str),
    /// A key as a page shows it, with its middle hidden.
    Masked,
    /// White space in a key.
    WhiteSpace,
    /// A control character or one outside ASCII in a key, which no header can hold.
    Unsendable,
    /// The path of a file that may hold the key.
    Path,
}

impl Setting {
    /// Whether the text, without the white space around it, can be a value of this setting.
    ///
    /// # Errors
    ///
    /// What it visibly is instead. A value that passes may still be refused by whatever reads it.
    pub fn check(self, value: &str) -> Result<(), InvalidSetting> {
        let value = value.trim();
        let flaw = if value.is_empty() {
            Some(InvalidSetting::Blank)
        } else {
            invisible(value)
                .or_else(|| quoted(value))
                .or_else(|| assignment(value))
                .or_else(|| self.prefixed(value))
                .or_else(|| self.null(value))
                .or_else(|| self.unexpanded(value))
                .or_else(|| self.placeholder(value))
                .or_else(|| self.unsendable(value))
        };
        flaw.map_or(Ok(()), Err)
    }

    fn prefixed(self, value: &str) -> Option<InvalidSetting> {
        if self != Self::ApiKey {
            return None;
        }
        let starts =
            |prefix: &str| value.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        let found = PREFIXES.iter().find(|prefix| starts(prefix))?;
        Some(InvalidSetting::Prefixed(found))
    }

    fn null(self, value: &str) -> Option<InvalidSetting> {
        // `none` is also a key that people invent for a server that wants any.
        let is_url = self.is_url();
        let host = host(value);
        let is_null = |null: &str| null == value || is_url && null.eq_ignore_ascii_case(host);
        Some(InvalidSetting::Null(NULLS.iter().find(|null| is_null(null))?))
    }

    fn unexpanded(self, value: &str) -> Option<InvalidSetting> {
        let is_url = self.is_url();
        // A password in a proxy's URL may hold a `$`: only a host that starts with one is a variable.
        let host = value.split_once("://").map_or(value, |(_, rest)| rest);
        let dollar = |text: &str| text.strip_prefix('$').is_some_and(starts_name);
        let whole = |text: &str| text.strip_prefix('$').is_some_and(is_name);
        let percent = |text: &str| {
            text.strip_prefix('%')
                .and_then(|rest| rest.split_once('%'))
                .is_some_and(|(name, _)| is_name(name))
        };
        let form = if value.contains("${") {
            "${NAME}"
        } else if value.contains("$(") {
            "$(command)"
        } else if value.contains("{{") {
            "{{name}}"
        } else if whole(value)
            || is_url && dollar(host)
            || self == Self::BaseUrl && value.split_inclusive('$').skip(1).any(starts_name)
        {
            "$NAME"
        } else if percent(value) && (is_url || value.ends_with('%')) || is_url && percent(host) {
            "%NAME%"
        } else {
            let starts =
                |form: &str| value.get(..form.len()).is_some_and(|start| start.eq_ignore_ascii_case(form));
            REFERENCES.iter().find(|form| starts(form))?
        };
        Some(InvalidSetting::Unexpanded(form))
    }

    fn placeholder(self, value: &str) -> Option<InvalidSetting> {
        let enclosed = |open: char, close: char| match value.find(open) {
            Some(at) => (at == 0 || self != Self::Model) && value.ends_with(close),
            None => false,
        };
        if enclosed('<', '>') || self == Self::BaseUrl && value.contains('<') {
            return Some(InvalidSetting::Placeholder("<...>"));
        }
        if value.starts_with('{') && value.ends_with('}') || self == Self::BaseUrl && value.contains('{') {
            return Some(InvalidSetting::Placeholder("{...}"));
        }
        if let Some((form, ..)) = ENCLOSED.iter().find(|(_, open, close)| {
            value.len() > open.len() + close.len() && value.starts_with(open) && value.ends_with(close)
        }) {
            return Some(InvalidSetting::Placeholder(form));
        }
        if let Some(form) = self.example(value) {
            return Some(InvalidSetting::Placeholder(form));
        }
        if self != Self::ApiKey {
            return None;
        }
        if value.starts_with('[') && value.ends_with(']') {
            return Some(InvalidSetting::Placeholder("[...]"));
        }
        if value.contains("***") || value.contains('\u{2022}') {
            return Some(InvalidSetting::Masked);
        }
        let cut = value.ends_with("...") || value.contains('\u{2026}');
        cut.then_some(InvalidSetting::Placeholder("..."))
    }

    /// The form of a word that examples have in the place of a value: `your-api-key`, `KEY`, `sk-xxxx`.
    fn example(self, value: &str) -> Option<&'static str> {
        let is_name =
            !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        let word = value.to_ascii_lowercase().replace(['_', ' ', '.'], "-");
        match self {
            Self::ApiKey => {
                let bare = ["sk-proj-", "sk-"].into_iter().find_map(|start| word.strip_prefix(start));
                let bare = bare.unwrap_or(&word);
                let last = value.rsplit('_').next().unwrap_or_default();
                if is_name && ["KEY", "TOKEN", "SECRET"].contains(&last) {
                    return Some("KEY");
                }
                if bare.len() > 3 && bare.bytes().all(|byte| matches!(byte, b'x' | b'-')) {
                    return Some("xxx");
                }
                // GitHub's `secrets.NAME` outside of its braces.
                if word.starts_with("secrets-") {
                    return Some("secrets.NAME");
                }
                let starts =
                    ["your-", "my-api-key", "insert-", "replace-with", "replace-me", "enter-your", "paste-"];
                let is_example =
                    starts.iter().any(|start| bare.starts_with(start)) || word.ends_with("key-here");
                is_example.then_some("your-api-key")
            }
            Self::Model => {
                if is_name && ["NAME", "MODEL", "MODEL_NAME", "MODEL_ID", "OA_MODEL"].contains(&value) {
                    return Some("NAME");
                }
                ["your-model", "your-deployment"]
                    .iter()
                    .any(|start| word.starts_with(start))
                    .then_some("your-model")
            }
            Self::BaseUrl | Self::Proxy => {
                let host = host(value);
                if matches!(host, "HOST" | "HOSTNAME" | "SERVER" | "PROXY") {
                    return Some("HOST");
                }
                let host = host.to_ascii_lowercase().replace('_', "-");
                (host == "your" || host.starts_with("your-")).then_some("your-host")
            }
        }
    }

    /// What no `Authorization: Bearer` can hold.
    fn unsendable(self, value: &str) -> Option<InvalidSetting> {
        const FOLDERS: [&str; 6] = ["/run/", "/var/run/", "/etc/", "/home/", "~/", "file://"];
        if self != Self::ApiKey {
            return None;
        }
        if value.contains(|char: char| char.is_control() || !char.is_ascii() && !char.is_whitespace()) {
            return Some(InvalidSetting::Unsendable);
        }
        if value.contains(char::is_whitespace) {
            return Some(InvalidSetting::WhiteSpace);
        }
        FOLDERS.iter().any(|folder| value.starts_with(folder)).then_some(InvalidSetting::Path)
    }

    fn is_url(self) -> bool {
        matches!(self, Self::BaseUrl | Self::Proxy)
    }
}

/// The host in a URL, with its scheme or without.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.split(':').next().unwrap_or_default()
}

/// How tools for templates mark what they are to replace.
const ENCLOSED: [(&str, &str, &str); 4] =
    [("@@NAME@@", "@@", "@@"), ("#{NAME}", "#{", "}"), ("((NAME))", "((", "))"), ("__NAME__", "__", "__")];

const PREFIXES: [&str; 9] = [
    "Authorization:",
    "Proxy-Authorization:",
    "Bearer ",
    "Bearer:",
    "Basic ",
    "Token ",
    "api-key:",
    "x-api-key:",
    "Ocp-Apim-Subscription-Key:",
];

const NULLS: [&str; 9] =
    ["None", "null", "Null", "NULL", "undefined", "nil", "NaN", "(null)", "[object Object]"];

/// How files of settings refer to what another program is to look up.
const REFERENCES: [&str; 15] = [
    "os.environ",
    "os.getenv",
    "process.env",
    "import.meta.env",
    "$env:",
    "env:",
    "op://",
    "vault:",
    "secretref:",
    "ENC[",
    "arn:aws:",
    "@Microsoft.KeyVault",
    "!secret ",
    "!Ref ",
    "!env ",
];

fn invisible(value: &str) -> Option<InvalidSetting> {
    value.chars().find(|char| is_invisible(*char)).map(InvalidSetting::Invisible)
}

/// Zero-width characters, marks of writing direction, soft hyphens, byte-order marks.
pub(crate) fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{fff9}'..='\u{fffb}'
    )
}

fn quoted(value: &str) -> Option<InvalidSetting> {
    let quoted = value.starts_with(is_quote) || value.ends_with(is_quote);
    quoted.then_some(InvalidSetting::Quoted)
}

pub(crate) fn is_quote(char: char) -> bool {
    matches!(char, '"' | '\'' | '`' | '\u{ab}' | '\u{bb}' | '\u{2018}'..='\u{201f}' | '\u{2039}' | '\u{203a}')
}

/// `NAME=value`, with `export` or `set` in front or not.
fn assignment(value: &str) -> Option<InvalidSetting> {
    let line = ["export ", "set "].iter().find_map(|word| value.strip_prefix(word)).unwrap_or(value);
    let (name, rest) = line.split_once('=')?;
    let upper = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    // A key in base64 may end in `=`, so that nothing but `=` follows.
    let is_value = rest.bytes().any(|byte| byte != b'=');
    (upper && name.contains('_') && is_value).then_some(InvalidSetting::Assignment)
}

/// A value without the name in front of it.
pub(crate) fn without_assignment(value: &str) -> &str {
    if assignment(value).is_none() {
        return value;
    }
    value.split_once('=').map_or(value, |(_, rest)| rest)
}

fn starts_name(text: &str) -> bool {
    text.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_')
}

fn is_name(text: &str) -> bool {
    starts_name(text) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl fmt::Display for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.write_str("is blank, which is nearly always an unset variable"),
            Self::Quoted => f.write_str(
                "has quotes around it, which are no part of it: `docker --env-file` and some editors keep \
                 them",
            ),
            Self::Invisible(char) => {
                let name = match char {
                    '\u{200b}' => "a zero-width space",
                    '\u{200c}' | '\u{200d}' => "a zero-width joiner",
                    '\u{2060}' => "a word joiner",
                    '\u{feff}' => "a byte-order mark",
                    '\u{ad}' => "a soft hyphen",
                    _ => "an invisible mark",
                };
                write!(f, "holds an invisible character (U+{:04X}, {name}): type it anew", u32::from(*char))
            }
            Self::Prefixed(prefix) => {
                write!(f, "starts with `{prefix}`, which is no part of a key: give the key alone")
            }
            Self::Assignment => f.write_str("starts with the name of a variable: give what follows its `=`"),
            Self::Unexpanded(form) => write!(f, "is a variable that was not expanded, of the form `{form}`"),
            Self::Placeholder(form) => {
                write!(f, "is a placeholder of the form `{form}`, to be replaced by a value")
            }
            Self::Null(word) => write!(f, "is `{word}`, which a program writes for a value that is missing"),
            Self::Masked => f.write_str("is a masked copy, with characters hidden: copy the whole key"),
            Self::WhiteSpace => f.write_str("holds white space, which no key does: give one key alone"),
            Self::Unsendable => {
                f.write_str("holds a line break, a control character or one outside ASCII, which no key does")
            }
            Self::Path => f.write_str("is the path of a file: give what the file holds"),
        }
    }
}

impl std::error::Error for InvalidSetting {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_a_value_passes() {
        for (setting, value) in [
            (Setting::ApiKey, "sk-good\r\n"),
            (Setting::ApiKey, "EMPTY"),
            (Setting::ApiKey, "none"),
            (Setting::ApiKey, "abc$def"),
            (Setting::ApiKey, "QUJD_REVG=="),
            (Setting::ApiKey, "eyJhbGciOi.x-y_z"),
            (Setting::ApiKey, "changeme"),
            (Setting::ApiKey, "sk-xyz"),
            (Setting::ApiKey, "/9j/4AAQ+key=="),
            (Setting::Model, "your-org/a-model"),
            (Setting::Model, "__base__x"),
            (Setting::BaseUrl, "http://nonesuch:8000"),
            (Setting::BaseUrl, "http://host:8000"),
            (Setting::Proxy, "http://yours:3128"),
            (Setting::Model, "qwen/qwen3-8b:latest"),
            (Setting::Model, "C:\\models\\a.gguf"),
            (Setting::BaseUrl, "http://[::1]:8000/p"),
            (Setting::BaseUrl, "http://h/caf%C3%A9%20x"),
            (Setting::Proxy, "http://me:p$s@h:3128"),
        ] {
            assert_eq!(setting.check(value), Ok(()), "{value}");
        }
    }

    #[test]
    fn what_is_visibly_none_is_named_and_not_shown() {
        use InvalidSetting::{
            Assignment, Blank, Invisible, Masked, Null, Path, Placeholder, Prefixed, Quoted, Unexpanded,
            Unsendable, WhiteSpace,
        };
        let every = [Setting::BaseUrl, Setting::ApiKey, Setting::Model, Setting::Proxy];
        for (value, flaw) in [
            (" \n", Blank),
            ("\"canary\"", Quoted),
            ("'canary", Quoted),
            ("\u{201c}canary\u{201d}", Quoted),
            ("\u{feff}canary", Invisible('\u{feff}')),
            ("can\u{200b}ary", Invisible('\u{200b}')),
            ("OPENAI_API_KEY=canary", Assignment),
            ("export OA_BASE_URL=canary", Assignment),
            ("$CANARY", Unexpanded("$NAME")),
            ("${CANARY:-x}", Unexpanded("${NAME}")),
            ("$(canary)", Unexpanded("$(command)")),
            ("{{ canary }}", Unexpanded("{{name}}")),
            ("%CANARY%", Unexpanded("%NAME%")),
            ("os.environ/CANARY", Unexpanded("os.environ")),
            ("<canary>", Placeholder("<...>")),
            ("{canary}", Placeholder("{...}")),
            ("None", Null("None")),
            ("null", Null("null")),
            ("undefined", Null("undefined")),
        ] {
            for setting in every {
                assert_eq!(setting.check(value), Err(flaw), "{setting:?}: {value}");
            }
            assert!(!flaw.to_string().to_lowercase().contains("canary"), "{flaw}");
        }
        for (setting, value, flaw) in [
            (Setting::ApiKey, "Bearer canary", Prefixed("Bearer ")),
            (Setting::ApiKey, "authorization: bearer canary", Prefixed("Authorization:")),
            (Setting::ApiKey, "sk-***abcd", Masked),
            (Setting::ApiKey, "sk-...", Placeholder("...")),
            (Setting::ApiKey, "[CANARY]", Placeholder("[...]")),
            (Setting::ApiKey, "@@CANARY@@", Placeholder("@@NAME@@")),
            (Setting::ApiKey, "#{CANARY}", Placeholder("#{NAME}")),
            (Setting::ApiKey, "your-api-key", Placeholder("your-api-key")),
            (Setting::ApiKey, "sk-your_key", Placeholder("your-api-key")),
            (Setting::ApiKey, "YOUR_API_KEY_HERE", Placeholder("your-api-key")),
            (Setting::ApiKey, "OPENAI_API_KEY", Placeholder("KEY")),
            (Setting::ApiKey, "KEY", Placeholder("KEY")),
            (Setting::ApiKey, "sk-xxxxxxxx", Placeholder("xxx")),
            (Setting::ApiKey, "$Env:CANARY", Unexpanded("$env:")),
            (Setting::ApiKey, "vault:secret/canary", Unexpanded("vault:")),
            (Setting::ApiKey, "sk-canary sk-b", WhiteSpace),
            (Setting::ApiKey, "sk-canary\nsk-b", Unsendable),
            (Setting::ApiKey, "sk-c\u{430}nary", Unsendable),
            (Setting::ApiKey, "/run/secrets/canary", Path),
            (Setting::Model, "NAME", Placeholder("NAME")),
            (Setting::Model, "YOUR_MODEL", Placeholder("your-model")),
            (Setting::BaseUrl, "http://your-server:8000", Placeholder("your-host")),
            (Setting::BaseUrl, "https://YOUR_RESOURCE.openai.azure.com", Placeholder("your-host")),
            (Setting::BaseUrl, "http://HOST:PORT", Placeholder("HOST")),
            (Setting::BaseUrl, "http://None:8000", Null("None")),
            (Setting::BaseUrl, "undefined/v1", Null("undefined")),
            (Setting::Proxy, "http://null:3128", Null("null")),
            (Setting::BaseUrl, "http://$HOST:8000", Unexpanded("$NAME")),
            (Setting::BaseUrl, "http://h:$PORT", Unexpanded("$NAME")),
            (Setting::BaseUrl, "http://%HOST%:8000", Unexpanded("%NAME%")),
            (Setting::BaseUrl, "http://<host>:8000", Placeholder("<...>")),
            (Setting::Proxy, "http://$PROXY:3128", Unexpanded("$NAME")),
            (Setting::Proxy, "none", Null("None")),
        ] {
            assert_eq!(setting.check(value), Err(flaw), "{setting:?}: {value}");
        }
    }
}
