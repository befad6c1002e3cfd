// The one error class and the one table of codes. Services throw codes; only api/plugins/error-reply.ts knows how they
// look on the wire. docs/errors.md lists every code, and a test keeps the two equal. A published code is never reused.

type ErrorSpec = {
  /** `{field}` is replaced by the details of the error. */
  readonly message: string;
  readonly status: number;
  /** Code on the VBS families; VolumeBackup.0900 where nothing better is documented. For BP see policyWireOf. */
  readonly wire: string;
  /** A later try may succeed without anybody changing the request. */
  readonly isRetryable: boolean;
};

function spec(status: number, wire: string, message: string, isRetryable = false): ErrorSpec {
  return { message, status, wire, isRetryable };
}

const malformed = 'VolumeBackup.0002';
const internal = 'VolumeBackup.0900';

export const ERROR_TABLE = {
  // Requests in general
  REQUEST_MALFORMED: spec(400, malformed, 'Malformed request: {reason}'),
  REQUEST_FIELD_INVALID: spec(400, malformed, 'Invalid value for {field}: {reason}'),
  REQUEST_TOO_LARGE: spec(413, malformed, 'Request body is larger than {limitBytes} bytes'),
  MEDIA_TYPE_UNSUPPORTED: spec(400, malformed, 'Content-Type {contentType} is not supported; send application/json'),
  NOT_ACCEPTABLE: spec(406, malformed, 'Only application/json can be produced'),
  MICROVERSION_INVALID: spec(400, malformed, 'API version string {version} is not of the form N.M'),
  MICROVERSION_UNSUPPORTED: spec(406, malformed, 'Version {version} is not supported; minimum {min}, maximum {max}'),
  ROUTE_NOT_FOUND: spec(404, malformed, 'The resource could not be found.'),
  METHOD_NOT_ALLOWED: spec(405, malformed, 'Method {method} is not allowed here'),
  RANGE_NOT_SATISFIABLE: spec(416, malformed, 'The backup has {sizeBytes} bytes; the range begins beyond them'),
  MARKER_NOT_FOUND: spec(404, malformed, 'Marker {marker} could not be found'),
  // Identity
  TOKEN_MISSING: spec(401, 'VolumeBackup.0044', 'The request you have made requires authentication.'),
  TOKEN_INVALID: spec(401, 'VolumeBackup.0044', 'The token is unknown or expired.'),
  CREDENTIALS_INVALID: spec(401, 'VolumeBackup.0044', 'The request you have made requires authentication.'),
  AUTH_METHOD_UNSUPPORTED: spec(401, 'VolumeBackup.0044', 'Authentication method {method} is not configured'),
  KEYSTONE_UNAVAILABLE: spec(503, internal, 'Keystone cannot be asked: {reason}', true),
  IDENTITY_EXTERNAL: spec(404, 'VolumeBackup.0044', 'Users and tokens are kept by {url}; ask there'),
  SUBJECT_TOKEN_NOT_FOUND: spec(404, 'VolumeBackup.0044', 'Token could not be found.'),
  ROLES_EMPTY: spec(403, 'VolumeBackup.0041', 'The token carries no role'),
  ROLE_DENIED: spec(403, 'VolumeBackup.0042', 'The roles of the token do not permit this operation'),
  PROJECT_MISMATCH: spec(403, 'VolumeBackup.0042', 'The token is not scoped to project {projectId}'),
  PROJECT_NOT_FOUND: spec(404, 'VolumeBackup.0042', 'Project {projectId} could not be found'),
  PROJECT_EXISTS: spec(409, malformed, 'There is a project named {name} already'),
  PROJECT_NOT_EMPTY: spec(409, malformed, 'Project {projectId} cannot be deleted: it has {reason}'),
  USER_NOT_FOUND: spec(404, malformed, 'User {userId} could not be found'),
  USER_EXISTS: spec(409, malformed, 'There is a user named {name} already'),
  ROLE_NOT_FOUND: spec(404, malformed, 'Role {roleId} could not be found'),
  ROLE_ASSIGNMENT_NOT_FOUND: spec(404, malformed, 'User {userId} has no role {role} in project {projectId}'),
  ROLES_FIXED: spec(403, malformed, 'There are the roles admin, member and reader; no other would have a meaning here'),
  DOMAIN_NOT_FOUND: spec(404, malformed, 'Domain {domainId} could not be found; there is one: default'),
  LAST_ADMIN: spec(409, malformed, 'Nobody would be left who may act as admin'),
  APPLICATION_CREDENTIAL_NOT_FOUND: spec(404, malformed, 'Application credential {credentialId} could not be found'),
  APPLICATION_CREDENTIAL_EXISTS: spec(409, malformed, 'There is an application credential named {name} already'),
  APPLICATION_CREDENTIAL_RESTRICTED: spec(
    403,
    'VolumeBackup.0042',
    'A token of a restricted application credential can neither make nor delete application credentials',
  ),
  // Creating backups (contract 3.1)
  BACKUP_VOLUME_ID_MISSING: spec(400, 'VolumeBackup.0010', 'volume_id is missing'),
  BACKUP_VOLUME_ID_INVALID: spec(400, 'VolumeBackup.0011', 'volume_id is not a UUID'),
  BACKUP_NAME_MISSING: spec(400, 'VolumeBackup.0007', 'name is missing'),
  BACKUP_NAME_TOO_SHORT: spec(400, 'VolumeBackup.0026', 'name is empty; it has 1 to 64 characters'),
  BACKUP_NAME_TOO_LONG: spec(400, 'VolumeBackup.0003', 'name is longer than 64 characters'),
  BACKUP_NAME_CHARACTERS: spec(400, 'VolumeBackup.0004', 'name may hold letters, digits, "_" and "-" only'),
  BACKUP_NAME_RESERVED: spec(400, 'VolumeBackup.0005', 'name must not begin with "auto"'),
  BACKUP_DESCRIPTION_INVALID: spec(400, 'VolumeBackup.0006', 'description has 1 to 64 characters without "<" and ">"'),
  BACKUP_TAG_INVALID: spec(400, 'VolumeBackup.0049', 'tags: {reason}'),
  BACKUP_TAGS_TOO_MANY: spec(400, 'VolumeBackup.0050', 'tags: more than 10'),
  BACKUP_TAG_NOT_FOUND: spec(404, 'VolumeBackup.0110', 'Tag {key} could not be found.'),
  SNAPSHOT_NOT_FOUND: spec(404, 'VolumeBackup.0020', 'Snapshot {snapshotId} could not be found.'),
  VOLUME_NOT_FOUND: spec(404, 'VolumeBackup.0021', 'Volume {volumeId} could not be found.'),
  VOLUME_STATE_FORBIDS_BACKUP: spec(
    400,
    'VolumeBackup.0012',
    'Volume {volumeId} is {status}; it must be available or in-use',
  ),
  SNAPSHOT_STATE_FORBIDS_BACKUP: spec(
    400,
    'VolumeBackup.0062',
    'Snapshot {snapshotId} is {status}; it must be available',
  ),
  BACKUP_IN_PROGRESS: spec(409, 'VolumeBackup.0013', 'Another backup of volume {volumeId} is being created'),
  BACKUPS_PER_VOLUME_EXCEEDED: spec(
    400,
    'VolumeBackup.0040',
    'Volume {volumeId} has reached its limit of {limit} backups',
  ),
  QUOTA_BACKUPS_EXCEEDED: spec(400, 'VolumeBackup.0080', 'The quota of {quota} backups would be exceeded'),
  QUOTA_BACKUP_GIGABYTES_EXCEEDED: spec(
    400,
    'VolumeBackup.0081',
    'The quota of {quota} GiB of backups would be exceeded',
  ),
  // With the word "exceed" in it: tempest takes a 413 without it for a limit of rates (lib/common/rest_client.py).
  QUOTA_VOLUMES_EXCEEDED: spec(400, 'VolumeBackup.0082', 'The quota of {quota} volumes would be exceeded'),
  QUOTA_GIGABYTES_EXCEEDED: spec(
    400,
    'VolumeBackup.0083',
    'The quota of {quota} GiB of volumes and snapshots would be exceeded: {used} GiB are used, {needed} more are needed',
  ),
  QUOTA_VOLUME_SIZE_EXCEEDED: spec(
    400,
    'VolumeBackup.0083',
    '{needed} GiB exceed the {quota} GiB that one volume may have',
  ),
  QUOTA_SNAPSHOTS_EXCEEDED: spec(400, 'VolumeBackup.0084', 'The quota of {quota} snapshots would be exceeded'),
  QUOTA_LIMIT_INVALID: spec(400, malformed, 'quota_set.{field}: {reason}'),
  QUOTA_CLASS_NOT_FOUND: spec(404, malformed, 'Quota class {name} could not be found; there is only "default"'),
  QUOTA_LOOKUP_FAILED: spec(500, 'VolumeBackup.0070', 'Quotas could not be read', true),
  JOB_NOT_QUEUED: spec(400, 'VolumeBackup.0014', 'The job could not be queued', true),
  // Deleting backups (contract 3.3)
  BACKUP_ID_INVALID: spec(400, 'VolumeBackup.0105', 'Backup id {backupId} is not a UUID'),
  BACKUP_NOT_FOUND: spec(404, 'VolumeBackup.0110', 'Backup {backupId} could not be found.'),
  BACKUP_STATE_FORBIDS_DELETE: spec(
    400,
    'VolumeBackup.0125',
    'Backup {backupId} is {status}; it must be available, error or error_restoring',
  ),
  BACKUP_HAS_DEPENDANTS: spec(400, malformed, 'Incremental backups exist for backup {backupId}; delete them first'),
  // Backup records (contract 3.24)
  BACKUP_RECORD_INVALID: spec(400, malformed, 'The backup record cannot be imported: {reason}'),
  BACKUP_EXISTS: spec(400, malformed, 'Backup {backupId} exists already'),
  BACKUP_RECORD_GONE: spec(400, malformed, 'The data of backup {backupId} is not in the repository any more'),
  BACKUP_STATE_FORBIDS_RESET: spec(
    400,
    malformed,
    'Backup {backupId} is {status} and cannot be set to {wanted}: {reason}',
  ),
  // Sharing (contract 3.18, 3.19, 5.10)
  SHARING_NOT_FOUND: spec(404, 'VolumeBackup.0110', 'Sharing {sharingId} could not be found.'),
  BACKUP_NOT_OWNED: spec(
    403,
    'VolumeBackup.0042',
    'Backup {backupId} is shared with this project; its owner may do this',
  ),
  // Restoring (contract 3.4)
  RESTORE_MALFORMED: spec(400, 'VolumeBackup.0210', 'Malformed restore request: {reason}'),
  RESTORE_BACKUP_ID_MISSING: spec(400, 'VolumeBackup.0203', 'Backup id is missing'),
  RESTORE_BACKUP_ID_INVALID: spec(400, 'VolumeBackup.0204', 'Backup id {backupId} is not a UUID'),
  RESTORE_BACKUP_NOT_FOUND: spec(404, 'VolumeBackup.0111', 'Backup {backupId} could not be found.'),
  RESTORE_VOLUME_ID_INVALID: spec(400, 'VolumeBackup.0208', 'restore.volume_id is missing or not a UUID'),
  RESTORE_VOLUME_NOT_FOUND: spec(404, 'VolumeBackup.0207', 'Volume {volumeId} could not be found.'),
  BACKUP_NOT_AVAILABLE: spec(400, 'VolumeBackup.0089', 'Backup {backupId} is {status}; it must be available'),
  RESTORE_VOLUME_IN_ERROR: spec(400, 'VolumeBackup.0202', 'Volume {volumeId} is {status}'),
  RESTORE_VOLUME_NOT_AVAILABLE: spec(400, 'VolumeBackup.0205', 'Volume {volumeId} is {status}; it must be available'),
  RESTORE_VOLUME_BEING_BACKED_UP: spec(409, 'VolumeBackup.0206', 'Volume {volumeId} is being backed up'),
  RESTORE_VOLUME_TOO_SMALL: spec(400, 'VolumeBackup.0209', 'Volume {volumeId} is smaller than backup {backupId}'),
  RESTORE_VERIFY_FAILED: spec(
    500,
    internal,
    'Volume {volumeId} does not read back as backup {backupId}, first in the 64 KiB at byte {offsetBytes}',
  ),
  // Jobs
  JOB_NOT_FOUND: spec(404, 'common.0011', 'Job {jobId} could not be found'),
  EXPORT_CUT_SHORT: spec(500, internal, 'Export {jobId} ended with the process that read it'),
  JOB_FENCED: spec(409, internal, 'Job {jobId}: attempt {attempt} is no longer the current one'),
  JOB_ABANDONED: spec(500, internal, 'Job {jobId} failed in {attempts} attempts; the last reason: {reason}'),
  COMMIT_CHECK_FAILED: spec(
    500,
    'VolumeBackup.0064',
    'The catalog no longer holds what backup {backupId} relies on: {reason}',
    true,
  ),
  BACKUP_DAMAGED: spec(
    500,
    internal,
    'Backup {backupId} is damaged in {count} places, first {object} at byte {offsetBytes}: {reason}',
  ),
  MAINTENANCE_RUNNING: spec(409, internal, 'The repository of the project is being worked on: {operation}'),
  RECORD_KNOWN: spec(409, internal, 'The catalog knows record {record}; delete its backup instead'),
  PRUNE_BLOCKED: spec(500, internal, 'Nothing of project {projectId} can be pruned: {reason}'),
  // Policies (contract 3.7 to 3.17, 4.5): these codes arise on the policy families only
  POLICY_BODY_EMPTY: spec(400, 'AutoBackup.0000', 'A request body is required'),
  POLICY_OBJECT_MISSING: spec(400, 'AutoBackup.0001', '{field} is missing'),
  POLICY_ID_MISSING: spec(400, 'AutoBackup.0006', 'backup_policy_id is missing'),
  POLICY_DEFAULT_FIXED: spec(403, 'AutoBackup.0100', 'The default policy can neither be renamed nor deleted'),
  POLICY_NAME_LENGTH: spec(400, 'AutoBackup.0101', 'backup_policy_name has 1 to 64 characters'),
  POLICY_NAME_INVALID: spec(400, 'AutoBackup.0102', 'backup_policy_name: {reason}'),
  POLICY_START_TIME_INVALID: spec(400, 'AutoBackup.0103', 'start_time: {reason}'),
  POLICY_STATUS_INVALID: spec(400, 'AutoBackup.0104', 'status must be ON or OFF'),
  POLICY_RETAIN_FIRST_INVALID: spec(400, 'AutoBackup.0105', 'remain_first_backup_of_curMonth must be Y or N'),
  POLICY_INTERVAL_INVALID: spec(400, 'AutoBackup.0106', '{field}: {reason}'),
  POLICY_RETENTION_INVALID: spec(400, 'AutoBackup.0107', '{field}: {reason}'),
  POLICIES_EXCEEDED: spec(400, 'AutoBackup.0203', 'The limit of {limit} policies is reached'),
  POLICY_VOLUMES_EXCEEDED: spec(400, 'AutoBackup.0204', 'The limit of {limit} volumes of a policy is reached'),
  POLICY_NOT_FOUND: spec(404, 'AutoBackup.0205', 'Policy {policyId} could not be found.'),
  POLICY_QUERIED_NOT_FOUND: spec(404, 'AutoBackup.1100', 'Policy {policyId} could not be found.'),
  POLICY_VOLUME_STATE_FORBIDS: spec(400, 'AutoBackup.0206', 'Volume {volumeId} is {status}; it cannot join a policy'),
  POLICY_RESOURCES_EMPTY: spec(400, 'AutoBackup.0207', 'resources is empty'),
  POLICY_RESOURCE_ID_MISSING: spec(400, 'AutoBackup.0209', 'A resource_id is empty'),
  POLICY_RESOURCE_TYPE_UNKNOWN: spec(400, 'AutoBackup.0211', 'A resource_type is not "volume"'),
  POLICY_RESOURCE_INVALID: spec(400, 'AutoBackup.1400', 'Volume {volumeId} is unknown or not in the policy'),
  POLICY_TAG_INVALID: spec(400, 'AutoBackup.0214', '{field}: {reason}'),
  POLICY_TAGS_TOO_MANY: spec(400, 'AutoBackup.0215', '{field}: more than {limit}'),
  POLICY_TAG_NOT_FOUND: spec(404, 'AutoBackup.0216', 'Tag {key} could not be found.'),
  POLICY_TEXT_FORBIDDEN: spec(400, 'AutoBackup.0221', 'The request holds "<" or ">"'),
  POLICY_ACTION_UNKNOWN: spec(400, 'AutoBackup.0222', 'action must be one of {allowed}'),
  POLICY_RUNNING: spec(409, 'AutoBackup.0225', 'Policy {policyId} is being run', true),
  POLICY_TIME_ZONE_INVALID: spec(400, 'AutoBackup.0226', 'time_zone: {reason}'),
  POLICY_DELETION_FAILED: spec(500, 'AutoBackup.1300', 'Policy {policyId} could not be deleted', true),
  POLICY_WITHOUT_VOLUMES: spec(400, 'AutoBackup.1700', 'Policy {policyId} has no volumes to back up'),
  POLICY_RUN_FAILED: spec(500, 'AutoBackup.1700', 'Policy {policyId} could not be run', true),
  POLICY_RUN_MISSED: spec(500, 'AutoBackup.1700', 'The run due at {dueAt} was missed: the service saw it at {seenAt}'),
  POLICY_TASK_OVERLAPS: spec(409, 'AutoBackup.0225', 'Task {taskId} of volume {volumeId} has not ended yet'),
  POLICY_TASK_TIMEOUT: spec(500, 'AutoBackup.1700', 'Not finished: {reason}; the backup may still become available'),
  // Volumes
  VOLUME_STATE_FORBIDS: spec(400, 'VolumeBackup.0205', 'Volume {volumeId} is {status}; it must be {required}'),
  VOLUME_STATE_FORBIDS_RESET: spec(
    400,
    malformed,
    'Volume {volumeId} is {status} and cannot be set to {wanted}: {reason}',
  ),
  VOLUME_SIZE_INVALID: spec(400, malformed, 'size: {reason}'),
  VOLUME_TOO_SMALL_FOR_SOURCE: spec(
    400,
    'VolumeBackup.0209',
    'size: {sizeGib} GiB is smaller than the source ({sourceGib} GiB)',
  ),
  VOLUME_TYPE_NOT_FOUND: spec(404, malformed, 'Volume type {volumeType} could not be found.'),
  VOLUME_TYPE_EXISTS: spec(409, malformed, 'There is a volume type {name} already'),
  VOLUME_TYPE_IN_USE: spec(400, malformed, 'Volume type {name} is the type of a volume or snapshot'),
  VOLUME_TYPE_FIXED: spec(400, malformed, 'Volume type {name}: {reason}'),
  VOLUME_TYPE_UNSATISFIABLE: spec(400, malformed, 'No backend offers what volume type {name} wants: {reason}'),
  VOLUME_TYPE_ACCESS_EXISTS: spec(409, malformed, 'Project {projectId} has access to volume type {name} already'),
  VOLUME_TYPE_ACCESS_NOT_FOUND: spec(404, malformed, 'Project {projectId} has no access to volume type {name}'),
  EXTRA_SPEC_NOT_FOUND: spec(404, malformed, 'Volume type {name} has no extra spec {key}'),
  METADATA_KEY_NOT_FOUND: spec(404, malformed, 'There is no metadata {key}'),
  VOLUME_READONLY: spec(400, malformed, 'Volume {volumeId} is read-only and cannot be attached for writing'),
  VOLUME_HOST_UNREACHABLE: spec(400, malformed, 'connector.host: the disk can be reached on {host} only'),
  ATTACHMENT_NOT_FOUND: spec(404, malformed, 'Attachment {attachmentId} could not be found.'),
  ATTACHMENT_STATE_FORBIDS: spec(400, malformed, 'Attachment {attachmentId} is {status}; it must be {required}'),
  MESSAGE_NOT_FOUND: spec(404, malformed, 'Message {messageId} could not be found.'),
  SERVICE_NOT_FOUND: spec(404, malformed, 'Service {service} on host {host} could not be found.'),
  SERVICE_DISABLED: spec(503, internal, 'Service {service} is disabled and takes no new work'),
  AVAILABILITY_ZONE_NOT_FOUND: spec(400, malformed, 'Availability zone {availabilityZone} is unknown'),
  VOLUME_REFERENCE_INVALID: spec(400, malformed, 'ref.source-name {reference}: {reason}'),
  VOLUME_ALREADY_MANAGED: spec(400, malformed, 'ref.source-name {reference} is already managed as a volume'),
  VOLUME_HOST_UNKNOWN: spec(400, malformed, 'host {host} is unknown; see GET /os-services'),
  VOLUME_EXISTS: spec(409, internal, 'A disk for volume {volumeId} already exists'),
  VOLUME_UNAVAILABLE: spec(500, 'VolumeBackup.0017', 'Disk {source} cannot be opened: {reason}', true),
  VOLUME_BUSY: spec(409, 'VolumeBackup.0017', 'Disk {source} is in use by another program: {reason}', true),
  VOLUME_ATTACHED: spec(
    409,
    'VolumeBackup.0017',
    'Disk {source} is attached and its file system has no reflinks: detach it, or ask with force',
  ),
  VOLUME_CHANGED: spec(409, 'VolumeBackup.0064', 'Disk {source} was written while it was read: {reason}', true),
  VOLUME_SIZE_MISMATCH: spec(
    500,
    'VolumeBackup.0063',
    'Disk {source} ends at {actualBytes} bytes; {expectedBytes} were expected',
  ),
  VOLUME_IO: spec(500, 'VolumeBackup.0063', 'Disk {source}: {reason}', true),
  // Snapshots (contract 3.26) and volumes made from them and from each other
  SNAPSHOT_STATE_FORBIDS: spec(400, 'VolumeBackup.0062', 'Snapshot {snapshotId} is {status}; it must be {required}'),
  SNAPSHOT_IN_USE: spec(400, 'VolumeBackup.0062', 'Snapshot {snapshotId}: a job is at work on it', true),
  SNAPSHOT_STATE_FORBIDS_RESET: spec(
    400,
    malformed,
    'Snapshot {snapshotId} is {status} and cannot be set to {wanted}: {reason}',
  ),
  SNAPSHOT_NOT_NEWEST: spec(400, malformed, 'Snapshot {snapshotId} is not the newest one of volume {volumeId}'),
  SNAPSHOT_SIZE_DIFFERS: spec(
    400,
    malformed,
    'Volume {volumeId} is not as large any more as it was when snapshot {snapshotId} was taken',
  ),
  VOLUME_HAS_SNAPSHOTS: spec(
    400,
    malformed,
    'Volume {volumeId} has {count} snapshots: delete them first, or delete the volume with cascade',
  ),
  VOLUME_BEING_COPIED: spec(
    409,
    'VolumeBackup.0206',
    'Volume {volumeId}: a snapshot or a copy of it is being made',
    true,
  ),
  // Storage and repository
  OBJECT_EXISTS: spec(500, internal, 'Object {object} already exists'),
  OBJECT_NOT_FOUND: spec(500, internal, 'Object {object} is missing'),
  STORAGE_FULL: spec(507, 'VolumeBackup.0064', 'No space left: {reason}', true),
  STORAGE_IO: spec(500, 'VolumeBackup.0064', 'Storage failed at {object}: {reason}', true),
  DATA_CORRUPT: spec(500, 'VolumeBackup.0200', 'Corruption in {object} at byte {offsetBytes}: {reason}'),
  CATALOG_UNAVAILABLE: spec(503, internal, 'The catalog cannot be reached: {reason}', true),
  CATALOG_UNKNOWN_FORMAT: spec(
    500,
    internal,
    'The catalog was written by a newer version: it has migration {migration}',
  ),
  REPOSITORY_LOCKED: spec(500, internal, 'Data folder {folder} is in use by another process'),
  REPOSITORY_UNKNOWN_FORMAT: spec(500, internal, 'Repository format {version} is not supported by this version'),
  REPOSITORY_MISMATCH: spec(500, internal, 'Repository and catalog do not belong together: {reason}'),
  CATALOG_NOT_EMPTY: spec(409, internal, 'The catalog is not empty: {reason}'),
  PASSPHRASE_WRONG: spec(500, internal, 'The passphrase does not open this repository'),
  KEY_NOT_FOUND: spec(404, internal, 'Key {keyId} could not be found'),
  KEY_LAST: spec(400, internal, 'Key {keyId} is the only one that opens this repository'),
  KEYS_OTHERS_EXIST: spec(400, internal, 'Other passphrases open this repository too: {keyIds}'),
  PROJECT_JOBS_OPEN: spec(409, internal, 'Project {projectId} has {count} jobs that have not ended'),
  PROJECT_KEYS_REMAIN: spec(500, internal, 'Keys of project {projectId} remain: {reason}'),
  EPOCH_CONFLICT: spec(
    500,
    internal,
    'Project {projectId}: the repository is owned by another or newer catalog ({reason}); nothing is written',
  ),
  // Configuration and the program itself
  CONFIG_INVALID: spec(500, internal, 'Setting {setting}: {reason}'),
  SHUTTING_DOWN: spec(503, internal, 'The service is shutting down', true),
  PIPELINE_THREAD_DIED: spec(500, internal, 'A thread of the service died in the middle of its work', true),
  SERVICE_BUSY: spec(503, internal, 'Too many requests of this kind are waiting', true),
  INTERNAL: spec(500, internal, 'Internal error'),
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof ERROR_TABLE;

/** What codes of other families are called on the policy family and in tasks (contract 1.2, 1.5, 4.5, 5.12). */
export const POLICY_WIRE_CODES: Partial<Record<ErrorCode, string>> = {
  TOKEN_MISSING: 'AutoBackup.0002',
  TOKEN_INVALID: 'AutoBackup.0003',
  ROLES_EMPTY: 'AutoBackup.0005',
  ROLE_DENIED: 'AutoBackup.0213',
  KEYSTONE_UNAVAILABLE: 'AutoBackup.9002',
  PROJECT_MISMATCH: 'AutoBackup.0213',
  QUOTA_BACKUPS_EXCEEDED: 'AutoBackup.0218',
  QUOTA_BACKUP_GIGABYTES_EXCEEDED: 'AutoBackup.0218',
  VOLUME_NOT_FOUND: 'AutoBackup.1400',
  VOLUME_STATE_FORBIDS_BACKUP: 'AutoBackup.0206',
};

/** The code of an error on the policy family: its own, or by the status what is wrong: the request or the service. */
export function policyWireOf(code: ErrorCode): string {
  return ownPolicyWire(code) ?? (ERROR_TABLE[code].status < 500 ? 'AutoBackup.0008' : 'AutoBackup.0009');
}

/** The code of what ended a task: its own, or that the run failed. */
export function taskWireOf(code: ErrorCode): string {
  return ownPolicyWire(code) ?? 'AutoBackup.1700';
}

function ownPolicyWire(code: ErrorCode): string | undefined {
  const { wire } = ERROR_TABLE[code];
  return wire.startsWith('AutoBackup.') ? wire : POLICY_WIRE_CODES[code];
}

/** Texts that come from rows: a newer version may have written a code that is unknown here. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERROR_TABLE, text);
}

export type ErrorDetails = Readonly<Record<string, string | number | undefined>>;

/** An error with a code of the table. `details` fill the message and name the field or object concerned. */
export class VbsError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, details: ErrorDetails = {}, options?: { cause?: unknown }) {
    super(formatMessage(ERROR_TABLE[code].message, details), options);
    this.name = 'VbsError';
    this.code = code;
    this.details = details;
  }

  get spec(): ErrorSpec {
    return ERROR_TABLE[this.code];
  }
}

export function isVbsError<Code extends ErrorCode>(error: unknown, code?: Code): error is VbsError & { code: Code } {
  return error instanceof VbsError && (code === undefined || error.code === code);
}

function formatMessage(template: string, details: ErrorDetails): string {
  return template.replaceAll(/\{(\w+)\}/g, (_match, key: string) => String(details[key] ?? 'unknown'));
}
