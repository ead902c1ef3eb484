//! Leave to send a call: asked for at the last moment, since what a caller knew when it made the call may be over by the
//! time that the limits let it go.

/// Whether a call may leave now, after all the waiting that came before.
pub trait Permit: Sync {
    /// Asked when the call is ready, and once for each time that it leaves.
    fn ask(&self) -> impl Future<Output = Result<(), Withheld>> + Send;
}

/// Why a call may not leave.
#[derive(Debug)]
pub struct Withheld(pub String);

/// Lets every call leave.
pub(super) struct AtAnyTime;

impl Permit for AtAnyTime {
    async fn ask(&self) -> Result<(), Withheld> {
        Ok(())
    }
}
