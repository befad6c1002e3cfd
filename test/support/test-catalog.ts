// Catalogs for tests: a SQLite file in a temporary folder, or a PostgreSQL database of its own that is dropped again.
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { Catalog } from '../../src/db/catalog.ts';
import { type DatabaseConfig, openDatabase } from '../../src/db/database.ts';

/** A database that outlives the catalogs opened on it. */
export type TestDatabase = {
  readonly config: DatabaseConfig;
  /** One more catalog on the same database, with connections of its own. */
  open(): Promise<Catalog>;
  /** Closes what was opened and removes the database. */
  [Symbol.asyncDispose](): Promise<void>;
};

const CONNECT_TIMEOUT_MS = 2000;

export async function makeSqlite(): Promise<TestDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'openvbs-catalog-'));
  const config: DatabaseConfig = { kind: 'sqlite', path: join(folder, 'catalog.sqlite') };
  return trackCatalogs(config, () => rm(folder, { recursive: true, force: true }));
}

/** The server for tests: OPENVBS_TEST_POSTGRES_URL, or a local one; undefined when none answers. */
export async function findPostgres(): Promise<string | undefined> {
  const asked = process.env.OPENVBS_TEST_POSTGRES_URL;
  const urls =
    asked === undefined || asked === ''
      ? ['postgres://postgres@127.0.0.1:5432/postgres', 'socket:/var/run/postgresql?db=postgres&user=postgres']
      : [asked];
  for (const url of urls) {
    if (await answers(url)) {
      return url;
    }
  }
  return undefined;
}

export async function makePostgres(serverUrl: string): Promise<TestDatabase> {
  const name = `openvbs_test_${randomUUID().replaceAll('-', '')}`;
  await onServer(serverUrl, `create database ${name}`);
  const config: DatabaseConfig = { kind: 'postgres', url: withDatabase(serverUrl, name) };
  return trackCatalogs(config, () => onServer(serverUrl, `drop database if exists ${name} with (force)`));
}

function trackCatalogs(config: DatabaseConfig, remove: () => Promise<void>): TestDatabase {
  const opened: Catalog[] = [];
  return {
    config,
    open: async () => {
      const catalog = new Catalog({ database: await openDatabase(config) });
      opened.push(catalog);
      return catalog;
    },
    [Symbol.asyncDispose]: async () => {
      for (const catalog of opened) {
        await catalog.close();
      }
      await remove();
    },
  };
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    // Whatever the reason, there is no server to test with: the suite says so in its skip.
    return false;
  } finally {
    await client.end();
  }
}

async function onServer(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

function withDatabase(url: string, name: string): string {
  if (url.startsWith('socket:')) {
    return url.replace(/db=[^&]*/, `db=${name}`);
  }
  const parsed = new URL(url);
  parsed.pathname = `/${name}`;
  return parsed.href;
}
