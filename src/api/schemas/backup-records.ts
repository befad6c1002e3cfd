// Bodies of POST /backups/import_record (contract 3.24). Everything in `backup_url` is only what the client says.
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import { type AttemptId, type BackupId, parseUuid } from '../../core/ids.ts';
import type { ImportInput } from '../../services/backup-record-service.ts';
import { BACKUP_SERVICE } from '../views/backup-record-view.ts';
import {
  invalidField,
  isJsonObject,
  type JsonObject,
  type ParsedBody,
  parseInteger,
  parseMetadata,
  readKey,
  readNullableText,
  refuseUnknownKeys,
  requireEnvelope,
} from './parse.ts';

const TEXT_MAX = 255;
const ENVELOPE = 'backup-record';

export const BackupRecordBody = Type.Object(
  {
    [ENVELOPE]: Type.Object({
      backup_service: Type.String({ minLength: 1, maxLength: TEXT_MAX, examples: [BACKUP_SERVICE] }),
      backup_url: Type.String({ minLength: 1, description: 'Base64 of a JSON object, as export_record answers it' }),
    }),
  },
  { $id: 'BackupRecord' },
);

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID, BACKUP_RECORD_INVALID */
export function checkImportRecord(body: ParsedBody): ImportInput {
  const envelope = requireEnvelope(body, ENVELOPE);
  const service = requireText(envelope, 'backup_service');
  const url = requireText(envelope, 'backup_url');
  refuseUnknownKeys(envelope, ['backup_service', 'backup_url'], ENVELOPE);
  if ([...service].length > TEXT_MAX) throw invalidField('backup_service', `it is longer than ${TEXT_MAX} characters`);
  if (service !== BACKUP_SERVICE) throw refuse(`backup_service must be ${BACKUP_SERVICE}`);
  const members = decodeUrl(url);
  const backupId = requireId<BackupId>(members, 'id');
  const size = parseInteger(readKey(members, 'size'));
  if (size === undefined || size < 0) throw refuse('size is missing or not a whole number of GiB');
  return {
    backupId,
    ...readPlace(members),
    name: readText(members, 'display_name'),
    description: readText(members, 'display_description'),
    container: readText(members, 'container'),
    availabilityZone: readText(members, 'availability_zone'),
    metadata: readMetadata(members),
  };
}

function refuse(reason: string): VbsError {
  return new VbsError('BACKUP_RECORD_INVALID', { reason });
}

function requireText(envelope: JsonObject, key: string): string {
  const value = readKey(envelope, key);
  if (typeof value !== 'string' || value === '') throw invalidField(key, 'it must be a string that is not empty');
  return value;
}

function decodeUrl(url: string): JsonObject {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(url)) throw refuse('backup_url is not base64');
  const members = parseJson(Buffer.from(url, 'base64').toString('utf8'));
  if (!isJsonObject(members)) throw refuse('backup_url is not base64 of a JSON object');
  return members;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // The callers say what it should have been.
  }
}

/** Where the data lies, as our own export wrote it: a string of JSON within the JSON. */
function readPlace(members: JsonObject): Pick<ImportInput, 'repositoryId' | 'record'> {
  const text = readKey(members, 'service_metadata');
  const place = typeof text === 'string' ? parseJson(text) : undefined;
  if (!isJsonObject(place)) throw refuse('service_metadata does not say where the data is');
  const repositoryId = readKey(place, 'repository_id');
  if (typeof repositoryId !== 'string') throw refuse('service_metadata has no repository_id');
  const recordBackupId = requireId<BackupId>(place, 'record_backup_id');
  const attemptId = requireId<AttemptId>(place, 'record_attempt_id');
  return { repositoryId, record: { recordBackupId, attemptId } };
}

function requireId<Id extends BackupId | AttemptId>(object: JsonObject, key: string): Id {
  const value = readKey(object, key);
  const id = typeof value === 'string' ? parseUuid<Id>(value) : undefined;
  if (id === undefined) throw refuse(`${key} is missing or not a UUID`);
  return id;
}

function readText(members: JsonObject, key: string): string | null {
  return readNullableText(members, key, `${ENVELOPE}.${key}`, TEXT_MAX);
}

function readMetadata(members: JsonObject): Record<string, string> {
  const value = readKey(members, 'metadata');
  return value === undefined || value === null ? {} : parseMetadata(value, `${ENVELOPE}.metadata`);
}
