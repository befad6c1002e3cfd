// Every operation of the VBS reference, of the OpenStack API that VBS clients use beside it, and of the extensions that
// console and clients need: what docs/api-compat.md says each of them is here. Numbers are those of the API contract.

export type Route = { readonly method: string; readonly path: string };

export type Operation = {
  readonly number: number;
  readonly group: Group;
  readonly purpose: string;
  /** Parameters in braces. The first is the documented one, the others are its aliases. */
  readonly routes: readonly Route[];
  /** What of it is missing, and why; absent for what is whole. */
  readonly gap?: string;
};

export const GROUPS = [
  'Backups and jobs',
  'Policies',
  'Sharing',
  'Tags of backups',
  'Native backups',
  'Volumes and the rest of the native API',
  'Identity and discovery',
] as const;
export type Group = (typeof GROUPS)[number];

const PROJECT = '{project_id}';

/** `GET POST` of `/path`, each on every prefix. */
function on(prefixes: readonly string[], methods: string, tails: readonly string[]): Route[] {
  return tails.flatMap((tail) =>
    methods.split(' ').flatMap((method) => prefixes.map((prefix) => ({ method, path: `${prefix}${tail}` }))),
  );
}

const vbs = (methods: string, ...tails: string[]): Route[] => on([`/v2/${PROJECT}`], methods, tails);
const native = (methods: string, ...tails: string[]): Route[] =>
  on([`/v3/${PROJECT}`, '/v3', `/v2/${PROJECT}`], methods, tails);
const native3 = (methods: string, ...tails: string[]): Route[] => on([`/v3/${PROJECT}`, '/v3'], methods, tails);
const identity = (methods: string, ...tails: string[]): Route[] => on(['/identity/v3'], methods, tails);

function list(
  group: Group,
  rows: readonly (readonly [number: number, purpose: string, routes: readonly Route[], gap?: string])[],
): Operation[] {
  return rows.map(([number, purpose, routes, gap]) => ({
    ...{ number, group, purpose, routes },
    ...(gap === undefined ? {} : { gap }),
  }));
}

const BACKUPS = list('Backups and jobs', [
  [1, 'Create a backup', vbs('POST', '/cloudbackups')],
  [2, 'Delete a backup, deprecated form', vbs('POST', '/cloudbackups/{backup_id}')],
  [3, 'Delete a backup', vbs('DELETE', '/cloudbackups/{backup_id}')],
  [4, 'Restore a backup', vbs('POST', '/cloudbackups/{backup_id}/restore')],
  [5, 'Quotas of backups', vbs('GET', '/cloudbackups/quota')],
  [6, 'Show a job', [...on([`/v1/${PROJECT}`], 'GET', ['/jobs/{job_id}']), ...vbs('GET', '/jobs/{job_id}')]],
  [7, 'List jobs', on([`/v1/${PROJECT}`], 'GET', ['/jobs'])],
]);

const POLICIES = list('Policies', [
  [8, 'Create a policy', vbs('POST', '/backuppolicy')],
  [9, 'List policies', vbs('GET', '/backuppolicy')],
  [10, 'Show a policy', vbs('GET', '/backuppolicy/{policy_id}')],
  [11, 'Modify, enable, disable a policy', vbs('PUT', '/backuppolicy/{policy_id}')],
  [12, 'Delete a policy', vbs('DELETE', '/backuppolicy/{policy_id}')],
  [13, 'Run a policy now', vbs('POST', '/backuppolicy/{policy_id}/action')],
  [14, 'List tasks of a policy', vbs('GET', '/backuppolicy/{policy_id}/backuptasks')],
  [15, 'Associate volumes', vbs('POST', '/backuppolicyresources')],
  [16, 'Disassociate volumes', vbs('POST', '/backuppolicyresources/{policy_id}/deleted_resources')],
  [17, 'List associated volumes', vbs('GET', '/backuppolicyresources/{policy_id}')],
  [18, 'Tags of all policies', vbs('GET', '/backuppolicy/tags')],
  [19, 'Tags of a policy', vbs('GET', '/backuppolicy/{policy_id}/tags')],
  [20, 'Add or overwrite a tag', vbs('POST', '/backuppolicy/{policy_id}/tags')],
  [21, 'Remove a tag', vbs('DELETE', '/backuppolicy/{policy_id}/tags/{key}')],
  [22, 'Change tags in a batch', vbs('POST', '/backuppolicy/{policy_id}/tags/action')],
  [23, 'Find policies by tags', vbs('POST', '/backuppolicy/resource_instances/action')],
]);

const SHARING = list('Sharing', [
  [24, 'Share a backup', vbs('POST', '/os-vendor-backup-sharing')],
  [25, 'List sharings', vbs('GET', '/os-vendor-backup-sharing/detail')],
  [26, 'Count sharings', vbs('GET', '/os-vendor-backup-sharing/count')],
  [27, 'Show a sharing', vbs('GET', '/os-vendor-backup-sharing/{id}')],
  [28, 'Cancel a sharing, or all of a backup', vbs('DELETE', '/os-vendor-backup-sharing/{id}')],
]);

const BACKUP_TAGS = list('Tags of backups', [
  [29, 'Tags of a backup; add one', vbs('GET POST', '/cloudbackups/{backup_id}/tags')],
  [30, 'Remove a tag', vbs('DELETE', '/cloudbackups/{backup_id}/tags/{key}')],
  [31, 'Change tags in a batch', vbs('POST', '/cloudbackups/{backup_id}/tags/action')],
  [32, 'Tags of all backups', vbs('GET', '/cloudbackups/tags')],
  [33, 'Find backups by tags', vbs('POST', '/cloudbackups/resource_instances/action')],
]);

const UPDATE = [...native3('PUT', '/backups/{backup_id}')];
const NATIVE_BACKUPS = list('Native backups', [
  [40, 'Create a backup', native('POST', '/backups')],
  [41, 'List backups', native('GET', '/backups')],
  [42, 'List backups with details', native('GET', '/backups/detail')],
  [43, 'Show a backup', native('GET', '/backups/{backup_id}')],
  [44, "Show a backup, on the VBS reference's path", native3('GET', '/native/backups/{backup_id}')],
  [45, 'Delete a backup', native('DELETE', '/backups/{backup_id}')],
  [46, 'Restore a backup', native('POST', '/backups/{backup_id}/restore')],
  [47, 'Rename or describe a backup', UPDATE],
  [48, 'Reset the status, delete by force', native('POST', '/backups/{backup_id}/action')],
  [49, 'Export the record of a backup', native('GET', '/backups/{backup_id}/export_record')],
  [50, 'Import the record of a backup', native('POST', '/backups/import_record')],
  [
    51,
    'The same below `/native`',
    [
      ...native3('POST GET', '/native/backups'),
      ...native3('GET', '/native/backups/detail', '/native/backups/{backup_id}'),
      ...native3('DELETE PUT', '/native/backups/{backup_id}'),
      ...native3('POST', '/native/backups/{backup_id}/restore', '/native/backups/{backup_id}/action'),
      ...native3('GET', '/native/backups/{backup_id}/export_record'),
      ...native3('POST', '/native/backups/import_record'),
    ],
  ],
]);

const VOLUMES = list('Volumes and the rest of the native API', [
  [60, 'Create a volume', native('POST', '/volumes'), 'Not from images.'],
  [61, 'List volumes', native('GET', '/volumes', '/volumes/detail')],
  [62, 'Totals of volumes', native3('GET', '/volumes/summary')],
  [63, 'Show, rename, delete a volume', native('GET PUT DELETE', '/volumes/{id}')],
  [64, 'Actions on a volume', native('POST', '/volumes/{id}/action')],
  [
    65,
    'Metadata of a volume',
    [...native('GET POST PUT', '/volumes/{id}/metadata'), ...native('GET PUT DELETE', '/volumes/{id}/metadata/{key}')],
  ],
  [66, 'Create a snapshot', native('POST', '/snapshots')],
  [67, 'List snapshots', native('GET', '/snapshots', '/snapshots/detail')],
  [68, 'Show, rename, delete a snapshot', native('GET PUT DELETE', '/snapshots/{id}')],
  [69, 'Actions on a snapshot', native('POST', '/snapshots/{id}/action')],
  [
    70,
    'Metadata of a snapshot',
    [
      ...native('GET POST PUT', '/snapshots/{id}/metadata'),
      ...native('GET PUT DELETE', '/snapshots/{id}/metadata/{key}'),
    ],
  ],
  [71, 'Volume types', native('GET', '/types', '/types/{id}', '/types/default')],
  [72, 'Manage volume types', [...native('POST', '/types'), ...native('PUT DELETE', '/types/{id}')]],
  [
    73,
    'Extra specs of volume types',
    [...native('GET POST', '/types/{id}/extra_specs'), ...native('GET PUT DELETE', '/types/{id}/extra_specs/{key}')],
  ],
  [74, 'Availability zones', native('GET', '/os-availability-zone')],
  [75, 'Absolute limits', native('GET', '/limits')],
  [
    76,
    'Quotas of a project',
    [
      ...native('GET PUT DELETE', '/os-quota-sets/{quota_project_id}'),
      ...native('GET', '/os-quota-sets/{quota_project_id}/defaults'),
    ],
  ],
  [77, 'Default quotas', native('GET PUT', '/os-quota-class-sets/{class}')],
  [
    78,
    'Services',
    [
      ...native('GET', '/os-services'),
      ...native('PUT', '/os-services/enable', '/os-services/disable', '/os-services/disable-log-reason'),
    ],
  ],
  [79, 'Extensions', native('GET', '/extensions', '/extensions/{alias}')],
  [80, 'Permitted filters', native3('GET', '/resource_filters')],
  [81, 'Backends', native('GET', '/scheduler-stats/get_pools')],
  [82, 'User messages', [...native3('GET', '/messages'), ...native3('GET DELETE', '/messages/{id}')]],
  [
    83,
    'Attachments',
    [
      ...native3('POST GET', '/attachments'),
      ...native3('GET PUT DELETE', '/attachments/{id}'),
      ...native3('POST', '/attachments/{id}/action'),
    ],
  ],
  [
    84,
    'Other resources of Cinder',
    native3('GET', '/groups', '/group_types', '/clusters', '/volume-transfers', '/consistencygroups', '/qos-specs'),
    'Not part of a backup service: 404, as documented.',
  ],
  [
    85,
    'Adopt a disk in place',
    [
      ...native('POST', '/os-volume-manage'),
      ...native3('GET POST', '/manageable_volumes'),
      ...native3('GET', '/manageable_volumes/detail'),
    ],
  ],
]);

const IDENTITY = list('Identity and discovery', [
  [90, 'Versions', on([''], 'GET', ['/', '/v1', '/v2', '/v3'])],
  [91, 'Versions of identity', on([''], 'GET', ['/identity', '/identity/v3'])],
  [92, 'Issue a token', identity('POST', '/auth/tokens')],
  [93, 'Validate, revoke a token', identity('GET HEAD DELETE', '/auth/tokens')],
  [
    94,
    'Catalog, projects and domains of the caller',
    identity('GET', '/auth/catalog', '/auth/projects', '/auth/domains'),
  ],
  [95, 'Projects, users, domains', identity('GET', '/projects', '/projects/{id}', '/users/{id}', '/domains')],
]);

export const OPERATIONS: readonly Operation[] = [
  ...BACKUPS,
  ...POLICIES,
  ...SHARING,
  ...BACKUP_TAGS,
  ...NATIVE_BACKUPS,
  ...VOLUMES,
  ...IDENTITY,
];
