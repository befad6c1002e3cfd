// Runs the suites of the catalog on SQLite, and on PostgreSQL where a server answers.
import { test } from 'node:test';
import { findPostgres, makePostgres, makeSqlite } from '../support/test-catalog.ts';
import { defineBaselineSuite } from './catalog-baselines.suite.ts';
import { defineDeletionSuite } from './catalog-deletion.suite.ts';
import { defineImportSuite } from './catalog-imports.suite.ts';
import { defineKeySuite } from './catalog-keys.suite.ts';
import { defineLedgerSuite } from './catalog-ledger.suite.ts';
import { definePolicySuite } from './catalog-policies.suite.ts';
import { definePruneSuite } from './catalog-prune.suite.ts';
import { defineRaceSuite } from './catalog-races.suite.ts';
import { defineRebuildSuite } from './catalog-rebuild.suite.ts';
import { defineRecordSuite } from './catalog-records.suite.ts';
import { defineSharingSuite } from './catalog-sharing.suite.ts';
import { defineSnapshotSuite } from './catalog-snapshots.suite.ts';
import { defineStockSuite } from './catalog-stock.suite.ts';
import { defineVerifySuite } from './catalog-verify.suite.ts';

const SUITES = [
  defineRecordSuite,
  defineLedgerSuite,
  defineDeletionSuite,
  defineImportSuite,
  defineBaselineSuite,
  definePruneSuite,
  defineKeySuite,
  defineRebuildSuite,
  defineRaceSuite,
  defineSharingSuite,
  defineSnapshotSuite,
  defineStockSuite,
  defineVerifySuite,
  definePolicySuite,
];

for (const define of SUITES) {
  define('SQLite', makeSqlite);
}

const postgresUrl = await findPostgres();
if (postgresUrl === undefined) {
  const reason = 'no PostgreSQL answers at OPENVBS_TEST_POSTGRES_URL, 127.0.0.1:5432 or the local socket';
  test('catalog on PostgreSQL', { skip: reason }, () => undefined);
} else {
  for (const define of SUITES) {
    define('PostgreSQL', () => makePostgres(postgresUrl));
  }
}
