//! A request on the CIB as the interface carries it, and as the library takes it.

use cib::{Element, Operation, Request, Version, XmlError};

use crate::api::proto::CibRequest;
use crate::exit;

/// What is wrong with a request before anybody looks at the document.
#[derive(Debug, thiserror::Error)]
pub enum RequestProblem {
    #[error("there is no operation \"{0}\"")]
    Operation(String),
    #[error("the object to work with is not XML: {0}")]
    Input(#[from] XmlError),
    #[error("\"{0}\" is no version: expected ADMIN_EPOCH.EPOCH.NUM_UPDATES")]
    Version(String),
}

impl RequestProblem {
    /// Exit status of the command.
    pub fn exit(&self) -> u8 {
        match self {
            Self::Operation(_) | Self::Version(_) => exit::USAGE,
            Self::Input(_) => exit::DATA,
        }
    }
}

/// The library's request.
///
/// # Errors
/// What cannot be understood.
pub fn to_cib_request(asked: &CibRequest) -> Result<Request, RequestProblem> {
    let op = Operation::from_name(&asked.operation)
        .ok_or_else(|| RequestProblem::Operation(asked.operation.clone()))?;
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let mut request = Request::new(op);
    request.section = given(&asked.section);
    request.xpath = given(&asked.xpath);
    request.input = given(&asked.input).map(|text| Element::parse(&text)).transpose()?;
    let version = |text: &str| text.parse::<Version>().map_err(|_| RequestProblem::Version(text.to_owned()));
    request.if_version = given(&asked.if_version).map(|text| version(&text)).transpose()?;
    request.options.allow_create = asked.allow_create;
    request.options.no_children = asked.no_children;
    request.options.node_path = asked.node_path;
    request.options.multiple = asked.multiple;
    request.options.dry_run = asked.dry_run;
    Ok(request)
}

/// The interface's request.
pub fn from_cib_request(request: &Request, client: &str) -> CibRequest {
    CibRequest {
        freshness: String::new(),
        operation: request.op.name().to_owned(),
        section: request.section.clone().unwrap_or_default(),
        xpath: request.xpath.clone().unwrap_or_default(),
        input: request.input.as_ref().map(Element::to_xml_compact).unwrap_or_default(),
        allow_create: request.options.allow_create,
        no_children: request.options.no_children,
        node_path: request.options.node_path,
        multiple: request.options.multiple,
        dry_run: request.options.dry_run,
        force: false,
        if_version: request.if_version.map(|version| version.to_string()).unwrap_or_default(),
        user: std::env::var("CIB_user").unwrap_or_default(),
        client: client.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_the_interface() {
        let mut request = Request::new(Operation::Modify)
            .section("resources")
            .input(Element::new("primitive").with_attr("id", "a\"<b"))
            .allow_create();
        request.options.dry_run = true;
        let back = to_cib_request(&from_cib_request(&request, "test")).unwrap();
        assert_eq!(back, request);
    }

    #[test]
    fn nonsense_is_named() {
        let asked = CibRequest { operation: "explode".into(), ..CibRequest::default() };
        assert_eq!(to_cib_request(&asked).unwrap_err().to_string(), "there is no operation \"explode\"");
        let asked = CibRequest {
            operation: Operation::Query.name().into(),
            input: "<a".into(),
            ..CibRequest::default()
        };
        assert_eq!(to_cib_request(&asked).unwrap_err().exit(), exit::DATA);
    }
}
