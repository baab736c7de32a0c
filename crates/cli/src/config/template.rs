//! What `config init` prints: every setting, its default, its variable.

use std::fmt::Write as _;

use super::keys::{Default, KEYS, Key, SECTIONS};

const HEAD: &str = "\
# Settings of Myelin. Every key is here with its default; remove the `#` in
# front of one to change it. Nothing in this file is needed to start.
#
# Stronger than this file: the environment (the variable is named with each
# key), and stronger yet: flags of the command line. Paths are relative to this
# file. Check it with: myelin config check --config <this file>
";

/// A complete configuration file, in which nothing is set.
pub(crate) fn template() -> String {
    let mut text = HEAD.to_owned();
    let in_section = |section: &str| {
        let prefix = format!("{section}.");
        KEYS.iter().filter(move |key| key.path.starts_with(&prefix))
    };
    for key in KEYS.iter().filter(|key| !key.path.contains('.')) {
        push(&mut text, key, key.path);
    }
    for (section, about) in SECTIONS {
        push_line(&mut text, &format!("\n# {about}\n[{section}]"));
        for key in in_section(section) {
            push(&mut text, key, &key.path[section.len() + 1..]);
        }
    }
    text
}

fn push(text: &mut String, key: &Key, name: &str) {
    text.push('\n');
    for line in key.about.lines() {
        push_line(text, &format!("# {line}"));
    }
    let example = match key.default {
        Default::Is(value) => value,
        Default::Depends(words, example) => {
            push_line(text, &format!("# Default: {words}."));
            example
        }
    };
    push_line(text, &format!("# Environment: {}", key.variable));
    push_line(text, &format!("#{name} = {example}"));
}

fn push_line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("invariant: a String takes all text");
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use super::*;
    use crate::config::{Sources, keys::Kind, load, show};

    fn shown(file: &str) -> Vec<(String, String)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("myelin.toml");
        fs::write(&path, file).unwrap();
        let environment =
            BTreeMap::from([("MYELIN_DATA_DIR".to_owned(), "/var/lib/myelin".to_owned())]);
        let sources = Sources { file: Some(path), environment, flags: Vec::new() };
        let config = load(&sources).unwrap();
        show(&config, &sources).unwrap().into_iter().map(|line| (line.path, line.value)).collect()
    }

    #[test]
    fn the_template_changes_nothing() {
        assert_eq!(shown(&template()), shown(""));
    }

    #[test]
    fn every_default_in_the_template_is_the_default() {
        let mut file = template();
        for key in KEYS {
            if let Default::Is(value) = key.default {
                let name = key.path.rsplit('.').next().unwrap();
                let line = format!("#{name} = {value}\n");
                assert!(file.contains(&line), "{}", key.path);
                // The first of that name after its section.
                let section = key.path.split_once('.').map(|(section, _)| format!("[{section}]"));
                let from = section.map_or(0, |section| file.find(&section).unwrap());
                let at = from + file[from..].find(&line).unwrap();
                file.remove(at);
            }
        }
        assert_eq!(shown(&file), shown(""));
    }

    #[test]
    fn every_example_is_of_the_right_kind() {
        for key in KEYS {
            let (Default::Is(example) | Default::Depends(_, example)) = key.default;
            let table: toml::Table = format!("x = {example}").parse().unwrap();
            let fits = match key.kind {
                Kind::Text | Kind::Path => table["x"].is_str(),
                Kind::Number => table["x"].is_integer(),
                Kind::Switch => table["x"].is_bool(),
                Kind::List => table["x"].is_array(),
            };
            assert!(fits, "{}: {example}", key.path);
        }
    }
}
