//! What the nodes of one cluster say to each other above the group: orders of the DC, their answers,
//! and requests that another node must carry out.
//!
//! Messages travel on the bus: in order per sender, delivered within one view or reported as dropped.
//! They are small XML elements, so that a captured one can be read; everything that arrives is parsed
//! as input from outside.

use std::sync::Arc;

use ccm::seam::Incarnation;
use cib::{Element, Text};

use crate::policy::graph::{ActionId, ActionKind, GraphAction, GraphResource};
use crate::transition::Key;

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// The DC orders an action of its plan. `fatal_start`: a failed start counts as INFINITY.
    Execute { key: Key, action: Box<GraphAction>, fatal_start: bool },
    /// Ends an action whose result the history does not record, or that was refused.
    Done { key: Key, ok: bool, rc: i32, reason: String },
    /// A client's request that the receiver must carry out; answered with [`Message::Answer`].
    Ask { id: u64, ask: Ask },
    /// The answer to [`Message::Ask`].
    Answer { id: u64, reply: Reply },
    /// Use one device against a node; answered with [`Message::FenceResult`].
    Fence { id: u64, device: String, target: String, action: String, timeout_ms: u64, delay_ms: u64 },
    /// How it went. `rc` 0 is the only success.
    FenceResult { id: u64, rc: i32, reason: String },
    /// Everybody's history: a fencing operation has ended.
    FenceNews(FenceRecord),
    /// What the sender knows of earlier fencing operations: for members that were not there, and for what
    /// the end of a view swallowed.
    FenceHistory(Vec<FenceRecord>),
    /// The fencing operations that the DC has under way, all of them; a later one replaces this.
    FencePending(Vec<FenceRecord>),
    /// A dampened attribute was written by the sender: write yours now.
    Flush { name: String },
    /// To the DC, once in a view: what the sender knew of itself when it entered is in the status section.
    Written,
}

/// Number of an [`Message::Ask`] whose answer nobody waits for.
pub const NOBODY: u64 = u64::MAX;

/// What one node may ask of another on behalf of a client.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Set a transient attribute of the receiver (`None`: remove). `delay_ms` is the dampening.
    SetAttribute { name: String, value: Option<String>, set: Option<String>, delay_ms: Option<u64> },
    /// Forget the history of a resource, and its fail counts.
    Cleanup { resource: String, operation: Option<String>, interval_ms: Option<u64> },
    /// Record that a resource failed.
    Fail { resource: String },
    /// DC only: fence a node.
    Fence { target: String, action: String, timeout_ms: u64 },
    /// DC only: an administrator vouches that the node is down.
    ConfirmFenced { target: String },
    /// The classic name of the receiver's state, `S_IDLE` and the like.
    State,
    /// Stop cleanly, resources first; answered when that has begun.
    Shutdown,
}

/// What came of an [`Ask`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// 0, or the exit status of the classic command.
    pub code: i32,
    /// Why not; after success what was asked for, which is mostly nothing.
    pub text: String,
}

impl Reply {
    /// Done; what was asked for.
    pub fn done(text: impl Into<String>) -> Self {
        Self { code: 0, text: text.into() }
    }

    /// Not done, and why.
    pub fn refused(code: i32, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// One fencing operation: one that has ended, or in a list of pending ones one that has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FenceRecord {
    pub target: String,
    pub action: String,
    /// Who carried it out: a node, or `a human`.
    pub delegate: String,
    /// The node on whose DC duty it was decided, and on whose behalf.
    pub origin: String,
    pub client: String,
    pub rc: i32,
    pub reason: String,
    /// Epoch nanoseconds.
    pub completed: i64,
    /// Which start of the target it was, as far as the decider knew: its next one is another.
    pub inc: Option<Incarnation>,
}

/// Why a message could not be read. The sender is of another version, or the message is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    #[error("message is not text: {0}")]
    Text(String),
    #[error("message <{0}> is of no known kind")]
    Kind(String),
    #[error("message <{kind}> lacks a usable \"{field}\"")]
    Field { kind: String, field: &'static str },
}

impl Message {
    /// The bytes for the bus.
    pub fn encode(&self) -> Vec<u8> {
        let element = match self {
            Message::Execute { key, action, fatal_start } => Element::new("execute")
                .with_attr("key", key.to_string())
                .with_attr("fatal-start", fatal_start.to_string())
                .with_child(encode_action(action)),
            Message::Done { key, ok, rc, reason } => Element::new("done")
                .with_attr("key", key.to_string())
                .with_attr("ok", ok.to_string())
                .with_attr("rc", rc.to_string())
                .with_attr("reason", reason.as_str()),
            Message::Ask { id, ask } => {
                Element::new("ask").with_attr("id", id.to_string()).with_child(encode_ask(ask))
            }
            Message::Answer { id, reply } => {
                let error = if reply.code == 0 { "" } else { reply.text.as_str() };
                let mut element =
                    Element::new("answer").with_attr("id", id.to_string()).with_attr("error", error);
                if reply.code != 0 {
                    element.set_attr("code", reply.code.to_string());
                } else if !reply.text.is_empty() {
                    element.set_attr("said", reply.text.as_str());
                }
                element
            }
            Message::Fence { id, device, target, action, timeout_ms, delay_ms } => Element::new("fence")
                .with_attr("id", id.to_string())
                .with_attr("device", device.as_str())
                .with_attr("target", target.as_str())
                .with_attr("action", action.as_str())
                .with_attr("timeout", timeout_ms.to_string())
                .with_attr("delay", delay_ms.to_string()),
            Message::FenceResult { id, rc, reason } => Element::new("fence-result")
                .with_attr("id", id.to_string())
                .with_attr("rc", rc.to_string())
                .with_attr("reason", reason.as_str()),
            Message::FenceNews(record) => encode_record(record),
            Message::FenceHistory(records) => encode_records("fence-history", records),
            Message::FencePending(records) => encode_records("fence-pending", records),
            Message::Flush { name } => Element::new("flush").with_attr("name", name.as_str()),
            Message::Written => Element::new("written"),
        };
        element.to_xml_compact().into_bytes()
    }

    /// Reads a message.
    ///
    /// # Errors
    /// Bytes that are no message of this version; nothing was changed.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let text = std::str::from_utf8(bytes).map_err(|e| MessageError::Text(e.to_string()))?;
        let element = Element::parse(text).map_err(|e| MessageError::Text(e.to_string()))?;
        let from = Fields(&element);
        Ok(match element.name() {
            "execute" => Message::Execute {
                key: from.parse("key")?,
                fatal_start: from.parse("fatal-start")?,
                action: Box::new(decode_action(from.child("action")?)?),
            },
            "done" => Message::Done {
                key: from.parse("key")?,
                ok: from.parse("ok")?,
                rc: from.parse("rc")?,
                reason: from.text("reason")?,
            },
            "ask" => Message::Ask {
                id: from.parse("id")?,
                ask: decode_ask(element.children().next().ok_or(from.error("request"))?)?,
            },
            "answer" => {
                let error = from.text("error")?;
                let code = from.maybe_parse("code")?.unwrap_or(i32::from(!error.is_empty()));
                let text = if code == 0 { from.maybe("said").unwrap_or_default() } else { error };
                Message::Answer { id: from.parse("id")?, reply: Reply { code, text } }
            }
            "fence" => Message::Fence {
                id: from.parse("id")?,
                device: from.text("device")?,
                target: from.text("target")?,
                action: from.text("action")?,
                timeout_ms: from.parse("timeout")?,
                delay_ms: from.parse("delay")?,
            },
            "fence-result" => Message::FenceResult {
                id: from.parse("id")?,
                rc: from.parse("rc")?,
                reason: from.text("reason")?,
            },
            "fence-news" => Message::FenceNews(decode_record(&element)?),
            "fence-history" => Message::FenceHistory(decode_records(&element)?),
            "fence-pending" => Message::FencePending(decode_records(&element)?),
            "flush" => Message::Flush { name: from.text("name")? },
            "written" => Message::Written,
            other => return Err(MessageError::Kind(other.to_owned())),
        })
    }

    /// Whether it is for the fencing machine.
    pub fn is_fencing(&self) -> bool {
        matches!(
            self,
            Message::Fence { .. }
                | Message::FenceResult { .. }
                | Message::FenceNews(_)
                | Message::FenceHistory(_)
                | Message::FencePending(_)
        )
    }
}

fn encode_records(name: &str, records: &[FenceRecord]) -> Element {
    records.iter().map(encode_record).fold(Element::new(name), Element::with_child)
}

fn decode_records(element: &Element) -> Result<Vec<FenceRecord>, MessageError> {
    element.children().map(decode_record).collect()
}

fn encode_record(record: &FenceRecord) -> Element {
    let mut element = Element::new("fence-news")
        .with_attr("target", record.target.as_str())
        .with_attr("action", record.action.as_str())
        .with_attr("delegate", record.delegate.as_str())
        .with_attr("origin", record.origin.as_str())
        .with_attr("client", record.client.as_str())
        .with_attr("rc", record.rc.to_string())
        .with_attr("reason", record.reason.as_str())
        .with_attr("completed", record.completed.to_string());
    if let Some(inc) = record.inc {
        element.set_attr("generation", inc.generation.to_string());
        element.set_attr("boot", inc.boot.to_string());
    }
    element
}

fn decode_record(element: &Element) -> Result<FenceRecord, MessageError> {
    let from = Fields(element);
    let inc = match element.attr("generation") {
        Some(_) => Some(Incarnation { generation: from.parse("generation")?, boot: from.parse("boot")? }),
        None => None,
    };
    Ok(FenceRecord {
        target: from.text("target")?,
        action: from.text("action")?,
        delegate: from.text("delegate")?,
        origin: from.text("origin")?,
        client: from.text("client")?,
        rc: from.parse("rc")?,
        reason: from.text("reason")?,
        completed: from.parse("completed")?,
        inc,
    })
}

struct Fields<'a>(&'a Element);

impl<'a> Fields<'a> {
    fn error(&self, field: &'static str) -> MessageError {
        MessageError::Field { kind: self.0.name().to_owned(), field }
    }

    fn text(&self, field: &'static str) -> Result<String, MessageError> {
        self.0.attr(field).map(str::to_owned).ok_or_else(|| self.error(field))
    }

    fn maybe(&self, field: &'static str) -> Option<String> {
        self.0.attr(field).map(str::to_owned)
    }

    fn parse<T: std::str::FromStr>(&self, field: &'static str) -> Result<T, MessageError> {
        self.0.attr(field).and_then(|v| v.parse().ok()).ok_or_else(|| self.error(field))
    }

    fn maybe_parse<T: std::str::FromStr>(&self, field: &'static str) -> Result<Option<T>, MessageError> {
        match self.0.attr(field) {
            None => Ok(None),
            Some(value) => value.parse().map(Some).map_err(|_| self.error(field)),
        }
    }

    fn child(&self, name: &'static str) -> Result<&'a Element, MessageError> {
        self.0.child(name).ok_or_else(|| self.error(name))
    }
}

fn set_maybe(element: &mut Element, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        element.set_attr(name, value);
    }
}

fn encode_ask(ask: &Ask) -> Element {
    match ask {
        Ask::SetAttribute { name, value, set, delay_ms } => {
            let mut element = Element::new("attribute").with_attr("name", name.as_str());
            set_maybe(&mut element, "value", value.as_deref());
            set_maybe(&mut element, "set", set.as_deref());
            set_maybe(&mut element, "delay", delay_ms.map(|d| d.to_string()).as_deref());
            element
        }
        Ask::Cleanup { resource, operation, interval_ms } => {
            let mut element = Element::new("cleanup").with_attr("resource", resource.as_str());
            set_maybe(&mut element, "operation", operation.as_deref());
            set_maybe(&mut element, "interval", interval_ms.map(|i| i.to_string()).as_deref());
            element
        }
        Ask::Fail { resource } => Element::new("fail").with_attr("resource", resource.as_str()),
        Ask::Fence { target, action, timeout_ms } => Element::new("fence")
            .with_attr("target", target.as_str())
            .with_attr("action", action.as_str())
            .with_attr("timeout", timeout_ms.to_string()),
        Ask::ConfirmFenced { target } => Element::new("confirm-fenced").with_attr("target", target.as_str()),
        Ask::State => Element::new("state"),
        Ask::Shutdown => Element::new("shutdown"),
    }
}

fn decode_ask(element: &Element) -> Result<Ask, MessageError> {
    let from = Fields(element);
    Ok(match element.name() {
        "attribute" => Ask::SetAttribute {
            name: from.text("name")?,
            value: from.maybe("value"),
            set: from.maybe("set"),
            delay_ms: from.maybe_parse("delay")?,
        },
        "cleanup" => Ask::Cleanup {
            resource: from.text("resource")?,
            operation: from.maybe("operation"),
            interval_ms: from.maybe_parse("interval")?,
        },
        "fail" => Ask::Fail { resource: from.text("resource")? },
        "fence" => Ask::Fence {
            target: from.text("target")?,
            action: from.text("action")?,
            timeout_ms: from.parse("timeout")?,
        },
        "confirm-fenced" => Ask::ConfirmFenced { target: from.text("target")? },
        "state" => Ask::State,
        "shutdown" => Ask::Shutdown,
        other => return Err(MessageError::Kind(other.to_owned())),
    })
}

fn encode_action(action: &GraphAction) -> Element {
    let kind = match action.kind {
        ActionKind::Resource => "resource",
        ActionKind::Pseudo => "pseudo",
        ActionKind::Cluster => "cluster",
    };
    let mut element = Element::new("action")
        .with_attr("id", action.id.0.to_string())
        .with_attr("kind", kind)
        .with_attr("operation", action.operation.as_str())
        .with_attr("operation_key", action.operation_key.as_str());
    set_maybe(&mut element, "internal_key", action.internal_key.as_deref());
    set_maybe(&mut element, "on_node", action.on_node.as_deref());
    set_maybe(&mut element, "on_node_uuid", action.on_node_uuid.as_deref());
    set_maybe(&mut element, "router_node", action.router_node.as_deref());
    set_maybe(&mut element, "shutdown-lock", action.shutdown_lock.map(|l| l.to_string()).as_deref());
    if let Some(resource) = &action.resource {
        let mut child = Element::new("rsc")
            .with_attr("id", resource.id.as_str())
            .with_attr("class", resource.class.as_str())
            .with_attr("type", resource.agent.as_str());
        set_maybe(&mut child, "long-id", resource.long_id.as_deref());
        set_maybe(&mut child, "provider", resource.provider.as_deref());
        element.push(child);
    }
    for (name, value) in &action.attributes {
        element.push(Element::new("attr").with_attr("n", name).with_attr("v", value));
    }
    for node in &action.downed {
        element.push(Element::new("downed").with_attr("id", node.as_str()));
    }
    for (node, on) in &action.maintenance {
        element
            .push(Element::new("maintenance").with_attr("id", node.as_str()).with_attr("on", on.to_string()));
    }
    element
}

fn decode_action(element: &Element) -> Result<GraphAction, MessageError> {
    let from = Fields(element);
    let kind = match element.attr("kind") {
        Some("resource") => ActionKind::Resource,
        Some("pseudo") => ActionKind::Pseudo,
        Some("cluster") => ActionKind::Cluster,
        _ => return Err(from.error("kind")),
    };
    let resource = match element.child("rsc") {
        None => None,
        Some(child) => {
            let rsc = Fields(child);
            Some(Arc::new(GraphResource {
                id: rsc.text("id")?,
                long_id: rsc.maybe("long-id"),
                class: rsc.text("class")?,
                provider: rsc.maybe("provider"),
                agent: rsc.text("type")?,
            }))
        }
    };
    let attributes = element
        .children_named("attr")
        .map(|a| Ok((Fields(a).text("n")?, Fields(a).text("v")?)))
        .collect::<Result<_, MessageError>>()?;
    let downed = element.children_named("downed").map(|d| Fields(d).text("id")).collect::<Result<_, _>>()?;
    let maintenance = element
        .children_named("maintenance")
        .map(|m| Ok((Fields(m).text("id")?, Fields(m).parse("on")?)))
        .collect::<Result<_, MessageError>>()?;
    Ok(GraphAction {
        id: ActionId(from.parse("id")?),
        kind,
        operation: from.text("operation")?.into(),
        operation_key: from.text("operation_key")?.into(),
        internal_key: from.maybe("internal_key").map(Text::from),
        on_node: from.maybe("on_node").map(Text::from),
        on_node_uuid: from.maybe("on_node_uuid").map(Text::from),
        router_node: from.maybe("router_node").map(Text::from),
        resource,
        attributes,
        downed,
        maintenance,
        shutdown_lock: from.maybe_parse("shutdown-lock")?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn round(message: Message) {
        assert_eq!(Message::decode(&message.encode()).unwrap(), message);
    }

    #[test]
    fn every_message_reads_back_as_it_was_written() {
        let key: Key = "3:9:0:0e4c3b31-9cd5-4a4a-8a0f-7b3d1f6c2a11".parse().unwrap();
        round(Message::Execute {
            key: key.clone(),
            fatal_start: true,
            action: Box::new(GraphAction {
                id: ActionId(3),
                kind: ActionKind::Resource,
                operation: "start".into(),
                operation_key: "ip_start_0".into(),
                internal_key: None,
                on_node: Some("hatest4".into()),
                on_node_uuid: Some("u".into()),
                router_node: None,
                resource: Some(Arc::new(GraphResource {
                    id: "ip".into(),
                    long_id: Some("ip:0".into()),
                    class: "ocf".into(),
                    provider: Some("heartbeat".into()),
                    agent: "IPaddr2".into(),
                })),
                attributes: [("1st", "a<b>\"c\" & 'd'\n")].into_iter().collect(),
                downed: vec!["x".into()],
                maintenance: vec![("y".into(), true)],
                shutdown_lock: Some(17),
            }),
        });
        round(Message::Done { key, ok: false, rc: 1, reason: "Cannot <do> that".into() });
        round(Message::Ask {
            id: 4,
            ask: Ask::SetAttribute { name: "pingd".into(), value: None, set: None, delay_ms: Some(5000) },
        });
        round(Message::Ask {
            id: 5,
            ask: Ask::Cleanup { resource: "ip".into(), operation: Some("monitor".into()), interval_ms: None },
        });
        round(Message::Answer { id: 5, reply: Reply::default() });
        round(Message::Answer { id: 5, reply: Reply::done("S_IDLE") });
        round(Message::Answer { id: 5, reply: Reply::refused(124, "too late") });
        round(Message::Ask { id: 6, ask: Ask::State });
        round(Message::Ask { id: 6, ask: Ask::Shutdown });
        round(Message::Flush { name: "pingd".into() });
        round(Message::Written);
        let record = FenceRecord {
            target: "a".into(),
            action: "off".into(),
            delegate: "a human".into(),
            origin: "b".into(),
            client: "c".into(),
            rc: 0,
            reason: String::new(),
            completed: 12,
            inc: Some(Incarnation { generation: 3, boot: u64::MAX }),
        };
        round(Message::FenceNews(record.clone()));
        round(Message::FenceHistory(vec![]));
        round(Message::FencePending(vec![record.clone()]));
        round(Message::FenceHistory(vec![record.clone(), FenceRecord { inc: None, ..record }]));
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        for bytes in [&b""[..], b"\xff\xfe", b"<x/>", b"<execute/>", b"<ask id='1'/>", b"<done key='1'/>"] {
            assert!(Message::decode(bytes).is_err());
        }
    }
}
