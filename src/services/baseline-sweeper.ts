// Gives back what drivers keep for baselines that nothing refers to any more: after a backup the one before, and that
// of a disk that was restored, resized or removed. Removing is harmless twice: what failed is simply done again.
import assert from 'node:assert/strict';
import { BASELINE_BATCH_COUNT } from '../core/limits.ts';
import type { Logger } from '../core/ports.ts';
import type { BaselineTrashItem } from '../db/baseline-records.ts';
import type { Catalog } from '../db/catalog.ts';
import type { VolumeRegistry } from '../volumes/volume-registry.ts';

export type BaselineSweepDeps = {
  readonly catalog: Catalog;
  readonly drivers: VolumeRegistry;
  readonly logger: Logger;
};

/** Never throws: what cannot be removed now stays in the trash, is logged, and waits for the next time. */
export async function sweepBaselines(deps: BaselineSweepDeps): Promise<void> {
  try {
    for (;;) {
      const items = await deps.catalog.baselines.listTrash(BASELINE_BATCH_COUNT);
      const outcomes = [];
      for (const item of items) outcomes.push(await tryRemove(deps, item));
      if (items.length < BASELINE_BATCH_COUNT || !outcomes.includes(true)) return;
    }
  } catch (error) {
    deps.logger.warn({ err: error }, 'baselines could not be swept; it is tried again within the hour');
  }
}

async function tryRemove({ catalog, drivers, logger }: BaselineSweepDeps, item: BaselineTrashItem): Promise<boolean> {
  const { trashId, driver: name, state } = item;
  try {
    const driver = drivers.drivers().find((known) => known.name === name);
    assert(driver, `no driver is called ${name}`);
    await driver.removeBaseline({ driver: name, state });
    await catalog.baselines.confirmTrash(trashId);
    return true;
  } catch (error) {
    logger.warn({ trashId, driver: name, err: error }, 'a snapshot that is no longer needed could not be removed');
    return false;
  }
}
