//! Texts that try to break a query parser, a database or a renderer.

mod queries;

pub use queries::HOSTILE_QUERIES;

/// [`HOSTILE_QUERIES`], and patterns of every ASCII character that is no letter or digit.
pub fn hostile_queries() -> Vec<String> {
    let mut all: Vec<String> = HOSTILE_QUERIES.iter().map(|text| (*text).to_owned()).collect();
    let symbols = (0..=127_u8).map(char::from).filter(|c| !c.is_ascii_alphanumeric());
    for symbol in symbols {
        all.push(symbol.to_string());
        all.push(format!("{symbol}lamp{symbol}"));
        all.push(format!("lamp {symbol} table"));
        all.push(format!("\"lamp{symbol}table\" -{symbol}x {symbol}{symbol}{symbol}"));
    }
    all
}
