//! Why a step ran, as JSON. `docs/events.md` says what the fields mean.

use serde_json::{Map, Value, json};
use wythe_builder::reason::{FileChange, FileDifference, InputChange, Reason};

/// `reason`, the sentence, and `why`, the same in parts.
pub(crate) fn fields(reason: &Reason) -> Value {
    json!({"reason": reason.to_string(), "why": why(reason)})
}

fn why(reason: &Reason) -> Value {
    match reason {
        Reason::Refresh => json!({"kind": "no-cache"}),
        Reason::RefreshBelow { step } => json!({"kind": "no-cache-below", "step": step}),
        Reason::Failed => json!({"kind": "failed"}),
        Reason::Evicted => json!({"kind": "evicted"}),
        Reason::Changed { earlier, created, origin, changes } => {
            let mut object = json!({
                "kind": "changed",
                "earlier": earlier.to_string(),
                "created": created.seconds,
                "changes": changes.iter().map(change).collect::<Vec<_>>(),
            });
            if let Some(origin) = origin {
                object["origin"] = json!(origin);
            }
            object
        }
        Reason::Unknown => json!({"kind": "unknown"}),
        _ => json!({"kind": "other"}),
    }
}

fn change(change: &InputChange) -> Value {
    match change {
        InputChange::Value { what, old, new } => {
            let mut object = Map::from_iter([("kind".to_owned(), json!("value"))]);
            object.insert("what".to_owned(), json!(what));
            for (side, value) in [("old", old), ("new", new)] {
                if let Some(value) = value {
                    object.insert(side.to_owned(), json!(value));
                }
            }
            Value::Object(object)
        }
        InputChange::Hidden { what } => json!({"kind": "secret", "what": what}),
        InputChange::Base { old, new } => json!({"kind": "base", "old": old, "new": new}),
        InputChange::Files { within, files, more } => json!({
            "kind": "files",
            "within": within,
            "files": files.iter().map(file).collect::<Vec<_>>(),
            "more": more,
        }),
        InputChange::Contents { within } => json!({"kind": "files", "within": within}),
        InputChange::Step { step } => json!({"kind": "step", "step": step}),
        _ => json!({"kind": "other"}),
    }
}

fn file(FileChange { path, kind }: &FileChange) -> Value {
    let mut object = json!({"path": path, "change": kind.name()});
    if let FileDifference::Mode { old, new } = kind {
        object["old"] = json!(format!("{old:04o}"));
        object["new"] = json!(format!("{new:04o}"));
    }
    if let FileDifference::Owner { old, new } = kind {
        object["old"] = json!(format!("{}:{}", old.0, old.1));
        object["new"] = json!(format!("{}:{}", new.0, new.1));
    }
    object
}

#[cfg(test)]
mod tests {
    use wythe_store::id::CacheKey;
    use wythe_store::record_origin::RecordOrigin;
    use wythe_store::timestamp::Timestamp;

    use super::*;

    #[test]
    fn parts_that_are_not_there_have_no_field() {
        let (what, old) = ("variable V".to_owned(), Some("1".to_owned()));
        let mode = FileDifference::Mode { old: 0o644, new: 0o755 };
        let files = vec![FileChange { path: "a".to_owned(), kind: mode }];
        let changes = vec![
            InputChange::Value { what, old, new: None },
            InputChange::Files { within: "the build context".to_owned(), files, more: 2 },
        ];
        let (earlier, created) = (CacheKey::of(b"k"), Timestamp::from_seconds(5));
        let fields = fields(&Reason::Changed { earlier, created, origin: None, changes });
        assert!(fields["why"].get("origin").is_none(), "{fields}");
        let changes = &fields["why"]["changes"];
        assert_eq!(changes[0], json!({"kind": "value", "what": "variable V", "old": "1"}));
        let file = json!({"path": "a", "change": "mode", "old": "0644", "new": "0755"});
        assert_eq!(changes[1]["files"], json!([file]));
        assert_eq!(fields["why"]["created"], 5);
    }

    #[test]
    fn who_made_what_a_step_is_compared_with_is_told() {
        let [run, source, revision, reference] =
            ["https://ci.example/7", "https://example.org/a", "c0ffee", "refs/heads/main"]
                .map(|text| Some(text.to_owned()));
        let origin = RecordOrigin { invocation: run, source, revision, reference };
        let (earlier, created) = (CacheKey::of(b"k"), Timestamp::from_seconds(5));
        let changes = vec![InputChange::Contents { within: "the build context".to_owned() }];
        let reason = Reason::Changed { earlier, created, origin: Some(origin), changes };
        let fields = fields(&reason);
        let told = "files of the build context changed, since it was made at 1970-01-01T00:00:05Z \
                    by https://ci.example/7 from https://example.org/a@c0ffee (refs/heads/main)";
        assert_eq!(fields["reason"], told);
        let expected = json!({
            "invocation": "https://ci.example/7",
            "source": "https://example.org/a",
            "revision": "c0ffee",
            "ref": "refs/heads/main",
        });
        assert_eq!(fields["why"]["origin"], expected);
    }
}
