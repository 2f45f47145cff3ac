//! Reads what a page of HTML (or XML) says to a person.

use crate::text::{one_line, start};

/// How much of a page is looked at.
const READ: usize = 64 * 1024;

/// True for a text that is markup: it starts with a tag, a comment or a declaration.
pub(crate) fn is_page(text: &str) -> bool {
    let mut start = text.trim_start().chars();
    start.next() == Some('<') && start.next().is_some_and(|c| c.is_ascii_alphabetic() || "!?/".contains(c))
}

/// The page's title, or its first heading, or the start of its text; empty when it has none of them.
pub(super) fn title(text: &str) -> String {
    const TITLE: usize = 200;
    const TEXT: usize = 120;
    let text = start(text, READ);
    let lower = text.to_ascii_lowercase();
    let title = ["title", "h1", "h2"].into_iter().find_map(|name| {
        let words = one_line(&without_tags(element(text, &lower, name)?), TITLE);
        (!words.is_empty()).then_some(words)
    });
    unescape(&title.unwrap_or_else(|| one_line(&without_tags(text), TEXT)))
}

/// What the first element of this name holds.
fn element<'a>(text: &'a str, lower: &str, name: &str) -> Option<&'a str> {
    let tag = format!("<{name}");
    let ends = |rest: &str| rest.starts_with(|c: char| c == '>' || c.is_ascii_whitespace());
    let at = lower.match_indices(&tag).map(|(at, _)| at + tag.len()).find(|at| ends(&lower[*at..]))?;
    let from = at + lower[at..].find('>')? + 1;
    let to = from + lower[from..].find(&format!("</{name}"))?;
    Some(&text[from..to])
}

fn without_tags(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        out.push(' ');
        rest = &rest[open..];
        // The text of a script, a style or a comment is not for people.
        if rest.starts_with("<!--") {
            rest = rest.find("-->").map_or("", |end| &rest[end + 3..]);
            continue;
        }
        for hidden in ["script", "style"] {
            let starts = rest.get(1..=hidden.len()).is_some_and(|name| name.eq_ignore_ascii_case(hidden));
            if starts {
                let end = rest.to_ascii_lowercase().find(&format!("</{hidden}"));
                rest = end.map_or("", |end| &rest[end..]);
            }
        }
        rest = rest.find('>').map_or("", |close| &rest[close + 1..]);
    }
    out.push_str(rest);
    out
}

/// The few entities that titles hold.
fn unescape(text: &str) -> String {
    const ENTITIES: [(&str, &str); 6] =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")];
    ENTITIES.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_its_title() {
        for (page, want) in [
            // nginx
            (
                "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad \
                 Gateway</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n",
                "502 Bad Gateway",
            ),
            // haproxy
            (
                "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this \
                 request.\n</body></html>\n",
                "503 Service Unavailable",
            ),
            // IIS
            (
                "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\"><html><head>\n<title>IIS 10.0 \
                 Detailed Error - 404.0 - Not Found</title>\n<style>b{}</style></head></html>",
                "IIS 10.0 Detailed Error - 404.0 - Not Found",
            ),
            ("<TITLE lang=en>\n A &amp; B </TITLE>", "A & B"),
            ("<title></title><h1 class=x>Sorry,<br>no</h1>", "Sorry, no"),
            ("<!DOCTYPE html><style>b{}</style><script>é</script><p>Sorry, <b>no</b>", "Sorry, no"),
            ("<!-- secret --><p>gone", "gone"),
            ("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "AccessDenied"),
            ("<titles>x</titles>", "x"),
            ("<title>never ends", "never ends"),
            ("<script>é", ""),
            ("<", ""),
        ] {
            assert_eq!(title(page), want, "{page}");
        }
        for (text, page) in
            [("<html>", true), (" <!doctype", true), ("<?xml", true), ("<", false), ("< 5", false)]
        {
            assert_eq!(is_page(text), page, "{text}");
        }
    }
}
