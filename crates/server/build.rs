//! Turns `src/pages/texts/*.txt`, one file per language, into Rust.
//!
//! `en.txt` says which keys there are: a file that lacks one of them, or has
//! another, does not compile. So a language is added by adding its file.

use std::{collections::BTreeMap, env, fmt::Write as _, fs, path::Path};

const FOLDER: &str = "src/pages/texts";
const REFERENCE: &str = "en";

type Entries = BTreeMap<String, String>;

fn main() {
    println!("cargo::rerun-if-changed={FOLDER}");
    let languages = languages();
    let reference = &languages[REFERENCE];
    let mut rust = declaration(reference);
    let _ = writeln!(rust, "pub(crate) static LANGUAGES: [Texts; {}] = [", languages.len());
    for (language, entries) in &languages {
        check(language, entries, reference);
        let _ = writeln!(rust, "Texts {{ language: {language:?},");
        for (key, text) in entries {
            let _ = writeln!(rust, "{key}: {text:?},");
        }
        rust.push_str("},\n");
    }
    rust.push_str("];\n");
    let out = env::var("OUT_DIR").expect("Cargo says where to write");
    fs::write(Path::new(&out).join("texts.rs"), rust).expect("the output folder is writable");
}

fn languages() -> BTreeMap<String, Entries> {
    let files = fs::read_dir(FOLDER).expect("the folder of the texts is there");
    let paths = files.map(|file| file.expect("a file").path());
    let texts = paths.filter(|path| path.extension().is_some_and(|kind| kind == "txt"));
    texts
        .map(|path| {
            println!("cargo::rerun-if-changed={}", path.display());
            let language = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (language, entries(&path))
        })
        .collect()
}

/// Lines of the form `key = text`; empty lines and comments (`#`) are skipped.
fn entries(path: &Path) -> Entries {
    let content = fs::read_to_string(path).expect("the texts are UTF-8");
    let mut entries = Entries::new();
    for (number, line) in content.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let place = format!("{}:{}", path.display(), number + 1);
        let (key, text) = line.split_once(" = ").unwrap_or_else(|| panic!("{place}: no ` = `"));
        let before = entries.insert(key.trim().to_owned(), text.trim().to_owned());
        assert!(before.is_none(), "{place}: `{key}` is there twice");
    }
    entries
}

fn check(language: &str, entries: &Entries, reference: &Entries) {
    for key in reference.keys() {
        assert!(entries.contains_key(key), "{language}.txt lacks `{key}`");
    }
    for key in entries.keys() {
        assert!(reference.contains_key(key), "{language}.txt has `{key}`, {REFERENCE}.txt has not");
    }
}

fn declaration(reference: &Entries) -> String {
    let mut rust = String::from(
        "/// What the pages say in one language.\n#[derive(Debug)]\npub(crate) struct Texts {\n\
         /// Its BCP 47 tag.\npub(crate) language: &'static str,\n",
    );
    for key in reference.keys() {
        let _ = writeln!(rust, "pub(crate) {key}: &'static str,");
    }
    rust.push_str("}\nimpl Texts {\n#[cfg(test)]\nfn all(&self) -> Vec<(&'static str, &'static str)> {\nvec![");
    for key in reference.keys() {
        let _ = write!(rust, "({key:?}, self.{key}), ");
    }
    rust.push_str("]\n}\n}\n");
    rust
}
