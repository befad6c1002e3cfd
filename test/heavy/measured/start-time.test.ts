// A fresh folder is served within three seconds of `npm start`.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { PROJECT_ROOT, withoutSettings } from '../../support/live-service.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

const GOAL_MS = 3000;
const RUN_COUNT_MAX = 6;

test('npm start serves within 3 s', async (context) => {
  const times: number[] = [];
  // The best one counts: it is what the program takes, the others what else the machine had to do.
  for (let run = 0; run < RUN_COUNT_MAX; run += 1) {
    times.push(await measureStart());
    if (Math.min(...times) < GOAL_MS) break;
  }
  context.diagnostic(times.map((time) => `${Math.round(time)} ms`).join(', '));
  assert(Math.min(...times) < GOAL_MS, String(times));
});

async function measureStart(): Promise<number> {
  await using temporary = await makeTemporaryFolder();
  const settings = { OPENVBS_DATA: join(temporary.path, 'data'), OPENVBS_LISTEN: '127.0.0.1:0' };
  const beganAt = performance.now();
  const child = spawn('npm', ['start'], {
    cwd: PROJECT_ROOT,
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...withoutSettings(process.env), ...settings },
  });
  const ended = once(child, 'close');
  try {
    let text = '';
    let url: string | undefined;
    for await (const piece of child.stdout.setEncoding('utf8')) {
      text += piece;
      url = /API:\s+(\S+)/.exec(text)?.[1];
      if (url !== undefined) break;
    }
    assert(url !== undefined, `it ended: ${text}`);
    assert.equal((await fetch(url)).status, 300);
    return performance.now() - beganAt;
  } finally {
    // The group: npm, its shell and the service.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGTERM');
    await ended;
  }
}
