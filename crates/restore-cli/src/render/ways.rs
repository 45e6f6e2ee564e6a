//! Whether a plan can be carried out: what it refuses itself, and what a dry run on the server refused.
//!
//! Does not: print the reasons; they stand in the plan.

use vmrewind_restore::{Check, RestorePlan};

use crate::error::{CliError, Kind};

/// Refuses a plan that cannot be carried out.
///
/// # Errors
/// If the plan refuses something, or the server said that it would.
pub(crate) fn check(plan: &RestorePlan) -> Result<(), CliError> {
    plan.check_refusals()?;
    let refused = plan.steps.iter().filter(|step| matches!(step.check, Some(Check::Refused { .. })));
    match refused.count() {
        0 => Ok(()),
        count => Err(CliError::new(Kind::Refused, format!("the server would refuse {count} step(s) of this plan."))
            .hint("the reasons stand among the steps (or in their check).")),
    }
}
