//! `crm_resource`.

/// Runs the tool.
pub fn main(args: &[String]) -> i32 {
    let _ = args;
    3
}
