// Which parts of the service were switched off on which host. What has no row was never touched, and is on.
import type { ServiceName, ServiceState } from '../core/model.ts';
import type { Scope } from './scope.ts';
import { toFlag } from './tables.ts';

export class ServiceStateRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async list(): Promise<ServiceState[]> {
    const rows = await this.#scope.executor.selectFrom('service_states').selectAll().execute();
    // The cast: `save` takes these names only.
    return rows.map((row) => ({
      service: row.service as ServiceName,
      host: row.host,
      isDisabled: row.is_disabled === 1,
      disabledReason: row.disabled_reason,
      updatedAt: row.updated_at,
    }));
  }

  async save(state: ServiceState): Promise<void> {
    const { service, host } = state;
    const values = {
      is_disabled: toFlag(state.isDisabled),
      disabled_reason: state.disabledReason,
      updated_at: state.updatedAt,
    };
    await this.#scope.executor
      .insertInto('service_states')
      .values({ service, host, ...values })
      .onConflict((conflict) => conflict.columns(['service', 'host']).doUpdateSet(values))
      .execute();
  }
}
