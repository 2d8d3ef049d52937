//! A CIB as one value: a document whose root is `cib`.

use crate::version::{FEATURE_SET, SCHEMA_NEWEST};
use crate::{Element, Version, XmlError};

/// A configuration document. Cloning takes a snapshot in O(1); writing copies what it touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cib {
    root: Element,
}

/// Why a text or a tree is not a CIB. Whoever gave it is at fault; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CibError {
    /// The text is not XML.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// It is XML, but something else.
    #[error("the document begins with <{0}>, a configuration begins with <cib>")]
    Root(String),
}

impl Cib {
    /// Parse a document. Whether it follows its schema is another question (`schema`).
    ///
    /// # Errors
    /// Not XML (with line and column), or another root than `cib`.
    pub fn parse(text: &str) -> Result<Cib, CibError> {
        Cib::from_root(Element::parse(text)?)
    }

    /// # Errors
    /// Another root than `cib`.
    pub fn from_root(root: Element) -> Result<Cib, CibError> {
        match root.name() {
            "cib" => Ok(Cib { root }),
            name => Err(CibError::Root(name.to_string())),
        }
    }

    /// The empty configuration, version 0.0.0.
    pub fn empty() -> Cib {
        let mut configuration = Element::new("configuration");
        for section in ["crm_config", "nodes", "resources", "constraints"] {
            configuration.push(Element::new(section));
        }
        let root = Element::new("cib")
            .with_attr("crm_feature_set", FEATURE_SET)
            .with_attr("validate-with", SCHEMA_NEWEST)
            .with_attr("epoch", "0")
            .with_attr("num_updates", "0")
            .with_attr("admin_epoch", "0")
            .with_child(configuration)
            .with_child(Element::new("status"));
        Cib { root }
    }

    pub fn root(&self) -> &Element {
        &self.root
    }

    /// The root for writing. Its name must stay `cib`; versions are the writer's business.
    pub fn root_mut(&mut self) -> &mut Element {
        &mut self.root
    }

    pub fn into_root(self) -> Element {
        self.root
    }

    pub fn configuration(&self) -> Option<&Element> {
        self.root.child("configuration")
    }

    pub fn crm_config(&self) -> Option<&Element> {
        self.root.path(&["configuration", "crm_config"])
    }

    pub fn nodes(&self) -> Option<&Element> {
        self.root.path(&["configuration", "nodes"])
    }

    pub fn resources(&self) -> Option<&Element> {
        self.root.path(&["configuration", "resources"])
    }

    pub fn constraints(&self) -> Option<&Element> {
        self.root.path(&["configuration", "constraints"])
    }

    pub fn status(&self) -> Option<&Element> {
        self.root.child("status")
    }

    pub fn version(&self) -> Version {
        Version::of(&self.root)
    }

    pub fn set_version(&mut self, version: Version) {
        version.store(&mut self.root);
    }

    /// The feature set that wrote the document, empty when it does not say.
    pub fn feature_set(&self) -> &str {
        self.root.attr("crm_feature_set").unwrap_or("")
    }

    /// The schema the document claims to follow, empty when it claims none.
    pub fn validate_with(&self) -> &str {
        self.root.attr("validate-with").unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_empty_configuration_is_complete() {
        let mut cib = Cib::empty();
        assert!(cib.crm_config().is_some() && cib.nodes().is_some() && cib.status().is_some());
        assert!(cib.resources().is_some() && cib.constraints().is_some() && cib.configuration().is_some());
        assert_eq!(cib.version(), Version::default());
        assert_eq!((cib.feature_set(), cib.validate_with()), ("3.16.1", "pacemaker-3.9"));
        cib.set_version(Version::new(1, 2, 3));
        assert_eq!(Cib::parse(&cib.root().to_xml()).unwrap().version(), Version::new(1, 2, 3));
        assert_eq!(Cib::parse("<x/>"), Err(CibError::Root("x".to_string())));
    }
}
