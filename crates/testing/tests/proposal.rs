//! The proposal holds together: schemas, examples, text, `OpenAPI` and the
//! conformance suite agree.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use jsonschema::{Registry, Validator};
use serde_json::{Value, json};

const TEXT: &str = "two-factor-authentication.md";
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Where the schemas are registered: they refer to each other by file name.
const BASE: &str = "json-schema:///schemas/";

fn proposal() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proposal")
}

fn read_text(path: &str) -> String {
    fs::read_to_string(proposal().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn read_json(path: &str) -> Value {
    serde_json::from_str(&read_text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of the JSON files in a folder, without `.json`.
fn json_files(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(proposal().join(folder)).expect("the folder is there");
    let names: BTreeSet<_> = entries
        .filter_map(|entry| {
            let name = entry.expect("the folder can be read").file_name();
            name.to_str().expect("names are UTF-8").strip_suffix(".json").map(str::to_owned)
        })
        .collect();
    assert!(!names.is_empty(), "{folder} holds no JSON");
    names
}

/// A validator for every schema, by name. References that are not to one of
/// the files fail: nothing is fetched.
fn validators() -> BTreeMap<String, Validator> {
    let names = json_files("schemas");
    let mut registry = Registry::new();
    for name in &names {
        let schema = read_json(&format!("schemas/{name}.json"));
        registry = registry.add(format!("{BASE}{name}.json"), schema).expect("the URI is valid");
    }
    let registry = registry.prepare().expect("every reference resolves");
    let compile = |name: String| {
        let schema = json!({"$schema": DRAFT, "$ref": format!("{BASE}{name}.json")});
        let validator = jsonschema::options().with_registry(&registry).offline().build(&schema);
        (name.clone(), validator.unwrap_or_else(|error| panic!("{name}: {error}")))
    };
    names.into_iter().map(compile).collect()
}

/// Panics unless `instance` validates against the schema `name`.
fn assert_valid(
    validators: &BTreeMap<String, Validator>,
    name: &str,
    instance: &Value,
    whence: &str,
) {
    let validator = validators.get(name).unwrap_or_else(|| panic!("{whence}: no schema {name}"));
    let errors: Vec<_> = validator
        .iter_errors(instance)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{whence}: {errors:#?}");
}

/// The schema that the file `SCHEMA.NAME` is an example of.
fn schema_of(example: &str) -> &str {
    example.split_once('.').unwrap_or_else(|| panic!("{example} is not SCHEMA.NAME")).0
}

/// A fenced block of the text.
struct Block {
    line: usize,
    info: String,
    content: String,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), open.as_mut()) {
            (Some(info), None) => {
                let (line, info) = (index + 1, info.trim().to_owned());
                open = Some(Block { line, info, content: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.content.push_str(line);
                block.content.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is never closed");
    blocks
}

/// What stands between `before` and `after`, each time.
fn between<'t>(text: &'t str, before: &str, after: &str) -> Vec<&'t str> {
    text.split(before).skip(1).filter_map(|rest| Some(rest.split_once(after)?.0)).collect()
}

/// Whether `text` looks like the name of a rule: `area.what-it-says`.
fn is_clause_name(text: &str) -> bool {
    let word = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.contains('.') && text.split('.').all(word)
}

/// The names of the rules, where they are given. `**[MSC1998]**` is none.
fn rules(text: &str) -> Vec<&str> {
    let names = between(text, "**[", "]**").into_iter().filter(|name| name.contains('.'));
    let names: Vec<_> = names.inspect(|name| assert!(is_clause_name(name), "{name}")).collect();
    assert!(!names.is_empty(), "the text has no rules");
    names
}

/// The paragraphs and list items of the text outside of fenced blocks.
fn paragraphs(text: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        let starts = line.trim().is_empty() || line.starts_with("- ") || line.starts_with("```");
        if starts {
            paragraphs.push(String::new());
        }
        if !fenced {
            let paragraph = paragraphs.last_mut().expect("invariant: never empty");
            paragraph.push_str(line.trim_start());
            paragraph.push('\n');
        }
    }
    paragraphs
}

/// The texts that stand under `key`, anywhere in `value`.
fn values_of<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value.as_str() {
                    Some(text) if name == key => found.push(text),
                    _ => values_of(value, key, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| values_of(item, key, found)),
        _ => {}
    }
}

#[test]
fn every_schema_is_valid_itself() {
    for name in json_files("schemas") {
        let schema = read_json(&format!("schemas/{name}.json"));
        assert_eq!(schema["$schema"], DRAFT, "{name}");
        assert!(schema["title"].is_string() && schema["description"].is_string(), "{name}");
        if let Err(error) = jsonschema::meta::validate(&schema) {
            panic!("{name}: {error} at {}", error.instance_path());
        }
    }
    validators();
}

#[test]
fn every_example_validates() {
    let validators = validators();
    for example in json_files("examples") {
        let instance = read_json(&format!("examples/{example}.json"));
        assert_valid(&validators, schema_of(&example), &instance, &example);
    }
}

#[test]
fn every_counter_example_is_refused() {
    let validators = validators();
    for example in json_files("examples/invalid") {
        let instance = read_json(&format!("examples/invalid/{example}.json"));
        let schema = schema_of(&example);
        let validator = validators.get(schema).unwrap_or_else(|| panic!("no schema {schema}"));
        assert!(!validator.is_valid(&instance), "{example} validates");
    }
}

#[test]
fn every_schema_has_an_example_and_a_counter_example() {
    let schemas = json_files("schemas");
    for folder in ["examples", "examples/invalid"] {
        let shown = json_files(folder).iter().map(|name| schema_of(name).to_owned()).collect();
        assert_eq!(schemas, shown, "{folder}");
    }
}

#[test]
fn every_json_block_of_the_text_is_marked_and_validates() {
    let validators = validators();
    let blocks = blocks(&read_text(TEXT));
    assert!(!blocks.is_empty());
    for Block { line, info, content } in blocks {
        let whence = format!("{TEXT}:{line}");
        let json = serde_json::from_str::<Value>(&content);
        let Some(schema) = info.strip_prefix("json schema=") else {
            assert!(!info.starts_with("json") && json.is_err(), "{whence}: unmarked JSON");
            continue;
        };
        let instance = json.unwrap_or_else(|error| panic!("{whence}: {error}"));
        assert_valid(&validators, schema, &instance, &whence);
    }
}

#[test]
fn every_reference_of_the_openapi_resolves() {
    let openapi = read_json("openapi.json");
    assert_eq!(openapi["openapi"], "3.1.0");
    assert_eq!(openapi["jsonSchemaDialect"], DRAFT);
    let mut references = Vec::new();
    values_of(&openapi, "$ref", &mut references);
    assert!(!references.is_empty());
    for reference in references {
        match reference.strip_prefix('#') {
            Some(pointer) => assert!(openapi.pointer(pointer).is_some(), "{reference}"),
            None => drop(read_json(reference)),
        }
    }
    let mut examples = Vec::new();
    values_of(&openapi, "externalValue", &mut examples);
    assert!(!examples.is_empty());
    for example in examples {
        read_json(example);
    }
}

#[test]
fn every_schema_is_used_by_the_openapi() {
    let mut used = BTreeSet::new();
    let mut documents = vec!["openapi.json".to_owned()];
    while let Some(document) = documents.pop() {
        let content = read_json(&document);
        let mut references = Vec::new();
        values_of(&content, "$ref", &mut references);
        for reference in references.into_iter().filter(|reference| !reference.starts_with('#')) {
            // From openapi.json as schemas/NAME.json, from a schema as NAME.json.
            let file = reference.strip_prefix("schemas/").unwrap_or(reference);
            let name = file.strip_suffix(".json").expect("a reference is to a JSON file");
            if used.insert(name.to_owned()) {
                documents.push(format!("schemas/{file}"));
            }
        }
    }
    assert_eq!(used, json_files("schemas"));
}

#[test]
fn every_endpoint_of_the_text_is_in_the_openapi_and_none_else() {
    let text = read_text(TEXT);
    let headings: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("#### `")?.strip_suffix('`'))
        .map(str::to_owned)
        // These have sections of their own, with other headings.
        .chain(["GET /login", "POST /login", "GET /capabilities"].map(str::to_owned))
        .collect();
    let openapi = read_json("openapi.json");
    let mut operations = BTreeSet::new();
    for (path, item) in openapi["paths"].as_object().expect("there are paths") {
        let path = path.strip_prefix("/_matrix/client/v3").expect("paths are those of v3");
        for method in item.as_object().expect("a path has methods").keys() {
            operations.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    assert_eq!(headings, operations);
}

#[test]
fn every_rule_has_one_name_and_every_name_used_is_a_rule() {
    let text = read_text(TEXT);
    let names = rules(&text);
    let rules: BTreeSet<_> = names.iter().copied().collect();
    assert_eq!(rules.len(), names.len(), "a name is given twice");
    for name in between(&text, "[", "]").into_iter().filter(|name| is_clause_name(name)) {
        assert!(rules.contains(name), "[{name}] is no rule");
    }
}

#[test]
fn every_must_should_and_may_stands_in_a_rule_with_a_name() {
    let text = read_text(TEXT);
    // Before that stands what the words mean.
    let (_, rules) = text.split_once("### 1. General").expect("the sections are numbered");
    let mut found = 0;
    for paragraph in paragraphs(rules) {
        let mut words = paragraph.split(|c: char| !c.is_ascii_alphabetic());
        if words.any(|word| ["MUST", "SHOULD", "MAY"].contains(&word)) {
            assert!(paragraph.starts_with("- **["), "{paragraph}");
            found += 1;
        }
    }
    assert!(found > 100, "only {found} rules");
}

/// Whether `pattern`, which may hold one `*`, is `name`.
fn is_match(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
    }
}

#[test]
fn every_rule_has_cases_in_the_conformance_suite_or_a_reason_for_none() {
    let text = read_text(TEXT);
    let conformance = read_json("conformance.json");
    let conformance = conformance.as_object().expect("an object from rules to cases");
    let listed: BTreeSet<_> = conformance.keys().map(String::as_str).collect();
    assert_eq!(rules(&text).into_iter().collect::<BTreeSet<_>>(), listed);

    let cases = spec_tests::cases();
    let mut unlisted: BTreeSet<_> = cases.iter().map(spec_tests::Case::name).collect();
    for (rule, patterns) in conformance {
        let Value::Array(patterns) = patterns else {
            assert!(patterns.as_str().is_some_and(|reason| !reason.is_empty()), "{rule}");
            continue;
        };
        assert!(!patterns.is_empty(), "{rule}");
        for pattern in patterns {
            let pattern = pattern.as_str().expect("the name of a case");
            let found = cases.iter().map(spec_tests::Case::name).filter(|n| is_match(pattern, n));
            let found: Vec<_> = found.collect();
            assert!(!found.is_empty(), "{rule}: no case is {pattern}");
            unlisted.retain(|name| !found.contains(name));
        }
    }
    assert!(unlisted.is_empty(), "cases of no rule: {unlisted:#?}");
}

#[test]
fn a_case_with_the_name_of_a_rule_checks_that_rule() {
    let conformance = read_json("conformance.json");
    for case in spec_tests::cases() {
        if let Some(patterns) = conformance.get(case.name()) {
            let patterns = patterns.as_array().expect("a rule with a case has a list");
            assert!(patterns.contains(&json!(case.name())), "{}", case.name());
        }
    }
}
