// openstacksdk against a server of its own: the flows are in programs/sdk-flows.py, each is a test here.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ClientBench } from './support/client-bench.ts';
import { readEvents, readOutcomes, reportOutcomes } from './support/event-lines.ts';
import { findPython } from './support/programs.ts';

const FLOWS = fileURLToPath(new URL('programs/sdk-flows.py', import.meta.url));

const python = (await findPython('openstack')) ?? '';
const skip = python === '' ? 'openstacksdk is not installed (Debian: python3-openstacksdk)' : false;

test('openstacksdk', { skip }, async (context) => {
  await using bench = await ClientBench.start();
  const env = { BOSS_USERNAME: bench.boss.userName };
  const { stdout, stderr } = await bench.run(python, [FLOWS], { env });
  assert.ok(
    readEvents(stdout).some(({ event }) => event === 'end'),
    `the flows broke off: ${stderr}`,
  );
  await reportOutcomes(context, readOutcomes(stdout));
});
