// One handler for each kind of job.
import type { JobHandlers } from '../jobs/job.ts';
import { BackupHandler } from './backup-handler.ts';
import { DeleteBackupHandler } from './delete-backup-handler.ts';
import { DeleteVolumeHandler } from './delete-volume-handler.ts';
import { ExportHandler } from './export-handler.ts';
import type { HandlerDeps } from './handler-deps.ts';
import { RestoreHandler } from './restore-handler.ts';

export function createJobHandlers(deps: HandlerDeps): JobHandlers {
  return {
    backup: new BackupHandler(deps),
    restore: new RestoreHandler(deps),
    'delete-backup': new DeleteBackupHandler(deps),
    'delete-volume': new DeleteVolumeHandler(deps),
    export: new ExportHandler(deps),
  };
}
