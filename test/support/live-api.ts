// Calls of the HTTP API in the words of the published references, with nothing of our own client in between.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../src/core/ports.ts';

/** Slow machines are slow; a job that takes longer hangs. */
const JOB_WAIT_MS = 300_000;
const POLL_MS = 20;

export type Json = Readonly<Record<string, unknown>>;
export type LiveAnswer = { readonly status: number; readonly headers: Headers; readonly body: Json };

export type LiveJob = {
  readonly jobId: string;
  readonly status: string;
  readonly errorCode: string | null;
  readonly failReason: string | null;
  readonly backupId: string;
  readonly volumeId: string;
  readonly progress: Readonly<Record<string, number | null>>;
};

export type CallOptions = {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Null sends none. */
  readonly token?: string | null;
};

type Scope = { readonly id: string } | { readonly name: string; readonly domain: { readonly id: string } };

export class LiveApi {
  readonly url: string;
  readonly token: string;
  readonly projectId: string;

  private constructor(url: string, token: string, projectId: string) {
    this.url = url;
    this.token = token;
    this.projectId = projectId;
  }

  /** As user admin, in project admin, unless others are named. */
  static async logIn(url: string, password: string, project?: Scope, userName = 'admin'): Promise<LiveApi> {
    const domain = { id: 'default' };
    const identity = { methods: ['password'], password: { user: { name: userName, domain, password } } };
    const auth = { identity, scope: { project: project ?? { name: 'admin', domain } } };
    const answer = await send(url, 'POST', '/v3/auth/tokens', { body: { auth } });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    const token = answer.headers.get('x-subject-token');
    assert(token !== null, 'the answer carries a token');
    return new LiveApi(url, token, String(at(answer.body, 'token', 'project').id));
  }

  /** The same user at a service that was started again: tokens outlive the process. */
  movedTo(url: string): LiveApi {
    return new LiveApi(url, this.token, this.projectId);
  }

  /** `{p}` in `path` stands for the project. */
  async call(method: string, path: string, options: CallOptions = {}): Promise<LiveAnswer> {
    const token = options.token === undefined ? this.token : options.token;
    const headers = { ...(token === null ? {} : { 'x-auth-token': token }), ...options.headers };
    return await send(this.url, method, path.replace('{p}', this.projectId), { ...options, headers });
  }

  /** `call` that must succeed; returns the body. */
  async must(method: string, path: string, options: CallOptions = {}): Promise<Json> {
    const { status, body } = await this.call(method, path, options);
    assert(status >= 200 && status < 300, `${method} ${path}: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  async findHost(): Promise<string> {
    const { services } = await this.must('GET', '/v3/{p}/os-services?binary=cinder-volume');
    const [first] = asList(services);
    return String(first?.host);
  }

  async adoptVolume(path: string, name: string): Promise<string> {
    const volume = { host: await this.findHost(), ref: { 'source-name': path }, name };
    const body = await this.must('POST', '/v3/{p}/os-volume-manage', { body: { volume } });
    return String(at(body, 'volume').id);
  }

  async createVolume(volume: Json): Promise<string> {
    const headers = { 'openstack-api-version': 'volume 3.47' };
    const body = await this.must('POST', '/v3/{p}/volumes', { body: { volume }, headers });
    return String(at(body, 'volume').id);
  }

  async getVolume(volumeId: string): Promise<Json> {
    return at(await this.must('GET', `/v3/{p}/volumes/${volumeId}`), 'volume');
  }

  /** Waits until the volume is `available`, or in a state that it does not leave. */
  async waitForVolume(volumeId: string): Promise<Json> {
    return await waitFor(async () => {
      const volume = await this.getVolume(volumeId);
      return /^(available|error.*)$/.test(String(volume.status)) ? volume : undefined;
    });
  }

  /** Returns the job's id. */
  async startBackup(volumeId: string, name: string, isFull = false): Promise<string> {
    const backup = { volume_id: volumeId, name, extend_param: { FullBackup: String(isFull) } };
    const { job_id } = await this.must('POST', '/v2/{p}/cloudbackups', { body: { backup } });
    return String(job_id);
  }

  /** Backs up and waits for it; the job must succeed. Returns the backup. */
  async backUp(volumeId: string, name: string, isFull = false): Promise<Json & { id: string }> {
    const job = await this.waitForJob(await this.startBackup(volumeId, name, isFull));
    assert.equal(job.status, 'SUCCESS', `${name}: ${job.failReason}`);
    return { ...(await this.getBackup(job.backupId)), id: job.backupId };
  }

  async getBackup(backupId: string): Promise<Json> {
    return at(await this.must('GET', `/v3/{p}/native/backups/${backupId}`), 'backup');
  }

  async listBackups(): Promise<Json[]> {
    return asList((await this.must('GET', '/v3/{p}/backups/detail?limit=1000')).backups);
  }

  /** Returns the job's id. */
  async startRestore(backupId: string, volumeId: string): Promise<string> {
    const body = { restore: { volume_id: volumeId } };
    return String((await this.must('POST', `/v2/{p}/cloudbackups/${backupId}/restore`, { body })).job_id);
  }

  async restore(backupId: string, volumeId: string): Promise<LiveJob> {
    return await this.waitForJob(await this.startRestore(backupId, volumeId));
  }

  /** A new volume filled from the backup; returns its id. */
  async restoreToNewVolume(backupId: string): Promise<string> {
    const volumeId = await this.createVolume({ backup_id: backupId });
    assert.equal((await this.waitForVolume(volumeId)).status, 'available');
    return volumeId;
  }

  /** Returns the job's id. */
  async startDeletion(backupId: string): Promise<string> {
    return String((await this.must('DELETE', `/v2/{p}/cloudbackups/${backupId}`)).job_id);
  }

  async deleteBackup(backupId: string): Promise<LiveJob> {
    return await this.waitForJob(await this.startDeletion(backupId));
  }

  async getJob(jobId: string): Promise<LiveJob> {
    return readJob(await this.must('GET', `/v1/{p}/jobs/${jobId}?progress=true`));
  }

  /** Waits until the work on the repository that was begun last has ended, however. */
  async waitForRun(): Promise<Json> {
    return await waitFor(async () => {
      const run = at(await this.must('GET', '/v1/{p}/repository/run'), 'run');
      return run.status === 'running' ? undefined : run;
    });
  }

  /** Of every kind, newest first. */
  async listJobs(): Promise<LiveJob[]> {
    return asList((await this.must('GET', '/v1/{p}/jobs?progress=true&limit=1000')).jobs).map(readJob);
  }

  /** Waits until it has ended, however. */
  async waitForJob(jobId: string): Promise<LiveJob> {
    return await waitFor(async () => {
      const job = await this.getJob(jobId);
      return hasEnded(job) ? job : undefined;
    });
  }

  /** Waits until every job has ended; returns all. */
  async waitForAllJobs(): Promise<LiveJob[]> {
    return await waitFor(async () => {
      const jobs = await this.listJobs();
      return jobs.every(hasEnded) ? jobs : undefined;
    });
  }
}

export async function waitFor<Found>(look: () => Promise<Found | undefined>): Promise<Found> {
  const deadlineAt = systemClock.now() + JOB_WAIT_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    assert(systemClock.now() < deadlineAt, 'waited too long');
    await delay(POLL_MS);
  }
}

/** The object at the end of `keys`. */
export function at(body: unknown, ...keys: string[]): Json {
  let found = body;
  for (const key of keys) found = asObject(found)[key];
  return asObject(found);
}

export function asList(value: unknown): Json[] {
  assert(Array.isArray(value), `a list was expected: ${JSON.stringify(value)}`);
  return value.map(asObject);
}

function asObject(value: unknown): Json {
  assert(typeof value === 'object' && value !== null, `an object was expected: ${JSON.stringify(value)}`);
  // The cast says what the line above found out.
  return value as Json;
}

export async function send(url: string, method: string, path: string, options: CallOptions): Promise<LiveAnswer> {
  const isRaw = typeof options.body === 'string';
  const hasBody = options.body !== undefined;
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { ...(hasBody ? { 'content-type': 'application/json' } : {}), ...options.headers },
    ...(hasBody ? { body: isRaw ? String(options.body) : JSON.stringify(options.body) } : {}),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? {} : asObject(JSON.parse(text)) };
}

function hasEnded({ status }: LiveJob): boolean {
  return status === 'SUCCESS' || status === 'FAIL';
}

function readJob(body: Json): LiveJob {
  const entities = at(body, 'entities');
  return {
    jobId: String(body.job_id),
    status: String(body.status),
    errorCode: body.error_code === null ? null : String(body.error_code),
    failReason: body.fail_reason === null ? null : String(body.fail_reason),
    backupId: String(entities.backup_id ?? ''),
    volumeId: String(entities.volume_id ?? ''),
    // The cast names the extension that `progress=true` asks for.
    progress: at(body, 'progress') as LiveJob['progress'],
  };
}
