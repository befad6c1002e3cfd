// What the exit code of `openvbs` means, and which error leads to which. Scripts rely on these numbers.
import { isClientError, LOGIN_NEEDED, NAME_NOT_FOUND, UNREACHABLE } from '../client/client-error.ts';
import { isVbsError } from '../core/errors.ts';
import { CliError } from './cli-error.ts';

export const EXIT = {
  OK: 0,
  FAILED: 1,
  USAGE: 2,
  NOT_FOUND: 3,
  DENIED: 4,
  UNREACHABLE: 5,
  JOB_FAILED: 6,
  /** As shells report a program that ended by SIGINT. */
  INTERRUPTED: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_CODE_DOC: readonly (readonly [ExitCode, string])[] = [
  [EXIT.OK, 'done'],
  [EXIT.FAILED, 'failed'],
  [EXIT.USAGE, 'wrong usage, or a setting that is not valid'],
  [EXIT.NOT_FOUND, 'no such volume, backup, job or file'],
  [EXIT.DENIED, 'not logged in, or not permitted'],
  [EXIT.UNREACHABLE, 'the server cannot be reached'],
  [EXIT.JOB_FAILED, 'the server took the job, and the job failed'],
  [EXIT.INTERRUPTED, 'interrupted (Ctrl-C)'],
];

export type ErrorReport = {
  readonly exitCode: ExitCode;
  readonly code: string;
  readonly message: string;
  /** What to do next; undefined where nothing general can be said. */
  readonly hint: string | undefined;
  readonly requestId?: string;
};

/** How an error is told to the person and to the shell. */
export function reportError(error: unknown): ErrorReport {
  if (error instanceof CliError)
    return { exitCode: error.exitCode, code: error.code, message: error.message, hint: error.hint };
  if (isClientError(error)) {
    const { code, message, requestId } = error;
    const { exitCode, hint } = judgeAnswer(error.status, code);
    return { exitCode, code, message, hint, ...(requestId === undefined ? {} : { requestId }) };
  }
  if (error instanceof Error && error.name === 'AbortError') {
    return { exitCode: EXIT.INTERRUPTED, code: 'INTERRUPTED', message: 'interrupted', hint: undefined };
  }
  if (isVbsError(error)) {
    const exitCode = LOCAL_EXIT_CODES[error.code] ?? EXIT.FAILED;
    return { exitCode, code: error.code, message: error.message, hint: SERVER_HINTS[error.code] };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { exitCode: EXIT.FAILED, code: 'INTERNAL', message, hint: undefined };
}

const LOCAL_EXIT_CODES: Readonly<Record<string, ExitCode>> = {
  CONFIG_INVALID: EXIT.USAGE,
  KEY_NOT_FOUND: EXIT.NOT_FOUND,
};

const SERVER_HINTS: Readonly<Record<string, string>> = {
  CONFIG_INVALID: 'openvbs config shows every setting, its value and where it came from',
  REPOSITORY_LOCKED: 'stop the other openvbs serve, or give this one another folder with --data',
  PASSPHRASE_WRONG:
    'give the present passphrase (OPENVBS_PASSPHRASE or --passphrase-file); a catalog that was copied before the ' +
    'passphrase was changed or the keys were rotated cannot be used any more: openvbs repository rebuild-catalog',
  KEYS_OTHERS_EXIST: 'remove them first (openvbs repository key remove KEY); they can be added again afterwards',
  KEY_NOT_FOUND: 'openvbs repository key list shows what there is',
  REPOSITORY_MISMATCH: 'put catalog and repository of the same data folder together again, from a backup of both',
};

function judgeAnswer(status: number, code: string): { exitCode: ExitCode; hint: string | undefined } {
  if (code === UNREACHABLE) {
    return {
      exitCode: EXIT.UNREACHABLE,
      hint: 'is the server running (openvbs serve)? Its address is set by --url or OPENVBS_URL',
    };
  }
  if (code === LOGIN_NEEDED) {
    return { exitCode: EXIT.DENIED, hint: 'run openvbs login, or set OPENVBS_PASSWORD' };
  }
  if (status === 401) {
    return {
      exitCode: EXIT.DENIED,
      hint: 'check user and password (openvbs login, OPENVBS_PASSWORD, --password-file) and the project',
    };
  }
  if (status === 403)
    return { exitCode: EXIT.DENIED, hint: 'the roles of this user do not permit it: ask an administrator' };
  if (status === 404 || code === NAME_NOT_FOUND) {
    return {
      exitCode: EXIT.NOT_FOUND,
      hint: 'the lists show what there is: openvbs volume list, backup list, job list',
    };
  }
  if (code === 'VolumeBackup.0125') {
    const hint = 'backup show says why; a deletion that failed is tried again within the hour';
    return { exitCode: EXIT.FAILED, hint };
  }
  if (code === 'VolumeBackup.0202') {
    const hint =
      'a restore broke off and left it half written. Restore to --new-volume or --file; or let an administrator set ' +
      'it available (openstack volume set --state available VOLUME) and restore again';
    return { exitCode: EXIT.FAILED, hint };
  }
  if (code === 'VolumeBackup.0089') return { exitCode: EXIT.FAILED, hint: 'openvbs backup show says why' };
  if (status === 413)
    return { exitCode: EXIT.FAILED, hint: 'a quota is exhausted: delete backups or raise OPENVBS_QUOTA_*' };
  if (status >= 500) return { exitCode: EXIT.FAILED, hint: "the server's log says more, under the request id" };
  return { exitCode: EXIT.FAILED, hint: undefined };
}
