//! Scores of one resource, one slot for each node.

use super::{Discovery, NodeIx};

/// One node's entry in a resource's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entry {
    pub score: i32,
    /// Instances placed there while a clone is distributed.
    pub count: i32,
    pub discovery: Discovery,
    present: bool,
}

/// A table of allowed nodes: a node that is absent is not a node with score 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    entries: Vec<Entry>,
}

impl Row {
    pub fn with_nodes(nodes: usize) -> Row {
        Row { entries: vec![Entry::default(); nodes] }
    }

    /// Room for so many nodes.
    pub fn reserve(&mut self, nodes: usize) {
        self.entries.reserve_exact(nodes.saturating_sub(self.entries.len()));
    }

    pub fn get(&self, node: NodeIx) -> Option<&Entry> {
        self.entries.get(node.at()).filter(|e| e.present)
    }

    pub fn get_mut(&mut self, node: NodeIx) -> Option<&mut Entry> {
        self.entries.get_mut(node.at()).filter(|e| e.present)
    }

    pub fn score(&self, node: NodeIx) -> Option<i32> {
        self.get(node).map(|e| e.score)
    }

    pub fn contains(&self, node: NodeIx) -> bool {
        self.get(node).is_some()
    }

    /// Puts the node in with this score, or replaces its entry.
    pub fn insert(&mut self, node: NodeIx, score: i32, discovery: Discovery) {
        let i = node.at();
        if self.entries.len() <= i {
            self.entries.resize(i + 1, Entry::default());
        }
        if let Some(e) = self.entries.get_mut(i) {
            *e = Entry { score, count: 0, discovery, present: true };
        }
    }

    pub fn remove(&mut self, node: NodeIx) {
        if let Some(e) = self.entries.get_mut(node.at()) {
            e.present = false;
        }
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Entries by node index (not a printing order).
    pub fn iter(&self) -> impl Iterator<Item = (NodeIx, &Entry)> {
        self.entries.iter().enumerate().filter(|(_, e)| e.present).map(|(i, e)| (NodeIx::new(i), e))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (NodeIx, &mut Entry)> {
        self.entries.iter_mut().enumerate().filter(|(_, e)| e.present).map(|(i, e)| (NodeIx::new(i), e))
    }

    pub fn is_empty(&self) -> bool {
        !self.entries.iter().any(|e| e.present)
    }

    pub fn len(&self) -> usize {
        self.entries.iter().filter(|e| e.present).count()
    }
}
