// A server of its own with the projects and users that the clients log in as, all made through Keystone as an
// administrator would, and the programs run with nothing but the environment that docs/clients.md tells people to set.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type CliResult, runProcess } from '../../support/cli-process.ts';
import { asList, at, type LiveApi } from '../../support/live-api.ts';
import { ADMIN_PASSWORD, LiveService } from '../../support/live-service.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/temporary-folder.ts';

export const PASSWORD = 'correct horse battery staple';
export const REGION = 'region-1';
export const ZONE = 'az-1';

/** Who runs a client: a user and the project that it works in. */
export type Person = {
  readonly userName: string;
  readonly userId: string;
  readonly projectName: string;
  readonly projectId: string;
  readonly password: string;
};

export type RunOptions = {
  readonly as?: Person;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
};

export class ClientBench implements AsyncDisposable {
  readonly service: LiveService;
  readonly #folder: TemporaryFolder;
  /** Roles admin and member in project lab. */
  readonly boss: Person;
  /** Role member in project lab. */
  readonly ops: Person;
  /** Role reader in project lab. */
  readonly auditor: Person;
  /** Role member in project other. */
  readonly stranger: Person;

  private constructor(
    service: LiveService,
    folder: TemporaryFolder,
    people: Pick<ClientBench, 'boss' | 'ops' | 'auditor' | 'stranger'>,
  ) {
    this.service = service;
    this.#folder = folder;
    this.boss = people.boss;
    this.ops = people.ops;
    this.auditor = people.auditor;
    this.stranger = people.stranger;
  }

  /** `settings` are OPENVBS_* variables of the server. */
  static async start(settings: Readonly<Record<string, string>> = {}): Promise<ClientBench> {
    const folder = await makeTemporaryFolder();
    await mkdir(join(folder.path, 'home'));
    const service = await LiveService.start({ folder: folder.path, env: settings });
    try {
      const { api } = service;
      const lab = await addProject(api, 'lab');
      const other = await addProject(api, 'other');
      return new ClientBench(service, folder, {
        boss: await addPerson(api, 'boss', lab, ['admin', 'member']),
        ops: await addPerson(api, 'ops', lab, ['member']),
        auditor: await addPerson(api, 'auditor', lab, ['reader']),
        stranger: await addPerson(api, 'stranger', other, ['member']),
      });
    } catch (error) {
      await service.kill();
      await folder[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The user admin that the server itself made, in its project admin. */
  get admin(): Person {
    const { projectId } = this.service.api;
    return { userName: 'admin', userId: '', projectName: 'admin', projectId, password: ADMIN_PASSWORD };
  }

  get authUrl(): string {
    return `${this.service.url}/identity/v3`;
  }

  /** Working folder and home of the programs. */
  get home(): string {
    return join(this.#folder.path, 'home');
  }

  /** A folder whose disks may be adopted. */
  get disksFolder(): string {
    return this.service.disksFolder;
  }

  environmentOf({ userName, projectName, password }: Person): Record<string, string> {
    return {
      OS_AUTH_URL: this.authUrl,
      OS_IDENTITY_API_VERSION: '3',
      OS_USERNAME: userName,
      OS_PASSWORD: password,
      OS_PROJECT_NAME: projectName,
      OS_USER_DOMAIN_NAME: 'Default',
      OS_PROJECT_DOMAIN_NAME: 'Default',
      OS_REGION_NAME: REGION,
    };
  }

  /** Runs a program to its end, as `ops` unless told otherwise. */
  async run(program: string, args: readonly string[], options: RunOptions = {}): Promise<CliResult> {
    const env = { ...this.environmentOf(options.as ?? this.ops), ...options.env };
    const stdin = options.stdin === undefined ? {} : { stdin: options.stdin };
    return await runProcess(program, args, { cwd: this.home, env, ...stdin });
  }

  /** `run` that must succeed; returns what it printed. */
  async must(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(program, args, options);
    assert.equal(code, 0, `${program} ${args.join(' ')}: ${stderr}${stdout}`);
    return stdout;
  }

  /** `run` that must fail; returns what it complained about. */
  async refused(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(program, args, options);
    assert.notEqual(code, 0, `${program} ${args.join(' ')} succeeded: ${stdout}`);
    return `${stderr}${stdout}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.service[Symbol.asyncDispose]();
    await this.#folder[Symbol.asyncDispose]();
  }
}

type NamedProject = { readonly id: string; readonly name: string };

async function addProject(api: LiveApi, name: string): Promise<NamedProject> {
  const body = { project: { name, domain_id: 'default' } };
  const made = await api.must('POST', '/identity/v3/projects', { body });
  return { id: String(at(made, 'project').id), name };
}

async function addPerson(
  api: LiveApi,
  userName: string,
  project: NamedProject,
  roleNames: readonly string[],
): Promise<Person> {
  const user = { name: userName, password: PASSWORD, domain_id: 'default' };
  const made = await api.must('POST', '/identity/v3/users', { body: { user } });
  const userId = String(at(made, 'user').id);
  const roles = asList((await api.must('GET', '/identity/v3/roles')).roles);
  for (const roleName of roleNames) {
    const role = roles.find(({ name }) => name === roleName);
    assert(role !== undefined, `a role ${roleName}`);
    await api.must('PUT', `/identity/v3/projects/${project.id}/users/${userId}/roles/${String(role.id)}`);
  }
  return { userName, userId, projectName: project.name, projectId: project.id, password: PASSWORD };
}
