//! The sections on fencing: what failed, what is under way, what succeeded.

use crm_core::policy::render::List;
use crm_core::policy::render::xml::Tag;

use super::Request;
use super::sections::Section::{FencingFailed, FencingPending, FencingSucceeded};
use crate::api::proto::ClusterState;
use crate::fenced::{Entry, Fate, entries};

fn shown<'a>(request: &Request, live: &'a ClusterState) -> Vec<Entry<'a>> {
    let sections = &request.sections;
    let mut entries = entries(live, !request.arguments.whole_fence_history());
    entries.retain(|entry| {
        sections.has(match entry.fate {
            Fate::Failed => FencingFailed,
            Fate::Pending => FencingPending,
            Fate::Succeeded => FencingSucceeded,
        })
    });
    entries
}

/// One list of all where what succeeded is shown too, else one for each.
pub fn lists(request: &Request, live: &ClusterState) -> Vec<(&'static str, Vec<String>)> {
    let detail = request.arguments.show_detail;
    let entries = shown(request, live);
    let lines = |of: &dyn Fn(Fate) -> bool| {
        entries.iter().filter(|entry| of(entry.fate)).map(|entry| entry.line(detail)).collect()
    };
    let lists: Vec<(&'static str, Vec<String>)> = if request.sections.has(FencingSucceeded) {
        vec![("Fencing History", lines(&|_| true))]
    } else {
        vec![
            ("Failed Fencing Actions", lines(&|fate| fate == Fate::Failed)),
            ("Pending Fencing Actions", lines(&|fate| fate == Fate::Pending)),
        ]
    };
    lists.into_iter().filter(|(_, lines)| !lines.is_empty()).collect()
}

pub fn list(list: &mut List, title: &str, lines: &[String]) {
    list.begin(title);
    lines.iter().for_each(|line| list.item(line));
    list.end();
}

/// The element for XML, where any of it is asked for; a file has no history.
pub fn tag(request: &Request, live: Option<&ClusterState>) -> Option<Tag> {
    let live = live.filter(|_| request.sections.any(&[FencingFailed, FencingPending, FencingSucceeded]))?;
    let events = shown(request, live);
    Some(Tag::new("fence_history").with("status", "0").with_children(events.iter().map(Entry::tag)))
}
