//! The JSON Schemas of the documents that the program prints (`docs/schemas`), as each test that
//! reads such a document holds it against them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

/// Where the schemas are.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/schemas")
}

/// By the name that a document begins with.
static SCHEMAS: LazyLock<BTreeMap<String, Validator>> = LazyLock::new(|| {
    let files = std::fs::read_dir(folder()).unwrap();
    files
        .map(|file| {
            let path = file.unwrap().path();
            let schema: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let name = schema["properties"]["schema"]["const"].as_str().unwrap().to_owned();
            let validator = jsonschema::draft202012::options()
                .should_validate_formats(true)
                .build(&schema)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (name, validator)
        })
        .collect()
});

/// Fails where a document is otherwise than its schema says: a key that the schema does not name,
/// one that is missing, a value of another type.
#[track_caller]
pub(crate) fn check(document: &Value) {
    let Some(name) = document["schema"].as_str() else { return };
    let schema = SCHEMAS.get(name).unwrap_or_else(|| panic!("docs/schemas has none for {name}"));
    let faults: Vec<String> = schema
        .iter_errors(document)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{name}: {}\nin {document:#}", faults.join("\n"));
}
