//! From flags to a plan: read the archive, look at the cluster, plan.
//!
//! Does not: carry the plan out, or print it.

use vmrewind_archive::{Archive, At};
use vmrewind_cluster::Cluster;
use vmrewind_graph::{Deps, closure};
use vmrewind_model::ObjectKey;
use vmrewind_restore::{ClusterTarget, PlanRequest, RestorePlan, WithDeps, World, dry_run, needs, observe, plan};

use crate::{
    certainty::{self, Touched},
    consulted::Consulted,
    context::Ctx,
    error::CliError,
    kubeconfig,
    missing::not_there,
    moment::Moment,
    names::{Types, parse_targets},
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
    let (world, request) = captured(ctx, &archive, args).await?;
    let target = connect(ctx).await?;
    let bar = ctx.bar("looking at the cluster");
    let view = observe(&target, &needs(&world, &request)?, &bar).await?;
    let mut plan = plan(&world, &request, &view, ctx.now)?;
    if ask_server {
        dry_run(&mut plan, &world, &target, &bar).await?;
    }
    Ok(Planned { world, target, plan })
}

/// Reads the captured objects of a plan that was made before.
///
/// # Errors
/// If the archive cannot be read.
pub(crate) async fn captured_for(ctx: &Ctx, archive: &Archive, plan: &RestorePlan) -> Result<World, CliError> {
    let state = archive.state_at(At::Seq(plan.archive.seq), &|_| true, &ctx.bar("reading the archive")).await?;
    Ok(World::of(&state, archive.identity()))
}

async fn captured(ctx: &mut Ctx, archive: &Archive, args: &RequestArgs) -> Result<(World, PlanRequest), CliError> {
    let types = ctx.types(archive, &args.what).await?;
    let targets = parse_targets(&types, &args.what)?;
    let namespace = ctx.namespaces(&args.scope)?;
    let anchor = match targets.as_slice() {
        [target] => target.key(namespace.as_deref().unwrap_or_default()),
        _ => None,
    };
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
