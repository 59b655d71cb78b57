use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;
use vestige_traits::scheduling::SchedulingState;
use vestige_traits::transfer::TransferRow;

use super::json;

/// Appends the canonical line of a row, without its line feed.
pub(crate) fn write_row(out: &mut Vec<u8>, row: &TransferRow) {
    let mut line = Object::begin(out);
    line.text("kind", row.kind().as_str());
    match row {
        TransferRow::User(user) => {
            line.uuid("id", user.id);
            line.text("handle", &user.handle);
            line.optional_text("display_name", user.display_name.as_deref());
            line.time("created_at", &user.created_at);
            line.value("metadata", &user.metadata);
        }
        TransferRow::Group(group) => {
            line.uuid("id", group.id);
            line.text("handle", &group.handle);
            line.optional_text("display_name", group.display_name.as_deref());
            line.time("created_at", &group.created_at);
            line.value("metadata", &group.metadata);
        }
        TransferRow::GroupMembership(membership) => {
            line.uuid("user_id", membership.user_id);
            line.uuid("group_id", membership.group_id);
            line.text("role", membership.role.as_str());
            line.time("joined_at", &membership.joined_at);
        }
        TransferRow::Domain(domain) => {
            line.text("id", &domain.id);
            line.text("label", &domain.label);
            line.vector("centroid", domain.centroid.as_deref());
            line.texts("top_terms", &domain.top_terms);
            line.integer("memory_count", domain.memory_count);
            line.time("created_at", &domain.created_at);
            line.value("metadata", &domain.metadata);
        }
        TransferRow::Memory(record) => {
            line.uuid("id", record.id);
            line.text("content", &record.content);
            line.text("node_type", &record.node_type);
            line.texts("tags", &record.tags);
            line.value("metadata", &record.metadata);
            line.texts("domains", &record.domains);
            line.object("domain_scores", |scores| {
                for (domain, score) in &record.domain_scores {
                    scores.float(domain, *score);
                }
            });
            line.vector("embedding", record.embedding.as_deref());
            line.optional_text("codebase", record.codebase.as_deref());
            line.uuid("owner_user_id", record.owner_user_id);
            line.text("visibility", record.visibility.as_str());
            line.uuids("shared_with_groups", &record.shared_with_groups);
            line.time("created_at", &record.created_at);
            line.time("updated_at", &record.updated_at);
            // The one key that is left out: lines of before have none.
            if let Some(session) = &record.session {
                line.text("session", session);
            }
        }
        TransferRow::Scheduling(scheduled) => {
            line.uuid("memory_id", scheduled.memory_id);
            state(&mut line, &scheduled.state);
        }
        TransferRow::Edge(edge) => {
            line.uuid("source_id", edge.source_id);
            line.uuid("target_id", edge.target_id);
            line.text("edge_type", &edge.edge_type);
            line.float("weight", edge.weight);
            line.time("created_at", &edge.created_at);
        }
        TransferRow::ReviewEvent(event) => {
            line.uuid("id", event.id);
            line.uuid("memory_id", event.memory_id);
            line.time("timestamp", &event.timestamp);
            line.text("rating", event.rating.as_str());
            match &event.prior_state {
                Some(prior) => line.object("prior_state", |object| state(object, prior)),
                None => line.null("prior_state"),
            }
            line.object("new_state", |object| state(object, &event.new_state));
        }
    }
    line.end();
}

fn state(object: &mut Object<'_>, state: &SchedulingState) {
    object.float("stability", state.stability);
    object.float("difficulty", state.difficulty);
    object.float("retrievability", state.retrievability);
    object.optional_time("last_review", state.last_review.as_ref());
    object.optional_time("next_review", state.next_review.as_ref());
    object.integer("reps", state.reps.into());
    object.integer("lapses", state.lapses.into());
}

/// A JSON object under construction: keys in the order in which they are written.
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Object<'o> {
    pub(crate) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    pub(crate) fn end(self) {
        self.out.push(b'}');
    }

    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        json::string(self.out, key);
        self.out.push(b':');
        self.out
    }

    pub(crate) fn null(&mut self, key: &str) {
        self.key(key).extend_from_slice(b"null");
    }

    pub(crate) fn text(&mut self, key: &str, text: &str) {
        json::string(self.key(key), text);
    }

    pub(crate) fn integer(&mut self, key: &str, whole: u64) {
        json::integer(self.key(key), whole);
    }

    pub(crate) fn object(&mut self, key: &str, write: impl FnOnce(&mut Object<'_>)) {
        let mut object = Object::begin(self.key(key));
        write(&mut object);
        object.end();
    }

    /// A value that `write` appends.
    pub(crate) fn raw(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        write(self.key(key));
    }

    fn optional_text(&mut self, key: &str, text: Option<&str>) {
        match text {
            Some(text) => self.text(key, text),
            None => self.null(key),
        }
    }

    pub(crate) fn texts(&mut self, key: &str, texts: &[String]) {
        json::list(self.key(key), texts, |out, text| json::string(out, text));
    }

    fn uuid(&mut self, key: &str, id: Uuid) {
        uuid(self.key(key), id);
    }

    fn uuids(&mut self, key: &str, ids: &[Uuid]) {
        json::list(self.key(key), ids, |out, id| uuid(out, *id));
    }

    fn float(&mut self, key: &str, number: f64) {
        json::float(self.key(key), number);
    }

    fn value(&mut self, key: &str, json: &Value) {
        json::value(self.key(key), json);
    }

    fn time(&mut self, key: &str, time: &DateTime<Utc>) {
        json::time(self.key(key), time);
    }

    fn optional_time(&mut self, key: &str, time: Option<&DateTime<Utc>>) {
        match time {
            Some(time) => self.time(key, time),
            None => self.null(key),
        }
    }

    fn vector(&mut self, key: &str, vector: Option<&[f32]>) {
        let Some(vector) = vector else { return self.null(key) };
        let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
        let out = self.key(key);
        out.push(b'"');
        let start = out.len();
        out.resize(start + bytes.len().div_ceil(3) * 4, 0);
        // The slice is exactly as long as padded base64 is, so it is always large enough.
        let written = STANDARD.encode_slice(&bytes, &mut out[start..]).unwrap_or(0);
        out.truncate(start + written);
        out.push(b'"');
    }
}

fn uuid(out: &mut Vec<u8>, id: Uuid) {
    out.push(b'"');
    out.extend_from_slice(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
    out.push(b'"');
}
