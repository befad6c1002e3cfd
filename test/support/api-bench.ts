// The API over real services (service-bench.ts), reached through Fastify's inject; users, projects and tokens are made
// through identity, as clients meet them.
import assert from 'node:assert/strict';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { buildServer } from '../../src/api/server.ts';
import { newHexId, type ProjectId, type UserId } from '../../src/core/ids.ts';
import type { Role } from '../../src/core/model.ts';
import { type Clock, silentLogger, systemClock } from '../../src/core/ports.ts';
import { openDirectory } from '../../src/services/directory.ts';
import { hashPassword } from '../../src/services/password.ts';
import { type BenchOptions, ServiceBench } from './service-bench.ts';

export const PASSWORD = 'a password for tests';
export const TOKEN_LIFE_MS = 3_600_000;

export type Answer = LightMyRequestResponse;

export type Send = {
  readonly token?: string | null;
  readonly body?: unknown;
  /** Sent as it stands, instead of `body`. */
  readonly text?: string;
  readonly headers?: Record<string, string>;
};

/** Who calls: a token and the project that it is scoped to. */
export type Actor = { readonly token: string; readonly projectId: ProjectId; readonly userId: UserId };

export class ApiBench {
  readonly services: ServiceBench;
  readonly app: FastifyInstance;
  /** Roles admin and member in project `lab`. */
  readonly admin: Actor;
  /** Role member in `lab`. */
  readonly member: Actor;
  /** Role reader in `lab`. */
  readonly reader: Actor;
  /** Role member in project `other`. */
  readonly stranger: Actor;
  /** Added to the time that identity sees. */
  clockShiftMs = 0;

  private constructor(
    services: ServiceBench,
    app: FastifyInstance,
    actors: Pick<ApiBench, 'admin' | 'member' | 'reader' | 'stranger'>,
  ) {
    this.services = services;
    this.app = app;
    this.admin = actors.admin;
    this.member = actors.member;
    this.reader = actors.reader;
    this.stranger = actors.stranger;
  }

  static async start(options: BenchOptions = {}): Promise<ApiBench> {
    const services = await ServiceBench.start(options);
    const { catalog, volumeServices, volumeCreator, snapshots, backups, jobs, backupTags, sharings, traces, policies } =
      services;
    const shift = { now: () => 0 };
    const clock: Clock = { now: () => systemClock.now() + shift.now() };
    const { identity, directory } = openDirectory({
      ...{ catalog, clock, logger: silentLogger, tokenLifeMs: TOKEN_LIFE_MS, keyRotationMs: 0 },
      loginLimits: { perUser: 10, perAddress: 100, windowMs: 300_000 },
    });
    const app = await buildServer({
      ...{ backupTags, backupRecords: services.backupRecords, sharings, traces, policies },
      ...{ repository: services.repositories, verify: services.verifications },
      ...(options.nativeRules === undefined ? {} : { nativeRules: options.nativeRules }),
      ...{
        identity,
        directory,
        ...volumeServices,
        volumeCreator,
        snapshots,
        backups,
        jobs,
        clock,
        logger: silentLogger,
      },
      region: 'region-1',
      availabilityZone: 'az-1',
      version: '0.0.0-test',
    });
    await app.ready();
    const lab = await addProject(services, 'lab');
    const other = await addProject(services, 'other');
    const passwordHash = await hashPassword(PASSWORD);
    const add = (name: string, projectId: ProjectId, roles: readonly Role[]) =>
      addActor(services, app, { name, projectId, roles, passwordHash });
    const bench = new ApiBench(services, app, {
      admin: await add('boss', lab, ['admin', 'member']),
      member: await add('ops', lab, ['member']),
      reader: await add('auditor', lab, ['reader']),
      stranger: await add('stranger', other, ['member']),
    });
    shift.now = () => bench.clockShiftMs;
    return bench;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app.close();
    await this.services[Symbol.asyncDispose]();
  }

  /** Sends as `member` unless another token, or none, is named. */
  async send(method: string, url: string, send: Send = {}): Promise<Answer> {
    const { token = this.member.token, body, text, headers = {} } = send;
    const payload = text ?? (body === undefined ? undefined : JSON.stringify(body));
    return await this.app.inject({
      // The cast: inject's type lists the methods that Fastify knows; tests send others too.
      method: method as 'GET',
      url,
      headers: {
        host: 'vbs.example.net',
        ...(token === null ? {} : { 'x-auth-token': token }),
        ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(payload === undefined ? {} : { payload }),
    });
  }

  /** Sends, and asserts the status. */
  async ask(status: number, method: string, url: string, send: Send = {}): Promise<Record<string, unknown>> {
    const answer = await this.send(method, url, send);
    assert.equal(answer.statusCode, status, `${method} ${url}: ${answer.body}`);
    return answer.body === '' ? {} : answer.json<Record<string, unknown>>();
  }

  get v1(): string {
    return `/v1/${this.member.projectId}`;
  }

  get v2(): string {
    return `/v2/${this.member.projectId}`;
  }

  get v3(): string {
    return `/v3/${this.member.projectId}`;
  }

  /** The call is refused as the VBS families do, and no row has changed. */
  async assertVbsFault(status: number, code: string, method: string, url: string, send: Send = {}): Promise<void> {
    const fault = await this.#refuse(status, method, url, send);
    assert.deepEqual(Object.keys(fault), ['error']);
    const error = fault.error as Record<string, unknown>;
    assert.deepEqual(Object.keys(error), ['code', 'message']);
    assert.equal(error.code, code, JSON.stringify(error));
  }

  /** The call is refused with a native fault, and no row has changed. */
  async assertFault(status: number, name: string, method: string, url: string, send: Send = {}): Promise<void> {
    const fault = await this.#refuse(status, method, url, send);
    assert.deepEqual(Object.keys(fault), [name], JSON.stringify(fault));
    const inner = fault[name] as Record<string, unknown>;
    assert.equal(inner.code, status);
    assert.equal(typeof inner.message, 'string');
  }

  async #refuse(status: number, method: string, url: string, send: Send): Promise<Record<string, unknown>> {
    const before = await this.#snapshot();
    const fault = await this.ask(status, method, url, send);
    assert.deepEqual(await this.#snapshot(), before, `${method} ${url} changed the catalog`);
    return fault;
  }

  /** Without progress: the last figures of a job may be written just after its end. */
  async #snapshot(): Promise<unknown> {
    const rows = await this.services.snapshotRows();
    return JSON.parse(JSON.stringify(rows, (key, value: unknown) => (key === 'progress' ? undefined : value)));
  }

  /** Polls the job as clients do, until it has ended. */
  async waitForJob(jobId: string): Promise<Record<string, unknown>> {
    return await this.services.waitFor(async () => {
      const job = await this.ask(200, 'GET', `${this.v1}/jobs/${jobId}`);
      return job.end_time === null ? undefined : job;
    });
  }
}

async function addProject({ catalog }: ServiceBench, name: string): Promise<ProjectId> {
  const projectId = newHexId<ProjectId>();
  const createdAt = systemClock.now();
  await catalog.projects.insert({ projectId, name, domainId: 'default', description: '', createdAt });
  return projectId;
}

async function addActor(
  { catalog }: ServiceBench,
  app: FastifyInstance,
  user: { name: string; projectId: ProjectId; roles: readonly Role[]; passwordHash: string },
): Promise<Actor> {
  const { name, projectId, roles, passwordHash } = user;
  const userId = newHexId<UserId>();
  await catalog.users.insert({ userId, name, domainId: 'default', passwordHash, isEnabled: true });
  for (const role of roles) await catalog.users.assignRole(userId, projectId, role);
  const answer = await app.inject({
    method: 'POST',
    url: '/v3/auth/tokens',
    payload: passwordRequest(name, { project: { id: projectId } }),
  });
  assert.equal(answer.statusCode, 201, answer.body);
  return { token: String(answer.headers['x-subject-token']), projectId, userId };
}

export function passwordRequest(name: string, scope?: unknown, password = PASSWORD): Record<string, unknown> {
  const user = { name, domain: { name: 'Default' }, password };
  const identity = { methods: ['password'], password: { user } };
  return { auth: scope === undefined ? { identity } : { identity, scope } };
}
