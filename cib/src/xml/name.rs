//! Names of elements and attributes: an index into the vocabulary of the CIB where possible, else shared text.
//!
//! A full CIB repeats a few hundred names a hundred thousand times; sixteen bytes without an allocation each is what keeps
//! a parsed document within a small multiple of its text.

use std::fmt;
use std::sync::{Arc, LazyLock};

use super::Text;

/// The name of an element or of an attribute.
#[derive(Clone)]
pub struct Name(Repr);

#[derive(Clone)]
enum Repr {
    /// Index into [`VOCABULARY`].
    Known(u16),
    Other(Arc<str>),
}

/// A word of the vocabulary, looked up when the program is compiled: what asks for an attribute thousands of times compares
/// numbers instead of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(u16);

impl Word {
    /// # Panics
    ///
    /// If the text is not in the vocabulary; of a constant, when the program is compiled.
    pub const fn of(text: &str) -> Word {
        let mut index = 0;
        while index < VOCABULARY.len() {
            if same(VOCABULARY[index].as_bytes(), text.as_bytes()) {
                return Word(index as u16);
            }
            index += 1;
        }
        panic!("the vocabulary has no such word");
    }
}

impl Word {
    /// That of the name ([`Name::number`]).
    #[inline]
    pub(super) fn number(self) -> u32 {
        u32::from(self.0)
    }
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

impl Name {
    /// A number that equal names share.
    pub(super) fn number(&self) -> u32 {
        match &self.0 {
            Repr::Known(index) => u32::from(*index),
            Repr::Other(text) => hash(text) as u32 + 0x1_0000,
        }
    }

    /// Whether this is the word.
    #[inline]
    pub(crate) fn is_word(&self, word: Word) -> bool {
        // A name of the vocabulary is never held as text.
        matches!(self.0, Repr::Known(index) if index == word.0)
    }

    pub(crate) fn new(text: &str) -> Name {
        match known(text) {
            Some(index) => Name(Repr::Known(index)),
            None => Name(Repr::Other(Arc::from(text))),
        }
    }

    /// The name if it is one of the vocabulary: free of allocation.
    pub(crate) fn known(text: &str) -> Option<Name> {
        known(text).map(|index| Name(Repr::Known(index)))
    }

    /// Whether it is the name under which comments are kept.
    #[inline]
    pub(crate) fn is_comment(&self) -> bool {
        matches!(self.0, Repr::Known(COMMENT_INDEX))
    }

    /// Whether this is the name. Most names that are asked for differ from the others in length or end.
    #[inline]
    pub(crate) fn is(&self, name: &str) -> bool {
        let own = self.as_str();
        own.len() == name.len() && own.as_bytes().last() == name.as_bytes().last() && own == name
    }

    #[inline]
    pub(crate) fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Known(index) => VOCABULARY.get(*index as usize).copied().unwrap_or(""),
            Repr::Other(text) => text,
        }
    }

    /// The name as a text of its own.
    pub(super) fn text(&self) -> Text {
        match &self.0 {
            Repr::Known(index) => Text::fixed(VOCABULARY.get(*index as usize).copied().unwrap_or("")),
            Repr::Other(text) => Text::shared(Arc::clone(text)),
        }
    }
}

impl PartialEq for Name {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Known(a), Repr::Known(b)) => a == b,
            (Repr::Other(a), Repr::Other(b)) => a == b,
            // A name of the vocabulary is never held as text.
            _ => false,
        }
    }
}

impl Eq for Name {}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether `text` is an XML name (colons allowed, as everywhere before namespaces).
pub(crate) fn is_xml_name(text: &str) -> bool {
    let mut chars = text.chars();
    let Some(first) = chars.next() else {
        return false;
    };
    let start = |c: char| c.is_alphabetic() || c == '_' || c == ':';
    start(first)
        && chars
            .all(|c| start(c) || c.is_numeric() || matches!(c, '-' | '.' | '\u{b7}' | '\u{300}'..='\u{36f}'))
}

/// The name under which a comment is kept; no name of XML begins so.
pub(crate) const COMMENT: &str = "#comment";

/// Where [`COMMENT`] stands: first, so that every listing of children can ask cheaply.
const COMMENT_INDEX: u16 = 0;

const BUCKETS: usize = 2048;

static TABLE: LazyLock<Box<[u16; BUCKETS]>> = LazyLock::new(|| {
    let mut table = Box::new([u16::MAX; BUCKETS]);
    for (index, word) in VOCABULARY.iter().enumerate() {
        let mut slot = hash(word);
        while table[slot] != u16::MAX {
            slot = (slot + 1) % BUCKETS;
        }
        table[slot] = index as u16;
    }
    table
});

fn known(text: &str) -> Option<u16> {
    let table = &**TABLE;
    let mut slot = hash(text);
    loop {
        let index = table[slot];
        if index == u16::MAX {
            return None;
        }
        if VOCABULARY.get(index as usize).is_some_and(|word| *word == text) {
            return Some(index);
        }
        slot = (slot + 1) % BUCKETS;
    }
}

fn hash(text: &str) -> usize {
    let mut sum: u32 = 0x811c_9dc5;
    for byte in text.bytes() {
        sum = (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    (sum ^ (sum >> 15)) as usize % BUCKETS
}

/// Element and attribute names of both dialects of the CIB, of patches and of the replies (no duplicates).
/// Names outside it work as well, at the price of an allocation a document.
pub(crate) const VOCABULARY: &[&str] = &[
    COMMENT,
    "id",
    "name",
    "value",
    "nvpair",
    "type",
    "class",
    "provider",
    "uname",
    "cib",
    "configuration",
    "crm_config",
    "nodes",
    "node",
    "resources",
    "constraints",
    "status",
    "op_defaults",
    "rsc_defaults",
    "acls",
    "fencing-topology",
    "tags",
    "alerts",
    "primitive",
    "group",
    "clone",
    "master",
    "master_slave",
    "bundle",
    "template",
    "cluster_property_set",
    "instance_attributes",
    "meta_attributes",
    "utilization",
    "attributes",
    "operations",
    "op",
    "interval",
    "timeout",
    "rule",
    "expression",
    "date_expression",
    "date_spec",
    "duration",
    "rsc_expression",
    "op_expression",
    "rsc_location",
    "rsc_colocation",
    "rsc_order",
    "rsc_ticket",
    "resource_set",
    "resource_ref",
    "lifetime",
    "score",
    "score-attribute",
    "score_attribute",
    "boolean-op",
    "boolean_op",
    "role",
    "attribute",
    "operation",
    "value-source",
    "start",
    "end",
    "id-ref",
    "rsc",
    "with-rsc",
    "rsc-pattern",
    "rsc-role",
    "with-rsc-role",
    "node-attribute",
    "node_attribute",
    "first",
    "then",
    "first-action",
    "then-action",
    "kind",
    "symmetrical",
    "require-all",
    "sequential",
    "ordering",
    "action",
    "ticket",
    "loss-policy",
    "influence",
    "resource-discovery",
    "from",
    "to",
    "from_role",
    "to_role",
    "to_action",
    "description",
    "admin_epoch",
    "epoch",
    "num_updates",
    "validate-with",
    "crm_feature_set",
    "have-quorum",
    "dc-uuid",
    "cib-last-written",
    "update-origin",
    "update-client",
    "update-user",
    "no-quorum-panic",
    "remote-tls-port",
    "remote-clear-port",
    "execution-date",
    "num_peers",
    "have_quorum",
    "dc_uuid",
    "ccm_transition",
    "ignore_dtd",
    "generated",
    "crm-debug-origin",
    "cib_feature_revision",
    "remote_access_port",
    "cib_last_written",
    "node_state",
    "transient_attributes",
    "lrm",
    "lrm_resources",
    "lrm_resource",
    "lrm_rsc_op",
    "in_ccm",
    "crmd",
    "join",
    "expected",
    "ha",
    "shutdown",
    "clear_shutdown",
    "remote_node",
    "node_fenced",
    "node_in_maintenance",
    "container",
    "operation_key",
    "transition-key",
    "transition-magic",
    "exit-reason",
    "on_node",
    "call-id",
    "rc-code",
    "op-status",
    "last-rc-change",
    "last-run",
    "exec-time",
    "queue-time",
    "op-digest",
    "op-restart-digest",
    "op-force-restart",
    "op-secure-params",
    "op-secure-digest",
    "migrate_source",
    "migrate_target",
    "migrate_from",
    "transition_key",
    "transition_magic",
    "call_id",
    "rc_code",
    "op_status",
    "op_digest",
    "op_restart_digest",
    "op_force_restart",
    "last_run",
    "last_rc_change",
    "exec_time",
    "queue_time",
    "tickets",
    "ticket_state",
    "granted",
    "last-granted",
    "standby",
    "start-delay",
    "start_delay",
    "interval-origin",
    "enabled",
    "disabled",
    "record-pending",
    "requires",
    "prereq",
    "on-fail",
    "on_fail",
    "is_managed",
    "restart_type",
    "multiple_active",
    "resource_stickiness",
    "ordered",
    "collocated",
    "notify",
    "globally_unique",
    "interleave",
    "docker",
    "rkt",
    "podman",
    "image",
    "replicas",
    "replicas-per-host",
    "masters",
    "promoted-max",
    "run-command",
    "network",
    "options",
    "ip-range-start",
    "control-port",
    "host-interface",
    "host-netmask",
    "add-host",
    "port-mapping",
    "port",
    "internal-port",
    "range",
    "storage",
    "storage-mapping",
    "source-dir",
    "source-dir-root",
    "target-dir",
    "fencing-level",
    "target",
    "target-pattern",
    "target-attribute",
    "target-value",
    "index",
    "devices",
    "acl_user",
    "acl_role",
    "acl_target",
    "acl_group",
    "acl_permission",
    "role_ref",
    "read",
    "write",
    "deny",
    "tag",
    "ref",
    "xpath",
    "reference",
    "object-type",
    "obj_ref",
    "alert",
    "path",
    "recipient",
    "select",
    "select_attributes",
    "select_fencing",
    "select_nodes",
    "select_resources",
    "hours",
    "monthdays",
    "weekdays",
    "yeardays",
    "yearsdays",
    "months",
    "weeks",
    "days",
    "years",
    "weekyears",
    "moon",
    "minutes",
    "seconds",
    "diff",
    "diff-removed",
    "diff-added",
    "digest",
    "format",
    "version",
    "source",
    "change",
    "change-list",
    "change-attr",
    "change-result",
    "position",
    "__crm_diff_marker__",
    "__delete__",
    "replace",
    "xpath-query",
    "xpath-query-path",
    "failed",
    "failed_update",
    "object_type",
    "reason",
    "cib_fragment",
    "member",
    "rsc_id",
    "node_id",
    "no-quorum",
    "peer",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vocabulary_has_no_duplicates_and_finds_itself() {
        for (index, word) in VOCABULARY.iter().enumerate() {
            assert_eq!(known(word), Some(index as u16), "{word} stands twice or is not found");
        }
        assert_eq!(Name::new("id"), Name::known("id").expect("id is known"));
        assert_eq!(Name::new("strange").as_str(), "strange");
        assert_eq!(std::mem::size_of::<Name>(), 16);
        assert!(Name::new(COMMENT).is_comment());
        const UNAME: Word = Word::of("uname");
        assert!(Name::new("uname").is_word(UNAME) && !Name::new("name").is_word(UNAME));
        assert!(!Name::new("unam").is_word(UNAME));
    }

    #[test]
    fn names() {
        for good in ["a", "a-b.c", "_x", "x:y", "__crm_diff_marker__", "größe"] {
            assert!(is_xml_name(good), "{good}");
        }
        for bad in ["", "1a", "-a", "a b", "a/b", "a=b"] {
            assert!(!is_xml_name(bad), "{bad}");
        }
    }
}
