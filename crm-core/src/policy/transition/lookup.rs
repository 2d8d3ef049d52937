//! Finding the resource that a constraint names.

use crate::policy::ix::ResourceIx;
use crate::policy::state::State;

/// The resource of this id, or the one above an instance that the history knows under this name.
pub fn find_resource(st: &State, name: &str) -> Option<ResourceIx> {
    st.top
        .iter()
        .find_map(|&r| below(st, r, name))
        .map(|found| if st[found].id.eq_ignore_ascii_case(name) { found } else { st.top_of(found) })
}

fn below(st: &State, r: ResourceIx, name: &str) -> Option<ResourceIx> {
    let rsc = &st[r];
    if rsc.id == name || rsc.history_name.as_deref() == Some(name) {
        return Some(r);
    }
    rsc.children.iter().find_map(|&child| below(st, child, name))
}
