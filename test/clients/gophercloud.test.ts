// gophercloud against a server of its own: the flows are in programs/gophercloud-flows, each is a test here.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runProcess } from '../support/cli-process.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { ClientBench } from './support/client-bench.ts';
import { readEvents, readOutcomes, reportOutcomes } from './support/event-lines.ts';
import { missingGo } from './support/programs.ts';

const SOURCES = fileURLToPath(new URL('programs/gophercloud-flows', import.meta.url));
/** Where Debian puts the sources of Go libraries. */
const GOPATH = '/usr/share/gocode';

const hasLibrary = existsSync(`${GOPATH}/src/github.com/gophercloud/gophercloud`);
const skip =
  (await missingGo()) || (hasLibrary ? false : 'no gophercloud (Debian: golang-github-gophercloud-gophercloud-dev)');

test('gophercloud', { skip }, async (context) => {
  await using folder = await makeTemporaryFolder();
  const program = join(folder.path, 'flows');
  const env = { GO111MODULE: 'off', GOPATH, GOCACHE: join(folder.path, 'cache') };
  const built = await runProcess('go', ['build', '-o', program, '.'], { cwd: SOURCES, env });
  assert.equal(built.code, 0, built.stderr);

  await using bench = await ClientBench.start();
  const { stdout, stderr } = await bench.run(program, [], {
    env: { BOSS_USERNAME: bench.boss.userName, OS_DOMAIN_NAME: 'Default' },
  });
  assert.ok(
    readEvents(stdout).some(({ event }) => event === 'end'),
    `the flows broke off: ${stderr}`,
  );
  await reportOutcomes(context, readOutcomes(stdout));
});
