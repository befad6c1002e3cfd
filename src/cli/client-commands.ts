// Every command that talks to a server over HTTP, in the order of the help.
import type { Command } from './command.ts';
import { BACKUP_COMMANDS } from './commands/backup-commands.ts';
import { DEV_COMMANDS } from './commands/dev-commands.ts';
import { diffBackups } from './commands/diff-command.ts';
import { CREDENTIAL_COMMANDS } from './commands/identity-credentials.ts';
import { PROJECT_COMMANDS } from './commands/identity-projects.ts';
import { ROLE_COMMANDS } from './commands/identity-roles.ts';
import { USER_COMMANDS } from './commands/identity-users.ts';
import { JOB_COMMANDS } from './commands/job-commands.ts';
import { LOGIN_COMMANDS } from './commands/login-commands.ts';
import { BACKUP_STATS, PRUNE_COMMANDS } from './commands/prune-commands.ts';
import { restore } from './commands/restore-command.ts';
import { BACKUP_VERIFY, REPOSITORY_VERIFY_COMMANDS } from './commands/verify-commands.ts';
import { VOLUME_COMMANDS } from './commands/volume-commands.ts';

export const CLIENT_COMMANDS: readonly Command[] = [
  ...LOGIN_COMMANDS,
  ...VOLUME_COMMANDS,
  ...BACKUP_COMMANDS,
  diffBackups,
  BACKUP_STATS,
  BACKUP_VERIFY,
  restore,
  ...JOB_COMMANDS,
  ...USER_COMMANDS,
  ...PROJECT_COMMANDS,
  ...ROLE_COMMANDS,
  ...CREDENTIAL_COMMANDS,
  ...PRUNE_COMMANDS,
  ...REPOSITORY_VERIFY_COMMANDS,
  ...DEV_COMMANDS,
];
