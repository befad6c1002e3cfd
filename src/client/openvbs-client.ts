// Typed calls of the API for the CLI (and any other program). Holds a token, gets a new one once when the server says
// 401 and a password is known. Retries nothing else: what failed is told.
import { ANSWER_INVALID, ClientError, LOGIN_NEEDED, NAME_AMBIGUOUS, NAME_NOT_FOUND } from './client-error.ts';
import { type HttpRequest, type JsonReply, requestJson, requestStream } from './http.ts';
import { IdentityClient } from './identity-client.ts';
import { type JsonObject, numberOf, objectAt, objectsAt, textOf } from './json.ts';
import { identityBase, logIn, type PasswordLogin, revokeToken, type Session } from './keystone.ts';
import {
  type BackupInfo,
  type DiffRange,
  type JobInfo,
  readBackup,
  readDiffRange,
  readJob,
  readVolume,
  type Tag,
  type VolumeInfo,
} from './resources.ts';

export type ClientDeps = {
  /** Keystone's address, with or without `/v3`. */
  readonly authUrl: string;
  /** Origin of the service; without it the catalog of the token says. */
  readonly serviceUrl?: string | undefined;
  readonly region?: string | undefined;
  /** Absent: only `session` is used. */
  readonly login?: PasswordLogin | undefined;
  readonly session?: Session | undefined;
};

export type CreateBackupRequest = {
  readonly volumeId: string;
  readonly name: string;
  readonly description?: string | undefined;
  readonly tags?: readonly Tag[];
  readonly isFull?: boolean;
};

export type CreateVolumeRequest = {
  /** May be absent with `backupId`: the backup's size. */
  readonly sizeGib?: number | undefined;
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  readonly backupId?: string | undefined;
};

export type AdoptVolumeRequest = { readonly host: string; readonly path: string; readonly name?: string | undefined };

export type BackupDownload = { readonly sizeBytes: number; readonly bytes: AsyncIterable<Uint8Array> };

/** Needed for `backup_id` in volume create (3.47); everything else the client uses is older. */
const MICROVERSION = 'volume 3.47';
const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const PAGE_ITEM_COUNT = 1000;

export type MaintenanceOperation = 'prune' | 'adopt' | 'give-up' | 'check' | 'repair';

export class OpenVbsClient {
  readonly #deps: ClientDeps;
  #session: Session | undefined;

  constructor(deps: ClientDeps) {
    this.#deps = deps;
    this.#session = deps.session;
  }

  /** Gets a token with the password. @throws ClientError LOGIN_NEEDED without one, status 401 when it is wrong */
  async logIn(signal?: AbortSignal): Promise<Session> {
    const { authUrl, login, region } = this.#deps;
    if (login === undefined) {
      throw new ClientError('not logged in, or the login has expired', { status: 401, code: LOGIN_NEEDED });
    }
    this.#session = await logIn(authUrl, login, { region, signal });
    return this.#session;
  }

  async logOut(signal?: AbortSignal): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (session !== undefined) await revokeToken(this.#deps.authUrl, session.token, signal);
  }

  /** Users, projects, roles and application credentials. */
  get identity(): IdentityClient {
    return new IdentityClient({
      send: (method, tail, body, signal) =>
        this.#withToken(
          ({ headers }) => {
            const url = `${identityBase(this.#deps.authUrl)}${tail}`;
            return requestJson({ method, url, headers, body, signal });
          },
          '',
          signal,
        ),
      session: async (signal) => this.#session ?? (await this.logIn(signal)),
    });
  }

  async listVolumes(filter: { readonly name?: string } = {}, signal?: AbortSignal): Promise<VolumeInfo[]> {
    return (await this.#listAll('volumes', filter, signal)).map(readVolume);
  }

  async getVolume(volumeId: string, signal?: AbortSignal): Promise<VolumeInfo> {
    const { body } = await this.#call('GET', `/v3/{p}/volumes/${encodeURIComponent(volumeId)}`, undefined, signal);
    return readVolume(objectAt(body, 'volume'));
  }

  async createVolume(request: CreateVolumeRequest, signal?: AbortSignal): Promise<VolumeInfo> {
    const { sizeGib, name, description, backupId } = request;
    const volume = { size: sizeGib, name, description, backup_id: backupId };
    const { body } = await this.#call('POST', '/v3/{p}/volumes', { volume }, signal);
    return readVolume(objectAt(body, 'volume'));
  }

  /** Takes a disk image or block device of the server's machine over, in place. */
  async adoptVolume(request: AdoptVolumeRequest, signal?: AbortSignal): Promise<VolumeInfo> {
    const volume = { host: request.host, ref: { 'source-name': request.path }, name: request.name };
    const { body } = await this.#call('POST', '/v3/{p}/os-volume-manage', { volume }, signal);
    return readVolume(objectAt(body, 'volume'));
  }

  /** Hosts that can adopt disks, as `os-volume-manage` wants them named. */
  async listVolumeHosts(signal?: AbortSignal): Promise<string[]> {
    const { body } = await this.#call('GET', '/v3/{p}/os-services?binary=cinder-volume', undefined, signal);
    return objectsAt(body, 'services').flatMap((service) => textOf(service.host) ?? []);
  }

  /** Backups of the volume stay. */
  async deleteVolume(volumeId: string, signal?: AbortSignal): Promise<void> {
    await this.#call('DELETE', `/v3/{p}/volumes/${encodeURIComponent(volumeId)}`, undefined, signal);
  }

  async listBackups(
    filter: { readonly name?: string; readonly volume_id?: string; readonly status?: string } = {},
    signal?: AbortSignal,
  ): Promise<BackupInfo[]> {
    return (await this.#listAll('backups', filter, signal)).map(readBackup);
  }

  async getBackup(backupId: string, signal?: AbortSignal): Promise<BackupInfo> {
    const path = `/v3/{p}/native/backups/${encodeURIComponent(backupId)}`;
    const { body } = await this.#call('GET', path, undefined, signal);
    return readBackup(objectAt(body, 'backup'));
  }

  /** Returns the job's id. */
  async createBackup(request: CreateBackupRequest, signal?: AbortSignal): Promise<string> {
    const backup = {
      volume_id: request.volumeId,
      name: request.name,
      description: request.description,
      tags: request.tags,
      extend_param: { FullBackup: String(request.isFull ?? false) },
    };
    return readJobId(await this.#call('POST', '/v2/{p}/cloudbackups', { backup }, signal));
  }

  /** Returns the job's id. */
  async deleteBackup(backupId: string, signal?: AbortSignal): Promise<string> {
    const path = `/v2/{p}/cloudbackups/${encodeURIComponent(backupId)}`;
    return readJobId(await this.#call('DELETE', path, undefined, signal));
  }

  /** Overwrites the volume with the backup; returns the job's id. */
  async restoreBackup(
    backupId: string,
    volumeId: string,
    signal?: AbortSignal,
    options: { readonly verify?: boolean } = {},
  ): Promise<string> {
    const path = `/v2/{p}/cloudbackups/${encodeURIComponent(backupId)}/restore`;
    const restore = { volume_id: volumeId, ...(options.verify === true ? { verify: true } : {}) };
    return readJobId(await this.#call('POST', path, { restore }, signal));
  }

  /** Begins a prune, an adoption, or gives a record up; answers with the server's words. */
  async maintain(operation: MaintenanceOperation, request: unknown, signal?: AbortSignal): Promise<void> {
    await this.#call('POST', `/v1/{p}/repository/${operation}`, request, signal);
  }

  /** The last prune or adoption of the project; undefined when there was none. */
  async lastMaintenance(signal?: AbortSignal): Promise<JsonObject | undefined> {
    const { body } = await this.#call('GET', '/v1/{p}/repository/run', undefined, signal);
    const run = objectAt(body, 'run');
    return textOf(run.status) === undefined ? undefined : run;
  }

  /** Who takes how much space in the repository of the project. */
  async repositoryUsage(signal?: AbortSignal): Promise<JsonObject> {
    const { body } = await this.#call('GET', '/v1/{p}/repository/usage', undefined, signal);
    return objectAt(body, 'usage');
  }

  /** What is damaged in the repository of the project, and how far verification has come. */
  async repositoryHealth(signal?: AbortSignal): Promise<JsonObject> {
    const { body } = await this.#call('GET', '/v1/{p}/repository/health', undefined, signal);
    return objectAt(body, 'health');
  }

  /** Begins to read all of a backup; returns the job's id. */
  async verifyBackup(backupId: string, signal?: AbortSignal): Promise<string> {
    return readJobId(
      await this.#call('POST', `/v1/{p}/backups/${encodeURIComponent(backupId)}/verify`, undefined, signal),
    );
  }

  async backupUsage(backupId: string, signal?: AbortSignal): Promise<JsonObject> {
    const path = `/v1/{p}/backups/${encodeURIComponent(backupId)}/usage`;
    const { body } = await this.#call('GET', path, undefined, signal);
    return objectAt(body, 'usage');
  }

  /** Ranges in which backup `toId` differs from `fromId`, ascending, asked for page by page. */
  async *diffBackups(fromId: string, toId: string, signal?: AbortSignal): AsyncGenerator<DiffRange, void> {
    const path = `/v1/{p}/backups/${encodeURIComponent(toId)}/diff`;
    for (let offset: number | undefined = 0; offset !== undefined; ) {
      const query = toQuery({ from: fromId, offset: String(offset) });
      const { body } = await this.#call('GET', `${path}${query}`, undefined, signal);
      const diff = objectAt(body, 'diff');
      yield* objectsAt(diff, 'ranges').map(readDiffRange);
      offset = numberOf(diff.next_offset);
    }
  }

  /** All bytes of the backup in order. Iterate to the end or break off; either closes the connection. */
  async downloadBackup(backupId: string, signal?: AbortSignal): Promise<BackupDownload> {
    const path = `/v1/{p}/backups/${encodeURIComponent(backupId)}/data`;
    const headers = { accept: 'application/octet-stream' };
    const response = await this.#withToken(
      (target) => {
        return requestStream({ ...target, method: 'GET', headers: { ...target.headers, ...headers }, signal });
      },
      path,
      signal,
    );
    const sizeBytes = Number(response.headers.get('content-length') ?? Number.NaN);
    if (response.body === null || !Number.isSafeInteger(sizeBytes)) {
      await response.body?.cancel();
      throw new ClientError('the server did not say how long the backup is', { status: 200, code: ANSWER_INVALID });
    }
    return { sizeBytes, bytes: response.body };
  }

  async getJob(jobId: string, signal?: AbortSignal): Promise<JobInfo> {
    const { body } = await this.#call(
      'GET',
      `/v1/{p}/jobs/${encodeURIComponent(jobId)}?progress=true`,
      undefined,
      signal,
    );
    return readJob(objectAt({ job: body }, 'job'));
  }

  /** Newest first, at most `limit`. */
  async listJobs(
    filter: { readonly status?: string; readonly limit: number },
    signal?: AbortSignal,
  ): Promise<JobInfo[]> {
    const query = toQuery({ status: filter.status, limit: String(filter.limit), progress: 'true' });
    const { body } = await this.#call('GET', `/v1/{p}/jobs${query}`, undefined, signal);
    return objectsAt(body, 'jobs').map(readJob);
  }

  /** Servers of development only. Answers with the new time. */
  async advanceClock(advanceS: number, signal?: AbortSignal): Promise<string> {
    const { status, body } = await this.#call('POST', '/v1/dev/clock', { advance_s: advanceS }, signal);
    const now = textOf(objectAt({ body }, 'body').now);
    if (now === undefined) throw new ClientError('the server named no time', { status, code: ANSWER_INVALID });
    return now;
  }

  /** A volume by id or by a name that only one has. @throws ClientError NAME_NOT_FOUND, NAME_AMBIGUOUS */
  async findVolume(idOrName: string, signal?: AbortSignal): Promise<VolumeInfo> {
    if (UUID_PATTERN.test(idOrName)) return await this.getVolume(idOrName, signal);
    return pickOnly('volume', idOrName, await this.listVolumes({ name: idOrName }, signal));
  }

  /** As `findVolume`, for backups. */
  async findBackup(idOrName: string, signal?: AbortSignal): Promise<BackupInfo> {
    if (UUID_PATTERN.test(idOrName)) return await this.getBackup(idOrName, signal);
    return pickOnly('backup', idOrName, await this.listBackups({ name: idOrName }, signal));
  }

  async #listAll(
    collection: 'volumes' | 'backups',
    filter: Readonly<Record<string, string | undefined>>,
    signal: AbortSignal | undefined,
  ): Promise<Readonly<Record<string, unknown>>[]> {
    const items: Readonly<Record<string, unknown>>[] = [];
    let marker: string | undefined;
    do {
      const query = toQuery({ ...filter, limit: String(PAGE_ITEM_COUNT), marker });
      const { body } = await this.#call('GET', `/v3/{p}/${collection}/detail${query}`, undefined, signal);
      const page = objectsAt(body, collection);
      items.push(...page);
      const hasNext = objectsAt(body, `${collection}_links`).some((link) => link.rel === 'next');
      marker = hasNext ? textOf(page.at(-1)?.id) : undefined;
    } while (marker !== undefined);
    return items;
  }

  /** `{p}` in `path` stands for the project of the token. */
  async #call(
    method: HttpRequest['method'],
    path: string,
    body: unknown,
    signal: AbortSignal | undefined,
  ): Promise<JsonReply> {
    return await this.#withToken((target) => requestJson({ ...target, method, body, signal }), path, signal);
  }

  /** Sends with the token at hand; a 401 is answered by one new login, when that is possible. */
  async #withToken<Reply>(
    send: (target: { readonly url: string; readonly headers: Record<string, string> }) => Promise<Reply>,
    path: string,
    signal: AbortSignal | undefined,
  ): Promise<Reply> {
    const isReused = this.#session !== undefined;
    const session = this.#session ?? (await this.logIn(signal));
    try {
      return await send(this.#target(session, path));
    } catch (error) {
      if (!isReused || !(error instanceof ClientError) || error.status !== 401) throw error;
      return await send(this.#target(await this.logIn(signal), path));
    }
  }

  #target(session: Session, path: string): { readonly url: string; readonly headers: Record<string, string> } {
    const origin = this.#deps.serviceUrl ?? session.catalogOrigin ?? new URL(this.#deps.authUrl).origin;
    return {
      url: `${origin}${path.replace('{p}', session.projectId)}`,
      headers: { 'x-auth-token': session.token, 'openstack-api-version': MICROVERSION },
    };
  }
}

function toQuery(parameters: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined) query.set(name, value);
  }
  return query.size === 0 ? '' : `?${query}`;
}

function readJobId({ status, body }: JsonReply): string {
  const jobId = textOf(objectAt({ body }, 'body').job_id);
  if (jobId === undefined) throw new ClientError('the server named no job', { status, code: ANSWER_INVALID });
  return jobId;
}

function pickOnly<Item extends { readonly id: string; readonly createdAt: string | null }>(
  kind: string,
  name: string,
  items: readonly Item[],
): Item {
  const [first, ...others] = items;
  if (first === undefined) {
    throw new ClientError(`there is no ${kind} named ${JSON.stringify(name)}`, { status: 404, code: NAME_NOT_FOUND });
  }
  if (others.length === 0) return first;
  const ids = items.slice(0, 5).map((item) => `${item.id} (created ${item.createdAt ?? 'at an unknown time'})`);
  const message = `${items.length} ${kind}s are named ${JSON.stringify(name)}; use an id: ${ids.join(', ')}`;
  throw new ClientError(message, { status: 409, code: NAME_AMBIGUOUS });
}
