// Opens the catalog's database. What SQLite and PostgreSQL do differently is a named capability here; nobody else asks
// which of them it is.
import type { Kysely, RawBuilder, SqlBool, Transaction } from 'kysely';
import { CATALOG_RETRY_MAX } from '../core/limits.ts';
import { type Logger, silentLogger } from '../core/ports.ts';
import { runMigrations } from './migrate.ts';
import { openPostgres } from './postgres.ts';
import { openSqlite } from './sqlite.ts';
import type { Tables } from './tables.ts';

export type DatabaseConfig =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly url: string };

/** Reads, and single writes when it is no transaction. */
export type Executor = Kysely<Tables>;

export type Capabilities = {
  /** One process at a time: whatever runs according to the rows, and not in this process, died. */
  readonly isSingleProcess: boolean;
  /** Column types that compare text by bytes, hold bytes, and count up by themselves. */
  readonly textType: RawBuilder<unknown>;
  readonly binaryType: RawBuilder<unknown>;
  readonly identityType: RawBuilder<unknown>;
  /** Put behind a table whose rows are best kept in the primary key alone. */
  readonly keyOnlyTable: RawBuilder<unknown>;
  /**
   * Takes the row locks of projects until the transaction ends, in the order of their ids; answers those that exist.
   * PostgreSQL: SELECT ... FOR UPDATE. SQLite: BEGIN IMMEDIATE has already shut everyone else out.
   */
  lockProjects(transaction: Executor, projectIds: readonly string[]): Promise<readonly string[]>;
  /** Takes the one lock of what belongs to no project: users, projects, keys, migrations. */
  lockCatalog(transaction: Executor): Promise<void>;
  /** `column` contains `text`, letter by letter. */
  contains(column: string, text: string): RawBuilder<SqlBool>;
  /** The JSON object in `column` has the text `value` under `key`. */
  hasMember(column: string, key: string, value: string): RawBuilder<SqlBool>;
  isUniqueViolation(error: unknown): boolean;
  /** A row that is referred to is not there, or is to go while it is. */
  isForeignKeyViolation(error: unknown): boolean;
  /** The transaction was rolled back for no fault of its own and may be run again. */
  isTransient(error: unknown): boolean;
};

/** What a kind of database brings along. */
export type OpenedDatabase = {
  readonly kysely: Kysely<Tables>;
  readonly capabilities: Capabilities;
  close(): Promise<void>;
};

export class Database {
  readonly #opened: OpenedDatabase;

  constructor(opened: OpenedDatabase) {
    this.#opened = opened;
  }

  get kysely(): Kysely<Tables> {
    return this.#opened.kysely;
  }

  get capabilities(): Capabilities {
    return this.#opened.capabilities;
  }

  /** Runs `work` in one transaction; after a deadlock or serialization failure all of it again, a few times. */
  async transact<T>(work: (transaction: Transaction<Tables>) => Promise<T>): Promise<T> {
    for (let retries = 0; ; retries++) {
      try {
        return await this.kysely.transaction().execute(work);
      } catch (error) {
        if (retries >= CATALOG_RETRY_MAX || !this.capabilities.isTransient(error)) {
          throw error;
        }
      }
    }
  }

  async close(): Promise<void> {
    await this.#opened.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Opens the database and brings its tables up to date. The caller closes it.
 * @throws CATALOG_UNAVAILABLE, CATALOG_UNKNOWN_FORMAT, STORAGE_FULL, STORAGE_IO, DATA_CORRUPT
 */
export async function openDatabase(config: DatabaseConfig, deps: { logger?: Logger } = {}): Promise<Database> {
  const logger = deps.logger ?? silentLogger;
  const opened = config.kind === 'sqlite' ? await openSqlite(config.path) : openPostgres(config.url, logger);
  const database = new Database(opened);
  try {
    await runMigrations(database);
  } catch (error) {
    await database.close();
    throw error;
  }
  return database;
}
