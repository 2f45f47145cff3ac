//! Whoever started this program and owns the servers: asked by lines of the output, answers by lines of the
//! input.

use std::{io, process, thread};
use tokio::sync::mpsc;

/// The other end of the input and the output.
#[derive(Debug)]
pub struct Owner {
    lines: mpsc::UnboundedReceiver<String>,
}

impl Owner {
    /// Reads the input from now on, and ends the program when the input ends: whoever wrote it is gone.
    pub fn listen() -> Self {
        let (sender, lines) = mpsc::unbounded_channel();
        // A thread of its own: a read of the input cannot be cancelled.
        thread::spawn(move || {
            for line in io::stdin().lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
            process::exit(1);
        });
        Self { lines }
    }

    /// The next line. Can be dropped without losing one.
    ///
    /// # Errors
    ///
    /// There is none any more.
    pub async fn line(&mut self) -> Result<String, &'static str> {
        self.lines.recv().await.ok_or("the input ended")
    }

    /// Asks to stop a server by a signal, as a machine that hangs does. Answered by the line `stopped`.
    ///
    /// # Errors
    ///
    /// The input ended.
    pub async fn stop(&mut self, server: usize) -> Result<(), &'static str> {
        println!("stop {server}");
        self.line().await.map(drop)
    }

    /// Asks to let it go on. Answered by the line `continued`.
    ///
    /// # Errors
    ///
    /// The input ended.
    pub async fn go_on(&mut self, server: usize) -> Result<(), &'static str> {
        println!("continue {server}");
        self.line().await.map(drop)
    }

    /// Asks to end a server, and to start it after a time. Answered by the line `up`.
    pub fn restart(server: usize, signal: &str, milliseconds: u128) {
        println!("restart {server} {signal} {milliseconds}");
    }

    /// How many connections the servers have open, and how many requests met one that had just been closed;
    /// if they count.
    ///
    /// # Errors
    ///
    /// The input ended.
    pub async fn counts(&mut self) -> Result<Option<(usize, usize)>, &'static str> {
        println!("counts");
        let line = self.line().await?;
        let numbers =
            line.split_once(' ').and_then(|(open, closed)| Some((open.parse().ok()?, closed.parse().ok()?)));
        Ok(numbers)
    }
}
