//! The paths that a file of Rust names: a reader of tokens, and no more of a parser than that takes.

use super::super::source::code_only;

/// What a file says of modules.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// The modules that are files of their own, by name.
    pub(super) children: Vec<String>,
    /// What `use` brings in.
    pub(super) imports: Vec<Import>,
    /// The paths in the rest of the code, each of two names at least.
    pub(super) mentions: Vec<Vec<String>>,
}

/// A name that `use` brings in.
#[derive(Debug)]
pub(super) struct Import {
    pub(super) path: Vec<String>,
    pub(super) name: String,
    /// Whether it is a re-export.
    pub(super) public: bool,
}

impl Paths {
    /// Reads a file, tests left out. A module with braces belongs to the file.
    pub(super) fn of(text: &str) -> Self {
        let code = code_only(text);
        let mut reader =
            Reader { tokens: tokens(&code), at: 0, paths: Self::default(), inner: Vec::new(), depth: 0 };
        reader.read();
        reader.paths
    }
}

struct Reader<'a> {
    tokens: Vec<&'a str>,
    at: usize,
    paths: Paths,
    /// The depths of braces at which modules with braces have begun.
    inner: Vec<usize>,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn token(&self, ahead: usize) -> &'a str {
        self.tokens.get(self.at + ahead).copied().unwrap_or_default()
    }

    fn read(&mut self) {
        while self.at < self.tokens.len() {
            match (self.token(0), self.token(1), self.token(2)) {
                ("#", "[", "cfg") if self.is_of_tests() => self.skip_item(),
                ("mod", name, ";") => {
                    self.paths.children.push(name.to_owned());
                    self.at += 3;
                }
                ("mod", _, "{") => {
                    self.inner.push(self.depth);
                    self.depth += 1;
                    self.at += 3;
                }
                ("use", ..) => self.import(),
                // `pub(in path)` uses nothing.
                ("(", "in", _) => self.skip_past(")"),
                ("{", ..) => {
                    self.depth += 1;
                    self.at += 1;
                }
                ("}", ..) => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.inner.last() == Some(&self.depth) {
                        self.inner.pop();
                    }
                    self.at += 1;
                }
                (first, "::", second) if is_name(first) && is_name(second) => {
                    let path = self.path();
                    self.paths.mentions.push(path);
                }
                _ => self.at += 1,
            }
        }
    }

    /// Whether an attribute is `cfg(test)`, or holds for tests among others.
    fn is_of_tests(&self) -> bool {
        self.tokens[self.at..].iter().take_while(|token| **token != "]").any(|token| *token == "test")
            && !self.tokens[self.at..].iter().take_while(|token| **token != "]").any(|token| *token == "not")
    }

    fn skip_past(&mut self, end: &str) {
        while self.at < self.tokens.len() && self.token(0) != end {
            self.at += 1;
        }
        self.at += 1;
    }

    /// Skips an item with the attributes before it: to its semicolon, or to the end of its braces.
    fn skip_item(&mut self) {
        while self.token(0) == "#" {
            self.skip_past("]");
        }
        let mut depth = 0_usize;
        while self.at < self.tokens.len() {
            match self.token(0) {
                "{" => depth += 1,
                "}" if depth == 1 => break,
                "}" => depth = depth.saturating_sub(1),
                ";" if depth == 0 => break,
                _ => {}
            }
            self.at += 1;
        }
        self.at += 1;
    }

    /// A path of names, as the file sees it.
    fn path(&mut self) -> Vec<String> {
        let mut path = vec![self.token(0).to_owned()];
        self.at += 1;
        while self.token(0) == "::" && is_name(self.token(1)) {
            path.push(self.token(1).to_owned());
            self.at += 2;
        }
        self.seen_from_the_file(path)
    }

    /// In a module with braces, as many `super` as there are braces lead no further than to the file.
    fn seen_from_the_file(&self, mut path: Vec<String>) -> Vec<String> {
        let inside = self.inner.len();
        if inside > 0 {
            let up = path.iter().take_while(|name| *name == "super").count();
            if up > 0 {
                path.drain(..up.min(inside));
                if up <= inside {
                    path.insert(0, "self".to_owned());
                }
            }
        }
        path
    }

    fn import(&mut self) {
        let public = self.at > 0 && matches!(self.tokens[self.at - 1], "pub" | ")");
        self.at += 1;
        self.tree(&[], public);
        self.skip_past(";");
    }

    /// A tree of a `use`: a path that ends in a name, a star, or braces with trees.
    fn tree(&mut self, before: &[String], public: bool) {
        let mut path = before.to_vec();
        loop {
            match self.token(0) {
                "::" => self.at += 1,
                "{" => {
                    self.at += 1;
                    while !matches!(self.token(0), "}" | "") {
                        self.tree(&path, public);
                        if self.token(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                name if is_name(name) || name == "*" => {
                    path.push(name.to_owned());
                    self.at += 1;
                }
                _ => break,
            }
            if self.token(0) == "as" {
                let name = self.token(1).to_owned();
                self.at += 2;
                self.push(path, name, public);
                return;
            }
        }
        let name = match path.last().map(String::as_str) {
            Some("self") => path.iter().rev().nth(1).cloned(),
            last => last.map(str::to_owned),
        };
        if let Some(name) = name {
            self.push(path, name, public);
        }
    }

    fn push(&mut self, mut path: Vec<String>, name: String, public: bool) {
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let path = self.seen_from_the_file(path);
        // A module with braces that takes a name from its own file.
        if path == ["self", name.as_str()] {
            return;
        }
        self.paths.imports.push(Import { path, name, public });
    }
}

fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if is_of_name(first) {
            rest.find(|c| !is_of_name(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_name(token: &str) -> bool {
    token.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_') && token != "as"
}
