//! No two modules of a crate use each other, but for those that are listed here with the reason.

mod graph;
mod paths;

use std::path::Path;

use super::tree::Tree;
use super::violation::Violation;
use graph::Graph;

/// The page that names the cycles that are left.
const PAGE: &str = "ARCHITECTURE.md";

/// A cycle that may stay.
struct Known {
    /// The file of the crate's root.
    root: &'static str,
    /// The modules that may use each other; the root is `crate`.
    modules: &'static [&'static str],
}

/// The cycles that may stay; [`PAGE`] says why.
const KNOWN: [Known; 0] = [];

/// Finds modules of one crate that depend on each other in a circle.
///
/// A module is a file. It uses another where a path in its code, tests aside, leads there, through
/// re-exports too. Declaring a module and re-exporting what is in it is no use of it: every parent does.
/// Calls of methods are not seen, since they name no module.
pub(super) fn modules_have_no_cycles(tree: &Tree) -> Vec<Violation> {
    check(tree, &KNOWN)
}

fn check(tree: &Tree, known: &[Known]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut used = vec![false; known.len()];
    for root in tree.rust().filter(|file| is_root(&file.path)) {
        for cycle in Graph::of(tree, &root.path).cycles() {
            let listed = known.iter().position(|known| {
                root.path == Path::new(known.root)
                    && cycle.iter().all(|module| known.modules.contains(&module.as_str()))
            });
            match listed {
                Some(at) => used[at] = true,
                None => found.push(Violation::of_file(
                    &root.path,
                    format!(
                        "modules use each other in a circle: {}; move what they share below them",
                        cycle.join(", ")
                    ),
                )),
            }
        }
    }
    let page = tree.files().iter().find(|file| file.path == Path::new(PAGE));
    let page = page.and_then(|file| file.text.as_deref()).unwrap_or_default();
    for (known, used) in known.iter().zip(used) {
        if !used {
            let what = format!("the cycle of {} is gone: take it off the list", known.modules.join(", "));
            found.push(Violation::of_file(Path::new(known.root), what));
        } else if let Some(module) =
            known.modules.iter().find(|module| !page.contains(&format!("`{module}`")))
        {
            found.push(Violation::of_file(
                Path::new(PAGE),
                format!("does not say why `{module}` is in a cycle"),
            ));
        }
    }
    found
}

/// Whether a file is the root of a crate: a library, a command, or one of several commands.
fn is_root(path: &Path) -> bool {
    let parts: Vec<_> = path.iter().filter_map(|part| part.to_str()).collect();
    match parts.as_slice() {
        [_, "src", "lib.rs" | "main.rs"] | [_, "src", "bin", _, "main.rs"] => true,
        [_, "src", "bin", file] => file.ends_with(".rs"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files), &[]).iter().map(ToString::to_string).collect()
    }

    const ROOT: (&str, &str) = ("x/src/lib.rs", "mod a;\nmod b;\npub use a::A;\npub use b::B;\n");

    #[test]
    fn modules_that_use_each_other_are_found() {
        let cycle =
            [ROOT, ("x/src/a.rs", "use crate::b::B;"), ("x/src/b.rs", "use super::a;\nfn f() { a::g() }")];
        assert_eq!(found(&cycle).len(), 1);
        assert!(found(&cycle)[0].contains("a, b"), "{:?}", found(&cycle));
        let one_way = [ROOT, ("x/src/a.rs", "use crate::b::B;"), ("x/src/b.rs", "use std::fmt;")];
        assert!(found(&one_way).is_empty());
    }

    #[test]
    fn a_path_leads_through_re_exports_and_groups() {
        let through_the_root =
            [ROOT, ("x/src/a.rs", "use crate::{B, C};"), ("x/src/b.rs", "fn f() -> crate::A {}")];
        assert_eq!(found(&through_the_root).len(), 1);
    }

    #[test]
    fn tests_comments_and_declarations_are_no_use() {
        let a =
            "mod c;\npub(crate) use c::C;\n#[cfg(test)]\nmod tests { use crate::b::B; }\n// crate::b::B\n";
        assert!(
            found(&[
                ROOT,
                ("x/src/a.rs", a),
                ("x/src/a/c.rs", "use super::X;"),
                ("x/src/b.rs", "use crate::a::C;")
            ])
            .is_empty()
        );
        assert_eq!(
            found(&[
                ROOT,
                ("x/src/a.rs", "mod c;\nuse c::C;"),
                ("x/src/a/c.rs", "use super::X;"),
                ("x/src/b.rs", "")
            ])
            .len(),
            1
        );
    }

    #[test]
    fn a_module_inside_a_file_belongs_to_it() {
        let a = "mod inner { use super::X; fn f() { super::super::b::f() } }";
        assert_eq!(found(&[ROOT, ("x/src/a.rs", a), ("x/src/b.rs", "use crate::a::X;")]).len(), 1);
        assert!(found(&[ROOT, ("x/src/a.rs", a), ("x/src/b.rs", "")]).is_empty());
    }

    #[test]
    fn a_listed_cycle_may_stay_while_it_is_there_and_explained() {
        let cycle = [ROOT, ("x/src/a.rs", "use crate::b::B;"), ("x/src/b.rs", "use crate::a::A;")];
        let known = || [Known { root: "x/src/lib.rs", modules: &["a", "b"] }];
        let explained = [&cycle[..], &[("ARCHITECTURE.md", "`a` and `b`, because")]].concat();
        assert!(check(&Tree::of(&explained), &known()).is_empty());
        assert_eq!(check(&Tree::of(&cycle), &known()).len(), 1, "the page says nothing");
        assert_eq!(check(&Tree::of(&[ROOT]), &known()).len(), 1, "it is gone");
    }
}
