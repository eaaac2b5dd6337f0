//! Why a witness is refused.

/// A rule that the witness of the guest `sample` breaks. It stops with [`Fault::code`] and makes no
/// claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The witness ends before what it announces.
    Truncated,
    /// A word that must fit 64 bits (chain id) or 160 bits (an address) does not, or there is no
    /// weights root.
    Header,
    /// A state before the context that carries something although nothing came before.
    Start,
    /// Entries of an unknown kind, after the end, or with more tokens than there may be.
    Entry,
    /// A context of no tokens, or of too many.
    Positions,
    /// Sizes or tensors of a model that the arithmetic does not have.
    Model,
    /// Settings that are not those of the arithmetic that is named.
    Settings,
    /// Kinds that are out of order, unknown or not covered; no cells or too many.
    Plan,
    /// A row that was opened before is not the one that is needed.
    Kept,
    /// An opened row does not belong to the trace root.
    Opening,
    /// An opened row does not belong to the weights root.
    Weights,
    /// A committed value is not what the opened values give.
    Cell,
    /// An opened or a recomputed value is an infinity, a NaN or a denormal number.
    Value,
    /// The rows of one cell, and those that are kept, do not fit the memory.
    Room,
}

impl Fault {
    /// Stable code, the text with which the guest stops.
    pub const fn code(self) -> &'static str {
        match self {
            Fault::Truncated => "GST-201 witness truncated",
            Fault::Header => "GST-202 header word out of range, or no weights root",
            Fault::Start => "GST-203 state before the context does not fit",
            Fault::Entry => "GST-204 entry out of place or of an unknown kind",
            Fault::Positions => "GST-205 number of positions out of range",
            Fault::Model => "GST-206 model without reference arithmetic",
            Fault::Settings => "GST-207 settings are not those of the arithmetic",
            Fault::Plan => "GST-208 plan out of order or out of range",
            Fault::Kept => "GST-209 kept row is another one",
            Fault::Opening => "GST-210 row does not belong to the trace",
            Fault::Weights => "GST-211 row does not belong to the weights",
            Fault::Cell => "GST-212 value is not what its inputs give",
            Fault::Value => "GST-213 value without arithmetic",
            Fault::Room => "GST-214 rows do not fit the memory",
        }
    }
}

impl From<arithmetic::Refused> for Fault {
    fn from(_: arithmetic::Refused) -> Self {
        Fault::Value
    }
}
