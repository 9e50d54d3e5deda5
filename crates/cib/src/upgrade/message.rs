//! What a transformation tells about what it did: the texts that administrators (and scripts that
//! grep for them) know, with their level in front.
//!
//! Source: `spec/cib.md` §11.4; the texts are those that Pacemaker prints.

use std::fmt;

/// How important a message is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Something that no longer works as it did.
    Warning,
    /// Something dropped that had no effect, or has a successor.
    Info,
    /// A rewriting that changes nothing but words.
    Debug,
}

/// One line about one change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Its level.
    pub level: Level,
    /// Its text.
    pub text: String,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Warning => "WARNING",
            Level::Info => "INFO",
            Level::Debug => "DEBUG",
        };
        write!(f, "{level}: {}", self.text)
    }
}

/// The messages of a transformation, in order.
#[derive(Default, Debug)]
pub(super) struct Log(pub(super) Vec<Message>);

impl Log {
    pub(super) fn warn(&mut self, text: String) {
        self.0.push(Message { level: Level::Warning, text });
    }

    pub(super) fn info(&mut self, text: String) {
        self.0.push(Message { level: Level::Info, text });
    }

    pub(super) fn debug(&mut self, text: String) {
        self.0.push(Message { level: Level::Debug, text });
    }
}
