// Kysely on node:sqlite. Writes and whole transactions go to the writer's thread, one at a time; a select outside a
// transaction is answered on this thread by a connection that only reads. In WAL mode a reader waits for no writer, so
// a list is fast even while a commit is being synced, and it sees every commit that was answered before it began.
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import type { SqliteConnection, SqliteResult } from './sqlite-connection.ts';
import { describeFault, toCatalogError } from './sqlite-errors.ts';
import type { SqliteWriter } from './sqlite-writer.ts';

export type NodeSqliteConfig = {
  readonly path: string;
  readonly writer: SqliteWriter;
  /** Opened after the writer: it takes the journal mode that the writer set. */
  readonly reader: SqliteConnection;
};

export class NodeSqliteDialect implements Dialect {
  readonly #config: NodeSqliteConfig;

  constructor(config: NodeSqliteConfig) {
    this.#config = config;
  }

  createDriver(): Driver {
    return new NodeSqliteDriver(this.#config);
  }

  createQueryCompiler(): SqliteQueryCompiler {
    return new SqliteQueryCompiler();
  }

  createAdapter(): DialectAdapter {
    return new NodeSqliteAdapter();
  }

  createIntrospector(database: Kysely<unknown>): SqliteIntrospector {
    return new SqliteIntrospector(database);
  }
}

/** Kysely's own adapter queues everything behind one connection; this driver queues for itself, and writers only. */
class NodeSqliteAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true;
  }
}

class NodeSqliteDriver implements Driver {
  readonly #config: NodeSqliteConfig;

  constructor(config: NodeSqliteConfig) {
    this.#config = config;
  }

  async init(): Promise<void> {
    // Both connections were opened before Kysely was made: opening can fail, and should do so at once.
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    return new RoutedConnection(this.#config);
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await routed(connection).begin();
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await routed(connection).commit();
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await routed(connection).rollback();
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    routed(connection).release();
  }

  async destroy(): Promise<void> {
    this.#config.reader.close();
    await this.#config.writer.close();
  }
}

/** Holds the writer from `begin` until Kysely gives the connection back, whatever happened in between. */
class RoutedConnection implements DatabaseConnection {
  readonly #config: NodeSqliteConfig;
  #isHolding = false;

  constructor(config: NodeSqliteConfig) {
    this.#config = config;
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const result = await this.#run(query);
    return {
      // The cast: the caller says what its own SQL yields.
      rows: result.rows as Row[],
      numAffectedRows: BigInt(result.changedCount),
    };
  }

  // biome-ignore lint/correctness/useYield: the contract asks for a generator; nothing here streams.
  async *streamQuery<Row>(): AsyncIterableIterator<QueryResult<Row>> {
    throw new Error('This driver does not stream: lists are paged');
  }

  async begin(): Promise<void> {
    await this.#config.writer.acquire();
    this.#isHolding = true;
    await this.#config.writer.begin();
  }

  async commit(): Promise<void> {
    await this.#config.writer.commit();
  }

  async rollback(): Promise<void> {
    await this.#config.writer.rollback();
  }

  release(): void {
    if (this.#isHolding) {
      this.#isHolding = false;
      this.#config.writer.release();
    }
  }

  async #run(query: CompiledQuery): Promise<SqliteResult> {
    const { reader, writer } = this.#config;
    if (this.#isHolding) {
      return await writer.run(query.sql, query.parameters);
    }
    if (query.query.kind === 'SelectQueryNode') {
      return this.#read(reader, query);
    }
    await writer.acquire();
    try {
      return await writer.run(query.sql, query.parameters);
    } finally {
      writer.release();
    }
  }

  #read(reader: SqliteConnection, query: CompiledQuery): SqliteResult {
    try {
      return reader.run(query.sql, query.parameters);
    } catch (error) {
      throw toCatalogError(describeFault(error), this.#config.path);
    }
  }
}

function routed(connection: DatabaseConnection): RoutedConnection {
  if (!(connection instanceof RoutedConnection)) {
    throw new TypeError('a connection of another driver');
  }
  return connection;
}
