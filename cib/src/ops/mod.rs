//! Operations on a document: what `cibadmin` can ask for, as one pure function from a document and a request to a
//! document and an answer.
//!
//! [`apply`] is deterministic: every node of a cluster that holds the same document and gets the same request makes the
//! same document of it. Time and names of whoever changes something come with the request ([`Stamp`]).
//!
//! Source of semantics and result codes: Pacemaker 2.1.5, cib.md §4 and §5; where ours differs on purpose,
//! `DIFFERENCES.md` has a line.

mod by_xpath;
mod checks;
mod code;
mod edit;
mod section;

use crate::{Cib, Element, FEATURE_SET, Version, acl, patch};

pub use code::{Code, OpError};
pub use section::{SECTIONS, section_path};

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Read; changes nothing.
    Query,
    /// Add objects; an existing one is an error.
    Create,
    /// Merge attributes and children into an existing object.
    Modify,
    /// Put an object in the place of the one with the same name and id, or the whole configuration.
    Replace,
    /// Remove the first object that fits; none is success.
    Delete,
    /// Remove everything an XPath selects.
    DeleteAll,
    /// Empty the configuration and the status.
    Erase,
    /// Raise `epoch`.
    Bump,
    /// Bring the document to the newest schema.
    Upgrade,
    /// Apply a patch (`diff`).
    Patch,
}

impl Operation {
    pub const ALL: [Operation; 10] = [
        Operation::Query,
        Operation::Create,
        Operation::Modify,
        Operation::Replace,
        Operation::Delete,
        Operation::DeleteAll,
        Operation::Erase,
        Operation::Bump,
        Operation::Upgrade,
        Operation::Patch,
    ];

    /// The name in messages: `cib_modify`.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Query => "cib_query",
            Operation::Create => "cib_create",
            Operation::Modify => "cib_modify",
            Operation::Replace => "cib_replace",
            Operation::Delete => "cib_delete",
            Operation::DeleteAll => "cib_delete_all",
            Operation::Erase => "cib_erase",
            Operation::Bump => "cib_bump",
            Operation::Upgrade => "cib_upgrade",
            Operation::Patch => "cib_apply_diff",
        }
    }

    pub fn from_name(name: &str) -> Option<Operation> {
        Operation::ALL.into_iter().find(|operation| operation.name() == name)
    }

    pub fn modifies(self) -> bool {
        self != Operation::Query
    }
}

/// How to do it; all off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Modify, replace: append the object when it is not there.
    pub allow_create: bool,
    /// Query: the element without what it contains.
    pub no_children: bool,
    /// Query by XPath: the addresses of the matches instead of the matches.
    pub node_path: bool,
    /// By XPath: every match instead of the first.
    pub multiple: bool,
    /// Say what would come of it, change nothing.
    pub dry_run: bool,
    /// Modify: afterwards remove every element with the attribute `__delete__`.
    pub mixed_update: bool,
    /// Patch: the versions in it are final; counters are not managed.
    pub replicated: bool,
    /// Skip the schema check of the result.
    pub skip_validation: bool,
}

/// Who changes the configuration and when; written into the root by every change of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// `cib-last-written`, as `Www Mon dd hh:mm:ss yyyy`.
    pub written: String,
    /// `update-origin`: the node.
    pub origin: String,
    /// `update-client`: the program.
    pub client: String,
    /// `update-user`, and whose access the lists of the document judge; empty: nobody's.
    pub user: String,
    /// Names of the groups the user belongs to, as known where he asked.
    pub groups: Vec<String>,
}

impl Stamp {
    fn asking(&self) -> acl::User<'_> {
        acl::User { name: &self.user, groups: &self.groups }
    }
}

/// One operation with everything it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub op: Operation,
    /// One of [`SECTIONS`]; none: the whole document. Not together with `xpath`.
    pub section: Option<String>,
    /// Work on what this selects.
    pub xpath: Option<String>,
    pub input: Option<Element>,
    pub options: Options,
    /// Refuse unless the document has exactly this version: no update is lost between two editors.
    pub if_version: Option<Version>,
    /// Absent: bookkeeping attributes stay as they are, and nobody's access is judged.
    pub stamp: Option<Stamp>,
}

impl Request {
    pub fn new(op: Operation) -> Request {
        let options = Options::default();
        Request { op, section: None, xpath: None, input: None, options, if_version: None, stamp: None }
    }

    #[must_use]
    pub fn section(mut self, section: &str) -> Request {
        self.section = Some(section.to_string());
        self
    }

    #[must_use]
    pub fn xpath(mut self, xpath: &str) -> Request {
        self.xpath = Some(xpath.to_string());
        self
    }

    #[must_use]
    pub fn input(mut self, input: Element) -> Request {
        self.input = Some(input);
        self
    }

    #[must_use]
    pub fn allow_create(mut self) -> Request {
        self.options.allow_create = true;
        self
    }

    #[must_use]
    pub fn if_version(mut self, version: Version) -> Request {
        self.if_version = Some(version);
        self
    }
}

/// What came of a request.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The document after it; the one before for queries and dry runs.
    pub cib: Cib,
    /// The answer of a query; of an upgrade the list of changes it made (`upgrade`).
    pub output: Option<Element>,
    /// Whether anything changed (in a dry run: would have).
    pub changed: bool,
}

/// Check a result against its schema. Gets the root before and after.
///
/// # Errors
/// The complaint, for people.
pub type Validator<'a> = &'a dyn Fn(&Element, &Element) -> Result<(), String>;

/// Carry out a request.
///
/// # Errors
/// The code, a sentence, and for some codes an element (see [`OpError`]). The document given stays what it was.
pub fn apply(cib: &Cib, request: &Request) -> Result<Applied, OpError> {
    apply_with(cib, request, &checks::validate)
}

/// As [`apply`] with another check of the result.
///
/// # Errors
/// As [`apply`].
pub fn apply_with(cib: &Cib, request: &Request, validator: Validator<'_>) -> Result<Applied, OpError> {
    if let Some(wanted) = request.if_version
        && wanted != cib.version()
    {
        let text = format!("the configuration is at {}, not at {wanted} as required", cib.version());
        return Err(OpError::new(Code::OldData, text));
    }
    if let Some(section) = &request.section
        && section_path(section).is_none()
    {
        return Err(OpError::new(Code::Usage, format!("there is no section \"{section}\"")));
    }
    if request.op == Operation::Query {
        let visible = match &request.stamp {
            Some(stamp) => acl::filter(cib, stamp.asking()).map_err(denied)?,
            None => cib.clone(),
        };
        let output = query(&visible, request)?;
        return Ok(Applied { cib: cib.clone(), output: Some(output), changed: false });
    }
    check_feature_set(request)?;
    let (mut root, output) = edit(cib, request)?;
    let changed = finish(cib, &mut root, request)?;
    if let Some(stamp) = request.stamp.as_ref().filter(|_| changed) {
        let after =
            Cib::from_root(root.clone()).map_err(|error| OpError::new(Code::Invalid, error.to_string()))?;
        acl::check(cib, &after, stamp.asking()).map_err(denied)?;
    }
    let status_only = request.section.as_deref() == Some("status");
    if changed && !status_only && !request.options.skip_validation {
        validator(cib.root(), &root)
            .map_err(|text| OpError::new(Code::Schema, text).with_output(root.clone()))?;
    }
    if !changed {
        return Ok(Applied { cib: cib.clone(), output: None, changed });
    }
    if request.options.dry_run {
        return Ok(Applied { cib: cib.clone(), output, changed });
    }
    let cib = Cib::from_root(root).map_err(|error| OpError::new(Code::Invalid, error.to_string()))?;
    Ok(Applied { cib, output, changed })
}

/// The root after the edit, and what there is to say about it.
fn edit(cib: &Cib, request: &Request) -> Result<(Element, Option<Element>), OpError> {
    let mut root = cib.root().clone();
    let mut output = None;
    match request.op {
        Operation::Query => {}
        Operation::Erase => root = erased(cib),
        Operation::Bump => {
            let version = cib.version();
            root.set_attr("epoch", version.epoch.saturating_add(1).to_string());
        }
        Operation::Upgrade => output = upgrade(cib, &mut root)?,
        Operation::Patch => {
            let input = request.input.as_ref().ok_or_else(no_input)?;
            root = patch::apply(cib, input)?.into_root();
        }
        Operation::Create
        | Operation::Modify
        | Operation::Replace
        | Operation::Delete
        | Operation::DeleteAll => match &request.xpath {
            Some(xpath) => by_xpath::edit(&mut root, xpath, request)?,
            None => edit::edit(&mut root, request)?,
        },
    }
    Ok((root, output))
}

/// Counters and bookkeeping after an edit; whether it changed anything.
fn finish(cib: &Cib, root: &mut Element, request: &Request) -> Result<bool, OpError> {
    let old = cib.root();
    if root == old {
        return Ok(false);
    }
    let before = cib.version();
    let mut version = Version::of(root);
    let backwards = (version.admin_epoch, version.epoch) < (before.admin_epoch, before.epoch);
    if backwards {
        let text = format!("the result would be {version}, the configuration is at {before}");
        return Err(OpError::new(Code::OldData, text));
    }
    if request.options.replicated {
        return Ok(true);
    }
    if root.child("configuration") != old.child("configuration") {
        version.epoch = version.epoch.saturating_add(1);
        version.num_updates = 0;
        if let Some(stamp) = &request.stamp {
            root.set_attr("cib-last-written", stamp.written.as_str());
            root.set_attr("update-origin", stamp.origin.as_str());
            root.set_attr("update-client", stamp.client.as_str());
            root.set_attr("update-user", stamp.user.as_str());
        }
    } else {
        version.num_updates = version.num_updates.saturating_add(1);
    }
    version.store(root);
    Ok(true)
}

fn erased(cib: &Cib) -> Element {
    let mut root = Cib::empty().into_root();
    for (name, value) in cib.root().attrs() {
        root.set_attr(name, value);
    }
    // The order of attributes is that of the old root.
    let mut ordered = cib.root().clone();
    ordered.clear_nodes();
    for (name, value) in root.attrs() {
        ordered.set_attr(name, value);
    }
    for child in root.children() {
        ordered.push(child.clone());
    }
    ordered.set_attr("admin_epoch", cib.version().admin_epoch.saturating_add(1).to_string());
    ordered
}

fn upgrade(cib: &Cib, root: &mut Element) -> Result<Option<Element>, OpError> {
    let (upgraded, report) = checks::upgraded(cib.root())?;
    if upgraded == *cib.root() {
        return Ok(None);
    }
    *root = upgraded;
    Version { admin_epoch: cib.version().admin_epoch.saturating_add(1), epoch: 1, num_updates: 1 }
        .store(root);
    Ok(Some(report))
}

fn query(cib: &Cib, request: &Request) -> Result<Element, OpError> {
    if let Some(xpath) = &request.xpath {
        return by_xpath::query(cib.root(), xpath, request.options);
    }
    let section = request.section.as_deref().unwrap_or("cib");
    let path = section_path(section).unwrap_or_default();
    let found = cib.root().path(path);
    let Some(found) = found else {
        return Err(OpError::new(Code::NotFound, format!("the configuration has no section \"{section}\"")));
    };
    Ok(if request.options.no_children { without_children(found) } else { found.clone() })
}

fn without_children(element: &Element) -> Element {
    let mut bare = element.clone();
    bare.clear_nodes();
    bare
}

/// An input written by a newer version of the language than ours must not be half understood.
fn check_feature_set(request: &Request) -> Result<(), OpError> {
    let Some(theirs) = request.input.as_ref().and_then(|input| input.attr("crm_feature_set")) else {
        return Ok(());
    };
    if feature_set(theirs) > feature_set(FEATURE_SET) {
        let text = format!("the input uses feature set {theirs}, this is {FEATURE_SET}");
        return Err(OpError::new(Code::Protocol, text));
    }
    Ok(())
}

fn feature_set(text: &str) -> Vec<u64> {
    text.split('.').map(|part| part.trim().parse().unwrap_or(0)).collect()
}

fn denied(error: acl::Denied) -> OpError {
    OpError::new(Code::Denied, error.to_string())
}

fn no_input() -> OpError {
    OpError::new(Code::Invalid, "the operation needs an element to work with".to_string())
}

#[cfg(test)]
mod tests;
