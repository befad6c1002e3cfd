// Brings what was changed of backups, and what projects are called, into the repository, so that a catalog that is made
// anew shows it. A change is noted in the transaction that makes it (db/ledger-labels.ts); here it is written, at once
// where somebody waits for it, else with the upkeep. One after the other: an older label must not replace a newer one.
import { isVbsError } from '../core/errors.ts';
import type { BackupId, ProjectId } from '../core/ids.ts';
import { LABEL_BATCH_COUNT } from '../core/limits.ts';
import type { Project } from '../core/model.ts';
import type { Logger } from '../core/ports.ts';
import type { Catalog } from '../db/catalog.ts';
import { type ProjectLabel, readProjectLabel, writeBackupLabel, writeProjectLabel } from '../engine/labels.ts';
import type { Repository } from '../engine/repository.ts';

export type LabelKeeperDeps = {
  readonly catalog: Catalog;
  readonly repository: Repository;
  readonly logger: Logger;
};

export class LabelKeeper {
  readonly #deps: LabelKeeperDeps;
  /** What the store has, so far as this process knows. */
  readonly #projectLabels = new Map<ProjectId, ProjectLabel>();
  #work: Promise<unknown> = Promise.resolve();

  constructor(deps: LabelKeeperDeps) {
    this.#deps = deps;
  }

  /**
   * Call it after the transaction that changed name, description, tags or metadata of a backup: when it returns, the
   * repository knows them, or the log says why not; then the upkeep tries again.
   */
  async saveBackup(projectId: ProjectId, backupId: BackupId): Promise<void> {
    await this.#queue(() => this.#trySaveBackup(projectId, backupId));
  }

  /** Call it after a backup was committed, and after a project was renamed. Costs nothing when nothing has changed. */
  async saveProject(projectId: ProjectId): Promise<void> {
    await this.#queue(async () => {
      const project = await this.#deps.catalog.projects.get(projectId);
      if (project !== undefined) await this.#trySaveProject(project);
    });
  }

  /** Everything that is not in the repository yet, at most LABEL_BATCH_COUNT backups of it. */
  async saveAll(signal: AbortSignal): Promise<void> {
    for (const project of await this.#deps.catalog.projects.list()) {
      if (signal.aborted) return;
      await this.#queue(() => this.#trySaveProject(project));
    }
    for (const { projectId, backupId } of await this.#deps.catalog.ledger.listUnsavedLabels(LABEL_BATCH_COUNT)) {
      if (signal.aborted) return;
      await this.saveBackup(projectId, backupId);
    }
  }

  async #trySaveBackup(projectId: ProjectId, backupId: BackupId): Promise<void> {
    const { catalog, repository, logger } = this.#deps;
    try {
      const label = await catalog.ledger.readUnsavedLabel(projectId, backupId);
      if (label === undefined) return;
      await writeBackupLabel(repository, projectId, label);
      await catalog.ledger.confirmLabel(projectId, backupId, label.revision);
    } catch (error) {
      logger.warn({ projectId, backupId, err: error }, 'the label of a backup was not written; it is tried again');
    }
  }

  async #trySaveProject({ projectId, name, description }: Project): Promise<void> {
    const { catalog, repository, logger } = this.#deps;
    const label = { name, description };
    if (isSame(this.#projectLabels.get(projectId), label)) return;
    try {
      // A project that never stored anything has no place in the repository, and gets none for its name.
      if ((await catalog.ledger.readEpoch(projectId)) === undefined) return;
      const stored = await readProjectLabel(repository, await repository.openProject(projectId));
      if (!isSame(stored, label)) await writeProjectLabel(repository, projectId, label);
      this.#projectLabels.set(projectId, label);
    } catch (error) {
      // Told to the administrator by every backup and prune of the project; no need to repeat it every hour.
      if (isVbsError(error, 'EPOCH_CONFLICT')) return;
      logger.warn({ projectId, err: error }, 'the label of a project was not written; it is tried again');
    }
  }

  async #queue(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => undefined);
    await done;
  }
}

function isSame(left: ProjectLabel | undefined, right: ProjectLabel): boolean {
  return left?.name === right.name && left.description === right.description;
}
