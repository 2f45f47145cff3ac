//! A text that matches a regular expression, as they are common in the `pattern` of a schema.

/// Deeper groups are refused.
const MAX_DEPTH: usize = 32;
/// Longer texts are refused.
const MAX_LENGTH: usize = 10_000;

/// A text that matches `pattern` and has between `least` and `most` characters; another one for each
/// `variant` where the pattern leaves a choice. The error says what of the pattern is not understood.
pub(crate) fn sample(pattern: &str, least: usize, most: usize, variant: usize) -> Result<String, String> {
    let mut parser = Parser { rest: pattern.chars().collect(), at: 0 };
    let branches = parser.branches(0)?;
    if parser.at < parser.rest.len() {
        return Err(format!("pattern {pattern:?}: a parenthesis too many"));
    }
    // Every repetition as often as it must, then once more, and so on until the text is long enough.
    for more in 0..=least.min(1000) {
        let mut builder = TextBuilder { text: String::new(), more, variant };
        builder.branches(&branches)?;
        let length = builder.text.chars().count();
        if (least..=most).contains(&length) {
            return Ok(builder.text);
        }
    }
    Err(format!("pattern {pattern:?}: no text of {least} to {most} characters found"))
}

/// Alternatives, each a sequence.
type Branches = Vec<Vec<Item>>;

struct Item {
    atom: Atom,
    least: usize,
    most: usize,
}

enum Atom {
    One(Vec<(char, char)>, bool),
    Group(Branches),
    /// The start or the end of the text.
    Edge,
}

struct Parser {
    rest: Vec<char>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += usize::from(next.is_some());
        next
    }

    fn eat(&mut self, wanted: &str) -> bool {
        let found = wanted
            .chars()
            .enumerate()
            .all(|(offset, letter)| self.rest.get(self.at + offset) == Some(&letter));
        if found {
            self.at += wanted.chars().count();
        }
        found
    }

    fn fail<T>(&self, problem: &str) -> Result<T, String> {
        Err(format!("pattern {:?}: {problem}", self.rest.iter().collect::<String>()))
    }

    fn branches(&mut self, depth: usize) -> Result<Branches, String> {
        if depth > MAX_DEPTH {
            return self.fail("groups too deep");
        }
        let mut branches = vec![Vec::new()];
        while let Some(letter) = self.peek() {
            match letter {
                ')' => break,
                '|' => {
                    self.at += 1;
                    branches.push(Vec::new());
                }
                _ => {
                    let atom = self.atom(depth)?;
                    let (least, most) = self.repetition()?;
                    if let Some(branch) = branches.last_mut() {
                        branch.push(Item { atom, least, most });
                    }
                }
            }
        }
        Ok(branches)
    }

    fn atom(&mut self, depth: usize) -> Result<Atom, String> {
        match self.next() {
            Some('^' | '$') => Ok(Atom::Edge),
            Some('.') => Ok(Atom::One(vec![('a', 'z'), (' ', '~')], false)),
            Some('(') => {
                if self.eat("?:") || !self.eat("?") {
                    return self.group(depth);
                }
                if self.eat("<") && !matches!(self.peek(), Some('=' | '!')) {
                    while self.next().is_some_and(|letter| letter != '>') {}
                    return self.group(depth);
                }
                self.fail("look-around is not supported")
            }
            Some('[') => self.class(),
            Some('\\') => {
                let set = self.escape()?;
                Ok(Atom::One(set.0, set.1))
            }
            Some(letter @ ('*' | '+' | '?')) => self.fail(&format!("nothing to repeat before {letter}")),
            Some(letter) => Ok(Atom::One(vec![(letter, letter)], false)),
            None => self.fail("it ends too early"),
        }
    }

    fn group(&mut self, depth: usize) -> Result<Atom, String> {
        let branches = self.branches(depth + 1)?;
        if self.eat(")") { Ok(Atom::Group(branches)) } else { self.fail("a parenthesis that is not closed") }
    }

    /// What a backslash means: ranges, and whether they are negated.
    fn escape(&mut self) -> Result<(Vec<(char, char)>, bool), String> {
        let word = vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')];
        let one = |letter| (vec![(letter, letter)], false);
        Ok(match self.next() {
            Some('d') => (vec![('0', '9')], false),
            Some('D') => (vec![('0', '9')], true),
            Some('w') => (word, false),
            Some('W') => (word, true),
            Some('s') => (vec![(' ', ' '), ('\t', '\r')], false),
            Some('S') => (vec![(' ', ' '), ('\t', '\r')], true),
            Some('n') => one('\n'),
            Some('r') => one('\r'),
            Some('t') => one('\t'),
            Some('x') => one(self.code_point(2)?),
            Some('u') => one(self.code_point(4)?),
            Some(letter) if !letter.is_alphanumeric() => one(letter),
            Some(letter) => return self.fail(&format!("\\{letter} is not supported")),
            None => return self.fail("it ends with a backslash"),
        })
    }

    fn code_point(&mut self, digits: usize) -> Result<char, String> {
        let text: String = self.rest.iter().skip(self.at).take(digits).collect();
        self.at += text.chars().count();
        match u32::from_str_radix(&text, 16).ok().and_then(char::from_u32) {
            Some(letter) if text.len() == digits => Ok(letter),
            _ => self.fail("a malformed code point"),
        }
    }

    fn class(&mut self) -> Result<Atom, String> {
        let negated = self.eat("^");
        let mut ranges = Vec::new();
        loop {
            let from = match self.next() {
                None => return self.fail("a bracket that is not closed"),
                Some(']') => return Ok(Atom::One(ranges, negated)),
                Some('\\') => match self.escape()? {
                    (set, false) if set.len() == 1 && set[0].0 == set[0].1 => set[0].0,
                    (set, false) => {
                        ranges.extend(set);
                        continue;
                    }
                    (_, true) => return self.fail("a negated class inside of brackets is not supported"),
                },
                Some(letter) => letter,
            };
            let is_range =
                self.peek() == Some('-') && self.rest.get(self.at + 1).is_some_and(|next| *next != ']');
            if !is_range {
                ranges.push((from, from));
                continue;
            }
            self.at += 1;
            let to = match self.next() {
                Some('\\') => self.escape()?.0[0].0,
                Some(letter) => letter,
                None => return self.fail("a bracket that is not closed"),
            };
            if to < from {
                return self.fail("a range that runs backwards");
            }
            ranges.push((from, to));
        }
    }

    fn repetition(&mut self) -> Result<(usize, usize), String> {
        let range = match self.peek() {
            Some('*') => (0, usize::MAX),
            Some('+') => (1, usize::MAX),
            Some('?') => (0, 1),
            Some('{') => match self.braces() {
                Some(range) => range,
                None => return self.fail("a malformed repetition"),
            },
            _ => return Ok((1, 1)),
        };
        self.at += 1;
        // Lazy or greedy: the same texts match.
        self.eat("?");
        Ok(range)
    }

    /// `{2}`, `{2,}` or `{2,5}`, up to its closing brace.
    fn braces(&mut self) -> Option<(usize, usize)> {
        let end = self.rest.iter().skip(self.at).position(|letter| *letter == '}')? + self.at;
        let inside: String = self.rest[self.at + 1..end].iter().collect();
        self.at = end;
        let (least, most) = match inside.split_once(',') {
            None => (inside.parse().ok()?, inside.parse().ok()?),
            Some((least, "")) => (least.parse().ok()?, usize::MAX),
            Some((least, most)) => (least.parse().ok()?, most.parse().ok()?),
        };
        (least <= most).then_some((least, most))
    }
}

struct TextBuilder {
    text: String,
    more: usize,
    variant: usize,
}

impl TextBuilder {
    fn branches(&mut self, branches: &Branches) -> Result<(), String> {
        for item in &branches[self.variant % branches.len()] {
            let times = item.least.saturating_add(self.more).min(item.most);
            for _ in 0..times {
                if self.text.len() > MAX_LENGTH {
                    return Err(format!("a pattern that needs more than {MAX_LENGTH} characters"));
                }
                match &item.atom {
                    Atom::Edge => break,
                    Atom::Group(branches) => self.branches(branches)?,
                    Atom::One(ranges, negated) => self.one(ranges, *negated)?,
                }
            }
        }
        Ok(())
    }

    fn one(&mut self, ranges: &[(char, char)], negated: bool) -> Result<(), String> {
        let inside = |letter: char| ranges.iter().any(|(from, to)| (*from..=*to).contains(&letter));
        let mut allowed: Vec<char> = if negated {
            ('a'..='z').chain(' '..='~').filter(|letter| !inside(*letter)).take(26).collect()
        } else {
            ranges.iter().flat_map(|(from, to)| (*from..=*to).take(26)).take(26).collect()
        };
        if allowed.is_empty() {
            return Err("a pattern with a class that holds nothing".to_owned());
        }
        self.text.push(allowed.swap_remove(self.variant % allowed.len()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_patterns_have_a_text() {
        let cases = [
            (r"^[A-Z]{2}-\d{4}$", "AA-0000"),
            (r"^(foo|bar)+?x?$", "foo"),
            (r"\S\w\.", "aa."),
            (r"^[^a-c]{1,3}$", "d"),
            (r"(?<year>\d{4})-(?:0[1-9])", "0000-01"),
            (r"[\-_.]\u00e9\x41", "-éA"),
            ("", ""),
        ];
        for (pattern, text) in cases {
            assert_eq!(sample(pattern, 0, 100, 0).as_deref(), Ok(text), "{pattern}");
        }
    }

    #[test]
    fn repetitions_stretch_to_the_length_asked_for() {
        assert_eq!(sample("^[a-z]+$", 5, 8, 0).as_deref(), Ok("aaaaa"));
        assert_eq!(sample("^[a-z]+$", 5, 8, 1).as_deref(), Ok("bbbbb"));
        assert!(sample("^[a-z]{2}$", 5, 8, 0).is_err());
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for pattern in
            ["(?<=x)y", "a(", "[a", "a)", "\\bword", "*a", "a{2,1}", "[z-a]", "a\\", "(?!a)b", "\\u12"]
        {
            let problem = sample(pattern, 0, 100, 0).unwrap_err();
            assert!(problem.contains("pattern"), "{problem}");
        }
        assert!(sample("(a{9999}){9999}", 0, usize::MAX, 0).is_err());
        assert!(sample(&"(".repeat(1000), 0, 9, 0).is_err());
    }
}
