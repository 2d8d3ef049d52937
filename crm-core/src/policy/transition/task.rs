//! Names of actions: tasks and operation keys.

use std::fmt;
use std::sync::Arc;

use cib::Text;

/// What an action does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    Start,
    /// All of a collective's instances started (`running`).
    Running,
    Stop,
    Stopped,
    Promote,
    Promoted,
    Demote,
    Demoted,
    Notify,
    Notified,
    /// A probe (interval 0) or a recurring check.
    Monitor,
    MigrateTo,
    MigrateFrom,
    /// Reload of changed parameters (`reload-agent`).
    Reload,
    Cancel,
    /// Wipe a resource's history on a node.
    Delete,
    /// Wipe a history in the CIB alone.
    LrmDelete,
    ClearFailcount,
    /// Fence or unfence a node.
    Stonith,
    /// Stop the cluster on a node.
    Shutdown,
    ProbeAgain,
    /// Tell remote nodes their maintenance state.
    MaintenanceNodes,
    Other(Arc<str>),
}

impl Task {
    /// The task of this name, in any case.
    pub fn parse(text: &str) -> Task {
        const KNOWN: &[Task] = &[
            Task::Start,
            Task::Running,
            Task::Stop,
            Task::Stopped,
            Task::Promote,
            Task::Promoted,
            Task::Demote,
            Task::Demoted,
            Task::Notify,
            Task::Notified,
            Task::Monitor,
            Task::MigrateTo,
            Task::MigrateFrom,
            Task::Reload,
            Task::Cancel,
            Task::Delete,
            Task::LrmDelete,
            Task::ClearFailcount,
            Task::Stonith,
            Task::Shutdown,
            Task::ProbeAgain,
            Task::MaintenanceNodes,
        ];
        // What histories are full of.
        match text {
            "start" => return Task::Start,
            "stop" => return Task::Stop,
            "monitor" => return Task::Monitor,
            _ => {}
        }
        KNOWN
            .iter()
            .find(|task| task.as_str().eq_ignore_ascii_case(text))
            .cloned()
            .unwrap_or_else(|| Task::Other(Arc::from(text)))
    }

    pub fn as_str(&self) -> &str {
        match self {
            Task::Start => "start",
            Task::Running => "running",
            Task::Stop => "stop",
            Task::Stopped => "stopped",
            Task::Promote => "promote",
            Task::Promoted => "promoted",
            Task::Demote => "demote",
            Task::Demoted => "demoted",
            Task::Notify => "notify",
            Task::Notified => "notified",
            Task::Monitor => "monitor",
            Task::MigrateTo => "migrate_to",
            Task::MigrateFrom => "migrate_from",
            Task::Reload => "reload-agent",
            Task::Cancel => "cancel",
            Task::Delete => "delete",
            Task::LrmDelete => "lrm_delete",
            Task::ClearFailcount => "clear_failcount",
            Task::Stonith => "stonith",
            Task::Shutdown => "do_shutdown",
            Task::ProbeAgain => "probe_again",
            Task::MaintenanceNodes => "maintenance_nodes",
            Task::Other(name) => name,
        }
    }

    /// The task that reports a collective's task as done: start → running.
    pub fn done(&self) -> Option<Task> {
        Some(match self {
            Task::Start => Task::Running,
            Task::Stop => Task::Stopped,
            Task::Promote => Task::Promoted,
            Task::Demote => Task::Demoted,
            Task::Notify => Task::Notified,
            _ => return None,
        })
    }

    /// The reverse of [`Task::done`]; any other task is itself.
    pub fn undone(&self) -> Task {
        match self {
            Task::Running => Task::Start,
            Task::Stopped => Task::Stop,
            Task::Promoted => Task::Promote,
            Task::Demoted => Task::Demote,
            Task::Notified => Task::Notify,
            other => other.clone(),
        }
    }

    /// The task that undoes this one, where there is one.
    pub fn inverse(&self) -> Option<Task> {
        Some(match self {
            Task::Start => Task::Stop,
            Task::Stop => Task::Start,
            Task::Running => Task::Stopped,
            Task::Stopped => Task::Running,
            Task::Promote => Task::Demote,
            Task::Demote => Task::Promote,
            Task::Promoted => Task::Demoted,
            Task::Demoted => Task::Promoted,
            _ => return None,
        })
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The four points of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NotifyPoint {
    Pre,
    ConfirmedPre,
    Post,
    ConfirmedPost,
}

impl NotifyPoint {
    pub fn as_str(self) -> &'static str {
        match self {
            NotifyPoint::Pre => "pre",
            NotifyPoint::ConfirmedPre => "confirmed-pre",
            NotifyPoint::Post => "post",
            NotifyPoint::ConfirmedPost => "confirmed-post",
        }
    }
}

/// What names an action: an operation of its resource, or a free string.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// `RSC_TASK_INTERVAL`, the interval in milliseconds.
    Op(Task, u32),
    /// `RSC_POINT_notify_TASK_0`.
    Notify(NotifyPoint, Task),
    /// A unique string of an action of a node, or of a barrier.
    Free(Arc<str>),
}

impl Key {
    /// The key of a non-recurring operation.
    pub fn once(task: Task) -> Key {
        Key::Op(task, 0)
    }

    pub fn free(text: impl Into<Arc<str>>) -> Key {
        Key::Free(text.into())
    }

    /// The interval in milliseconds, 0 for anything not recurring.
    pub fn interval(&self) -> u32 {
        match self {
            Key::Op(_, interval) => *interval,
            _ => 0,
        }
    }

    /// The operation key under a resource's name.
    pub fn text(&self, resource: &str) -> String {
        let mut text = String::with_capacity(resource.len() + 32);
        self.write(resource, &mut text);
        text
    }

    /// Adds the operation key under a resource's name to a text.
    pub fn write(&self, resource: &str, text: &mut String) {
        match self {
            Key::Op(task, interval) => {
                let interval = Text::from(i64::from(*interval));
                for part in [resource, "_", task.as_str(), "_", interval.as_str()] {
                    text.push_str(part);
                }
            }
            Key::Notify(point, task) => {
                for part in [resource, "_", point.as_str(), "_notify_", task.as_str(), "_0"] {
                    text.push_str(part);
                }
            }
            Key::Free(free) => text.push_str(free),
        }
    }
}
