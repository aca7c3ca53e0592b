//! The published form of a line: the schema is the one that the types have, and says every key that
//! the prose says.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use latimer_probe::record::schema;
use serde_json::Value;

fn docs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

#[test]
fn the_schema_is_that_of_the_types() {
    let path = docs().join("record.schema.json");
    let schema = format!("{:#}\n", schema::of_line());
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        fs::write(&path, &schema).expect("the schema is written");
    }
    assert_eq!(fs::read_to_string(&path).expect("the schema"), schema, "{}", path.display());
}

#[test]
fn the_prose_names_every_key() {
    let prose = fs::read_to_string(docs().join("record.md")).expect("the prose");
    let quoted: BTreeSet<&str> = prose.split('`').skip(1).step_by(2).collect();
    let schema = schema::of_line();
    let keys = |of: &Value| of["properties"].as_object().expect("an object").clone();
    let types = ["Account", "Incident", "Passage", "Socket", "Control", "Tokens", "Remark"];
    for (key, _) in types.iter().flat_map(|name| keys(&schema["$defs"][name])) {
        assert!(quoted.contains(key.as_str()), "`{key}` is not in record.md");
    }
}
