//! `--planted`: breaks a guard on purpose, in builds that can.

/// Nothing, in a build without planted bugs.
#[cfg(not(feature = "armed"))]
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Planted {}

#[cfg(not(feature = "armed"))]
impl Planted {
    /// Does nothing.
    pub(super) fn arm(&self) {}
}

/// A guard to be broken.
#[cfg(feature = "armed")]
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Planted {
    /// Break this guard on purpose: a test build's way to show that the audit notices
    #[arg(long, value_name = "NAME")]
    planted: Option<planted::Bug>,
}

#[cfg(feature = "armed")]
impl Planted {
    /// Breaks the guard in every thread of this process.
    pub(super) fn arm(&self) {
        if let Some(bug) = self.planted {
            planted::arm_process(bug);
        }
    }
}
