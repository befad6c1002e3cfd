// Runs the suite of the job runner on SQLite, and on PostgreSQL where a server answers.
import { test } from 'node:test';
import { findPostgres, makePostgres, makeSqlite } from '../support/test-catalog.ts';
import { defineRunnerSuite } from './job-runner.suite.ts';

defineRunnerSuite('SQLite', makeSqlite);

const postgresUrl = await findPostgres();
if (postgresUrl === undefined) {
  test('job runner on PostgreSQL', { skip: 'no PostgreSQL answers' }, () => undefined);
} else {
  defineRunnerSuite('PostgreSQL', () => makePostgres(postgresUrl));
}
