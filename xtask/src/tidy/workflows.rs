//! Rules on what GitHub runs.

use super::tree::Tree;
use super::violation::Violation;

/// Whoever can move a tag of an action runs code here, with this repository's token. A commit stays what it
/// is; the version behind it says to people, and to Dependabot, which one it is.
pub(super) fn actions_are_pinned(tree: &Tree) -> Vec<Violation> {
    let workflows = tree.files().iter().filter(|file| {
        file.path.starts_with(".github") && (file.has_extension(&["yml"]) || file.has_extension(&["yaml"]))
    });
    workflows
        .flat_map(|file| {
            file.lines().filter_map(move |(number, line)| {
                let used = line.trim_start().trim_start_matches("- ").strip_prefix("uses:")?.trim();
                if used.starts_with("./") || is_pinned(used) {
                    return None;
                }
                let advice = "is not pinned: write `@`, the commit of 40 digits, ` # ` and its version";
                Some(Violation::at(&file.path, number, format!("`{used}` {advice}")))
            })
        })
        .collect()
}

fn is_pinned(used: &str) -> bool {
    let Some((_, pin)) = used.split_once('@') else { return false };
    let Some((commit, version)) = pin.split_once(" # ") else { return false };
    let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit && version.starts_with('v')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_without_a_commit_is_found() {
        let pinned = format!("uses: a/b@{} # v1.2.3", "0a".repeat(20));
        let lines = |text: &str| {
            let tree = Tree::of(&[(".github/workflows/ci.yml", text)]);
            actions_are_pinned(&tree).iter().filter_map(|found| found.line).collect::<Vec<_>>()
        };
        assert!(lines(&format!("steps:\n  - {pinned}\n  - {pinned}\n")).is_empty());
        assert!(lines("steps:\n  - uses: ./.github/actions/rust\n").is_empty());
        assert_eq!(lines("steps:\n  - uses: a/b@v4\n  - name: x\n    uses: a/b\n"), [2_usize, 4]);
        assert_eq!(lines(&pinned.replace(" # v1.2.3", "")), [1_usize]);
        assert_eq!(lines(&pinned.replace("0a0a # ", " # ")), [1_usize]);
    }
}
