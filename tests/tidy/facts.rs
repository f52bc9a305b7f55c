//! What a file says, as far as the checks ask: read from its syntax, so that neither text nor comments mislead.
//!
//! Macros are not expanded. Their arguments are read as tokens: a path, a method call or a macro is seen there, too.

use proc_macro2::{Delimiter, Group, Spacing, Span, TokenStream, TokenTree};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ImplItemFn, Item, ItemFn, ItemMod, ItemUse, Meta, TraitItemFn, UseTree};

/// All facts of one file. Lines count from 1.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// `mod name;`: modules in files of their own.
    pub(crate) children: Vec<Child>,
    /// Paths of two segments or more, and what `use` brings in, each spelled out.
    pub(crate) paths: Vec<Named>,
    /// Names of methods that are called.
    pub(crate) methods: Vec<Named>,
    /// Macros that are called.
    pub(crate) macros: Vec<MacroCall>,
    /// Functions with a body.
    pub(crate) functions: Vec<Function>,
    /// Test functions on tokio's clock: whether it is paused.
    pub(crate) clocks: Vec<bool>,
    /// `allow` and `expect`, and whether a reason stands there.
    pub(crate) exceptions: Vec<Exception>,
}

/// A module in a file of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Child {
    /// From the file's module, such as `["name"]`, longer within inline modules.
    pub(crate) module: Vec<String>,
    /// What `#[path]` says.
    pub(crate) path: Option<String>,
    pub(crate) test: bool,
}

/// Something that a file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// Joined by `::`. Begins with `crate` only where the file wrote that.
    pub(crate) name: String,
    pub(crate) line: usize,
    /// Within a test: `#[test]`, `#[cfg(test)]`.
    pub(crate) test: bool,
    /// Within a test function: whether it runs on a paused clock.
    pub(crate) paused: Option<bool>,
    /// Inline modules around it.
    pub(crate) inside: Vec<String>,
}

/// A macro that is called.
#[derive(Debug)]
pub(crate) struct MacroCall {
    pub(crate) named: Named,
    /// Its first argument's first token.
    pub(crate) first: Option<String>,
}

/// A function with a body.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// From the line of its signature to the line of its closing brace.
    pub(crate) lines: usize,
}

/// An exception from a lint.
#[derive(Debug)]
pub(crate) struct Exception {
    pub(crate) line: usize,
    pub(crate) has_reason: bool,
}

impl Facts {
    /// Reads a file's text.
    pub(crate) fn of(text: &str) -> syn::Result<Self> {
        let mut reader = Reader::default();
        reader.visit_file(&syn::parse_file(text)?);
        Ok(reader.facts)
    }
}

#[derive(Default)]
struct Reader {
    facts: Facts,
    inside: Vec<String>,
    test: bool,
    paused: Option<bool>,
}

fn line(span: Span) -> usize {
    span.start().line
}

/// Whether an attribute makes its item part of the test build only: `#[test]`, `#[tokio::test]`, `#[cfg(test)]`.
fn is_test(attribute: &Attribute) -> bool {
    let path = attribute.path();
    if path.segments.last().is_some_and(|last| last.ident == "test") {
        return true;
    }
    path.is_ident("cfg") && requires_test(attribute)
}

/// Whether a `cfg` names `test`, and not within a `not`.
fn requires_test(attribute: &Attribute) -> bool {
    fn in_tokens(tokens: TokenStream) -> bool {
        let mut negated = false;
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(word) => {
                negated = word == "not";
                word == "test"
            }
            TokenTree::Group(group) => !std::mem::take(&mut negated) && in_tokens(group.stream()),
            TokenTree::Punct(_) | TokenTree::Literal(_) => false,
        })
    }
    matches!(&attribute.meta, Meta::List(list) if in_tokens(list.tokens.clone()))
}

/// For `#[tokio::test]`: whether its clock is paused.
fn clock(attribute: &Attribute) -> Option<bool> {
    let is_pausable = text(attribute.path()) == "tokio::test";
    is_pausable.then(|| words(attribute).windows(2).any(|pair| pair == ["start_paused", "true"]))
}

/// The identifiers within an attribute's brackets.
fn words(attribute: &Attribute) -> Vec<String> {
    fn collect(tokens: TokenStream, words: &mut Vec<String>) {
        for token in tokens {
            match token {
                TokenTree::Ident(word) => words.push(word.to_string()),
                TokenTree::Group(group) => collect(group.stream(), words),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
    let mut found = Vec::new();
    if let Meta::List(list) = &attribute.meta {
        collect(list.tokens.clone(), &mut found);
    }
    found
}

impl Reader {
    fn named(&self, name: impl Into<String>, span: Span) -> Named {
        let (test, paused, inside) = (self.test, self.paused, self.inside.clone());
        Named { name: name.into(), line: line(span), test, paused, inside }
    }

    /// Reads an item's content, within a test if an attribute says so.
    fn within(&mut self, attributes: &[Attribute], read: impl FnOnce(&mut Self)) {
        let before = (self.test, self.paused);
        self.test |= attributes.iter().any(is_test);
        if let Some(paused) = attributes.iter().find_map(clock) {
            self.facts.clocks.push(paused);
            self.paused = Some(paused);
        }
        read(self);
        (self.test, self.paused) = before;
    }

    fn function(&mut self, name: &syn::Ident, first: Span, block: &syn::Block) {
        let (first, last) = (line(first), block.brace_token.span.close().end().line);
        self.facts.functions.push(Function { name: name.to_string(), line: first, lines: last + 1 - first });
    }

    fn use_tree(&mut self, prefix: &str, tree: &UseTree) {
        let join = |name: &syn::Ident| if prefix.is_empty() { name.to_string() } else { format!("{prefix}::{name}") };
        match tree {
            UseTree::Path(path) => self.use_tree(&join(&path.ident), &path.tree),
            UseTree::Name(name) => self.imported(join(&name.ident), tree.span()),
            UseTree::Rename(rename) => self.imported(join(&rename.ident), tree.span()),
            UseTree::Glob(_) => self.imported(format!("{prefix}::*"), tree.span()),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.use_tree(prefix, item)),
        }
    }

    fn imported(&mut self, name: String, span: Span) {
        let named = self.named(name, span);
        self.facts.paths.push(named);
    }

    /// Reads a macro's arguments, which no parser of ours knows the syntax of.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(first) => {
                    let is_method = at >= 2 && is_punct(tokens.get(at - 2), '.');
                    let (mut name, span) = (first.to_string(), first.span());
                    let mut segments = 1;
                    while let (Some(TokenTree::Punct(a)), Some(TokenTree::Punct(b)), Some(TokenTree::Ident(next))) =
                        (tokens.get(at), tokens.get(at + 1), tokens.get(at + 2))
                        && (a.as_char(), a.spacing(), b.as_char()) == (':', Spacing::Joint, ':')
                    {
                        name = format!("{name}::{next}");
                        (at, segments) = (at + 3, segments + 1);
                    }
                    self.word(&name, segments, is_method, span, &tokens[at..]);
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    /// One path among a macro's arguments, and what follows it.
    fn word(&mut self, name: &str, segments: usize, is_method: bool, span: Span, rest: &[TokenTree]) {
        let named = self.named(name, span);
        if let [TokenTree::Punct(bang), TokenTree::Group(arguments), ..] = rest
            && bang.as_char() == '!'
        {
            self.facts.macros.push(MacroCall { named, first: first_token(&arguments.stream()) });
        } else if is_method {
            if matches!(rest, [TokenTree::Group(group), ..] if is_parenthesis(group)) {
                self.facts.methods.push(named);
            }
        } else if segments > 1 {
            self.facts.paths.push(named);
        }
    }
}

fn is_parenthesis(group: &Group) -> bool {
    group.delimiter() == Delimiter::Parenthesis
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn first_token(tokens: &TokenStream) -> Option<String> {
    tokens.clone().into_iter().next().map(|token| token.to_string())
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        // Modules and functions read their own; no other item has code in it.
        _ => &[],
    }
}

fn text(path: &syn::Path) -> String {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect::<Vec<_>>().join("::")
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        self.within(attributes_of(item), |reader| visit::visit_item(reader, item));
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.within(&module.attrs, |reader| {
            reader.inside.push(module.ident.to_string());
            if module.content.is_none() {
                let path = module.attrs.iter().find(|attribute| attribute.path().is_ident("path"));
                let path = path.and_then(|attribute| match &attribute.meta {
                    Meta::NameValue(pair) => match &pair.value {
                        Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) => Some(path.value()),
                        _ => None,
                    },
                    Meta::Path(_) | Meta::List(_) => None,
                });
                reader.facts.children.push(Child { module: reader.inside.clone(), path, test: reader.test });
            }
            visit::visit_item_mod(reader, module);
            reader.inside.pop();
        });
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.function(&function.sig.ident, function.sig.span(), &function.block);
        self.within(&function.attrs, |reader| visit::visit_item_fn(reader, function));
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.function(&function.sig.ident, function.sig.span(), &function.block);
        self.within(&function.attrs, |reader| visit::visit_impl_item_fn(reader, function));
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(block) = &function.default {
            self.function(&function.sig.ident, function.sig.span(), block);
        }
        self.within(&function.attrs, |reader| visit::visit_trait_item_fn(reader, function));
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.use_tree("", &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            let named = self.named(text(path), path.span());
            self.facts.paths.push(named);
        }
        visit::visit_path(self, path);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let named = self.named(call.method.to_string(), call.method.span());
        self.facts.methods.push(named);
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let named = self.named(text(&call.path), call.path.span());
        self.facts.macros.push(MacroCall { named, first: first_token(&call.tokens) });
        self.tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if attribute.path().is_ident("allow") || attribute.path().is_ident("expect") {
            let has_reason = words(attribute).iter().any(|word| word == "reason");
            self.facts.exceptions.push(Exception { line: line(attribute.span()), has_reason });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(named: &[Named]) -> Vec<&str> {
        named.iter().map(|it| it.name.as_str()).collect()
    }

    #[test]
    fn imports_are_spelled_out_and_paths_are_found_everywhere() {
        let facts = Facts::of(
            "use a::{b::{self, c as d}, e::*};\n\
             fn f(x: g::H) -> i::J { k::l(m::n!(o::p, q.r())); }",
        );
        let facts = facts.unwrap();
        assert_eq!(names(&facts.paths), ["a::b::self", "a::b::c", "a::e::*", "g::H", "i::J", "k::l", "o::p"]);
        assert_eq!(names(&facts.methods), ["r"]);
        assert_eq!(facts.macros[0].named.name, "m::n");
    }

    #[test]
    fn what_only_tests_compile_is_known_for_it() {
        let facts = Facts::of(
            "fn f() { a::a(); }\n#[cfg(test)] mod t { fn g() { b::b(); } }\n\
             #[cfg(not(test))] fn h() { c::c(); }\n#[tokio::test(start_paused = true)] async fn i() { d::d(); }\n\
             #[cfg(test)] impl X { fn j() { e::e(); } }\n\
             #[cfg(all(test, not(k)))] mod l { fn m() { f::f(); } }\n\
             #[cfg(not(all(test, k)))] mod n { fn o() { g::g(); } }",
        );
        let paths = facts.unwrap().paths;
        let of = |name: &str| paths.iter().find(|path| path.name == name).map(|path| (path.test, path.paused));
        assert_eq!(of("a::a"), Some((false, None)));
        assert_eq!(of("b::b"), Some((true, None)));
        assert_eq!(of("c::c"), Some((false, None)));
        assert_eq!(of("d::d"), Some((true, Some(true))));
        assert_eq!(of("e::e"), Some((true, None)));
        assert_eq!(of("f::f"), Some((true, None)));
        assert_eq!(of("g::g"), Some((false, None)));
    }

    #[test]
    fn a_function_is_as_long_as_from_its_signature_to_its_brace() {
        let facts = Facts::of("/// Docs.\n#[inline]\nfn f(\n    a: u8,\n) {\n    a;\n}\n").unwrap();
        assert_eq!((facts.functions[0].line, facts.functions[0].lines), (3, 5));
    }
}
