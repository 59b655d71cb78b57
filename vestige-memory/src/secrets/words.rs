//! What stands behind a telling word and is no credential: words, code, paths, placeholders.

/// Terms that mix letters and digits, and begin or end what is said about credentials.
const TERMS: [&str; 44] = [
    "aes128",
    "aes192",
    "aes256",
    "argon2",
    "argon2id",
    "base32",
    "base58",
    "base64",
    "base64url",
    "blake2b",
    "blake3",
    "chacha20",
    "ed25519",
    "es256",
    "hs256",
    "hs512",
    "http1",
    "http2",
    "i18n",
    "ipv4",
    "ipv6",
    "k8s",
    "l10n",
    "md5",
    "oauth",
    "oauth1",
    "oauth2",
    "pbkdf2",
    "pkcs1",
    "pkcs12",
    "pkcs8",
    "ps256",
    "rfc6238",
    "rfc6749",
    "rfc6750",
    "rs256",
    "rsa2048",
    "rsa4096",
    "sha1",
    "sha256",
    "sha512",
    "utf8",
    "x25519",
    "x509",
];

/// Whether every piece between dashes, dots and the like is a word, a number, or a term.
pub(super) fn are_words(text: &str) -> bool {
    text.split(['-', '_', '.', '/', ':', '+', ',']).all(is_word)
}

fn is_word(piece: &str) -> bool {
    let digits = piece.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 || digits == piece.len() {
        return piece.bytes().all(|byte| byte.is_ascii_alphanumeric());
    }
    let lower = piece.to_ascii_lowercase();
    if TERMS.binary_search(&lower.as_str()).is_ok() {
        return true;
    }
    // 15min, 256bit, 1st.
    let unit = lower.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_quantity = lower.len() - unit.len() <= 4
        && unit.len() <= 10
        && lower.len() > unit.len()
        && unit.bytes().all(|byte| byte.is_ascii_lowercase());
    // v2, p12.
    let version = lower.strip_prefix(['v', 'p', 'n', 's']).unwrap_or_default();
    is_quantity || (version.len() <= 3 && version.parse::<u16>().is_ok())
}

/// Beginnings of references to a place where the credential is.
const REFERENCES: [&str; 20] = [
    "/", "./", "../", "~", "arn:", "op:", "vault:", "keyring:", "file:", "env:", "env.", "ssm:", "sops:",
    "secret:", "secrets.", "secrets/", "sha256:", "sha512:", "md5:", "ssh-",
];
/// Parts of expressions and placeholders.
const EXPRESSIONS: [&str; 15] = [
    "${",
    "{{",
    "$(",
    "...",
    "…",
    "***",
    "•••",
    "://",
    "process.env",
    "environ",
    "getenv",
    "ENV[",
    "<",
    ">",
    "%(",
];
/// How names of files end.
const FILES: [&str; 16] = [
    ".txt", ".pem", ".json", ".key", ".env", ".yml", ".yaml", ".toml", ".gpg", ".asc", ".rs", ".py", ".js",
    ".ts", ".md", ".php",
];

/// Whether a text names, computes or stands for a credential: `${TOKEN}`, `<your-token>`, `~/.netrc`.
pub(super) fn stands_for_a_value(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    text.starts_with(['$', '%', '{', '#', '<', '[', '(', '&'])
        || REFERENCES.iter().any(|beginning| lower.starts_with(beginning))
        || EXPRESSIONS.iter().any(|part| text.contains(part))
        || FILES.iter().any(|ending| lower.ends_with(ending))
        || text.get(1..3) == Some(":\\")
        || is_variable_name(text)
        // A tag of YAML.
        || text.strip_prefix('!').is_some_and(|tag| tag.bytes().all(|byte| byte.is_ascii_alphabetic()))
        || is_address(text)
}

/// `DB_PASSWORD_2`.
fn is_variable_name(text: &str) -> bool {
    text.contains('_')
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        && text.split('_').all(|piece| piece.len() <= 16)
}

/// An address of e-mail.
fn is_address(text: &str) -> bool {
    let Some((name, host)) = text.split_once('@') else { return false };
    let Some((domain, country)) = host.rsplit_once('.') else { return false };
    let plain = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+'))
    };
    plain(name)
        && plain(domain)
        && country.len() >= 2
        && country.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Whether a text without quotes is an expression or a name of code: `getToken()`, `user.password2`,
/// `newPassword2`.
pub(super) fn is_code(text: &str) -> bool {
    let is_name = |piece: &str| {
        piece.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
            && piece.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let lower = text.to_ascii_lowercase();
    text.contains(['(', ')', '[', ']', '{', '}', '<', '>', '|', '\\'])
        || text.contains("::")
        || text.contains("->")
        || (text.contains('.') && text.split('.').all(is_name))
        || (is_name(text)
            && ["pass", "token", "secret", "pwd", "key"].iter().any(|word| lower.contains(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_in_order_since_they_are_searched_by_halves() {
        assert!(TERMS.is_sorted());
    }
}
