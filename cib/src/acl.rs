//! Who may read and write what: access control lists as pure functions of documents.
//!
//! [`filter`] makes the document that a user may see; [`check`] judges a change by comparing the
//! document before with the document after, so that no operation has rules of its own. Both take the
//! lists from the document itself.
//!
//! Source: Pacemaker 2.1.5 behaviour. To test access to an element one walks from it to the root; at
//! each step a deny refuses, the wanted right (write implies read) admits; the root's end refuses.

use std::collections::HashMap;

use crate::{Cib, Element, xpath};

/// Who asks: a name and the groups it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct User<'a> {
    pub name: &'a str,
    pub groups: &'a [String],
}

/// A change that the user may not make. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("user {user} may not {what}")]
pub struct Denied {
    pub user: String,
    /// `change <nvpair id="x">`, `create …`, `delete …`, `read the configuration`.
    pub what: String,
}

/// Whether access control lists apply: they are switched on, and the user is neither root nor the
/// cluster's own.
pub fn applies(cib: &Cib, user: User<'_>) -> bool {
    if matches!(user.name, "" | "root" | "hacluster") {
        return false;
    }
    let config = cib.root().path(&["configuration", "crm_config"]);
    let pairs = config.into_iter().flat_map(Element::descendants).filter(|e| e.name() == "nvpair");
    let mut set = pairs.filter(|pair| pair.attr("name") == Some("enable-acl"));
    set.next().and_then(|pair| pair.attr("value")).is_some_and(|value| {
        ["true", "yes", "on", "y", "1"].iter().any(|yes| value.eq_ignore_ascii_case(yes))
    })
}

/// What the user may see: elements that may not be read lose every attribute but their id, and vanish
/// where nothing below may be read. Without lists in force the document is returned as it is.
///
/// # Errors
/// Nothing at all may be read.
pub fn filter(cib: &Cib, user: User<'_>) -> Result<Cib, Denied> {
    if !applies(cib, user) {
        return Ok(cib.clone());
    }
    let rights = Rights::of(cib.root(), cib.root(), user);
    let denied = || Denied { user: user.name.to_owned(), what: "read the configuration".to_owned() };
    let visible = rights.visible(cib.root(), &mut Vec::new()).ok_or_else(denied)?;
    Cib::from_root(visible).map_err(|_| denied())
}

/// Whether the user may turn one document into the other.
///
/// A changed attribute needs write on its element, a deleted element write on itself, a created one
/// write on itself where it then stands; elements without attributes but an id are scaffolding that
/// anybody may create, except among the lists themselves. The counters and notes of the root are the
/// system's own.
///
/// # Errors
/// The first thing that the user may not do, in document order.
pub fn check(before: &Cib, after: &Cib, user: User<'_>) -> Result<(), Denied> {
    if !applies(before, user) {
        return Ok(());
    }
    // Rights are those of the lists before the change: nobody grants himself any.
    let old = Rights::of(before.root(), before.root(), user);
    let new = Rights::of(before.root(), after.root(), user);
    let mut judge = Judge { old: &old, new: &new, user, old_path: Vec::new(), new_path: Vec::new() };
    // A change of the configuration raises epoch by one; whoever moves counters further moves them himself.
    let (was, is) = (before.version(), after.version());
    let by_change = u64::from(before.configuration() != after.configuration());
    let raised = was.admin_epoch != is.admin_epoch || is.epoch != was.epoch.saturating_add(by_change);
    if raised && !judge.old.may(&[], true) {
        return Err(judge.denied("raise the version of", before.root()));
    }
    judge.compare(before.root(), after.root())
}

/// What a user may do with one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    Denied,
    Read,
    Write,
}

/// The access a user has to each element, by its path of indices from the root (comments counted). Without lists in
/// force it is [`Access::Write`] everywhere.
pub fn access(cib: &Cib, user: User<'_>) -> impl Fn(&[usize]) -> Access {
    let rights = applies(cib, user).then(|| Rights::of(cib.root(), cib.root(), user));
    move |path| match &rights {
        Some(rights) if !rights.may(path, false) => Access::Denied,
        Some(rights) if !rights.may(path, true) => Access::Read,
        _ => Access::Write,
    }
}

/// Attributes of the root that the system writes.
const SYSTEM: &[&str] = &[
    "admin_epoch",
    "epoch",
    "num_updates",
    "crm_feature_set",
    "cib-last-written",
    "update-origin",
    "update-client",
    "update-user",
    "have-quorum",
    "dc-uuid",
];

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    read: bool,
    write: bool,
    deny: bool,
}

/// What the lists say about the elements of one document, by their paths.
struct Rights {
    flags: HashMap<Vec<usize>, Flags>,
}

impl Rights {
    /// The rights that `lists` (a document) gives a user on the elements of `root`.
    fn of(lists: &Element, root: &Element, user: User<'_>) -> Self {
        let mut flags: HashMap<Vec<usize>, Flags> = HashMap::new();
        for permission in permissions(lists, user) {
            // An expression that cannot be evaluated selects nothing: no right comes of it.
            for found in xpath::select(root, &permission.xpath).unwrap_or_default() {
                let entry = flags.entry(found.path).or_default();
                match permission.kind {
                    Kind::Read => entry.read = true,
                    Kind::Write => entry.write = true,
                    Kind::Deny => entry.deny = true,
                }
            }
        }
        Self { flags }
    }

    fn may(&self, path: &[usize], write: bool) -> bool {
        for length in (0..=path.len()).rev() {
            let Some(flags) = path.get(..length).and_then(|part| self.flags.get(part)) else { continue };
            if flags.deny {
                return false;
            }
            if flags.write || (flags.read && !write) {
                return true;
            }
        }
        false
    }

    fn visible(&self, element: &Element, path: &mut Vec<usize>) -> Option<Element> {
        let readable = self.may(path, false);
        let mut copy = Element::new(element.name());
        for (name, value) in element.attrs() {
            if readable || name == "id" {
                copy.set_attr(name, value);
            }
        }
        let mut any = readable;
        for (index, node) in element.nodes().enumerate() {
            if node.is_comment() {
                if readable {
                    copy.push_node(node.clone());
                }
                continue;
            }
            path.push(index);
            if let Some(child) = self.visible(node, path) {
                copy.push(child);
                any = true;
            }
            path.pop();
        }
        any.then_some(copy)
    }
}

enum Kind {
    Read,
    Write,
    Deny,
}

struct Permission {
    kind: Kind,
    xpath: String,
}

/// The user's permissions in document order, roles expanded.
fn permissions(lists: &Element, user: User<'_>) -> Vec<Permission> {
    let Some(acls) = lists.path(&["configuration", "acls"]) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in acls.children() {
        let name = entry.attr("name").or(entry.id()).unwrap_or_default();
        let concerns = match entry.name() {
            "acl_target" | "acl_user" => name == user.name,
            "acl_group" => user.groups.iter().any(|group| group == name),
            _ => false,
        };
        if !concerns {
            continue;
        }
        for child in entry.children() {
            match child.name() {
                "role" | "role_ref" => {
                    let role = child.id().and_then(|id| acls.find("acl_role", id));
                    found.extend(role.into_iter().flat_map(Element::children).filter_map(permission));
                }
                _ => found.extend(permission(child)),
            }
        }
    }
    found
}

fn permission(element: &Element) -> Option<Permission> {
    let kind = match (element.name(), element.attr("kind")) {
        ("acl_permission", Some("read")) | ("read", _) => Kind::Read,
        ("acl_permission", Some("write")) | ("write", _) => Kind::Write,
        ("acl_permission", Some("deny")) | ("deny", _) => Kind::Deny,
        _ => return None,
    };
    if let Some(xpath) = element.attr("xpath") {
        return Some(Permission { kind, xpath: xpath.to_owned() });
    }
    let tag = element.attr("object-type").or(element.attr("tag"));
    let reference = element.attr("reference").or(element.attr("ref"));
    if tag.is_none() && reference.is_none() {
        return None;
    }
    let mut tests = Vec::new();
    if let Some(id) = reference {
        tests.push(format!("@id={}", literal(id)?));
    }
    if let Some(attribute) = element.attr("attribute") {
        tests.push(format!("@{attribute}"));
    }
    let test = if tests.is_empty() { String::new() } else { format!("[{}]", tests.join(" and ")) };
    Some(Permission { kind, xpath: format!("//{}{test}", tag.unwrap_or("*")) })
}

/// A string literal of XPath 1.0; `None` for a text with both kinds of quotes, which no id has.
fn literal(text: &str) -> Option<String> {
    if !text.contains('\'') {
        return Some(format!("'{text}'"));
    }
    (!text.contains('"')).then(|| format!("\"{text}\""))
}

struct Judge<'a> {
    old: &'a Rights,
    new: &'a Rights,
    user: User<'a>,
    old_path: Vec<usize>,
    new_path: Vec<usize>,
}

impl Judge<'_> {
    /// Compares two states of one element, and what is below it.
    fn compare(&mut self, before: &Element, after: &Element) -> Result<(), Denied> {
        if before.ptr_eq(after) {
            return Ok(());
        }
        if attributes_differ(before, after, self.old_path.is_empty()) && !self.old.may(&self.old_path, true) {
            return Err(self.denied("change", before));
        }
        let pairs = pair_up(before, after);
        let moved = pairs.kept.windows(2).any(|pair| matches!(pair, [(_, one), (_, other)] if one > other));
        if (moved || comments(before) != comments(after)) && !self.old.may(&self.old_path, true) {
            return Err(self.denied("rearrange", before));
        }
        for (index, element) in pairs.deleted {
            self.old_path.push(index);
            let allowed = self.may_delete(element);
            self.old_path.pop();
            allowed?;
        }
        for (old, new) in pairs.kept {
            let (Some(one), Some(other)) = (before.node_at(old), after.node_at(new)) else { continue };
            self.old_path.push(old);
            self.new_path.push(new);
            let result = self.compare(one, other);
            self.old_path.pop();
            self.new_path.pop();
            result?;
        }
        for (index, element) in pairs.created {
            self.new_path.push(index);
            let allowed = self.may_create(element);
            self.new_path.pop();
            allowed?;
        }
        Ok(())
    }

    /// An element and all that it holds: what may not be written may not vanish with its parent either.
    fn may_delete(&mut self, element: &Element) -> Result<(), Denied> {
        if !self.old.may(&self.old_path, true) {
            return Err(self.denied("delete", element));
        }
        for (index, child) in element.nodes().enumerate().filter(|(_, node)| !node.is_comment()) {
            self.old_path.push(index);
            let allowed = self.may_delete(child);
            self.old_path.pop();
            allowed?;
        }
        Ok(())
    }

    fn may_create(&mut self, element: &Element) -> Result<(), Denied> {
        let scaffolding = element.attrs().all(|(name, _)| name == "id") && !is_list(element.name());
        if !scaffolding && !self.new.may(&self.new_path, true) {
            return Err(self.denied("create", element));
        }
        for (index, child) in element.nodes().enumerate().filter(|(_, node)| !node.is_comment()) {
            self.new_path.push(index);
            let allowed = self.may_create(child);
            self.new_path.pop();
            allowed?;
        }
        Ok(())
    }

    fn denied(&self, what: &str, element: &Element) -> Denied {
        let id = element.id().map(|id| format!(" id=\"{id}\"")).unwrap_or_default();
        Denied { user: self.user.name.to_owned(), what: format!("{what} <{}{id}>", element.name()) }
    }
}

/// Elements of the lists: creating even an empty one is a grant.
fn is_list(name: &str) -> bool {
    name.starts_with("acl") || matches!(name, "role" | "role_ref" | "read" | "write" | "deny")
}

fn attributes_differ(before: &Element, after: &Element, root: bool) -> bool {
    let counts = |element: &Element| -> Vec<(String, String)> {
        let kept = element.attrs().filter(|(name, _)| !root || !SYSTEM.contains(name));
        let mut list: Vec<_> = kept.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        list.sort();
        list
    };
    counts(before) != counts(after)
}

fn comments(element: &Element) -> Vec<&str> {
    element.nodes().filter_map(Element::comment_text).collect()
}

/// How the children of two states of one element correspond; numbers are positions among the nodes.
struct Pairs<'a> {
    kept: Vec<(usize, usize)>,
    deleted: Vec<(usize, &'a Element)>,
    created: Vec<(usize, &'a Element)>,
}

/// Children correspond by name and id; those without an id in their order.
fn pair_up<'a>(before: &'a Element, after: &'a Element) -> Pairs<'a> {
    let mut free: HashMap<(&str, Option<&str>), std::collections::VecDeque<usize>> = HashMap::new();
    for (index, node) in after.nodes().enumerate().filter(|(_, node)| !node.is_comment()) {
        free.entry((node.name(), node.id())).or_default().push_back(index);
    }
    let mut pairs = Pairs { kept: Vec::new(), deleted: Vec::new(), created: Vec::new() };
    for (index, node) in before.nodes().enumerate().filter(|(_, node)| !node.is_comment()) {
        match free.get_mut(&(node.name(), node.id())).and_then(std::collections::VecDeque::pop_front) {
            Some(other) => pairs.kept.push((index, other)),
            None => pairs.deleted.push((index, node)),
        }
    }
    let mut created: Vec<usize> = free.into_values().flatten().collect();
    created.sort_unstable();
    pairs.created = created.into_iter().filter_map(|at| Some((at, after.node_at(at)?))).collect();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = r#"<cib admin_epoch="0" epoch="10" num_updates="0" validate-with="pacemaker-3.9">
        <configuration>
          <crm_config><cluster_property_set id="o"><nvpair id="o-acl" name="enable-acl" value="true"/>
          </cluster_property_set></crm_config>
          <nodes><node id="1" uname="n1"/></nodes>
          <resources><primitive id="a" class="ocf" provider="pacemaker" type="Dummy"><meta_attributes id="a-m">
            <nvpair id="a-m-t" name="target-role" value="Started"/><nvpair id="a-m-p" name="priority" value="1"/>
          </meta_attributes></primitive></resources>
          <constraints/>
          <acls><acl_target id="joe"><role id="r1"/></acl_target>
            <acl_group id="staff"><role id="r2"/></acl_group>
            <acl_role id="r1"><acl_permission id="p0" kind="read" xpath="/cib"/>
              <acl_permission id="p1" kind="write" xpath="//resources"/>
              <acl_permission id="p2" kind="read" reference="a"/>
              <acl_permission id="p3" kind="deny" reference="a-m-p"/></acl_role>
            <acl_role id="r2"><acl_permission id="p4" kind="read" object-type="nvpair" attribute="name"/></acl_role>
          </acls>
        </configuration><status/></cib>"#;

    fn joe() -> User<'static> {
        User { name: "joe", groups: &[] }
    }

    fn modify(xml: &str) -> (Cib, Cib) {
        let before = Cib::parse(TEXT).unwrap();
        let request = crate::Request::new(crate::Operation::Modify).input(Element::parse(xml).unwrap());
        let after = crate::apply(&before, &request).unwrap().cib;
        (before, after)
    }

    #[test]
    fn the_verdicts_are_those_of_the_reference() {
        // Each of these was asked of Debian's cibadmin with CIB_user=joe.
        let (before, after) = modify(r#"<nvpair id="a-m-t" value="Stopped"/>"#);
        assert_eq!(check(&before, &after, joe()), Ok(()), "a read flag below does not take write away");
        let (before, after) = modify(r#"<nvpair id="a-m-p" value="2"/>"#);
        assert!(check(&before, &after, joe()).is_err());
        let (before, after) = modify(r#"<nvpair id="o-acl" value="false"/>"#);
        let denied = check(&before, &after, joe()).unwrap_err();
        assert_eq!(denied.to_string(), "user joe may not change <nvpair id=\"o-acl\">");
        assert_eq!(check(&before, &after, User { name: "root", groups: &[] }), Ok(()));
    }

    #[test]
    fn what_may_not_be_read_is_not_seen() {
        let cib = Cib::parse(TEXT).unwrap();
        let seen = filter(&cib, joe()).unwrap();
        let text = seen.root().to_xml();
        assert!(text.contains("a-m-t") && !text.contains("a-m-p\" name"), "{text}");
        assert!(filter(&cib, User { name: "bob", groups: &[] }).is_err());
        let staff = ["staff".to_owned()];
        let seen = filter(&cib, User { name: "bob", groups: &staff }).unwrap();
        let primitive =
            seen.root().path(&["configuration", "resources"]).unwrap().find("primitive", "a").unwrap();
        assert_eq!(primitive.attr_count(), 1, "scaffolding keeps its id alone");
        assert!(seen.root().path(&["configuration", "nodes"]).is_none());
    }

    #[test]
    fn a_denied_child_does_not_vanish_with_its_parent() {
        let before = Cib::parse(TEXT).unwrap();
        let mut after = before.clone();
        let resources = after.root_mut().child_mut("configuration").unwrap().child_mut("resources").unwrap();
        resources.clear_nodes();
        assert!(check(&before, &after, joe()).is_err());
    }

    #[test]
    fn nobody_grants_himself_a_right() {
        let before = Cib::parse(TEXT).unwrap();
        let mut after = before.clone();
        let acls = after.root_mut().child_mut("configuration").unwrap().child_mut("acls").unwrap();
        acls.push(Element::new("acl_role").with_attr("id", "r9"));
        assert!(check(&before, &after, joe()).is_err(), "even an empty list element");
    }

    /// Sets, removes or moves something at a random place.
    fn edit(root: &mut Element, choices: &[u8]) {
        let mut element = root;
        let (kind, path) = choices.split_first().unwrap();
        for step in path {
            let count = element.children().count();
            if count == 0 {
                break;
            }
            element = element.children_mut().nth(usize::from(*step) % count).unwrap();
        }
        match kind % 4 {
            0 => element.set_attr("value", "changed"),
            1 => element.push(Element::new("nvpair").with_attr("id", "new").with_attr("name", "new")),
            2 => {
                let mut first = true;
                element.retain_children(|_| !std::mem::take(&mut first));
            }
            _ => element.remove_attr("name"),
        }
    }

    /// Every attribute by the address of its element: ids and names from the root.
    fn facts(element: &Element, at: &str, into: &mut std::collections::BTreeSet<String>) {
        let here = format!("{at}/{}[{}]", element.name(), element.id().unwrap_or(""));
        for (name, value) in element.attrs() {
            into.insert(format!("{here}@{name}={value}"));
        }
        element.children().for_each(|child| facts(child, &here, into));
    }

    proptest! {
        /// Whatever the edit: a change that passes differs only below `resources`, and never in what
        /// is denied there.
        #[test]
        fn nobody_obtains_a_document_that_differs_where_he_may_not_write(
            choices in proptest::collection::vec(any::<u8>(), 1..7),
            more in proptest::collection::vec(any::<u8>(), 1..7),
        ) {
            let before = Cib::parse(TEXT).unwrap();
            let mut after = before.clone();
            edit(after.root_mut(), &choices);
            edit(after.root_mut(), &more);
            if check(&before, &after, joe()).is_ok() {
                let (mut old, mut new) = Default::default();
                facts(before.root(), "", &mut old);
                facts(after.root(), "", &mut new);
                // An element with nothing but an id is scaffolding that anybody may put up.
                for fact in old.symmetric_difference(&new).filter(|fact| !fact.ends_with("[new]@id=new")) {
                    prop_assert!(fact.contains("/resources[]") && !fact.contains("nvpair[a-m-p]"), "{}", fact);
                }
            }
        }
    }
}
