/// The word of each variant of an enum, as it stands in the database, in archives and in JSON: `as_str` and
/// `Display`. Also `FromStr`, where the name of the field is given and what its words are.
macro_rules! words {
    ($type:ident { $($variant:ident: $word:literal),* $(,)? }) => {
        impl $type {
            /// The word that stands in the database, in archives and in JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
    ($type:ident { $($variant:ident: $word:literal),* $(,)? } $field:literal, $choice:literal) => {
        words!($type { $($variant: $word),* });

        impl ::std::str::FromStr for $type {
            type Err = $crate::MemoryStoreError;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    _ => {
                        let rule = format!(concat!("is {:?}, must be ", $choice), word);
                        Err($crate::MemoryStoreError::invalid($field, rule))
                    }
                }
            }
        }
    };
}

pub(crate) use words;
