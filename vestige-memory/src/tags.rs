use std::collections::HashSet;

/// Adds those of `more` to `tags` that are not there, in their order: a memory has each of its tags once.
pub fn add_tags(tags: &mut Vec<String>, more: &[String]) {
    // A set, since the list may be as long as a message until it is validated.
    let mut there: HashSet<&str> = tags.iter().map(String::as_str).collect();
    let new: Vec<String> = more.iter().filter(|tag| there.insert(tag)).cloned().collect();
    tags.extend(new);
}
