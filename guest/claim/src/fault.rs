//! Why a witness is refused.

/// A rule that the witness breaks. The guest stops with [`Fault::code`] and makes no claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The witness ends before the entries that it announces.
    Truncated,
    /// A word that must fit 64 bits (chain id) or 160 bits (an address) does not.
    HeaderRange,
    /// A first checkpoint that carries an earlier state, or a later one that carries none.
    Start,
    /// The window holds no entry.
    EmptyWindow,
    /// An entry follows the end of the transcript.
    AfterEnd,
    /// An entry kind other than prompt, completion or end.
    EntryKind,
    /// An end entry that carries tokens, or more tokens than one SHA-256 input may hold.
    TokenCount,
}

impl Fault {
    /// Stable code, the text with which the guest stops.
    pub const fn code(self) -> &'static str {
        match self {
            Fault::Truncated => "GST-001 witness truncated",
            Fault::HeaderRange => "GST-002 header word out of range",
            Fault::Start => "GST-003 state before does not fit the checkpoint number",
            Fault::EmptyWindow => "GST-004 empty window",
            Fault::AfterEnd => "GST-005 entry after the end of the transcript",
            Fault::EntryKind => "GST-006 unknown entry kind",
            Fault::TokenCount => "GST-007 token count out of range",
        }
    }
}
