//! Connection strings, whose passwords nobody but the driver may see.

use std::fmt;

use serde::Deserialize;

/// A PostgreSQL connection string. `Debug` and `Display` leave the password out.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub(crate) struct PostgresUrl(String);

impl PostgresUrl {
    pub(crate) fn new(url: String) -> Self {
        Self(url)
    }

    /// The whole string, for the driver.
    #[cfg(feature = "postgres-backend")]
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// User, host and database, where the string has the plain form of a URL; nothing of it otherwise.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.public_parts() {
            Some((scheme, "", place)) => write!(f, "{scheme}://{place}"),
            Some((scheme, user, place)) => write!(f, "{scheme}://{user}@{place}"),
            None => f.write_str("postgres://…"),
        }
    }
}

impl PostgresUrl {
    fn public_parts(&self) -> Option<(&str, &str, &str)> {
        let (scheme, rest) = self.0.split_once("://")?;
        let (credentials, place) = rest.rsplit_once('@').unwrap_or(("", rest));
        // An `@` behind a `?` may belong to a password, before it or behind it.
        if credentials.contains(['?', '#']) {
            return None;
        }
        let place = place.split(['?', '#']).next()?;
        let port = place.split('/').next()?.rsplit_once(':').map_or("", |(_, port)| port);
        let port_is_port = port.bytes().all(|b| b.is_ascii_digit() || b == b']');
        port_is_port.then(|| (scheme, credentials.split(':').next().unwrap_or_default(), place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("postgres://ada:s3cret@db.example:5432/memory", "postgres://ada@db.example:5432/memory"),
            (
                "postgres://ada:s3cr@et/x@db.example/memory?sslmode=require",
                "postgres://ada@db.example/memory",
            ),
            ("postgresql://db.example/memory?user=ada&password=s3cret", "postgresql://db.example/memory"),
            ("host=db.example password=s3cret", "postgres://…"),
            ("postgres:///memory", "postgres:///memory"),
        ] {
            let url = PostgresUrl::new(url.to_owned());
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }

    #[test]
    fn what_is_ambiguous_is_hidden_whole() {
        for url in [
            "postgres://ada:s3?cret@db.example/memory",
            "postgres://db.example/memory?password=s3@cret",
            "postgres://ada:s3cret",
            "ada:s3cret@db.example",
        ] {
            assert_eq!(PostgresUrl::new(url.to_owned()).to_string(), "postgres://…", "{url}");
        }
    }
}
