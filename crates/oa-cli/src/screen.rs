//! The output: answers to standard output, reasoning and notes to standard error, and what a terminal
//! gets.

use std::{
    borrow::Cow,
    env,
    io::{self, IsTerminal, Write},
};

/// Both outputs, each knowing whether it is in the middle of a line. Dropping it ends a line that is not
/// ended.
pub(crate) struct Screen<O: Write = io::Stdout, E: Write = io::Stderr> {
    out: Output<O>,
    err: Output<E>,
    show_reasoning: bool,
    dim: bool,
}

struct Output<W> {
    to: W,
    terminal: bool,
    mid_line: bool,
}

impl Screen {
    /// The outputs of the process. Reasoning is shown if standard error is a terminal, or if it is asked for.
    pub(crate) fn new(show_reasoning: bool) -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let (out_terminal, err_terminal) = (out.is_terminal(), err.is_terminal());
        let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self {
            out: Output { to: out, terminal: out_terminal, mid_line: false },
            err: Output { to: err, terminal: err_terminal, mid_line: false },
            show_reasoning: show_reasoning || err_terminal,
            dim: err_terminal && !plain,
        }
    }
}

impl<O: Write, E: Write> Screen<O, E> {
    /// A piece of the answer, at once.
    pub(crate) fn content(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.end_reasoning();
        self.out.write(text)
    }

    /// A piece of the reasoning, at once. What becomes of it does not matter to the answer.
    pub(crate) fn reasoning(&mut self, text: &str) -> io::Result<()> {
        if !self.show_reasoning || text.is_empty() {
            return Ok(());
        }
        if self.out.terminal && self.err.terminal {
            self.out.end_line()?;
        }
        // Each piece turns the terminal back, so that no way to end leaves it dimmed.
        let _ = if self.dim {
            let text = for_terminal(text);
            self.err.mid_line = !text.ends_with('\n');
            write!(self.err.to, "\x1b[2m{text}\x1b[0m").and_then(|()| self.err.to.flush())
        } else {
            self.err.write(text)
        };
        Ok(())
    }

    /// A line of its own, such as a JSON record.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        self.end_lines()?;
        self.out.write(text)?;
        self.out.end_line()
    }

    /// Exactly these bytes, and the end of the line. A terminal gets them as text.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.out.terminal {
            return self.line(&String::from_utf8_lossy(bytes));
        }
        self.out.to.write_all(bytes)?;
        self.out.mid_line = !bytes.ends_with(b"\n");
        self.out.end_line()?;
        self.out.to.flush()
    }

    /// Ends the lines that are not ended.
    pub(crate) fn end_lines(&mut self) -> io::Result<()> {
        self.end_reasoning();
        self.out.end_line()
    }

    fn end_reasoning(&mut self) {
        // The answer matters more than a broken standard error.
        let _ = self.err.end_line();
    }
}

impl<O: Write, E: Write> Drop for Screen<O, E> {
    fn drop(&mut self) {
        let _ = self.end_lines();
    }
}

impl<W: Write> Output<W> {
    fn write(&mut self, text: &str) -> io::Result<()> {
        let text = if self.terminal { for_terminal(text) } else { Cow::Borrowed(text) };
        // Also when it fails: a broken output gets no more.
        self.mid_line = false;
        self.to.write_all(text.as_bytes())?;
        self.to.flush()?;
        self.mid_line = !text.ends_with('\n');
        Ok(())
    }

    fn end_line(&mut self) -> io::Result<()> {
        if !self.mid_line {
            return Ok(());
        }
        self.mid_line = false;
        self.to.write_all(b"\n")?;
        self.to.flush()
    }
}

/// One message of this command to the person, on standard error.
pub(crate) fn note(text: &str) {
    let mut err = io::stderr();
    let text = if err.is_terminal() { for_terminal(text) } else { Cow::Borrowed(text) };
    // Nobody is left to be told when even this fails.
    let _ = writeln!(err, "oa: {text}");
}

/// Clears the `^C` that the terminal has shown, so that the shell's prompt starts its line.
pub(crate) fn clear_interrupt() {
    let mut err = io::stderr();
    if err.is_terminal() {
        let _ = write!(err, "\r\x1b[K").and_then(|()| err.flush());
    }
}

/// A text that cannot steer a terminal: a model or a server must not move the cursor, or write to the
/// clipboard. Control characters other than line break and tab are shown as their pictures.
pub(crate) fn for_terminal(text: &str) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| match c {
        '\n' | '\t' => c,
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\x7f' => '\u{2421}',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    Cow::Owned(text.replace("\r\n", "\n").chars().map(shown).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What both outputs got, when the screen is gone.
    fn shown(
        terminal: bool,
        show_reasoning: bool,
        play: impl FnOnce(&mut Screen<&mut Vec<u8>, &mut Vec<u8>>),
    ) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut screen = Screen {
            out: Output { to: &mut out, terminal, mid_line: false },
            err: Output { to: &mut err, terminal, mid_line: false },
            show_reasoning,
            dim: terminal,
        };
        play(&mut screen);
        drop(screen);
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn a_line_that_is_broken_off_is_ended() {
        let (out, err) = shown(true, true, |screen| {
            screen.content("half a ").unwrap();
            screen.content("line").unwrap();
        });
        assert_eq!((out.as_str(), err.as_str()), ("half a line\n", ""));
    }

    #[test]
    fn a_line_that_is_ended_is_left_alone() {
        let (out, _) = shown(false, false, |screen| {
            screen.content("a line\n").unwrap();
            screen.end_lines().unwrap();
        });
        assert_eq!(out, "a line\n");
    }

    #[test]
    fn reasoning_is_dimmed_piece_by_piece_and_stands_on_its_own_lines() {
        let (out, err) = shown(true, true, |screen| {
            screen.reasoning("Let me").unwrap();
            screen.reasoning(" see").unwrap();
            screen.content("42").unwrap();
            screen.reasoning("sure").unwrap();
        });
        assert_eq!(out, "42\n");
        assert_eq!(err, "\x1b[2mLet me\x1b[0m\x1b[2m see\x1b[0m\n\x1b[2msure\x1b[0m\n");
    }

    #[test]
    fn reasoning_without_an_answer_ends_its_line() {
        let (out, err) = shown(false, true, |screen| {
            screen.reasoning("hm").unwrap();
            screen.end_lines().unwrap();
            screen.reasoning("well").unwrap();
        });
        assert_eq!((out.as_str(), err.as_str()), ("", "hm\nwell\n"));
    }

    #[test]
    fn reasoning_is_left_out_where_it_is_not_wanted() {
        let (out, err) = shown(false, false, |screen| {
            screen.reasoning("hm").unwrap();
            screen.content("42").unwrap();
        });
        assert_eq!((out.as_str(), err.as_str()), ("42\n", ""));
    }

    #[test]
    fn a_record_starts_on_a_line_of_its_own() {
        let (out, _) = shown(false, false, |screen| {
            screen.content("text").unwrap();
            screen.line("{}").unwrap();
            screen.line("[]").unwrap();
        });
        assert_eq!(out, "text\n{}\n[]\n");
    }

    #[test]
    fn a_terminal_is_not_steered_and_a_pipe_gets_every_byte() {
        let text = "\x1b]52;c;aGk=\x07a\r\n\tb\u{9b}2J\x7f";
        let (out, _) = shown(true, false, |screen| screen.content(text).unwrap());
        assert_eq!(out, "\u{241b}]52;c;aGk=\u{2407}a\n\tb\u{fffd}2J\u{2421}\n");
        let (out, _) = shown(false, false, |screen| screen.content(text).unwrap());
        assert_eq!(out, format!("{text}\n"));
    }
}
