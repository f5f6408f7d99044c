//! Reads a TOML tree by hand, so that one pass finds every problem and each knows its line. (A derived reader stops at
//! its first error, and loses the place of what is inside a table chosen by its `kind`.)
//!
//! A [`Section`] remembers which keys were asked for: what was not asked for is unknown. [`values`] reads single values.

mod values;

use std::collections::BTreeSet;

use toml::de::{DeTable, DeValue};

use crate::similar::nearest;

use super::problem::Problem;

use values::type_of;
pub(crate) use values::{quoted, shorten};

/// The problems found so far, and what is needed to name their place.
pub(crate) struct Walk<'a> {
    /// Byte offset at which each line begins.
    line_starts: Vec<usize>,
    base_dir: &'a str,
    read_secret: &'a dyn Fn(&str) -> Result<String, String>,
    pub problems: Vec<Found>,
    pub warnings: Vec<Problem>,
}

pub(crate) struct Found {
    pub problem: Problem,
    /// About something that is not in the file, or about two places: not to be trusted when the syntax is broken.
    pub needs_whole_file: bool,
}

/// A value with its key.
#[derive(Clone)]
pub(crate) struct Item<'t> {
    pub key: String,
    pub line: usize,
    pub value: &'t DeValue<'t>,
}

/// A table with its path.
pub(crate) struct Section<'t> {
    path: String,
    pub line: usize,
    table: &'t DeTable<'t>,
    asked: BTreeSet<&'static str>,
    refused: BTreeSet<&'static str>,
}

impl<'a> Walk<'a> {
    pub fn new(text: &str, base_dir: &'a str, read_secret: &'a dyn Fn(&str) -> Result<String, String>) -> Self {
        let after_newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self {
            line_starts: std::iter::once(0).chain(after_newlines).collect(),
            base_dir,
            read_secret,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The line, from 1, that holds this byte.
    pub fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset).max(1)
    }

    /// A value that is wrong in itself.
    pub fn wrong(&mut self, item: &Item<'_>, what: impl Into<String>, allowed: impl Into<String>) {
        self.push(item.line, &item.key, what.into(), Some(allowed.into()), false);
    }

    /// Something that is missing, or does not go with something else.
    pub fn conflict(&mut self, line: usize, key: &str, what: impl Into<String>, allowed: Option<&str>) {
        self.push(line, key, what.into(), allowed.map(str::to_owned), true);
    }

    pub fn warn(&mut self, item: &Item<'_>, what: impl Into<String>) {
        self.warnings.push(Problem { line: item.line, key: item.key.clone(), what: what.into(), allowed: None });
    }

    fn push(&mut self, line: usize, key: &str, what: String, allowed: Option<String>, needs_whole_file: bool) {
        let problem = Problem { line, key: key.to_owned(), what, allowed };
        self.problems.push(Found { problem, needs_whole_file });
    }

    /// The problems, in the order of the file.
    pub fn into_problems(self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.problems.into_iter().map(|found| found.problem).collect();
        problems.sort_by_key(|problem| problem.line);
        problems
    }

    pub fn table<'t>(&mut self, item: &Item<'t>) -> Option<Section<'t>> {
        let table = item.value.as_table();
        if table.is_none() {
            self.wrong(item, format!("is {}", type_of(item.value)), format!("one table, written [{}]", item.key));
        }
        table.map(|table| Section::new(item.key.clone(), item.line, table))
    }

    /// The value itself, or each entry of a list.
    pub fn one_or_more<'t>(&mut self, item: &Item<'t>) -> Vec<Item<'t>> {
        let Some(array) = item.value.as_array() else { return vec![item.clone()] };
        let entry = |element: &'t toml::Spanned<DeValue<'t>>| Item {
            key: item.key.clone(),
            line: self.line_of(element.span().start),
            value: element.get_ref(),
        };
        array.iter().map(entry).collect()
    }

    /// The tables of `[[key]]`.
    pub fn tables<'t>(&mut self, item: &Item<'t>) -> Vec<Section<'t>> {
        let allowed = format!("tables, each written [[{}]]", item.key);
        let Some(array) = item.value.as_array() else {
            self.wrong(item, format!("is {}", type_of(item.value)), allowed);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for element in array.iter() {
            let place =
                Item { key: item.key.clone(), line: self.line_of(element.span().start), value: element.get_ref() };
            match place.value.as_table() {
                Some(table) => sections.push(Section::new(place.key, place.line, table)),
                None => self.wrong(&place, format!("is {}", type_of(place.value)), allowed.clone()),
            }
        }
        sections
    }
}

impl<'t> Section<'t> {
    /// Every entry as a table, by its key: for tables whose keys are names.
    pub fn into_tables(self, walk: &mut Walk<'_>) -> Vec<(String, Self)> {
        let mut sections = Vec::new();
        for (key, value) in self.table.iter() {
            let name = key.get_ref().as_ref();
            let line = walk.line_of(key.span().start);
            let item = Item { key: self.key(&shorten(name)), line, value: value.get_ref() };
            sections.extend(walk.table(&item).map(|section| (name.to_owned(), section)));
        }
        sections
    }

    /// Every entry, by its key: for tables whose keys are the reader's to understand.
    pub fn into_items(self, walk: &Walk<'_>) -> Vec<(String, Item<'t>)> {
        let mut items = Vec::new();
        for (key, value) in self.table.iter() {
            let name = key.get_ref().as_ref();
            let line = walk.line_of(key.span().start);
            let key = self.key(&shorten(name));
            items.push((name.to_owned(), Item { key, line, value: value.get_ref() }));
        }
        items.sort_by_key(|(_, item)| item.line);
        items
    }

    pub fn new(path: String, line: usize, table: &'t DeTable<'t>) -> Self {
        Self { path, line, table, asked: BTreeSet::new(), refused: BTreeSet::new() }
    }

    /// The key's full name.
    pub fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The value of a known key, when it is there.
    pub fn item(&mut self, walk: &Walk<'_>, name: &'static str) -> Option<Item<'t>> {
        self.asked.insert(name);
        let (key, value) = self.table.get_key_value(name)?;
        Some(Item { key: self.key(name), line: walk.line_of(key.span().start), value: value.get_ref() })
    }

    /// A key that is known and cannot be given; it is not among the allowed ones.
    pub fn refuse(&mut self, walk: &mut Walk<'_>, name: &'static str, why: &str) {
        if let Some((key, _)) = self.table.get_key_value(name) {
            self.refused.insert(name);
            let line = walk.line_of(key.span().start);
            walk.conflict(line, &self.key(name), why, None);
        }
    }

    /// Reads a key's value; `None` when it is absent or wrong.
    pub fn read<'w, T>(
        &mut self,
        walk: &mut Walk<'w>,
        name: &'static str,
        read: impl FnOnce(&mut Walk<'w>, &Item<'t>) -> Option<T>,
    ) -> Option<T> {
        let item = self.item(walk, name)?;
        read(walk, &item)
    }

    /// As [`Section::read`], for a key that must be there.
    pub fn need<'w, T>(
        &mut self,
        walk: &mut Walk<'w>,
        name: &'static str,
        allowed: &str,
        read: impl FnOnce(&mut Walk<'w>, &Item<'t>) -> Option<T>,
    ) -> Option<T> {
        let item = self.item(walk, name);
        if item.is_none() {
            walk.conflict(self.line, &self.key(name), "is missing", Some(allowed));
        }
        read(walk, &item?)
    }

    /// Every key that nobody asked for is a problem.
    pub fn finish(self, walk: &mut Walk<'_>) {
        for (key, _) in self.table.iter() {
            let name = key.get_ref().as_ref();
            if self.asked.contains(name) || self.refused.contains(name) {
                continue;
            }
            let what = match nearest(name, self.asked.iter().copied()) {
                Some(known) => format!("is unknown, perhaps `{known}` is meant"),
                None => "is unknown".to_owned(),
            };
            let allowed = self.asked.iter().copied().collect::<Vec<_>>().join(", ");
            let line = walk.line_of(key.span().start);
            walk.push(line, &self.key(&shorten(name)), what, Some(allowed), false);
        }
    }
}

/// Replaces a default with what the file says.
pub(crate) fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}
