//! `oa models`: what the server lists.

use crate::{explain, failure::Failure, process, screen::Screen, server::ServerArgs};
use oa_wire::{Model, ModelList};
use serde::Serialize;
use std::fmt::Write;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    process::block_on(async {
        let server = args.server.find("models", None).await?;
        let listed = server.of_any_model().build()?.models().await;
        let catalogue = listed.map_err(|error| explain::of_probe(error, server.probe_timeout))?;
        let mut screen = Screen::new(false);
        if args.json {
            let records: Vec<Record<'_>> = catalogue.entries().iter().map(Record::of).collect();
            screen.line(&serde_json::to_string_pretty(&records).map_err(std::io::Error::from)?)?;
        } else if catalogue.entries().is_empty() {
            crate::screen::note("the server lists no model");
        } else {
            screen.content(&table(&catalogue))?;
        }
        Ok(())
    })
}

#[derive(Serialize)]
struct Record<'a> {
    id: &'a str,
    aliases: &'a [String],
    status: Option<&'a str>,
    context_length: Option<u64>,
    owned_by: Option<&'a str>,
}

impl<'a> Record<'a> {
    fn of(entry: &'a Model) -> Self {
        Self {
            id: &entry.id,
            aliases: &entry.aliases,
            status: entry.status.as_deref(),
            context_length: entry.max_model_len,
            owned_by: entry.owned_by.as_deref(),
        }
    }
}

fn table(catalogue: &ModelList) -> String {
    let cell = |text: Option<&str>| match text {
        // A line break in an id would make two rows of one.
        Some(text) if !text.trim().is_empty() => text.replace(char::is_control, "?"),
        _ => "-".to_owned(),
    };
    let header = ["ID", "STATUS", "CONTEXT", "OWNER"].map(str::to_owned);
    let rows = catalogue.entries().iter().map(|entry| {
        let length = entry.max_model_len.map(|length| length.to_string());
        [Some(entry.id.as_str()), entry.status.as_deref(), length.as_deref(), entry.owned_by.as_deref()]
            .map(cell)
    });
    let rows: Vec<[String; 4]> = std::iter::once(header).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths = [width(0), width(1), width(2)];
    rows.iter().fold(String::new(), |mut text, [id, status, context, owner]| {
        // The context is a number: to the right.
        let [id_width, status_width, context_width] = widths;
        let _ = writeln!(text, "{id:id_width$}  {status:status_width$}  {context:>context_width$}  {owner}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_line_up() {
        let body = br#"{"data":[{"id":"a","owned_by":"vllm","max_model_len":40960},
            {"id":"longer\nid","status":"loading"}]}"#;
        let text = table(&ModelList::parse(body).unwrap());
        let want = "\
ID         STATUS   CONTEXT  OWNER
a          -          40960  vllm
longer?id  loading        -  -
";
        assert_eq!(text, want);
    }
}
