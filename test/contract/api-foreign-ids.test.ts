// Ids of another project are indistinguishable from unknown ones: a walk over every route with an id in its path, and
// over every place in bodies and queries where an id may stand.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newHexId, newUuid, type ProjectId } from '../../src/core/ids.ts';
import { ApiBench, type Send } from '../support/api-bench.ts';
import { listServerRoutes } from '../support/route-list.ts';

type Kind = 'backup_id' | 'volume_id' | 'snapshot_id' | 'job_id' | 'policy_id' | 'sharing_id' | 'identity_project_id';
type Ids = Readonly<Record<Kind, string>>;

let bench: ApiBench;
/** Of project `lab`. */
let foreign: Ids;
/** Of the stranger, who asks. */
let ownVolumeId: string;
let ownPolicyId: string;

before(async () => {
  bench = await ApiBench.start();
  await bench.services.runner.start();
  const { v2, v3 } = bench;
  const volume_id = await makeVolume(v3);
  const backup = { volume_id, name: 'secret', tags: [{ key: 'a', value: 'b' }] };
  const { job_id } = await bench.ask(200, 'POST', `${v2}/cloudbackups`, { body: { backup } });
  const job = await bench.waitForJob(String(job_id));
  const { backup_id } = job.entities as { backup_id: string };
  const snapshot_id = await makeSnapshot(v3, volume_id);
  const policy_id = await makePolicy(v2);
  const resources = [{ resource_id: volume_id, resource_type: 'volume' }];
  await bench.ask(200, 'POST', `${v2}/backuppolicyresources`, { body: { backup_policy_id: policy_id, resources } });
  await bench.ask(204, 'POST', `${v2}/backuppolicy/${policy_id}/tags`, { body: { tag: { key: 'a', value: 'b' } } });
  const shared = { backup_id, to_project_ids: [newHexId<ProjectId>()] };
  const answer = await bench.ask(200, 'POST', `${v2}/os-vendor-backup-sharing`, { body: { shared } });
  const [sharing] = answer.shared as { id: string }[];
  const identity_project_id = bench.member.projectId;
  foreign = {
    backup_id,
    volume_id,
    snapshot_id,
    job_id: String(job_id),
    policy_id,
    sharing_id: sharing?.id ?? '',
    identity_project_id,
  };
  const { token } = bench.stranger;
  ownVolumeId = await makeVolume(own('/v3'), { token });
  ownPolicyId = await makePolicy(own('/v2'), { token });
});
after(() => bench[Symbol.asyncDispose]());

async function makeVolume(base: string, send: Send = {}): Promise<string> {
  const { volume } = await bench.ask(202, 'POST', `${base}/volumes`, { ...send, body: { volume: { size: 1 } } });
  return (volume as { id: string }).id;
}

async function makeSnapshot(base: string, volume_id: string): Promise<string> {
  const { snapshot } = await bench.ask(202, 'POST', `${base}/snapshots`, { body: { snapshot: { volume_id } } });
  const { id } = snapshot as { id: string };
  await bench.services.waitFor(async () => {
    const shown = (await bench.ask(200, 'GET', `${base}/snapshots/${id}`)).snapshot as { status: string };
    return shown.status === 'available' ? true : undefined;
  });
  return id;
}

async function makePolicy(base: string, send: Send = {}): Promise<string> {
  const scheduled_policy = { start_time: '02:00', frequency: 1, rentention_num: 2, status: 'OFF' };
  const body = { backup_policy_name: 'nightly', scheduled_policy };
  return String((await bench.ask(200, 'POST', `${base}/backuppolicy`, { ...send, body })).backup_policy_id);
}

function own(version: string): string {
  return `${version}/${bench.stranger.projectId}`;
}

function unknownIds(): Ids {
  const ids = Object.fromEntries(Object.keys(foreign).map((kind) => [kind, newUuid()]));
  // The cast: the same keys.
  return { ...(ids as Ids), identity_project_id: newHexId<ProjectId>() };
}

/** Well-formed bodies, so that nothing but the id can be what is refused. */
const BODIES: readonly (readonly [path: RegExp, body: () => unknown])[] = [
  [/\/restore$/, () => ({ restore: { volume_id: ownVolumeId } })],
  [/\/tags$/, () => ({ tag: { key: 'a', value: 'c' } })],
  [/\/tags\/action$/, () => ({ action: 'create', tags: [{ key: 'a', value: 'c' }] })],
  [/\/backups\/[^/]+\/action$/, () => ({ 'os-force_delete': {} })],
  [/\/volumes\/[^/]+\/action$/, () => ({ 'os-extend': { new_size: 2 } })],
  [/\/snapshots\/[^/]+\/action$/, () => ({ 'os-force_delete': {} })],
  [/\/(volumes|snapshots)\/[^/]+\/metadata$/, () => ({ metadata: { a: 'b' } })],
  [/\/(volumes|snapshots)\/[^/]+\/metadata\/[^/]+$/, () => ({ meta: { a: 'b' } })],
  [/\/snapshots\/[^/]+$/, () => ({ snapshot: { name: 'mine' } })],
  [/\/volumes\/[^/]+$/, () => ({ volume: { name: 'mine' } })],
  [/\/backups\/[^/]+$/, () => ({ backup: { name: 'mine' } })],
  [/\/deleted_resources$/, () => ({ resources: [{ resource_id: ownVolumeId }] })],
];

/** As the document names them: `put /v3/{project_id}/...`. */
function listAdminPaths(): ReadonlySet<string> {
  const routes = listServerRoutes().filter(({ access }) => access.kind !== 'public' && access.role === 'admin');
  return new Set(routes.map(({ method, path }) => `${method.toLowerCase()} ${path.replaceAll(/:(\w+)/g, '{$1}')}`));
}

/** What the stranger gets, with everything that must differ masked. */
async function answerTo(method: string, url: string, ids: Ids, body?: unknown): Promise<string> {
  const answer = await bench.send(method, url, {
    token: bench.stranger.token,
    ...(body === undefined ? {} : { body }),
    headers: { accept: '*/*', ...(url.startsWith('/v3') ? { 'openstack-api-version': 'volume 3.70' } : {}) },
  });
  let text = answer.body;
  for (const id of Object.values(ids)) text = text.replaceAll(id, 'ID');
  return `${answer.statusCode} ${text.replaceAll(/req-[0-9a-f-]{36}/g, 'REQUEST')}`;
}

async function assertAlike(name: string, ask: (ids: Ids) => Promise<string>, expected: RegExp): Promise<void> {
  const before = await bench.services.snapshotRows();
  const answers = [await ask(foreign), await ask(unknownIds())];
  assert.equal(answers[0], answers[1], name);
  assert.match(answers[0] ?? '', expected, name);
  assert.deepEqual(await bench.services.snapshotRows(), before, `${name} changed the catalog`);
}

describe('ids of another project', () => {
  test('in paths: every route answers as if there were nothing', async () => {
    const { paths } = (await bench.ask(200, 'GET', '/openapi.json', { token: null })) as {
      paths: Record<string, Record<string, unknown>>;
    };
    const kinds = Object.keys(foreign);
    const adminPaths = listAdminPaths();
    let count = 0;
    for (const [path, methods] of Object.entries(paths)) {
      const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
      if (!names.some((name) => kinds.includes(name))) continue;
      for (const method of Object.keys(methods)) {
        count += 1;
        const url = (ids: Ids): string =>
          path.replaceAll(/\{(\w+)\}/g, (_match, name: string) => {
            if (name === 'project_id') return bench.stranger.projectId;
            return name === 'key' ? 'a' : (ids[name as Kind] ?? 'x');
          });
        const hasBody = method === 'post' || method === 'put';
        const ask = (ids: Ids): Promise<string> => {
          const target = path.endsWith('/diff') ? `${url(ids)}?from=${ids.backup_id}` : url(ids);
          const body = BODIES.find(([pattern]) => pattern.test(target))?.[1]() ?? {};
          return answerTo(method.toUpperCase(), target, ids, hasBody ? body : undefined);
        };
        // Whatever the id.
        const isForAdmins = adminPaths.has(`${method} ${path}`) || path.endsWith('/backups/{backup_id}/action');
        await assertAlike(`${method} ${path}`, ask, isForAdmins ? /^403 / : /^404 /);
      }
    }
    assert.ok(count > 60, String(count));
  });

  test('in bodies', async () => {
    const cases: [string, string, (ids: Ids) => unknown, RegExp][] = [
      ['POST', `${own('/v2')}/cloudbackups`, ({ volume_id }) => ({ backup: { volume_id, name: 'x' } }), /^404 /],
      ['POST', `${own('/v3')}/backups`, ({ volume_id }) => ({ backup: { volume_id } }), /^404 /],
      ['POST', `${own('/v2')}/backups`, ({ volume_id }) => ({ backup: { volume_id } }), /^404 /],
      ['POST', `${own('/v3')}/volumes`, ({ backup_id }) => ({ volume: { size: 1, backup_id } }), /^404 /],
      ['POST', `${own('/v3')}/volumes`, ({ snapshot_id }) => ({ volume: { size: 1, snapshot_id } }), /^404 /],
      ['POST', `${own('/v3')}/volumes`, ({ volume_id }) => ({ volume: { size: 1, source_volid: volume_id } }), /^404 /],
      ['POST', `${own('/v3')}/snapshots`, ({ volume_id }) => ({ snapshot: { volume_id } }), /^404 /],
      [
        'POST',
        `${own('/v3')}/backups`,
        ({ snapshot_id }) => ({ backup: { volume_id: ownVolumeId, snapshot_id } }),
        /^404 /,
      ],
      [
        'POST',
        `${own('/v3')}/volumes/${ownVolumeId}/action`,
        ({ snapshot_id }) => ({ revert: { snapshot_id } }),
        /^404 /,
      ],
      [
        'POST',
        `${own('/v2')}/os-vendor-backup-sharing`,
        ({ backup_id }) => ({ shared: { backup_id, to_project_ids: [bench.reader.projectId] } }),
        /^404 /,
      ],
      [
        'POST',
        `${own('/v2')}/backuppolicyresources`,
        ({ policy_id }) => ({
          backup_policy_id: policy_id,
          resources: [{ resource_id: ownVolumeId, resource_type: 'volume' }],
        }),
        /^404 /,
      ],
      [
        'POST',
        `${own('/v2')}/backuppolicyresources`,
        ({ volume_id }) => ({
          backup_policy_id: ownPolicyId,
          resources: [{ resource_id: volume_id, resource_type: 'volume' }],
        }),
        /^200 .*AutoBackup\.1400/,
      ],
      [
        'POST',
        `${own('/v2')}/backuppolicyresources/${ownPolicyId}/deleted_resources`,
        ({ volume_id }) => ({ resources: [{ resource_id: volume_id }] }),
        /^200 .*AutoBackup\.1400/,
      ],
    ];
    for (const [method, url, body, expected] of cases) {
      await assertAlike(`${method} ${url}`, (ids) => answerTo(method, url, ids, body(ids)), expected);
    }
  });

  test('in queries: markers are unknown, filters match nothing', async () => {
    const cases: [string, RegExp][] = [
      ...['/v3', '/v2'].flatMap((version): [string, RegExp][] => [
        [`${own(version)}/backups?marker={backup_id}`, /^404 /],
        [`${own(version)}/backups/detail?volume_id={volume_id}`, /^200 \{"backups":\[\]\}$/],
        [`${own(version)}/volumes?marker={volume_id}`, /^404 /],
        [`${own(version)}/snapshots?marker={snapshot_id}`, /^404 /],
        [`${own(version)}/snapshots/detail?volume_id={volume_id}`, /^200 \{"snapshots":\[\]\}$/],
      ]),
      [`${own('/v1')}/jobs?marker={job_id}`, /^404 /],
      [`${own('/v1')}/traces?marker={job_id}`, /^404 /],
      [`${own('/v1')}/traces?resource_id={backup_id}`, /^200 \{"traces":\[\],"count":0\}$/],
      [`${own('/v2')}/os-vendor-backup-sharing/detail?marker={sharing_id}`, /^404 /],
      [
        `${own('/v2')}/os-vendor-backup-sharing/detail?share_to_me=true&backup_id={backup_id}`,
        /^200 \{"shared":\[\]\}$/,
      ],
      [`${own('/v2')}/os-vendor-backup-sharing/count?backup_id={backup_id}`, /^200 \{"count":0\}$/],
      [`${own('/v2')}/backuppolicyresources/${'{own}'}?id={volume_id}`, /^200 \{"resources":\[\],"count":0\}$/],
    ];
    for (const [pattern, expected] of cases) {
      const url = (ids: Ids): string =>
        pattern.replaceAll(/\{(\w+)\}/g, (_match, name: string) => (name === 'own' ? ownPolicyId : ids[name as Kind]));
      await assertAlike(pattern, (ids) => answerTo('GET', url(ids), ids), expected);
    }
    const cancel = (ids: Ids) =>
      answerTo('DELETE', `${own('/v2')}/os-vendor-backup-sharing/${ids.backup_id}?is_backup_id=true`, ids);
    await assertAlike('cancel by backup', cancel, /^200 $/);
  });
});
