//! Texts for people and shells: durations, lists, one line of anything, a word that a shell takes as it is.

use std::time::Duration;

/// `85 ms`, `1.2 s` from a second on, `35 min`, `6.5 h` and `3.3 d` where seconds say little.
pub(crate) fn duration(duration: Duration) -> String {
    match duration.as_millis() {
        milliseconds @ 0..1000 => format!("{milliseconds} ms"),
        1000..1_000_000 => format!("{:.1} s", duration.as_secs_f64()),
        _ => {
            let minutes = duration.as_secs_f64() / 60.0;
            match minutes {
                ..90.0 => format!("{minutes:.0} min"),
                ..2160.0 => format!("{:.1} h", minutes / 60.0),
                _ => format!("{:.1} d", minutes / 1440.0),
            }
        }
    }
}

/// The first of them, and how many more there are.
pub(crate) fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>, shown: usize) -> String {
    let items: Vec<T> = items.into_iter().collect();
    let mut text = items.iter().take(shown).map(|item| one_line(item.as_ref(), 80)).collect::<Vec<_>>();
    if items.len() > shown {
        text.push(format!("and {} more", items.len() - shown));
    }
    text.join(", ")
}

/// A text of others on one line, without control characters, of at most so many characters.
pub(crate) fn one_line(text: &str, limit: usize) -> String {
    let spaced = text.replace(char::is_control, " ");
    let text = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(limit) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// A word as a POSIX shell takes it: others chose what it says, and somebody will paste it.
pub(crate) fn word(text: &str) -> String {
    let text = text.replace(char::is_control, "?");
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,[]".contains(c);
    let globs = text.contains(['[', ']']) && !text.contains("://");
    if !text.is_empty() && text.chars().all(plain) && !globs {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_a_word_as_it_is() {
        for (text, want) in [
            ("qwen/qwen3-8b:latest", "qwen/qwen3-8b:latest"),
            ("http://[::1]:8000", "http://[::1]:8000"),
            ("a b", "'a b'"),
            ("$(reboot)", "'$(reboot)'"),
            ("x'; reboot; '", r"'x'\''; reboot; '\'''"),
            ("", "''"),
            ("a\nreboot", "'a?reboot'"),
            ("wild/*", "'wild/*'"),
        ] {
            assert_eq!(word(text), want);
        }
    }

    #[test]
    fn others_texts_stay_on_one_line() {
        assert_eq!(one_line(" a\r\n\tb\u{1b}[2J  c ", 100), "a b [2J c");
        assert_eq!(one_line("éé é", 2), "éé…");
    }

    #[test]
    fn a_list_says_how_many_it_leaves_out() {
        assert_eq!(list(["a", "b", "c"], 2), "a, b, and 1 more");
        assert_eq!(list(["a", "b"], 2), "a, b");
    }

    #[test]
    fn durations_have_the_unit_that_fits() {
        assert_eq!(duration(Duration::from_micros(999_999)), "999 ms");
        assert_eq!(duration(Duration::from_millis(1250)), "1.2 s");
        assert_eq!(duration(Duration::from_secs(999)), "999.0 s");
        assert_eq!(duration(Duration::from_secs(2100)), "35 min");
        assert_eq!(duration(Duration::from_secs(23_400)), "6.5 h");
        assert_eq!(duration(Duration::from_secs(287_441)), "3.3 d");
    }
}
