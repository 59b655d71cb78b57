//! The tokens of known shapes: names and shapes, as data.

/// A token: its name, and its parts in their order.
pub(super) struct Rule {
    pub(super) kind: &'static str,
    pub(super) parts: &'static [Part],
}

pub(super) enum Part {
    /// This text.
    Is(&'static str),
    /// Characters of an alphabet, from so many to so many.
    Run(fn(u8) -> bool, usize, usize),
}

/// A rule is its name and its parts: `"text"` stands for itself, `alphabet{min, max}` for as many characters.
macro_rules! rules {
    (@part $text:literal) => { Part::Is($text) };
    (@part $alphabet:ident $min:literal $max:literal) => { Part::Run($alphabet, $min, $max) };
    ($($kind:literal: $([$($part:tt)+])+;)+) => {
        &[$(Rule { kind: $kind, parts: &[$(rules!(@part $($part)+)),+] }),+]
    };
}

type Alphabet = fn(u8) -> bool;

const DIGIT: Alphabet = |byte| byte.is_ascii_digit();
const HEX: Alphabet = |byte| byte.is_ascii_hexdigit();
const LETTER: Alphabet = |byte| byte.is_ascii_alphabetic();
const UPPER: Alphabet = |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit();
const ALNUM: Alphabet = |byte| byte.is_ascii_alphanumeric();
/// The alphabet of base64 in URLs.
const URL64: Alphabet = |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
const DASHED: Alphabet = |byte| byte.is_ascii_alphanumeric() || byte == b'-';
const WORD: Alphabet = |byte| byte.is_ascii_alphanumeric() || byte == b'_';
/// The alphabet of base64.
const BASE64: Alphabet = |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
const DOTTED: Alphabet = |byte| URL64(byte) || byte == b'.';

pub(super) const RULES: &[Rule] = rules![
    "AWS access key id": ["AKIA"] [UPPER 16 16];
    "AWS access key id": ["ASIA"] [UPPER 16 16];
    "GitHub token": ["ghp_"] [ALNUM 36 255];
    "GitHub token": ["gho_"] [ALNUM 36 255];
    "GitHub token": ["ghu_"] [ALNUM 36 255];
    "GitHub token": ["ghs_"] [ALNUM 36 255];
    "GitHub token": ["ghr_"] [ALNUM 36 255];
    "GitHub token": ["github_pat_"] [WORD 36 255];
    "GitLab token": ["glpat-"] [DOTTED 20 300];
    "GitLab token": ["gldt-"] [URL64 20 300];
    "GitLab token": ["glrt-"] [DOTTED 20 300];
    "GitLab token": ["glptt-"] [URL64 20 300];
    "GitLab token": ["glcbt-"] [URL64 20 300];
    "Slack token": ["xoxb-"] [DASHED 24 255];
    "Slack token": ["xoxp-"] [DASHED 24 255];
    "Slack token": ["xoxa-"] [DASHED 24 255];
    "Slack token": ["xoxr-"] [DASHED 24 255];
    "Slack token": ["xoxs-"] [DASHED 24 255];
    "Slack token": ["xoxe-"] [DASHED 24 255];
    "Slack token": ["xoxc-"] [DASHED 24 255];
    "Slack token": ["xapp-"] [DASHED 24 255];
    "Slack webhook": ["hooks.slack.com/services/T"] [UPPER 6 16] ["/B"] [UPPER 6 16] ["/"] [ALNUM 20 64];
    "Discord webhook": ["discord.com/api/webhooks/"] [DIGIT 15 25] ["/"] [URL64 40 100];
    "Stripe key": ["sk_live_"] [ALNUM 16 255];
    "Stripe key": ["sk_test_"] [ALNUM 16 255];
    "Stripe key": ["rk_live_"] [ALNUM 16 255];
    "Stripe key": ["rk_test_"] [ALNUM 16 255];
    "Stripe webhook secret": ["whsec_"] [BASE64 24 255];
    "Anthropic key": ["sk-ant-"] [URL64 24 255];
    "OpenRouter key": ["sk-or-v1-"] [HEX 48 128];
    "OpenAI key": ["sk-proj-"] [URL64 24 255];
    "OpenAI key": ["sk-svcacct-"] [URL64 24 255];
    "OpenAI key": ["sk-admin-"] [URL64 24 255];
    "OpenAI key": ["sk-"] [ALNUM 32 128];
    "Google API key": ["AIza"] [URL64 35 35];
    "Google client secret": ["GOCSPX-"] [URL64 28 28];
    "Google access token": ["ya29."] [URL64 24 300];
    "npm token": ["npm_"] [ALNUM 36 36];
    "PyPI token": ["pypi-AgE"] [URL64 50 300];
    "crates.io token": ["cio"] [ALNUM 32 32];
    "RubyGems key": ["rubygems_"] [HEX 48 48];
    "NuGet key": ["oy2"] [ALNUM 43 43];
    "Docker Hub token": ["dckr_pat_"] [URL64 24 64];
    "Hugging Face token": ["hf_"] [LETTER 34 40];
    "SendGrid key": ["SG."] [URL64 20 24] ["."] [URL64 39 50];
    "Shopify token": ["shpat_"] [HEX 32 32];
    "Shopify token": ["shpss_"] [HEX 32 32];
    "Shopify token": ["shpca_"] [HEX 32 32];
    "Shopify token": ["shppa_"] [HEX 32 32];
    "DigitalOcean token": ["dop_v1_"] [HEX 64 64];
    "DigitalOcean token": ["doo_v1_"] [HEX 64 64];
    "DigitalOcean token": ["dor_v1_"] [HEX 64 64];
    "Databricks token": ["dapi"] [HEX 32 32];
    "Linear key": ["lin_api_"] [ALNUM 32 64];
    "Notion token": ["ntn_"] [ALNUM 40 64];
    "Notion token": ["secret_"] [ALNUM 43 43];
    "Figma token": ["figd_"] [URL64 36 64];
    "Postman key": ["PMAK-"] [HEX 24 24] ["-"] [HEX 34 34];
    "Grafana token": ["glsa_"] [ALNUM 32 32] ["_"] [HEX 8 8];
    "Vault token": ["hvs."] [URL64 24 300];
    "Vault token": ["hvb."] [URL64 24 300];
    "age key": ["AGE-SECRET-KEY-1"] [UPPER 58 58];
    "Tailscale key": ["tskey-auth-"] [DASHED 20 128];
    "Tailscale key": ["tskey-api-"] [DASHED 20 128];
    "Tailscale key": ["tskey-client-"] [DASHED 20 128];
    "Twilio key": ["SK"] [HEX 32 32];
    "Mailgun key": ["key-"] [HEX 32 32];
    "Atlassian token": ["ATATT3"] [URL64 100 300];
    "PlanetScale password": ["pscale_pw_"] [URL64 32 64];
    "PlanetScale password": ["pscale_tkn_"] [URL64 32 64];
    "Sentry token": ["sntrys_"] [BASE64 60 300];
    "Sentry token": ["sntryu_"] [HEX 64 64];
    "xAI key": ["xai-"] [ALNUM 60 128];
    "Groq key": ["gsk_"] [ALNUM 40 64];
    "Replicate token": ["r8_"] [ALNUM 37 37];
    "Perplexity key": ["pplx-"] [ALNUM 40 64];
    "Airtable token": ["pat"] [ALNUM 14 14] ["."] [HEX 64 64];
    "Telegram bot token": [DIGIT 8 10] [":AA"] [URL64 33 33];
    "Discord bot token": ["M"] [URL64 23 27] ["."] [URL64 6 6] ["."] [URL64 27 40];
    "JSON web token": ["eyJ"] [URL64 10 1024] [".eyJ"] [URL64 10 8192] ["."] [URL64 16 1024];
];
