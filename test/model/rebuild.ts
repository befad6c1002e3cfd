// The catalog is lost, and an empty one is filled from the repository alone: by the real rebuild, which may be killed
// on the way and run again. Nobody works meanwhile; what the lost catalog's processes had asked of the store is done.
import { recordName } from '../../src/core/object-names.ts';
import type { ModelCatalog } from './model-catalog.ts';
import type { Random } from './random.ts';
import type { Actor } from './scheduler.ts';
import { describe } from './truth.ts';
import { PASSPHRASE, type World } from './world.ts';

/** Cheap: nobody is to be kept from guessing it. */
const PASSWORD = { adminPassword: 'a password of the model', passwordCost: { logN: 1, r: 1, p: 1 } };

/** Afterwards the world has the new catalog. Answers the lost one. Each try but the last ends at a random step. */
export async function rebuild(
  world: World,
  random: Random,
  trace: (line: string) => void = () => undefined,
): Promise<ModelCatalog> {
  const lost = world.catalog;
  const catalog = await world.openCatalog();
  while (random.oneIn(2)) {
    const actor = await startRebuild(world, catalog);
    await goOn(world, actor, random.below(60), trace);
    world.killActor(actor);
    if (random.oneIn(3)) await world.store.losePower(random);
    for (const call of world.store.late.splice(0)) await call.land();
  }
  const actor = await startRebuild(world, catalog);
  await goOn(world, actor, Number.POSITIVE_INFINITY, trace);
  if (actor.state !== 'done') world.fail(`the rebuild threw ${describe(actor.error)}`);
  else await world.replaceCatalog(catalog);
  checkFound(world, lost);
  return lost;
}

async function startRebuild(world: World, catalog: ModelCatalog): Promise<Actor> {
  // Only now: what it imports keeps the function that hashes passwords, which must be that of seeded-crypto.ts.
  const { rebuildCatalog } = await import('../../src/services/catalog-rebuild.ts');
  const actor = world.scheduler.spawn('rebuild', -2, async () => {
    const deps = { ...world.repositoryDeps(), catalog: catalog.catalog };
    await rebuildCatalog(deps, { passphrase: PASSPHRASE, ...PASSWORD, signal: new AbortController().signal });
  });
  await world.scheduler.settle(actor);
  return actor;
}

async function goOn(world: World, actor: Actor, stepCount: number, trace: (line: string) => void): Promise<void> {
  const { scheduler } = world;
  for (let step = 0; step < stepCount && !actor.hasEnded && !world.violation; step += 1) {
    const next = scheduler.waiting.find((each) => each.actor === actor);
    if (!next) return;
    trace(`${actor.name}: ${next.call.target} ${next.call.operation} ${next.call.name} ${next.call.phase}`);
    await scheduler.open(next);
    await world.check();
  }
}

/** What the lost catalog had committed, and what a listing shows of it, is available in the new one. */
function checkFound(world: World, lost: ModelCatalog): void {
  if (world.violation) return;
  const { catalog, projectId, store } = world;
  const found = new Set(
    catalog
      .query(`select attempt_id from backups where status = 'available' and is_damaged = 0`)
      .map(({ attempt_id }) => attempt_id),
  );
  const committed = lost.query(
    `select backup_id, attempt_id from backups
     where attempt_id is not null and is_record_trashed = 0 and deleted_at is null and is_damaged = 0`,
  );
  for (const { backup_id, attempt_id } of committed) {
    // The casts: the row was committed from typed values.
    const name = recordName(projectId, backup_id as never, attempt_id as never);
    if (!found.has(attempt_id) && !store.unlisted.has(name)) world.fail(`the rebuild did not find backup ${backup_id}`);
  }
}
