// The catalog in PostgreSQL 15 or later, shared by any number of processes.
import {
  type CompiledQuery,
  type DatabaseConnection,
  Kysely,
  PostgresDialect,
  type PostgresDialectConfig,
  PostgresDriver,
  type QueryResult,
  type SqlBool,
  sql,
} from 'kysely';
import pg from 'pg';
import { VbsError } from '../core/errors.ts';
import { CATALOG_POOL_MAX, CATALOG_WRITER_WAIT_MS } from '../core/limits.ts';
import type { Logger } from '../core/ports.ts';
import type { Capabilities, OpenedDatabase } from './database.ts';
import type { Tables } from './tables.ts';

/** SQLSTATE. Source: https://www.postgresql.org/docs/15/errcodes-appendix.html */
const SERIALIZATION_FAILURE = '40001';
const DEADLOCK_DETECTED = '40P01';
const UNIQUE_VIOLATION = '23505';
const FOREIGN_KEY_VIOLATION = '23503';
const DISK_FULL = '53100';
/** Connection lost or refused (08), resources short (53), operator intervened (57), as the first two characters. */
const UNAVAILABLE_CLASSES = new Set(['08', '53', '57']);
/** The catalog's advisory lock: any fixed number that no other program uses in this database. */
const CATALOG_LOCK_KEY = 0x76_62_73_01;
const CONNECT_TIMEOUT_MS = 10_000;

const capabilities: Capabilities = {
  isSingleProcess: false,
  textType: sql`text collate "C"`,
  binaryType: sql`bytea`,
  identityType: sql`bigint generated always as identity primary key`,
  keyOnlyTable: sql``,
  lockProjects: async (transaction, projectIds) => {
    // In one order for everybody, so that two who lock the same two never wait for each other.
    const rows = await transaction
      .selectFrom('projects')
      .select('project_id')
      .where('project_id', 'in', projectIds)
      .orderBy('project_id')
      .forUpdate()
      .execute();
    return rows.map((row) => row.project_id);
  },
  lockCatalog: async (transaction) => {
    await sql`select pg_advisory_xact_lock(${sql.lit(CATALOG_LOCK_KEY)})`.execute(transaction);
  },
  contains: (column, text) => sql<SqlBool>`strpos(${sql.ref(column)}, ${text}) > 0`,
  hasMember: (column, key, value) => sql<SqlBool>`(${sql.ref(column)}::json ->> ${key}::text) = ${value}`,
  isUniqueViolation: (error) => sqlStateOf(error) === UNIQUE_VIOLATION,
  isForeignKeyViolation: (error) => sqlStateOf(error) === FOREIGN_KEY_VIOLATION,
  isTransient: (error) => {
    const state = sqlStateOf(error);
    return state === SERIALIZATION_FAILURE || state === DEADLOCK_DETECTED;
  },
};

/** Connects on first use. */
export function openPostgres(url: string, logger: Logger): OpenedDatabase {
  const pool = new pg.Pool({
    connectionString: url,
    max: CATALOG_POOL_MAX,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: 'openvbs',
    // Whatever the server's default: a commit is durable when it is answered, and statements see each other's locks.
    // A process that stands still inside a transaction (a machine put to sleep, a cable pulled) loses it: the row lock
    // of its project would otherwise be held for as long as the server believes in the connection.
    options: [
      '-c synchronous_commit=on -c default_transaction_isolation=read\\ committed',
      `-c idle_in_transaction_session_timeout=${CATALOG_WRITER_WAIT_MS}`,
    ].join(' '),
    keepAlive: true,
    types: { getTypeParser: chooseParser as typeof pg.types.getTypeParser },
  });
  // Without listeners a connection that breaks would end the process, be it idle (pool) or in use (client). Whoever
  // uses it gets the error too, from the query.
  const noteLoss = (error: Error) => logger.warn({ error: error.message }, 'a connection to the catalog was lost');
  pool.on('error', noteLoss);
  pool.on('connect', (client) => client.on('error', noteLoss));
  const kysely = new Kysely<Tables>({ dialect: new TranslatingDialect({ pool }) });
  return { kysely, capabilities, close: () => closePool(kysely, pool) };
}

async function closePool(kysely: Kysely<Tables>, pool: pg.Pool): Promise<void> {
  await kysely.destroy();
  if (!pool.ended) {
    await pool.end();
  }
}

class TranslatingDialect extends PostgresDialect {
  readonly #config: PostgresDialectConfig;

  constructor(config: PostgresDialectConfig) {
    super(config);
    this.#config = config;
  }

  override createDriver(): PostgresDriver {
    return new TranslatingDriver(this.#config);
  }
}

/** Turns the loss of the server into CATALOG_UNAVAILABLE wherever a query notices it. */
class TranslatingDriver extends PostgresDriver {
  readonly #translated = new WeakSet<DatabaseConnection>();

  override async acquireConnection(): Promise<DatabaseConnection> {
    const connection = await translating(() => super.acquireConnection());
    if (!this.#translated.has(connection)) {
      this.#translated.add(connection);
      const executeQuery = connection.executeQuery.bind(connection);
      connection.executeQuery = <Row>(query: CompiledQuery): Promise<QueryResult<Row>> =>
        translating(() => executeQuery<Row>(query));
    }
    return connection;
  }
}

async function translating<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toCatalogError(error);
  }
}

function toCatalogError(error: unknown): unknown {
  const state = sqlStateOf(error);
  const reason = error instanceof Error ? error.message : String(error);
  if (state === DISK_FULL) {
    return new VbsError('STORAGE_FULL', { reason: `catalog: ${reason}` }, { cause: error });
  }
  // What has no SQLSTATE did not come from the server: a socket that broke, a name that does not resolve.
  const isUnavailable = state === undefined ? error instanceof Error : UNAVAILABLE_CLASSES.has(state.slice(0, 2));
  return isUnavailable ? new VbsError('CATALOG_UNAVAILABLE', { reason }, { cause: error }) : error;
}

function sqlStateOf(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

/** bigint arrives as text; every count, size and instant of ours fits a number, and one that does not is an error. */
function chooseParser(oid: number, format?: 'text' | 'binary'): unknown {
  if (oid === pg.types.builtins.INT8 && format !== 'binary') {
    return parseBigint;
  }
  return pg.types.getTypeParser(oid, format ?? 'text');
}

function parseBigint(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) {
    throw new RangeError(`The catalog holds ${text}, which is no safe integer`);
  }
  return value;
}
