// Walks a manifest from its top page down, page by page. Used by prune's mark and by the statistics of shared bytes.
import { setImmediate } from 'node:timers/promises';
import { PAGE_ENTRY_COUNT, PAGE_WALK_COUNT } from '../../core/limits.ts';
import { type Address, addressAt, type Page } from '../format/page-format.ts';

export type ManifestVisitor = {
  /** A page that is stored. False: what is below it need not be walked. */
  enterPage(address: Address): boolean;
  /** All that is below the page has been visited. */
  leavePage(address: Address): unknown;
  chunk(address: Address): unknown;
};

export type PageLoader = (address: Address, level: number) => Promise<Page>;

type Walk = {
  readonly visitor: ManifestVisitor;
  readonly loadPage: PageLoader;
  readonly signal: AbortSignal;
  pageCount: number;
};

/** Visits everything below `topPage` in volume order. @throws what `loadPage` throws, and the signal's reason */
export async function walkManifest(
  topPage: Page,
  visitor: ManifestVisitor,
  loadPage: PageLoader,
  signal: AbortSignal,
): Promise<void> {
  await walkPage(topPage, { visitor, loadPage, signal, pageCount: 0 });
}

async function walkPage(page: Page, walk: Walk): Promise<void> {
  walk.signal.throwIfAborted();
  walk.pageCount += 1;
  // Pages that come from memory wait for nothing: others must get their turn.
  if (walk.pageCount % PAGE_WALK_COUNT === 0) await setImmediate();
  for (let entry = 0; entry < PAGE_ENTRY_COUNT; entry += 1) {
    const address = addressAt(page, entry);
    if (!address) continue;
    if (page.level === 0) {
      walk.visitor.chunk(address);
    } else if (walk.visitor.enterPage(address)) {
      await walkPage(await walk.loadPage(address, page.level - 1), walk);
      walk.visitor.leavePage(address);
    }
  }
}
