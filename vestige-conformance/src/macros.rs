mod cases_table;

/// Makes a test of every case of the suite, directly and through
/// [`AnyMemoryStore`](vestige_traits::AnyMemoryStore).
///
/// `conformance_tests!(#[attribute] factory)`: the attribute makes a test of an
/// `async fn`, such as `#[tokio::test]`; the expression makes a new
/// [`StoreFactory`](crate::StoreFactory), once for each test.
/// The tests are named `direct::group::case` and `erased::group::case`; one more in each half runs
/// random [`sequences`](crate::sequences).
///
/// See [`conformance`](crate) for an example.
#[macro_export]
macro_rules! conformance_tests {
    (#[$test:meta] $factory:expr) => {
        #[cfg(test)]
        mod direct {
            #[allow(unused_imports, reason = "the factory's expression may need none of it")]
            use super::*;

            $crate::__conformance_cases!($crate::__conformance_test_fns, $test, $factory);
            $crate::__conformance_sequences!($test, $factory);
        }

        #[cfg(test)]
        mod erased {
            #[allow(unused_imports, reason = "the factory's expression may need none of it")]
            use super::*;

            $crate::__conformance_cases!($crate::__conformance_test_fns, $test, $crate::Erased($factory));
            $crate::__conformance_sequences!($test, $crate::Erased($factory));
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_test_fns {
    ($test:meta, $factory:expr, $($group:ident { $($case:ident)* })*) => {
        $crate::__conformance_groups!{ $test, $factory, $($group [$($case)*])* }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_groups {
    ($test:meta, $factory:expr,) => {};
    ($test:meta, $factory:expr, $group:ident [$($case:ident)*] $($rest:tt)*) => {
        mod $group {
            #[allow(unused_imports, reason = "the factory's expression may need none of it")]
            use super::*;

            $(
                #[$test]
                async fn $case() {
                    if let Some(bed) = $crate::TestBed::new($factory).await {
                        $crate::cases::$group::$case(&bed).await;
                        bed.remove().await;
                    }
                }
            )*
        }

        $crate::__conformance_groups!{ $test, $factory, $($rest)* }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_sequences {
    ($test:meta, $factory:expr) => {
        #[$test]
        async fn random_sequences_agree_with_the_reference_store() {
            let config = $crate::sequences::SequenceConfig::default();
            $crate::sequences::run_sequences(&$factory, &config).await;
        }
    };
}

#[cfg(test)]
mod tests {
    /// A case that stands in no test would pass everywhere.
    #[test]
    fn every_case_is_in_the_table() {
        let table = include_str!("macros/cases_table.rs");
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cases");
        let mut cases = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let group = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let (_, listed) = table.split_once(&format!(" {group} {{")).expect(&group);
            let (listed, _) = listed.split_once('}').unwrap();
            let listed: Vec<_> = listed.split_whitespace().collect();
            let source = std::fs::read_to_string(&path).unwrap();
            for line in source.lines() {
                if let Some(rest) = line.strip_prefix("pub async fn ") {
                    let (name, _) = rest.split_once('(').unwrap();
                    assert!(listed.contains(&name), "{group}::{name} is not in macros/cases_table.rs");
                    cases += 1;
                }
            }
        }
        assert!(cases >= 120, "only {cases} cases were found");
    }
}
