//! From flags to a plan: read the archive, look at the cluster, plan.
//!
//! Does not: carry the plan out, or print it.

use vmrewind_archive::{Archive, At};
use vmrewind_cluster::Cluster;
use vmrewind_graph::{Deps, closure};
use vmrewind_model::ObjectKey;
use vmrewind_restore::{
    Check, ClusterTarget, PlanRequest, RestoreError, RestorePlan, Step, WithDeps, World, dry_run, needs, observe, plan,
};

use crate::{
    certainty::{self, Touched},
    consulted::Consulted,
    context::Ctx,
    departed,
    error::{CliError, Kind},
    kubeconfig,
    missing::not_there,
    moment::Moment,
    names::{Types, anchor, parse_targets, refuse_selector_with_names},
    request::RequestArgs,
};

/// A plan, with all that is needed to carry it out.
pub(crate) struct Planned {
    /// The captured objects.
    pub(crate) world: World,
    /// The cluster.
    pub(crate) target: ClusterTarget,
    /// The plan.
    pub(crate) plan: RestorePlan,
}

/// Makes a plan. With `ask_server`, each step is checked by a dry run on the server.
///
/// # Errors
/// If the request makes no sense, the state is uncertain, or archive or cluster cannot be read. What the plan refuses
/// is no error here.
pub(crate) async fn make(ctx: &mut Ctx, args: &RequestArgs, ask_server: bool) -> Result<Planned, CliError> {
    args.check()?;
    let archive = ctx.archive().await?;
    let (world, request) = Box::pin(captured(ctx, &archive, args)).await?;
    let target = connect(ctx).await?;
    let bar = ctx.bar("looking at the cluster");
    let view = observe(&target, &needs(&world, &request)?, &bar).await?;
    let mut plan = plan(&world, &request, &view, ctx.now)?;
    if ask_server {
        dry_run(&mut plan, &world, &target, &bar).await?;
    }
    drop(bar);
    Ok(Planned { world, target, plan })
}

/// Reads the captured objects of a plan that was made before.
///
/// # Errors
/// If the archive cannot be read.
pub(crate) async fn captured_for(ctx: &Ctx, archive: &Archive, plan: &RestorePlan) -> Result<World, CliError> {
    let bar = ctx.bar("reading the archive");
    let state = Box::pin(archive.state_at(At::Seq(plan.archive.seq), &|_| true, &bar)).await?;
    Box::pin(departed::find(ctx, archive, World::of(&state, archive.identity()), &plan.request)).await
}

async fn captured(ctx: &mut Ctx, archive: &Archive, args: &RequestArgs) -> Result<(World, PlanRequest), CliError> {
    let types = ctx.types(archive, &args.what).await?;
    let targets = parse_targets(&types, &args.what)?;
    refuse_selector_with_names(&targets, args.selector.is_some())?;
    let namespace = ctx.namespaces(&args.scope)?;
    let anchor = anchor(&targets, namespace.as_deref(), args.scope.namespace.as_deref());
    let moment = Moment::read(ctx, archive, args.at.at, anchor.as_ref(), &|_| true).await?;
    let world = World::of(&moment.state, archive.identity());
    let request = args.request(&targets, namespace.as_deref(), &moment.state)?;
    certainty::check(ctx, &moment, &touched(&world, &request, &types))?;
    for target in &targets {
        if let Some(key) = target.key(namespace.as_deref().unwrap_or_default())
            && request.selection.roots.contains(&key)
            && world.value(&key).is_none()
        {
            return Err(not_there(ctx, archive, &moment, &target.type_, &key).await?);
        }
    }
    for key in request.selection.roots.iter().filter(|key| key.is("", "Namespace")) {
        ctx.talk.warn(&format!(
            "{key}: a namespace comes without what was in it; to restore that, too, select it with -n {}.",
            key.name
        ))?;
    }
    let world = Box::pin(departed::find(ctx, archive, world, &request)).await?;
    Ok((world, request))
}

/// Returns what the plan depends on: everything that the walk from the roots asks for.
fn touched(world: &World, request: &PlanRequest, types: &Types) -> Touched {
    let selection = &request.selection;
    if selection.roots.is_empty() {
        return Touched::All(None);
    }
    let deps = match selection.with_deps {
        WithDeps::All => Deps::All,
        WithDeps::Owned => Deps::Owned,
        WithDeps::None => Deps::None,
    };
    let consulted = Consulted::new(world);
    let roots: &[ObjectKey] = &selection.roots;
    let walked = closure(&consulted, roots, deps);
    debug_assert!(walked.nodes.len() >= roots.len(), "every root is a node");
    consulted.touched(types)
}

/// Refuses a plan that cannot be carried out.
///
/// # Errors
/// If the plan refuses something, or the server said that it would.
pub(crate) fn check_refusals(plan: &RestorePlan) -> Result<(), CliError> {
    plan.check_refusals()?;
    let refused = plan.steps.iter().filter(|step| matches!(step.check, Some(Check::Refused { .. })));
    match refused.count() {
        0 => Ok(()),
        count => Err(CliError::new(Kind::Refused, format!("the server would refuse {count} step(s) of this plan."))
            .hint("the reasons stand among the steps (or in their check).")),
    }
}

/// Refuses a plan that would not be made again from what the cluster holds now.
///
/// # Errors
/// [`crate::error::Kind::Drifted`] if another plan would be made; as [`make`] otherwise.
pub(crate) async fn check_drift(
    ctx: &Ctx,
    made: &RestorePlan,
    world: &World,
    target: &ClusterTarget,
) -> Result<(), CliError> {
    if made.archive.uuid != world.archive().uuid {
        let (planned, found) = (made.archive.uuid.clone(), world.archive().uuid.clone());
        return Err(RestoreError::OtherArchive { planned, found }.into());
    }
    let view = observe(target, &needs(world, &made.request)?, &ctx.bar("looking at the cluster")).await?;
    if made.target.cluster != view.cluster {
        let (planned, found) = (made.target.cluster.clone(), view.cluster);
        return Err(RestoreError::OtherCluster { planned, found }.into());
    }
    let mut now = plan(world, &made.request, &view, made.created)?;
    let mut before = made.clone();
    before.steps.iter_mut().for_each(|step| step.check = None); // what a dry run said
    (now.id, now.archive.t) = (before.id.clone(), before.archive.t); // the id holds the instant as it was asked for
    if now == before {
        return Ok(());
    }
    let of = |steps: &[Step], others: &[Step]| -> Vec<String> {
        let other = steps.iter().filter(|step| !others.contains(step));
        other.map(|step| format!("{}: another {} would be planned now", step.key, step.action.text())).collect()
    };
    let mut changes = of(&before.steps, &now.steps);
    if changes.is_empty() {
        changes.push("its volumes, identities, warnings or refusals would be others".to_owned());
    }
    Err(RestoreError::Drifted { changes }.into())
}

/// Connects to the cluster and says which one it is, before anything is read or changed there.
///
/// # Errors
/// If no cluster is named or it does not answer.
pub(crate) async fn connect(ctx: &mut Ctx) -> Result<ClusterTarget, CliError> {
    let cluster: Cluster = ctx.cluster().await?;
    let identity = cluster.identity().await?;
    let context = kubeconfig::context_name(ctx.global.kubeconfig.as_deref(), ctx.global.context.as_deref())?;
    let context = context.map_or_else(|| "no context".to_owned(), |name| format!("context {name}"));
    ctx.talk.note(&format!("Target: {context}, cluster {} ({}).", identity.uid, identity.server_version))?;
    Ok(ClusterTarget::connect(cluster, &ctx.global.field_manager).await?)
}
