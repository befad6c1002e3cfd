import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Command } from '../../../src/cli/command.ts';
import { confirm, printResult, YES_OPTION } from '../../../src/cli/output.ts';
import { runCommandLine } from '../../../src/cli/run.ts';
import { ClientError } from '../../../src/client/client-error.ts';

type Run = {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly asked: readonly string[];
};

async function run(line: string, options: { answer?: string; fail?: Error } = {}): Promise<Run> {
  const written = { stdout: '', stderr: '' };
  const asked: string[] = [];
  const command: Command = {
    path: ['wipe'],
    summary: 'wipe everything',
    args: [],
    options: [YES_OPTION],
    isRemote: false,
    examples: [],
    run: async (context) => {
      if (options.fail !== undefined) throw options.fail;
      const isMeant = await confirm(context, 'Really?');
      printResult(context, { isMeant }, isMeant ? 'wiped' : 'kept');
      return 0;
    },
  };
  const terminal = {
    stdout: { write: (text: string) => (written.stdout += text) },
    stderr: { write: (text: string) => (written.stderr += text) },
    isInteractive: options.answer !== undefined,
    env: {},
    cwd: '/',
    homeFolder: '/',
    readStdin: async () => '',
    ask: async (question: string) => {
      asked.push(question);
      return options.answer ?? '';
    },
    askSecret: async () => '',
  };
  const { signal } = new AbortController();
  const deps = { commands: [command], terminal, clock: { now: () => 0 }, program: 'bin/openvbs.js', signal };
  const code = await runCommandLine(deps, line.split(' '));
  return { code, ...written, asked };
}

test('a terminal is asked, and only a yes is a yes', async () => {
  for (const answer of ['y', 'Yes', ' y ']) assert.equal((await run('wipe', { answer })).stdout, 'wiped\n');
  for (const answer of ['', 'n', 'yup', 'no']) assert.equal((await run('wipe', { answer })).stdout, 'kept\n');
});

test('--yes, or nobody to ask, takes the command at its word', async () => {
  const sure = await run('wipe --yes', { answer: 'n' });
  assert.deepEqual([sure.stdout, sure.asked.length], ['wiped\n', 0]);
  assert.equal((await run('wipe')).stdout, 'wiped\n');
});

test('with --json, results and errors are one document on stdout', async () => {
  assert.deepEqual(JSON.parse((await run('wipe --json')).stdout), { isMeant: true });
  const fail = new ClientError('gone', { status: 404, code: 'common.0011', requestId: 'req-1' });
  const { code, stdout, stderr } = await run('wipe --json', { fail });
  assert.equal(code, 3);
  const { hint, ...error } = JSON.parse(stdout).error;
  assert.deepEqual(error, { code: 'common.0011', message: 'gone', requestId: 'req-1', exitCode: 3 });
  assert.ok(hint.includes('bin/openvbs.js volume list'), 'hints say what can be typed here');
  assert.ok(stderr.startsWith('openvbs: gone (common.0011, req-1)\n'), stderr);
});

test('what a server says cannot move the cursor', async () => {
  const fail = new ClientError('a\u001b[2Jb', { status: 400, code: 'x' });
  assert.ok(!(await run('wipe', { fail })).stderr.includes('\u001b'));
});

test('only errors that nobody foresaw show a stack', async () => {
  assert.ok((await run('wipe', { fail: new TypeError('oops') })).stderr.includes('TypeError: oops\n    at '));
  assert.ok(
    !(await run('wipe', { fail: new ClientError('x', { status: 400, code: 'y' }) })).stderr.includes('    at '),
  );
});
