// Audit traces as a project sees them.
import type { ProjectId } from '../core/ids.ts';
import type { Trace, TraceName, TraceResourceType } from '../core/trace.ts';
import type { Catalog } from '../db/catalog.ts';
import { authorize, type Caller } from './caller.ts';
import type { ListResult, TracePage } from './list-page.ts';

export type TraceListFilter = {
  readonly traceName?: TraceName;
  readonly resourceType?: TraceResourceType;
  readonly resourceId?: string;
  readonly userId?: string;
};

export type TraceServiceDeps = { readonly catalog: Catalog };

export class TraceService {
  readonly #deps: TraceServiceDeps;

  constructor(deps: TraceServiceDeps) {
    this.#deps = deps;
  }

  /** Newest first unless the page says otherwise. @throws MARKER_NOT_FOUND */
  async listTraces(
    caller: Caller,
    projectId: ProjectId,
    filter: TraceListFilter,
    page: TracePage,
  ): Promise<ListResult<Trace>> {
    authorize(caller, projectId, 'reader');
    return await this.#deps.catalog.traces.list({ ...filter, projectId }, page);
  }
}
