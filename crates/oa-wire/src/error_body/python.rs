//! Python literals as JSON: servers print dictionaries into their messages.

/// A Python literal as JSON, and its length, or none if it is not one.
pub(super) fn to_json(text: &str) -> Option<(String, usize)> {
    let mut out = String::with_capacity(text.len());
    let mut open = 0_usize;
    let mut rest = text.char_indices();
    while let Some((at, c)) = rest.next() {
        match c {
            '{' | '[' | '(' => {
                open += 1;
                out.push(if c == '{' { c } else { '[' });
            }
            '}' | ']' | ')' => {
                // A tuple of one ends in a comma.
                let kept = out.trim_end().trim_end_matches(',').len();
                out.truncate(kept);
                out.push(if c == '}' { c } else { ']' });
                open = open.checked_sub(1)?;
                if open == 0 {
                    return Some((out, at + 1));
                }
            }
            '\'' | '"' => {
                let string = python_string(&mut rest, c)?;
                out.push_str(&serde_json::to_string(&string).ok()?);
            }
            ',' | ':' | ' ' | '\n' | '\t' | '\r' | '0'..='9' | '-' | '+' | '.' => out.push(c),
            'a'..='z' | 'A'..='Z' => {
                let mut name = String::from(c);
                while let Some((_, c)) = rest.clone().next().filter(|(_, c)| c.is_ascii_alphanumeric()) {
                    name.push(c);
                    rest.next();
                }
                out.push_str(match name.as_str() {
                    "True" => "true",
                    "False" => "false",
                    "None" => "null",
                    // The exponent of a number, which came with its digits.
                    _ if name.starts_with('e') && out.ends_with(|c: char| c.is_ascii_digit()) => &name,
                    _ => return None,
                });
            }
            _ => return None,
        }
    }
    None
}

/// The rest of a Python string whose opening quote was just read.
fn python_string(rest: &mut std::str::CharIndices<'_>, quote: char) -> Option<String> {
    let mut out = String::new();
    loop {
        let (_, c) = rest.next()?;
        if c == quote {
            return Some(out);
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        let (_, escape) = rest.next()?;
        let digits = match escape {
            'n' => {
                out.push('\n');
                continue;
            }
            't' => {
                out.push('\t');
                continue;
            }
            'r' => {
                out.push('\r');
                continue;
            }
            '\\' | '\'' | '"' => {
                out.push(escape);
                continue;
            }
            'x' => 2,
            'u' => 4,
            'U' => 8,
            other => {
                out.extend(['\\', other]);
                continue;
            }
        };
        let mut code = 0;
        for _ in 0..digits {
            code = code * 16 + rest.next()?.1.to_digit(16)?;
        }
        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
}
