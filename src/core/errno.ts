// Reads the error code of the operating system off an error; drivers and stores map it to codes of core/errors.ts.

/** The code, such as `ENOSPC`, of an error that Node or a system call raised; undefined for any other value. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  return /^E[A-Z0-9]+$/.test(error.code) ? error.code : undefined;
}

/** True when there is no room: the disk is full or a quota of the file system is used up. */
export function isOutOfSpace(errno: string | undefined): boolean {
  return errno === 'ENOSPC' || errno === 'EDQUOT';
}

/** What an error says, for the `reason` of a VbsError. */
export function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
