// What docs/clients.md tells people to write, run as it stands there but for address and passwords: a new user's way
// from an empty server to a backup, with each client in turn.
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type CliResult, runProcess } from '../support/cli-process.ts';
import { ADMIN_PASSWORD } from '../support/live-service.ts';
import { ClientBench } from './support/client-bench.ts';
import { readExample } from './support/client-docs.ts';
import { findPython, missingGo, missingProgram } from './support/programs.ts';

const GOPATH = '/usr/share/gocode';
const python = (await findPython('openstack')) ?? '';
const needs = {
  openstack: await missingProgram('openstack', 'python3-openstackclient'),
  cinder: await missingProgram('cinder', 'python3-cinderclient'),
  sdk: python === '' ? 'openstacksdk is not installed (Debian: python3-openstacksdk)' : false,
  go: await missingGo(),
  terraform: await missingProgram('terraform', 'none; a release of Terraform or OpenTofu'),
};

describe('docs/clients.md', { skip: needs.openstack }, () => {
  let bench: ClientBench;
  before(async () => {
    bench = await ClientBench.start();
    const made = await shell(await example('A project and a user', 'sh'));
    assert.equal(made.code, 0, made.stderr);
  });
  after(() => bench[Symbol.asyncDispose]());

  /** With the address and the passwords of this server. */
  async function example(heading: string, language: string): Promise<string> {
    const text = await readExample(heading, language);
    return text
      .replaceAll('http://127.0.0.1:8776', bench.service.url)
      .replaceAll('admin-password', `'${ADMIN_PASSWORD}'`);
  }

  /** As in a new terminal: nothing is set beforehand. */
  async function shell(script: string): Promise<CliResult> {
    return await runProcess('bash', ['-euo', 'pipefail', '-c', script], { cwd: bench.home });
  }

  /** In a terminal where the section about variables was followed. */
  async function session(script: string): Promise<string> {
    const { code, stdout, stderr } = await shell(`${await example('Environment variables', 'sh')}\n${script}`);
    assert.equal(code, 0, stderr);
    return stdout;
  }

  async function writeCloudsFile(): Promise<void> {
    await writeFile(join(bench.home, 'clouds.yaml'), await example('clouds.yaml', 'yaml'));
  }

  test('the new user logs in with the variables', async () => {
    const catalog = await session('openstack catalog list -f value -c Type');
    assert.match(catalog, /volumev3/);
    assert.equal((await session('openstack volume list -f value')).trim(), '');
  });

  test('the bare address of the server will do', async () => {
    await session('OS_AUTH_URL=$(dirname $(dirname $OS_AUTH_URL)) openstack volume list');
  });

  test('clouds.yaml', async () => {
    await writeCloudsFile();
    const { code, stderr } = await shell('openstack --os-cloud openvbs volume list');
    assert.equal(code, 0, stderr);
  });

  test('the cinder command', { skip: needs.cinder }, async () => {
    await session(await example('The cinder command', 'sh'));
    await session('until cinder show disk-of-monday | grep -q "status .* available"; do sleep 1; done');
  });

  test('the openstack command', async () => {
    const listed = await session(await example('The openstack command', 'sh'));
    assert.match(listed, /tuesday/);
    assert.match(listed, /wednesday/);
  });

  test('openstacksdk', { skip: needs.sdk }, async () => {
    await writeCloudsFile();
    const script = await example('openstacksdk', 'python');
    const { code, stdout, stderr } = await runProcess(python, ['-c', script], { cwd: bench.home });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^available [0-9a-f-]{36}$/m);
  });

  test('gophercloud', { skip: needs.go }, async () => {
    const folder = join(bench.home, 'go');
    await mkdir(folder);
    await writeFile(join(folder, 'main.go'), await example('gophercloud', 'go'));
    const build = `cd ${folder}; GO111MODULE=off GOPATH=${GOPATH} GOCACHE=${folder}/cache go build -o list main.go`;
    const built = await shell(build);
    assert.equal(built.code, 0, built.stderr);
    await session('openstack volume create --size 1 gone; openstack volume backup create --name of-go gone');
    assert.match(await session(`OS_DOMAIN_NAME=Default ${folder}/list`), /^[0-9a-f-]{36} of-go$/m);
  });

  test('the configurations for Terraform are well formed', { skip: needs.terraform }, async () => {
    for (const heading of ['Terraform: OpenStack', 'Terraform: Open Telekom Cloud']) {
      const text = await readExample(heading, 'hcl');
      const { code, stdout, stderr } = await runProcess('terraform', ['fmt', '-'], { cwd: bench.home, stdin: text });
      assert.equal(code, 0, stderr);
      assert.equal(stdout, text, heading);
    }
  });
});
