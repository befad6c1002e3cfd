// Every command that talks to a server over HTTP, in the order of the help.
import type { Command } from './command.ts';
import { BACKUP_COMMANDS } from './commands/backup-commands.ts';
import { DEV_COMMANDS } from './commands/dev-commands.ts';
import { JOB_COMMANDS } from './commands/job-commands.ts';
import { LOGIN_COMMANDS } from './commands/login-commands.ts';
import { restore } from './commands/restore-command.ts';
import { VOLUME_COMMANDS } from './commands/volume-commands.ts';

export const CLIENT_COMMANDS: readonly Command[] = [
  ...LOGIN_COMMANDS,
  ...VOLUME_COMMANDS,
  ...BACKUP_COMMANDS,
  restore,
  ...JOB_COMMANDS,
  ...DEV_COMMANDS,
];
