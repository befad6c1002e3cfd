// One connection to a SQLite file: the same code serves the writer's thread and the reader on the calling thread.
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { CATALOG_STATEMENT_CACHE_MAX } from '../core/limits.ts';

export type SqliteResult = { readonly rows: unknown[]; readonly changedCount: number };

/** Another process may hold the file for a moment (a copy being made by the sqlite3 tool). */
const BUSY_TIMEOUT_MS = 5000;
/** Pages (4 KiB each) kept in memory by each connection: 16 MiB. */
const CACHE_SIZE_KIB = 16 * 1024;

export class SqliteConnection {
  readonly #database: DatabaseSync;
  /** Least recently used first. */
  readonly #statements = new Map<string, StatementSync>();

  constructor(path: string, mode: 'read' | 'write') {
    this.#database = new DatabaseSync(path, {
      readOnly: mode === 'read',
      timeout: BUSY_TIMEOUT_MS,
      enableForeignKeyConstraints: true,
    });
    this.#database.exec(`pragma cache_size = -${CACHE_SIZE_KIB}`);
    if (mode === 'write') {
      this.#database.exec('pragma journal_mode = wal');
      // FULL: a commit is durable when it is answered. With NORMAL a power cut could take back what prune relied on.
      this.#database.exec('pragma synchronous = full');
    }
  }

  /** Runs one statement. Rows come as plain objects; integers beyond 2^53 are an error, never rounded. */
  run(text: string, parameters: readonly unknown[]): SqliteResult {
    const statement = this.#prepare(text);
    const values = parameters.map(toSqliteValue);
    if (statement.columns().length > 0) {
      const rows = statement.all(...values);
      return { rows, changedCount: rows.length };
    }
    return { rows: [], changedCount: Number(statement.run(...values).changes) };
  }

  /** Takes the write lock at once. What a transaction left open that could not even be rolled back goes first. */
  begin(): void {
    this.rollback();
    this.#database.exec('begin immediate');
  }

  commit(): void {
    this.#database.exec('commit');
  }

  /** Harmless outside a transaction: a full disk makes SQLite roll back by itself. */
  rollback(): void {
    if (this.#database.isTransaction) {
      this.#database.exec('rollback');
    }
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  #prepare(text: string): StatementSync {
    const known = this.#statements.get(text);
    const statement = known ?? this.#database.prepare(text);
    this.#statements.delete(text);
    this.#statements.set(text, statement);
    if (this.#statements.size > CATALOG_STATEMENT_CACHE_MAX) {
      const [oldest] = this.#statements.keys();
      this.#statements.delete(oldest ?? text);
    }
    return statement;
  }
}

function toSqliteValue(value: unknown): SQLInputValue {
  switch (typeof value) {
    case 'boolean':
      return value ? 1 : 0;
    case 'number':
    case 'bigint':
    case 'string':
      return value;
    case 'undefined':
      return null;
    default:
      if (value === null || value instanceof Uint8Array) {
        return value;
      }
      throw new TypeError(`SQLite cannot hold a value of type ${typeof value}`);
  }
}
