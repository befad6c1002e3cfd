// The real catalog on SQLite in memory. Each transaction, and each select outside of one, waits at a gate and is then
// done at once; its answer can get lost. The whole of it can be copied, and put back to a copy.
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { Semaphore } from '../../src/core/concurrency.ts';
import { VbsError } from '../../src/core/errors.ts';
import { Catalog } from '../../src/db/catalog.ts';
import { Database } from '../../src/db/database.ts';
import { runMigrations } from '../../src/db/migrate.ts';
import { sqliteCapabilities } from '../../src/db/sqlite.ts';
import type { Tables } from '../../src/db/tables.ts';
import type { Fault } from './scheduler.ts';

type Gate = (phase: 'before' | 'after') => Promise<Fault | undefined> | undefined;
export type Row = Record<string, SQLInputValue>;

class Adapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true;
  }
}

class ModelDialect implements Dialect {
  readonly #driver: Driver;

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  createDriver = () => this.#driver;
  createQueryCompiler = () => new SqliteQueryCompiler();
  createAdapter = () => new Adapter();
  createIntrospector = (database: Kysely<unknown>) => new SqliteIntrospector(database);
}

/** One query or transaction at a time, whoever asks. */
class ModelDriver implements Driver {
  gate: Gate;
  readonly lock = new Semaphore(1);
  #database: DatabaseSync;
  readonly #statements = new Map<string, { readonly statement: StatementSync; readonly answers: boolean }>();
  /** Transactions that changed something, so far. */
  changeCount = 0;

  constructor(gate: Gate) {
    this.gate = gate;
    this.#database = openMemory();
  }

  get database(): DatabaseSync {
    return this.#database;
  }

  /** Puts the whole database back to a copy. */
  replaceBy(copy: Uint8Array): void {
    this.#statements.clear();
    this.#database.close();
    this.#database = openMemory(copy);
    this.changeCount += 1;
  }

  /** Removes every row, but those that say which migrations were run. */
  clear(): void {
    if (this.#database.isTransaction) throw new Error('a transaction is open');
    this.#database.exec('pragma foreign_keys = off');
    for (const { name } of this.run(`select name from sqlite_master where type = 'table'`, []) as { name: string }[]) {
      if (name !== 'migrations') this.run(`delete from "${name}"`, []);
    }
    this.#database.exec('pragma foreign_keys = on');
  }

  run(text: string, parameters: readonly unknown[]): unknown[] {
    let known = this.#statements.get(text);
    if (!known) {
      const statement = this.#database.prepare(text);
      known = { statement, answers: statement.columns().length > 0 };
      this.#statements.set(text, known);
    }
    const values = parameters.map((value) => (value === undefined ? null : value) as SQLInputValue);
    if (known.answers) return known.statement.all(...values);
    return Array.from({ length: Number(known.statement.run(...values).changes) });
  }

  async init(): Promise<void> {
    // The database is open already.
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    return new ModelConnection(this);
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await asModel(connection).begin();
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await asModel(connection).commit();
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    asModel(connection).rollback();
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    asModel(connection).rollback();
  }

  async destroy(): Promise<void> {
    this.#statements.clear();
    this.#database.close();
  }
}

class ModelConnection implements DatabaseConnection {
  readonly #driver: ModelDriver;
  #isHolding = false;

  constructor(driver: ModelDriver) {
    this.#driver = driver;
  }

  async executeQuery<Result>(query: CompiledQuery): Promise<QueryResult<Result>> {
    if (this.#isHolding) return this.#run(query);
    await this.#enter();
    try {
      return this.#run(query);
    } finally {
      this.#leave();
    }
  }

  // biome-ignore lint/correctness/useYield: the contract asks for a generator; nothing here streams.
  async *streamQuery<Result>(): AsyncIterableIterator<QueryResult<Result>> {
    throw new Error('nothing streams here');
  }

  async begin(): Promise<void> {
    await this.#enter();
    this.#driver.database.exec('begin immediate');
  }

  async commit(): Promise<void> {
    this.#driver.database.exec('commit');
    this.#driver.changeCount += 1;
    this.#leave();
    const fault = await this.#driver.gate('after');
    if (fault) throw new VbsError('CATALOG_UNAVAILABLE', { reason: `injected ${fault}` });
  }

  rollback(): void {
    if (!this.#isHolding) return;
    if (this.#driver.database.isTransaction) this.#driver.database.exec('rollback');
    this.#leave();
  }

  async #enter(): Promise<void> {
    const fault = await this.#driver.gate('before');
    if (fault) throw new VbsError('CATALOG_UNAVAILABLE', { reason: `injected ${fault}` });
    await this.#driver.lock.acquire();
    this.#isHolding = true;
  }

  #leave(): void {
    this.#isHolding = false;
    this.#driver.lock.release();
  }

  #run<Result>(query: CompiledQuery): QueryResult<Result> {
    const rows = this.#driver.run(query.sql, query.parameters);
    if (query.query.kind !== 'SelectQueryNode') this.#driver.changeCount += 1;
    // The cast: the caller says what its own SQL yields.
    return { rows: rows as Result[], numAffectedRows: BigInt(rows.length) };
  }
}

function asModel(connection: DatabaseConnection): ModelConnection {
  if (!(connection instanceof ModelConnection)) throw new TypeError('a connection of another driver');
  return connection;
}

function openMemory(copy?: Uint8Array): DatabaseSync {
  const database = new DatabaseSync(':memory:', { enableForeignKeyConstraints: true });
  if (copy) database.deserialize(copy);
  return database;
}

/** Databases that were used and emptied: their statements stay prepared. */
const idle: { readonly driver: ModelDriver; readonly catalog: Catalog }[] = [];

export class ModelCatalog {
  readonly catalog: Catalog;
  readonly #driver: ModelDriver;

  private constructor(parts: { driver: ModelDriver; catalog: Catalog }) {
    this.#driver = parts.driver;
    this.catalog = parts.catalog;
  }

  static async open(gate: Gate): Promise<ModelCatalog> {
    const known = idle.pop();
    if (known) {
      known.driver.gate = gate;
      return new ModelCatalog(known);
    }
    const driver = new ModelDriver(gate);
    const kysely = new Kysely<Tables>({ dialect: new ModelDialect(driver) });
    const close = () => kysely.destroy();
    const database = new Database({ kysely, capabilities: sqliteCapabilities, close });
    await runMigrations(database);
    return new ModelCatalog({ driver, catalog: new Catalog({ database }) });
  }

  /** Goes up with every change. */
  get changeCount(): number {
    return this.#driver.changeCount;
  }

  copy(): Uint8Array {
    return this.#driver.database.serialize();
  }

  replaceBy(copy: Uint8Array): void {
    this.#driver.replaceBy(copy);
  }

  /** Rows as they stand, for checks: it passes no gate. */
  query(text: string, ...parameters: SQLInputValue[]): Row[] {
    // The cast names the types of SQLite's values.
    return this.#driver.run(text, parameters) as Row[];
  }

  /** Nobody may use it any more. A transaction that was under way when its actor was killed is gone. */
  close(): void {
    this.#driver.clear();
    idle.push({ driver: this.#driver, catalog: this.catalog });
  }
}
