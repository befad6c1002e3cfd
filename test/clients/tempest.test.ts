// Tempest's own tests of the volume API, each as a test of ours. What cannot run here is listed in docs/clients.md with
// the reason, and that list is the only one: it is read from there.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ClientBench } from './support/client-bench.ts';
import { readTempestExclusions } from './support/client-docs.ts';
import { reportOutcomes } from './support/event-lines.ts';
import { findPython } from './support/programs.ts';
import { type Exclusion, findExclusion, listTempestModules, runTempest } from './support/tempest-run.ts';

/** Export and import of a record stay within a project, so the administrator and the member share one for these. */
const SHARED_PROJECT_MODULE = 'tempest.api.volume.admin.test_volumes_backup';
const SHARED_PROJECT_TEST = `${SHARED_PROJECT_MODULE}.VolumesBackupsAdminTest.test_volume_backup_export_import`;

const python = (await findPython('tempest')) ?? '';
const skip = python === '' ? 'tempest is not installed (Debian: python3-tempest)' : false;

describe('tempest', { skip }, () => {
  let bench: ClientBench;
  let exclusions: Exclusion[];
  before(async () => {
    exclusions = await readTempestExclusions();
    bench = await ClientBench.start();
  });
  after(() => bench[Symbol.asyncDispose]());

  test('tempest.api.volume, with users and projects that tempest makes', async (context) => {
    const modules = await listTempestModules(python);
    const elsewhere = { prefix: SHARED_PROJECT_TEST, reason: 'runs below' };
    const run = await runTempest(bench, python, { modules, exclusions: [...exclusions, elsewhere] });
    await reportOutcomes(context, run.outcomes);
    await context.test('every test that is left out exists and has its reason', () => {
      for (const exclusion of exclusions) {
        const isKnown = run.excluded.some((id) => findExclusion([exclusion], id) !== undefined);
        assert.ok(isKnown, `tempest has no ${exclusion.prefix}: take it out of docs/clients.md`);
      }
    });
  });

  test('backups as an administrator, in the project of the member', async (context) => {
    const people = { admin: bench.boss, member: bench.ops };
    const modules = [SHARED_PROJECT_MODULE];
    const { outcomes } = await runTempest(bench, python, { modules, exclusions, people });
    assert.ok(outcomes.some(({ id }) => id === SHARED_PROJECT_TEST));
    await reportOutcomes(context, outcomes);
  });
});
