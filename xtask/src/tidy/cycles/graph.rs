//! Which module of a crate uses which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::tree::Tree;
use super::paths::Paths;

/// A module, by the names that lead to it from the root of its crate.
type Module = Vec<String>;

#[derive(Debug, Default)]
pub(super) struct Graph {
    modules: BTreeMap<Module, Paths>,
}

impl Graph {
    /// The modules of the crate with this root.
    pub(super) fn of(tree: &Tree, root: &Path) -> Self {
        let mut graph = Self::default();
        let folder = match root.file_name().and_then(|name| name.to_str()) {
            Some("lib.rs" | "main.rs") => root.parent().unwrap_or(root).to_owned(),
            _ => root.with_extension(""),
        };
        graph.read(tree, Vec::new(), root, &folder);
        graph
    }

    /// Reads a module from its file, and those that it declares from the folder beside it.
    fn read(&mut self, tree: &Tree, module: Module, file: &Path, folder: &Path) {
        let found = tree.files().iter().find(|one| one.path == file);
        let mut paths = found.and_then(|file| file.text.as_deref()).map(Paths::of).unwrap_or_default();
        let is_file = |name: &String| -> Option<PathBuf> {
            let beside = [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")];
            beside.into_iter().find(|path| tree.has(path))
        };
        let children: Vec<(String, PathBuf)> =
            paths.children.iter().filter_map(|name| is_file(name).map(|file| (name.clone(), file))).collect();
        paths.children = children.iter().map(|(name, _)| name.clone()).collect();
        self.modules.insert(module.clone(), paths);
        for (name, file) in children {
            self.read(tree, [&module[..], std::slice::from_ref(&name)].concat(), &file, &folder.join(name));
        }
    }

    /// The groups of modules that lead from each to each other, each group and its modules in order.
    pub(super) fn cycles(&self) -> Vec<Vec<String>> {
        let uses: BTreeMap<&Module, BTreeSet<Module>> =
            self.modules.keys().map(|module| (module, self.used_by(module))).collect();
        let reached: BTreeMap<&Module, BTreeSet<&Module>> =
            self.modules.keys().map(|module| (module, reach(module, &uses))).collect();
        let mut cycles = BTreeSet::new();
        for (module, others) in &reached {
            let group: BTreeSet<String> = others
                .iter()
                .filter(|other| reached[*other].contains(*module))
                .map(|one| name(one))
                .collect();
            if group.len() > 1 {
                cycles.insert(group.into_iter().collect());
            }
        }
        cycles.into_iter().collect()
    }

    fn used_by(&self, module: &Module) -> BTreeSet<Module> {
        let paths = &self.modules[module];
        let imports = paths.imports.iter().filter_map(|import| {
            let used = self.lookup(module, &import.path, 0)?;
            // An index of what stands below it.
            (!(import.public && used.starts_with(module))).then_some(used)
        });
        let mentions = paths.mentions.iter().filter_map(|path| self.lookup(module, path, 0));
        imports.chain(mentions).filter(|used| used != module).collect()
    }

    /// The module that what a path names stands in; none if that is another crate.
    fn lookup(&self, from: &Module, path: &[String], steps: usize) -> Option<Module> {
        // A re-export that leads to itself ends here.
        const LONGEST: usize = 16;
        if steps > LONGEST {
            return None;
        }
        let (first, rest) = path.split_first()?;
        let paths = &self.modules[from];
        let (mut module, mut rest) = match first.as_str() {
            "crate" => (Vec::new(), rest),
            "self" => (from.clone(), rest),
            "super" => {
                let up = path.iter().take_while(|name| *name == "super").count();
                (from[..from.len().saturating_sub(up)].to_vec(), &path[up..])
            }
            name if paths.children.iter().any(|child| child == name) => (from.clone(), path),
            name => {
                let import =
                    paths.imports.iter().find(|import| import.name == *name && import.path != [name])?;
                return self.lookup(from, &[&import.path[..], rest].concat(), steps + 1);
            }
        };
        while let Some((name, others)) = rest.split_first()
            && self.modules[&module].children.contains(name)
        {
            module.push(name.clone());
            rest = others;
        }
        let Some(name) = rest.first() else { return Some(module) };
        // What a module re-exports stands elsewhere, or in another crate.
        match self.modules[&module].imports.iter().find(|import| import.name == *name) {
            Some(import) => {
                let others = &rest[1..];
                let own = matches!(import.path[0].as_str(), "crate" | "self" | "super")
                    || self.modules[&module].children.contains(&import.path[0]);
                if own { self.lookup(&module, &[&import.path[..], others].concat(), steps + 1) } else { None }
            }
            None => Some(module),
        }
    }
}

fn reach<'a>(from: &'a Module, uses: &'a BTreeMap<&Module, BTreeSet<Module>>) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut left = vec![from];
    while let Some(module) = left.pop() {
        left.extend(uses[module].iter().filter(|used| reached.insert(*used)));
    }
    reached
}

fn name(module: &Module) -> String {
    if module.is_empty() { "crate".to_owned() } else { module.join("::") }
}
