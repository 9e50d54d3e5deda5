//! The drop-in commands. One executable carries them all; `argv[0]` selects the applet.

/// One drop-in command of the `quorate` executable.
#[derive(Clone, Copy)]
pub struct Applet {
    /// The command's name, e.g. `crm_mon`. It is what `argv[0]` must end with.
    pub name: &'static str,
    /// Directory of the link below the install root and relative to the prefix: `sbin`, `bin`,
    /// `lib/pacemaker`, or `` for applets that are only reached as `quorate NAME`.
    pub dir: &'static str,
    /// Runs the command. `args[0]` is the name it was called by. Returns the exit status.
    pub run: fn(args: &[String]) -> i32,
}
