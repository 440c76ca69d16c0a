//! What is in JSON and in Prometheus' format.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// JSON that has no key twice: parsers do not agree on what that means.
pub enum Json {
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
    Other,
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = from.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Json, A::Error> {
        let mut object: Vec<(String, Json)> = Vec::new();
        while let Some((key, value)) = from.next_entry()? {
            if object.iter().any(|(other, _)| *other == key) {
                return Err(A::Error::custom(format!("{key} is there twice")));
            }
            object.push((key, value));
        }
        Ok(Json::Object(object))
    }
}

impl Json {
    /// Each text with its key; those in a list have the key of the list.
    fn texts(&self, key: &str, each: &mut impl FnMut(&str, &str)) {
        match self {
            Self::Text(text) => each(key, text),
            Self::List(list) => list.iter().for_each(|item| item.texts(key, each)),
            Self::Object(object) => object.iter().for_each(|(key, value)| value.texts(key, each)),
            Self::Other => {}
        }
    }
}

pub fn json(form: &str) -> Json {
    serde_json::from_str(form).unwrap_or_else(|error| panic!("{error}: {form}"))
}

/// No message has a link: `[text](target)`.
pub fn sarif(form: &str) {
    json(form).texts("", &mut |key, text| assert!(key != "text" || !text.contains("]("), "{text:?}"));
}

/// Slack's markup: what is between `<` and `>` is a link or a mention, and there is none; and what is not between
/// backquotes has words of ours only.
pub fn slack(form: &str) {
    json(form).texts("", &mut |key, text| {
        // The header is plain text.
        if key == "text" && text.contains('`') || text.contains("&lt;") {
            assert!(!text.contains(['<', '>']), "{text:?}");
            assert!(text.matches('`').count() % 2 == 0, "{text:?}");
        }
        let outside: String = text.split('`').step_by(2).collect();
        for entity in outside.split('&').skip(1) {
            assert!(["amp;", "lt;", "gt;"].iter().any(|known| entity.starts_with(known)), "{text:?}");
        }
    });
}

/// Each line is a comment or a sample of ours, with labels of ours, as the format has it: `name{key="value",…} number`, where a
/// value has `\\`, `\"` and `\n` for what would end it.
///
/// Source: Prometheus' documentation, "Exposition formats".
pub fn prometheus(form: &str) {
    for line in form.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            assert!(["HELP driftlock_", "TYPE driftlock_"].iter().any(|begin| comment.starts_with(begin)), "{line:?}");
            continue;
        }
        let (metric, labels) = line.split_once('{').unwrap_or_else(|| panic!("{line:?}"));
        assert!(metric.strip_prefix("driftlock_").is_some_and(is_word), "{line:?}");
        let number = after_labels(labels).unwrap_or_else(|| panic!("{line:?}"));
        assert!(number.parse::<f64>().is_ok(), "{line:?}");
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// What is behind the labels, if they are ours.
fn after_labels(mut rest: &str) -> Option<&str> {
    loop {
        let (key, value) = rest.split_once("=\"")?;
        let known = ["run", "server", "check", "verdict", "change", "digest", "layer", "version"];
        let mut characters = value.char_indices();
        let end = loop {
            match characters.next()? {
                (_, '\\') => drop(characters.next().filter(|(_, next)| "\\\"n".contains(*next))?),
                (at, '"') => break at,
                _ => {}
            }
        };
        let ours = !["verdict", "change", "layer"].contains(&key) || is_word(&value[..end]);
        if !known.contains(&key) || !ours {
            return None;
        }
        rest = &value[end + 1..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return rest.strip_prefix("} "),
        }
    }
}
