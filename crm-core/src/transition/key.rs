//! Transition keys: how a result finds the action it belongs to, across nodes and restarts.
//!
//! Source: specification `membership.md` §11.2, `agents.md` §5.9.2. The 2.1.3 form without the
//! expected result is read as well.

use std::fmt;
use std::str::FromStr;

/// `ACTION:TRANSITION:EXPECTED-RC:UUID`. The UUID is of the DC's controller that made the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// −1 where no plan asked for the operation.
    pub action: i64,
    pub transition: i64,
    /// −1 where the key does not tell.
    pub expected: i32,
    pub uuid: String,
}

/// What is wrong with a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("transition key \"{0}\" is not ACTION:TRANSITION:RC:UUID")]
pub struct KeyError(pub String);

/// The UUID in keys of operations that no plan asked for (specification `agents.md` §5.9.3).
pub const NOBODY: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

impl Key {
    /// A key that matches no plan, for an operation the node ran by itself.
    pub fn unplanned(call: i64, expected: i32) -> Self {
        Self { action: call, transition: -1, expected, uuid: NOBODY.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.action, self.transition, self.expected, self.uuid)
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let error = || KeyError(text.to_owned());
        let fields: Vec<&str> = text.splitn(4, ':').collect();
        let (action, transition, expected, uuid) = match fields.as_slice() {
            [action, transition, expected, uuid] => {
                (action, transition, expected.parse().map_err(|_| error())?, uuid)
            }
            [action, transition, uuid] => (action, transition, -1, uuid),
            _ => return Err(error()),
        };
        if uuid.is_empty() {
            return Err(error());
        }
        Ok(Self {
            action: action.parse().map_err(|_| error())?,
            transition: transition.parse().map_err(|_| error())?,
            expected,
            uuid: (*uuid).to_owned(),
        })
    }
}

/// `STATUS:RC;KEY`: a result together with the key of what it is the result of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Magic {
    pub status: i32,
    pub rc: i32,
    pub key: Key,
}

impl fmt::Display for Magic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{};{}", self.status, self.rc, self.key)
    }
}

impl FromStr for Magic {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let error = || KeyError(text.to_owned());
        let (result, key) = text.split_once(';').ok_or_else(error)?;
        let (status, rc) = result.split_once(':').ok_or_else(error)?;
        Ok(Self {
            status: status.parse().map_err(|_| error())?,
            rc: rc.parse().map_err(|_| error())?,
            key: key.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keys_survive_printing_and_parsing() {
        let text = "0:7;4:12:7:0e4c3b31-9cd5-4a4a-8a0f-7b3d1f6c2a11";
        let magic: Magic = text.parse().unwrap();
        assert_eq!(magic.key.action, 4);
        assert_eq!(magic.key.transition, 12);
        assert_eq!(magic.key.expected, 7);
        assert_eq!(magic.to_string(), text);
        assert_eq!("1:2:abc".parse::<Key>().unwrap().expected, -1);
    }

    #[test]
    fn a_malformed_key_is_an_error_and_no_panic() {
        for text in ["", ":", "a:b:c:d", "1:2:3:", ";;", "1", "1:2", "0:0;"] {
            assert!(text.parse::<Key>().is_err(), "{text}");
            assert!(text.parse::<Magic>().is_err(), "{text}");
        }
    }
}
