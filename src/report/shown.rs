//! Groups on their way into a document, one by one, so that memory does not grow with their number.

use std::cell::RefCell;
use std::io;

use serde::ser::{Error as _, Serialize, SerializeSeq, Serializer};

use super::{Report, ShownGroup};

/// Takes groups.
pub type Take<'a> = dyn FnMut(&ShownGroup) -> io::Result<()> + 'a;

/// Where the groups of a document come from, in its order: largest first, then by key.
pub trait Shown {
    /// Hands over each of them.
    fn each(&self, take: &mut Take<'_>) -> io::Result<()>;
}

impl Shown for Report {
    fn each(&self, take: &mut Take<'_>) -> io::Result<()> {
        self.shown.iter().try_for_each(take)
    }
}

impl Shown for Vec<ShownGroup> {
    fn each(&self, take: &mut Take<'_>) -> io::Result<()> {
        self.iter().try_for_each(take)
    }
}

/// An array of JSON with an element a group.
pub(super) struct Elements<'a, F> {
    shown: &'a dyn Shown,
    element: F,
}

impl<'a, F> Elements<'a, F> {
    pub(super) fn of(shown: &'a dyn Shown, element: F) -> Self {
        Self { shown, element }
    }
}

/// How a group becomes an element.
pub(super) trait Element {
    /// Puts it into the array.
    fn put<S: SerializeSeq>(&self, shown: &ShownGroup, into: &mut S) -> Result<(), S::Error>;
}

impl<F: Element> Serialize for Elements<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut elements = serializer.serialize_seq(None)?;
        // The writer's own failure, so that a closed pipe is known as one.
        let failed = RefCell::new(None);
        let read = self.shown.each(&mut |shown| {
            self.element.put(shown, &mut elements).map_err(|error| {
                *failed.borrow_mut() = Some(error);
                io::Error::other("the document cannot be written on")
            })
        });
        match (failed.into_inner(), read) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(S::Error::custom(error)),
            (None, Ok(())) => elements.end(),
        }
    }
}
