// Runs tempest's own tests of the volume API against a server. Tempest makes projects and users for every class of
// tests through Keystone ("dynamic credentials"), so these runs are a test of identity as well.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type ClientBench, type Person, REGION } from './client-bench.ts';
import { type Outcome, readEvents, readOutcomes } from './event-lines.ts';

const RUNNER = fileURLToPath(new URL('../programs/run-tempest.py', import.meta.url));
const LIST_MODULES = `
import pkgutil, tempest.api.volume
for module in pkgutil.walk_packages(tempest.api.volume.__path__, 'tempest.api.volume.'):
    if module.name.rsplit('.', 1)[1].startswith('test_'):
        print(module.name)
`;
/** Tempest waits most of the time, for the server: more of them than cores. */
const WORKER_COUNT = 3;

/** What is left out and why: an id of a test, or the beginning of ids (a class, a module). */
export type Exclusion = { readonly prefix: string; readonly reason: string };

export function findExclusion(exclusions: readonly Exclusion[], id: string): Exclusion | undefined {
  return exclusions.find(({ prefix }) => id === prefix || id.startsWith(`${prefix}.`));
}

export type TempestRun = {
  readonly outcomes: readonly Outcome[] /** Ids that were left out. */;
  readonly excluded: readonly string[];
};

export async function listTempestModules(python: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)(python, ['-c', LIST_MODULES]);
  return stdout.split('\n').filter((name) => name !== '');
}

/**
 * Runs what is in `modules` but the excluded. With `people` the tests work as these, who share a project; without,
 * tempest makes users and projects for itself. Outcomes come in the order of the ids.
 */
export async function runTempest(
  bench: ClientBench,
  python: string,
  options: {
    readonly modules: readonly string[];
    readonly exclusions: readonly Exclusion[];
    readonly people?: { readonly admin: Person; readonly member: Person };
  },
): Promise<TempestRun> {
  const { modules, exclusions, people } = options;
  const folder = join(bench.home, people === undefined ? 'tempest' : 'tempest-accounts');
  await mkdir(folder);
  const auth =
    people === undefined ? dynamicCredentials(bench.admin) : { test_accounts_file: join(folder, 'accounts.yaml') };
  if (people !== undefined) await writeFile(join(folder, 'accounts.yaml'), renderAccounts(people));
  await writeFile(join(folder, 'tempest.conf'), renderConfig(bench, folder, auth));
  const env = { TEMPEST_CONFIG_DIR: folder, TEMPEST_CONFIG: 'tempest.conf' };
  const prefixes = JSON.stringify(exclusions.map(({ prefix }) => prefix));
  const runs = divide(modules, WORKER_COUNT).map(async (part) => {
    const { stdout, stderr } = await bench.run(python, [RUNNER, ...part], { env, stdin: prefixes });
    return readRun(stdout, stderr);
  });
  const results = await Promise.all(runs);
  const outcomes = results.flatMap((result) => result.outcomes).sort((one, two) => (one.id < two.id ? -1 : 1));
  return { outcomes, excluded: results.flatMap((result) => result.excluded) };
}

/** Every test that was to run has an outcome, or the run broke off. */
function readRun(events: string, stderr: string): TempestRun {
  const start = readEvents(events).find(({ event }) => event === 'tests');
  assert(start !== undefined, `tempest did not start: ${stderr.slice(-4000)}`);
  // The cast names what run-tempest.py prints.
  const { ids, excluded } = start as unknown as { ids: string[]; excluded: string[] };
  const found = readOutcomes(events);
  const outcomes = ids.map((id) => found.find((outcome) => concerns(outcome.id, id)) ?? missing(id, stderr));
  return { outcomes: outcomes.map((outcome, index) => ({ ...outcome, id: ids[index] ?? '' })), excluded };
}

/** Does an outcome tell about test `id`: its own, or that of its class as a whole? */
function concerns(outcomeId: string, id: string): boolean {
  const [, group] = /^(?:setUp|tearDown)(?:Class|Module) \((.*)\)$/.exec(outcomeId) ?? [];
  return outcomeId === id || (group !== undefined && id.startsWith(`${group}.`));
}

function missing(id: string, stderr: string): Outcome {
  return { event: 'failed', id, detail: `no outcome was told; the run ended with: ${stderr.slice(-2000)}` };
}

/** Every n-th to the same part, so that neighbours, which take about as long, are spread. */
function divide<T>(items: readonly T[], count: number): T[][] {
  const parts = Array.from({ length: count }, (_, part) => items.filter((_item, index) => index % count === part));
  return parts.filter((part) => part.length > 0);
}

function dynamicCredentials(admin: Person): Record<string, string> {
  return {
    use_dynamic_credentials: 'true',
    admin_username: admin.userName,
    admin_password: admin.password,
    admin_project_name: admin.projectName,
    admin_domain_name: 'Default',
  };
}

/** JSON is YAML too. */
function renderAccounts({ admin, member }: { admin: Person; member: Person }): string {
  const account = ({ userName, projectName, password }: Person): Record<string, unknown> => ({
    username: userName,
    project_name: projectName,
    password,
    user_domain_name: 'Default',
    project_domain_name: 'Default',
    domain_name: 'Default',
  });
  return JSON.stringify([
    { ...account(admin), types: ['admin'], roles: ['admin', 'member'] },
    { ...account(member), roles: ['member'] },
  ]);
}

function renderConfig(bench: ClientBench, folder: string, auth: Readonly<Record<string, string>>): string {
  const sections: Record<string, Record<string, string>> = {
    DEFAULT: { use_stderr: 'false', log_file: join(folder, 'tempest.log') },
    oslo_concurrency: { lock_path: join(folder, 'locks') },
    auth: { use_dynamic_credentials: 'false', ...auth },
    identity: {
      uri_v3: bench.authUrl,
      auth_version: 'v3',
      region: REGION,
      v3_endpoint_type: 'public',
    },
    'identity-feature-enabled': { api_v2: 'false', api_v3: 'true' },
    service_available: { cinder: 'true', nova: 'false', glance: 'false', neutron: 'false', swift: 'false' },
    volume: {
      // Asking again at once: the server answers within milliseconds, and jobs take about as long.
      build_interval: '0',
      build_timeout: '60',
      region: REGION,
      endpoint_type: 'public',
      min_microversion: '3.0',
      max_microversion: 'latest',
      storage_protocol: 'file',
      vendor_name: 'OpenVBS',
    },
    // Instead of `all`, which stands for what Cinder itself has.
    'volume-feature-enabled': { api_extensions: 'backups,os-services,os-quota-sets,os-types-manage' },
  };
  return Object.entries(sections)
    .map(([name, values]) => `[${name}]\n${renderValues(values)}`)
    .join('\n');
}

function renderValues(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('');
}
