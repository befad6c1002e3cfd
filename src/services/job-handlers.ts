// One handler for each kind of job.
import type { JobHandlers } from '../jobs/job.ts';
import { BackupHandler } from './backup-handler.ts';
import { CopyVolumeHandler } from './copy-volume-handler.ts';
import { DeleteBackupHandler } from './delete-backup-handler.ts';
import { DeleteVolumeHandler } from './delete-volume-handler.ts';
import { ExportHandler } from './export-handler.ts';
import type { HandlerDeps } from './handler-deps.ts';
import { ImportHandler } from './import-handler.ts';
import { RestoreHandler } from './restore-handler.ts';
import { CreateSnapshotHandler, DeleteSnapshotHandler, RevertVolumeHandler } from './snapshot-handlers.ts';
import { VerifyHandler } from './verify-handler.ts';

export function createJobHandlers(deps: HandlerDeps): JobHandlers {
  return {
    backup: new BackupHandler(deps),
    restore: new RestoreHandler(deps),
    'delete-backup': new DeleteBackupHandler(deps),
    'delete-volume': new DeleteVolumeHandler(deps),
    'create-snapshot': new CreateSnapshotHandler(deps),
    'delete-snapshot': new DeleteSnapshotHandler(deps),
    'copy-volume': new CopyVolumeHandler(deps),
    'revert-volume': new RevertVolumeHandler(deps),
    export: new ExportHandler(deps),
    'import-backup': new ImportHandler(deps),
    verify: new VerifyHandler(deps),
  };
}
