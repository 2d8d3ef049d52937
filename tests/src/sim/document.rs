//! What the clients of the simulation leave in the document, and how the checks find it there.

use cib::Element;

/// The changes in a document that clients of the simulation made, by their numbers: objects of their
/// own (`c-N`), and pairs (`k-N`) in such an object, or in the one set that counts them.
pub fn tokens(root: &Element) -> impl Iterator<Item = u64> {
    let number = |e: &Element, kind: &str| e.id()?.strip_prefix(kind)?.parse().ok();
    let sets = root.path(&["configuration", "crm_config"]).into_iter().flat_map(Element::children);
    sets.flat_map(move |set| {
        let pairs = set
            .id()
            .is_some_and(|id| id == KEYS || id.starts_with("c-"))
            .then(|| set.children())
            .into_iter()
            .flatten();
        number(set, "c-").into_iter().chain(pairs.filter_map(move |pair| number(pair, "k-")))
    })
}

/// How many changes the set counted, and how many are in it.
pub fn counted(root: &Element) -> Option<(u64, u64)> {
    let config = root.path(&["configuration", "crm_config"])?;
    let set = config.children().find(|s| s.id() == Some(KEYS))?;
    let sum = set.children().find(|p| p.id() == Some("sum"))?.attr("value")?.parse().ok()?;
    Some((sum, set.children().filter(|p| p.id().is_some_and(|id| id.starts_with("k-"))).count() as u64))
}

/// Name of the set that counts.
pub const KEYS: &str = "keys";
