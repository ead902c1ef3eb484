//! A clock that all processes of this machine share, that goes on while the machine sleeps, and
//! that nobody can set.
//!
//! The wall's clock would not do: set forward by a minute, it would end leases a minute early,
//! while their calls are still running at Marketo. A process's own monotonic clock would not do
//! either: others cannot read it, and it stands still while the machine is suspended, when Marketo
//! does not. Linux counts the time since the machine was started, suspension included
//! (`CLOCK_BOOTTIME`), and names each start, so that times of an earlier one can be told. On other
//! systems it is the wall's clock after all, and must only be slewed there, never set forward.

/// A moment, in milliseconds of one start of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Which start.
    pub(crate) boot: String,
    /// Milliseconds since.
    pub(crate) millis: i64,
}

/// The time by this machine.
#[cfg(target_os = "linux")]
pub(crate) fn now() -> std::io::Result<Moment> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
    Ok(Moment { boot, millis: up_for()? })
}

/// For how many milliseconds this machine has been up, its sleep included.
#[cfg(target_os = "linux")]
#[expect(clippy::unnecessary_wraps, reason = "other systems' clocks cannot always be read")]
pub(crate) fn up_for() -> std::io::Result<i64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Ok(time.tv_sec * 1_000 + time.tv_nsec / 1_000_000)
}

/// The time by the wall's clock.
#[cfg(not(target_os = "linux"))]
pub(crate) fn now() -> std::io::Result<Moment> {
    Ok(Moment { boot: "wall".to_owned(), millis: up_for()? })
}

/// Milliseconds by the wall's clock.
#[cfg(not(target_os = "linux"))]
pub(crate) fn up_for() -> std::io::Result<i64> {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_err(|_before| std::io::Error::other("the clock of this machine stands before 1970"))?;
    Ok(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Milliseconds since 1970 by the wall's clock; 0 where it stands before that. Numbers of grants
/// are made from it, and no span is measured by it.
pub(crate) fn wall_millis() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}
