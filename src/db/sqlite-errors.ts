// What SQLite's own errors mean to the rest of the program.
import { VbsError } from '../core/errors.ts';

/** Primary result codes. Source: https://www.sqlite.org/rescode.html */
const SQLITE_BUSY = 5;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;
const SQLITE_CONSTRAINT_UNIQUE = 2067;
const SQLITE_CONSTRAINT_PRIMARYKEY = 1555;
const SQLITE_CONSTRAINT_FOREIGNKEY = 787;

/** An error of the writer's thread as it crosses to this one. */
export type SqliteFault = { readonly message: string; readonly errcode: number | undefined };

export class SqliteError extends Error {
  /** Extended result code; undefined when the error is not SQLite's. */
  readonly errcode: number | undefined;

  constructor(fault: SqliteFault) {
    super(fault.message);
    this.name = 'SqliteError';
    this.errcode = fault.errcode;
  }
}

export function describeFault(error: unknown): SqliteFault {
  const message = error instanceof Error ? error.message : String(error);
  const errcode = error instanceof Error && 'errcode' in error ? error.errcode : undefined;
  return { message, errcode: typeof errcode === 'number' ? errcode : undefined };
}

/** The VbsError for faults of the surroundings; anything else, such as a constraint, stays a SqliteError. */
export function toCatalogError(fault: SqliteFault, path: string): VbsError | SqliteError {
  const cause = new SqliteError(fault);
  // The low byte is the primary code, the rest says more of the same.
  const primary = fault.errcode === undefined ? undefined : fault.errcode & 0xff;
  switch (primary) {
    case SQLITE_FULL:
      return new VbsError('STORAGE_FULL', { reason: `catalog ${path}: ${fault.message}` }, { cause });
    case SQLITE_IOERR:
      return new VbsError('STORAGE_IO', { object: path, reason: fault.message }, { cause });
    case SQLITE_BUSY:
    case SQLITE_CANTOPEN:
      return new VbsError('CATALOG_UNAVAILABLE', { reason: `${path}: ${fault.message}` }, { cause });
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return new VbsError('DATA_CORRUPT', { object: path, offsetBytes: 0, reason: fault.message }, { cause });
    default:
      return cause;
  }
}

export function isBusy(error: unknown): boolean {
  const errcode = describeFault(error).errcode;
  return errcode !== undefined && (errcode & 0xff) === SQLITE_BUSY;
}

export function isForeignKeyViolation(error: unknown): boolean {
  return error instanceof SqliteError && error.errcode === SQLITE_CONSTRAINT_FOREIGNKEY;
}

export function isUniqueViolation(error: unknown): boolean {
  const errcode = error instanceof SqliteError ? error.errcode : undefined;
  return errcode === SQLITE_CONSTRAINT_UNIQUE || errcode === SQLITE_CONSTRAINT_PRIMARYKEY;
}
