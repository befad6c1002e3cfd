// The table of all commands.
import { CLIENT_COMMANDS } from '../cli/client-commands.ts';
import type { Command } from '../cli/command.ts';
import { showConfig } from './config-command.ts';
import { keyCommands, repositoryShred } from './key-commands.ts';
import { repositoryRebuild } from './rebuild-command.ts';
import { repositoryInfo } from './repository-command.ts';
import { serve } from './serve-command.ts';
import { showVersion } from './version-command.ts';

/** Every command, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  serve,
  ...CLIENT_COMMANDS,
  repositoryInfo,
  repositoryRebuild,
  ...keyCommands,
  repositoryShred,
  showConfig,
  showVersion,
];
