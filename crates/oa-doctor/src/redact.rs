//! The secrets that a report must not show, and their redaction.

/// The secrets that are known: keys, values of headers, passwords of proxies.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

/// Shorter than this a text is no secret, and striking it out would garble what is shown.
const SHORTEST: usize = 4;

impl Secrets {
    pub(crate) fn add(&mut self, secret: &str) {
        let secret = secret.trim();
        if secret.len() >= SHORTEST && !self.0.iter().any(|known| known == secret) {
            self.0.push(secret.to_owned());
            // One may hold another: the longest goes first.
            self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        }
    }

    /// The user-info of a URL, whole and its password alone.
    pub(crate) fn add_userinfo(&mut self, url: &str) {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if let Some((userinfo, _)) = authority.rsplit_once('@') {
            self.add(userinfo);
            if let Some((_, password)) = userinfo.split_once(':') {
                self.add(password);
            }
        }
    }

    pub(crate) fn redact(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_secrets_are_redacted_the_longest_first() {
        let mut secrets = Secrets::default();
        secrets.add("canary");
        secrets.add("canary-long\n");
        secrets.add("abc");
        secrets.add_userinfo("http://me:s3cret@proxy:3128/");
        let text = secrets.redact("canary canary-long abc me:s3cret s3cret");
        assert_eq!(text, "*** *** abc *** ***");
    }
}
