// One handler for each kind of job.
import type { Foreground } from '../core/background-pace.ts';
import type { JobContext, JobHandler, JobHandlers } from '../jobs/job.ts';
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
  const awaited = (handler: JobHandler) => inForeground(handler, deps.foreground);
  return {
    backup: awaited(new BackupHandler(deps)),
    restore: awaited(new RestoreHandler(deps)),
    'delete-backup': new DeleteBackupHandler(deps),
    'delete-volume': new DeleteVolumeHandler(deps),
    'create-snapshot': awaited(new CreateSnapshotHandler(deps)),
    'delete-snapshot': new DeleteSnapshotHandler(deps),
    'copy-volume': awaited(new CopyVolumeHandler(deps)),
    'revert-volume': awaited(new RevertVolumeHandler(deps)),
    export: new ExportHandler(deps),
    'import-backup': awaited(new ImportHandler(deps)),
    verify: awaited(new VerifyHandler(deps)),
  };
}

/** Somebody waits for the job while it moves data: what runs in the background gives way to it. */
function inForeground(handler: JobHandler, foreground: Foreground): JobHandler {
  return {
    run: async (context: JobContext) => {
      using _counted = foreground.enter();
      await handler.run(context);
    },
    fail: (context, error) => handler.fail(context, error),
  };
}
