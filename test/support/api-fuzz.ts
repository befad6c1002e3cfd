// Sends random requests to every route and looks at the answers: none is a 5xx, none takes for ever, every refusal has
// the form of its family and a documented status, and leaves every row of the catalog as it was.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { familyOfPath, isVbsFamily, pathOfUrl } from '../../src/api/plugins/family.ts';
import { MIB } from '../../src/core/bytes.ts';
import { newHexId, type UserId } from '../../src/core/ids.ts';
import { type Answer, ApiBench, passwordRequest } from './api-bench.ts';
import { type ActorName, type FuzzRequest, requestsOf } from './api-requests.ts';
import { SCHEDULE } from './policy-calls.ts';
import { listServerRoutes } from './route-list.ts';

/** Of each part of a request that is reported. */
const SHOWN_LENGTH = 500;
const ANSWER_WAIT_MS = 20_000;
/** Longer than the runner ever waits before it tries a job again. */
const RETRY_DELAY_MAX_MS = 10_000;
/** Rows that a refused request may change: what has expired is dropped whenever somebody looks. */
const HOUSEKEEPING_TABLES: ReadonlySet<string> = new Set(['revoked_tokens', 'token_keys']);
/** What takes the world away from all that follow, and therefore comes last. */
const SPOILING = /os-services\/|token_keys$|os-quota|auth\/tokens$/;
const ACTOR_NAMES: Readonly<Record<ActorName, string>> = {
  admin: 'boss',
  member: 'ops',
  reader: 'auditor',
  stranger: 'stranger',
};
/** SQL for the ids that a reference may stand for; users and projects of the callers themselves are left out. */
const REFERENCE_QUERIES: Readonly<Record<string, string>> = {
  volume: 'select volume_id from volumes',
  backup: 'select backup_id from backups',
  snapshot: 'select snapshot_id from snapshots',
  policy: 'select policy_id from policies',
  job: 'select job_id from jobs',
  type: 'select type_id from volume_types union all select name from volume_types',
  attachment: 'select attachment_id from volume_attachments',
  message: 'select message_id from messages',
  sharing: 'select sharing_id from sharings',
  project: `select project_id from projects where name not in ('lab', 'other')`,
  user: `select user_id from users where name not in ('boss', 'ops', 'auditor', 'stranger')`,
  role: `select 'admin' union all select 'member' union all select 'reader'`,
  credential: 'select credential_id from application_credentials',
  host: `select 'host@file#file' union all select 'host' union all select 'host@file'`,
  'metadata-key': `select 'colour' union all select 'a' union all select 'capabilities'`,
};

const RUNNING_JOBS = `select job_id from jobs where status = 'RUNNING'`;

export type FuzzReport = { readonly requestCount: number; readonly acceptedCount: number; readonly failures: string[] };

/** Drawn, or what OPENVBS_TEST_SEED says; to be printed, for a run can be had again with it. */
export function newFuzzSeed(): number {
  return Number(process.env.OPENVBS_TEST_SEED ?? randomInt(2 ** 31));
}

/** One world, and for every route so many requests. */
export async function runFuzz(seed: number, requestsPerRoute: number): Promise<FuzzReport> {
  await using world = await FuzzWorld.start();
  const drawn = listServerRoutes().flatMap((route, index) =>
    fc.sample(requestsOf(route), { numRuns: requestsPerRoute, seed: seed + index }),
  );
  const order = fc.sample(fc.shuffledSubarray(drawn, { minLength: drawn.length }), { numRuns: 1, seed })[0] ?? [];
  const isLast = ({ route }: FuzzRequest) => SPOILING.test(route.path) && route.method !== 'GET';
  const failures: string[] = [];
  let acceptedCount = 0;
  for (const request of [...order.filter((one) => !isLast(one)), ...order.filter(isLast)]) {
    const { status, problem } = await world.send(request);
    if (status < 400) acceptedCount += 1;
    if (problem !== undefined) failures.push(problem);
  }
  await world.finishJobs();
  return { requestCount: order.length, acceptedCount, failures };
}

/** A project with something of everything, whose jobs rest while requests are sent. */
class FuzzWorld {
  readonly #bench: ApiBench;
  readonly #catalog: CatalogWatch;
  readonly #tokens: Record<ActorName, string>;

  private constructor(bench: ApiBench) {
    this.#bench = bench;
    this.#catalog = new CatalogWatch(join(bench.services.folder, 'catalog.sqlite'));
    const { admin, member, reader, stranger } = bench;
    this.#tokens = { admin: admin.token, member: member.token, reader: reader.token, stranger: stranger.token };
  }

  static async start(): Promise<FuzzWorld> {
    const bench = await ApiBench.start();
    await bench.services.runner.start();
    await furnish(bench);
    await bench.services.runner.stop();
    return new FuzzWorld(bench);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#catalog.close();
    await this.#bench[Symbol.asyncDispose]();
  }

  async send(request: FuzzRequest): Promise<{ status: number; problem: string | undefined }> {
    const { method } = request.route;
    const url = this.#urlOf(request);
    const headers = this.#headersOf(request);
    const text = request.body === undefined ? undefined : JSON.stringify(this.#resolve(request.body, request.actor));
    const payload = request.bytes ?? text;
    if (payload !== undefined) headers['content-type'] ??= 'application/json';
    const answer = await Promise.race([
      this.#bench.app.inject({ method: method as 'GET', url, headers, ...(payload === undefined ? {} : { payload }) }),
      delay(ANSWER_WAIT_MS, undefined, { ref: false }),
    ]);
    const status = answer?.statusCode ?? 0;
    if (status < 400) await this.#settle();
    const problem =
      answer === undefined ? 'no answer' : (this.#judge(request, url, answer) ?? this.#catalog.look(status));
    if (status === 401) await this.#renewToken(request.actor);
    if (problem === undefined) return { status, problem };
    const shown = { ...headers, 'x-auth-token': headers['x-auth-token']?.slice(-8) };
    const sent = [method, url, JSON.stringify(shown), payload].map((part) => String(part).slice(0, SHOWN_LENGTH));
    const received = `${status} ${answer?.body.slice(0, SHOWN_LENGTH)}`;
    return { status, problem: `${problem}\n  as ${request.actor}: ${sent.join(' ')}\n  ${received}` };
  }

  /** Waits for what accepted requests set going: a look of the scheduler, downloads, prunes, adoptions, checks. */
  async #settle(): Promise<void> {
    const { services } = this.#bench;
    await services.scheduler.lookOnce();
    await services.waitFor(async () => this.#catalog.list(RUNNING_JOBS).length === 0 || undefined);
    for (const { projectId } of await services.catalog.projects.list()) await services.maintenance.settle(projectId);
  }

  /** Whatever was accepted can be worked through: every job ends. */
  async finishJobs(): Promise<void> {
    const { runner } = this.#bench.services;
    await runner.start();
    await waitForAllJobs(this.#bench);
    await runner.stop();
  }

  #judge({ route }: FuzzRequest, url: string, answer: Answer): string | undefined {
    const { statusCode: status, headers } = answer;
    const isDisabledService = status === 503 && answer.body.includes('SERVICE_DISABLED');
    if (status >= 500 && !isDisabledService) return 'a failure of the server';
    if (!/^req-/.test(String(headers['x-openstack-request-id']))) return 'no request id';
    if (status < 400) {
      const { ok, alternatives = {} } = route.doc;
      return status === ok.status || String(status) in alternatives ? undefined : 'success of an undocumented kind';
    }
    if (route.method === 'HEAD') return answer.body === '' ? undefined : 'a HEAD with a body';
    if (headers['content-type'] !== 'application/json') return 'a refusal that is not JSON';
    return judgeRefusal(answer, pathOfUrl(url));
  }

  #urlOf({ route, params, query, rawQuery, actor }: FuzzRequest): string {
    const path = route.path.replaceAll(/:(\w+)/g, (_whole, name: string) => {
      const value = params[name] ?? '';
      const resolved = this.#resolve(value, actor);
      // Strange segments are encoded (or deliberately not) where they are made.
      return resolved === value ? value : encodeURIComponent(String(resolved));
    });
    const pairs = query.map(([name, value]) => {
      const resolved = String(this.#resolve(value, actor)).toWellFormed();
      return `${encodeURIComponent(name)}=${encodeURIComponent(resolved)}`;
    });
    const text = [...pairs, rawQuery].filter((part) => part !== '').join('&');
    return text === '' ? path : `${path}?${text}`;
  }

  #headersOf({ headers, actor, route }: FuzzRequest): Record<string, string> {
    const token = route.access.kind === 'public' ? {} : { 'x-auth-token': this.#tokens[actor] };
    const own = Object.entries(headers).map(([name, value]) => [name, String(this.#resolve(value, actor))]);
    return { host: 'vbs.example.net', ...token, ...Object.fromEntries(own) };
  }

  /** Puts ids in the place of references, in keys too. */
  #resolve(value: unknown, actor: ActorName): unknown {
    if (typeof value === 'string') return this.#resolveText(value, actor);
    if (Array.isArray(value)) return value.map((part) => this.#resolve(part, actor));
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value);
    return Object.fromEntries(
      entries.map(([key, part]) => [this.#resolveText(key, actor), this.#resolve(part, actor)]),
    );
  }

  #resolveText(text: string, actor: ActorName): string {
    const match = /^@([a-z-]+):(\d+)$/.exec(text);
    if (match === null) return text;
    const [, kind = '', index = ''] = match;
    if (kind === 'own-project') return this.#bench[actor].projectId;
    if (kind === 'token') return this.#tokens.reader;
    const ids = this.#catalog.list(REFERENCE_QUERIES[kind] ?? '');
    return ids[Number(index) % Math.max(ids.length, 1)] ?? '3b6d0c52-8f0e-4a53-9d57-2f6f0f3a1c11';
  }

  /** A request may have ended tokens; whoever it belonged to comes in again. */
  async #renewToken(actor: ActorName): Promise<void> {
    const { app } = this.#bench;
    const headers = { 'x-auth-token': this.#tokens[actor] };
    if ((await app.inject({ url: '/v3/auth/projects', headers })).statusCode === 200) return;
    const payload = passwordRequest(ACTOR_NAMES[actor], { project: { id: this.#bench[actor].projectId } });
    const answer = await app.inject({ method: 'POST', url: '/v3/auth/tokens', payload, remoteAddress: '127.0.0.9' });
    assert.equal(answer.statusCode, 201, `${actor} cannot come in any more: ${answer.body}`);
    this.#tokens[actor] = String(answer.headers['x-subject-token']);
  }
}

function judgeRefusal(answer: Answer, path: string): string | undefined {
  const { statusCode: status } = answer;
  const body = JSON.parse(answer.body) as Record<string, Record<string, unknown>>;
  const [[name, fault] = ['', {}], ...others] = Object.entries(body);
  if (others.length > 0 || typeof fault.message !== 'string' || fault.message === '') return 'no fault with a message';
  const keys = Object.keys(fault).sort().join(' ');
  const family = familyOfPath(path);
  if (isVbsFamily(family)) {
    const pattern = family === 'policy' ? /^(AutoBackup|VolumeBackup)\.\d{4}$/ : /^(VolumeBackup|common)\.\d{4}$/;
    return name === 'error' && keys === 'code message' && pattern.test(String(fault.code)) ? undefined : 'no VBS error';
  }
  if (fault.code !== status) return 'a fault with another code than its status';
  if (family === 'identity' || status === 401) {
    return name === 'error' && keys === 'code message title' ? undefined : 'no Keystone error';
  }
  return /^code (error_code )?message( retryAfter)?$/.test(keys) && name !== 'error' ? undefined : 'no native fault';
}

/** Sees whether rows have changed, at next to no cost while they have not. */
class CatalogWatch {
  readonly #now: DatabaseSync;
  /** Stands in a transaction that sees the rows as they were before the request. */
  readonly #before: DatabaseSync;
  #version: unknown;

  constructor(path: string) {
    this.#now = new DatabaseSync(path, { readOnly: true });
    this.#before = new DatabaseSync(path, { readOnly: true });
    this.#before.exec('begin');
    this.#pin();
  }

  close(): void {
    this.#before.close();
    this.#now.close();
  }

  list(sql: string): string[] {
    if (sql === '') return [];
    return this.#now
      .prepare(sql)
      .all()
      .map((row) => String(Object.values(row)[0]));
  }

  /** To be called after every answer. */
  look(status: number): string | undefined {
    if (this.#readVersion() === this.#version) return undefined;
    const changed = status < 400 ? [] : this.#listChanges();
    this.#pin();
    return changed.length === 0 ? undefined : `a refusal that changed ${changed.join(', ')}`;
  }

  #listChanges(): string[] {
    const tables = this.list(`select name from sqlite_master where type = 'table'`);
    // Sweeps, backups and adoptions that earlier requests began get to these columns whenever they do.
    const read = (database: DatabaseSync, table: string) =>
      database
        .prepare(`select * from "${table}"`)
        .all()
        .map((row) => ({ ...row, epoch: null, condemn_after: null }));
    return tables.filter(
      (table) =>
        !HOUSEKEEPING_TABLES.has(table) && !isDeepStrictEqual(read(this.#before, table), read(this.#now, table)),
    );
  }

  #pin(): void {
    this.#before.exec('commit');
    this.#before.exec('begin');
    this.#before.prepare('select count(*) from sqlite_master').get();
    this.#version = this.#readVersion();
  }

  #readVersion(): unknown {
    return this.#now.prepare('pragma data_version').get()?.data_version;
  }
}

async function waitForAllJobs({ services }: ApiBench): Promise<void> {
  await services.waitFor(async () => {
    const { items } = await services.catalog.jobs.list({ includeInternal: true }, { limit: 1000 });
    const open = items.filter(({ status }) => status !== 'SUCCESS' && status !== 'FAIL');
    // What failed and is to be tried again later, is tried now.
    if (open.some(({ status, attempt }) => status === 'INIT' && attempt > 0))
      services.clock.advance(RETRY_DELAY_MAX_MS);
    services.runner.wake();
    return open.length === 0 ? true : undefined;
  });
}

async function furnish(bench: ApiBench): Promise<void> {
  const { services, v2, v3, admin, stranger } = bench;
  const { token } = admin;
  const newest = { 'openstack-api-version': 'volume 3.71' };
  const volumeIds: string[] = [];
  for (const name of ['one', 'two', 'three']) {
    const reference = await services.makeDisk(`${name}.raw`, MIB + 512);
    const volume = { host: services.volumes.hostName, ref: { 'source-name': reference }, name };
    const body = await bench.ask(202, 'POST', `${v3}/os-volume-manage`, { token, body: { volume } });
    volumeIds.push(String((body.volume as { id: string }).id));
  }
  const [first = '', second = ''] = volumeIds;
  const metadata = { colour: 'blue' };
  await bench.ask(200, 'POST', `${v3}/volumes/${first}/metadata`, { body: { metadata } });
  for (const name of ['monday', 'tuesday']) {
    const backup = { volume_id: first, name, tags: [{ key: 'colour', value: 'red' }] };
    const { job_id } = await bench.ask(200, 'POST', `${v2}/cloudbackups`, { body: { backup } });
    await bench.waitForJob(String(job_id));
  }
  const snapshot = { volume_id: first, name: 'before', metadata };
  await bench.ask(202, 'POST', `${v3}/snapshots`, { body: { snapshot } });
  await waitForAllJobs(bench);
  const [backup] = (await services.catalog.backups.list({}, { limit: 1 })).items;
  const shared = { backup_id: backup?.backupId, to_project_ids: [stranger.projectId] };
  await bench.ask(200, 'POST', `${v2}/os-vendor-backup-sharing`, { body: { shared } });
  const policy = { backup_policy_name: 'nightly', scheduled_policy: SCHEDULE };
  await bench.ask(200, 'POST', `${v2}/backuppolicy`, { body: policy });
  await bench.ask(200, 'POST', `${v3}/types`, { token, body: { volume_type: { name: 'fast' } } });
  const attachment = { volume_uuid: second, instance_uuid: first };
  await bench.ask(200, 'POST', `${v3}/attachments`, { body: { attachment }, headers: newest });
  await furnishIdentity(bench);
}

/** A project and a user that requests may do anything to. */
async function furnishIdentity(bench: ApiBench): Promise<void> {
  const { token } = bench.admin;
  await bench.ask(201, 'POST', '/identity/v3/projects', {
    token,
    body: { project: { name: 'spare' } },
  });
  const { catalog } = bench.services;
  const passwordHash = 'none';
  await catalog.users.insert({
    ...{ userId: newHexId<UserId>(), name: 'guest', domainId: 'default', passwordHash, isEnabled: true },
  });
}
