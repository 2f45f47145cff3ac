//! Rust text as tokens, without comments and the contents of literals: enough to find modules and paths.

/// A name, `::`, or one character of punctuation. A literal is `"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Name(String),
    PathSeparator,
    Punctuation(char),
}

impl Token {
    pub(crate) fn is(&self, punctuation: char) -> bool {
        *self == Self::Punctuation(punctuation)
    }

    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::PathSeparator | Self::Punctuation(_) => None,
        }
    }
}

pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let text: Vec<char> = text.chars().collect();
    let at = |index: usize| text.get(index).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let mut index = 0;
    while index < text.len() {
        let letter = text[index];
        if letter == '/' && at(index + 1) == '/' {
            while index < text.len() && text[index] != '\n' {
                index += 1;
            }
        } else if letter == '/' && at(index + 1) == '*' {
            index = after_block_comment(&text, index);
        } else if letter == '"' {
            index = after_string(&text, index);
            tokens.push(Token::Punctuation('"'));
        } else if let Some(end) = after_raw_string(&text, index) {
            index = end;
            tokens.push(Token::Punctuation('"'));
        } else if letter == '\'' {
            // 'a' and '\n' are characters, 'a alone is a lifetime.
            index = match (at(index + 1), at(index + 2)) {
                ('\\', _) => 1 + position_after(&text, index + 3, '\''),
                (_, '\'') => index + 3,
                _ => index + 1,
            };
        } else if letter.is_alphanumeric() || letter == '_' {
            let end = (index..text.len())
                .find(|at| !text[*at].is_alphanumeric() && text[*at] != '_')
                .unwrap_or(text.len());
            let name: String = text[index..end].iter().collect();
            index = end;
            // `b"..."`, `c"..."` and `b'...'` are literals with a prefix.
            if !(["b", "c"].contains(&name.as_str()) && ['"', '\''].contains(&at(end))) {
                tokens.push(Token::Name(name));
            }
        } else if letter == ':' && at(index + 1) == ':' {
            index += 2;
            tokens.push(Token::PathSeparator);
        } else {
            index += 1;
            if !letter.is_whitespace() {
                tokens.push(Token::Punctuation(letter));
            }
        }
    }
    tokens
}

fn position_after(text: &[char], from: usize, wanted: char) -> usize {
    (from..text.len()).find(|at| text[*at] == wanted).unwrap_or(text.len())
}

fn after_block_comment(text: &[char], start: usize) -> usize {
    let (mut depth, mut index) = (0, start);
    while index < text.len() {
        match (text[index], text.get(index + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                index += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                index += 2;
                if depth == 0 {
                    return index;
                }
            }
            _ => index += 1,
        }
    }
    index
}

fn after_string(text: &[char], start: usize) -> usize {
    let mut index = start + 1;
    while index < text.len() {
        match text[index] {
            '\\' => index += 2,
            '"' => return index + 1,
            _ => index += 1,
        }
    }
    index
}

/// Behind `r"..."`, `r#"..."#`, `br"..."` and so on, if one starts here.
fn after_raw_string(text: &[char], start: usize) -> Option<usize> {
    let previous = start.checked_sub(1).map_or(' ', |before| text[before]);
    if previous.is_alphanumeric() || previous == '_' {
        return None;
    }
    let mut index = start + usize::from(['b', 'c'].contains(&text[start]));
    if text.get(index) != Some(&'r') {
        return None;
    }
    index += 1;
    let hashes = text[index..].iter().take_while(|letter| **letter == '#').count();
    index += hashes;
    if text.get(index) != Some(&'"') {
        return None;
    }
    let ends =
        |at: &usize| text[*at] == '"' && text[at + 1..].iter().take(hashes).eq(['#'; 8][..hashes].iter());
    (index + 1..text.len()).find(ends).map(|end| end + 1 + hashes)
}

#[test]
fn comments_and_literals_are_skipped() {
    let text = r##"
        // use crate::a;
        /* use /* nested */ crate::b; */
        let c = "use crate::c; \" {"; let d = r#"use crate::d; " {"#; let e = b"x\"{"; let f = br"{";
        let g = ['{', '\'', '\\', '\u{7b}', b'{']; fn h<'a>(x: &'a str) {}
        use crate::i::J;
    "##;
    let names: Vec<String> =
        tokens(text).iter().filter_map(|token| token.name().map(str::to_owned)).collect();
    let wanted = [
        "let", "c", "let", "d", "let", "e", "let", "f", "let", "g", "fn", "h", "a", "x", "a", "str", "use",
        "crate", "i", "J",
    ];
    assert_eq!(names, wanted);
    assert_eq!(tokens(text).iter().filter(|token| token.is('{')).count(), 1);
}
