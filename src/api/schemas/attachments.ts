// Requests of the attachments API (contract 3.27; 3.27, 3.44, 3.54).
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import { type AttachmentId, parseUuid, type VolumeId } from '../../core/ids.ts';
import { ATTACHMENT_STATUSES } from '../../core/model.ts';
import type { AttachmentListFilter, CreateAttachmentInput } from '../../services/attachment-service.ts';
import type { AttachmentSortKey } from '../../services/list-page.ts';
import type { Microversion } from '../plugins/microversion.ts';
import { nullable, PageQuery, Uuid } from './common.ts';
import { type QueryValues, queryText, type SortKeys } from './list-query.ts';
import { parseScope } from './native-backups.ts';
import {
  dropUndefined,
  invalidField,
  isJsonObject,
  type JsonObject,
  type ParsedBody,
  readKey,
  refuseUnknownKeys,
  requireAction,
  requireEnvelope,
  unknownAction,
} from './parse.ts';
import { readMode, readServerId } from './volume-actions.ts';

/** From this version on an attachment is attached only when its client says so. */
const COMPLETE_VERSION: Microversion = 44;
const MODE_VERSION: Microversion = 54;

const Connector = Type.Record(Type.String(), Type.Unknown(), {
  description: 'host, mountpoint and what else is known',
});

export const AttachmentSummary = Type.Object(
  {
    id: Uuid,
    status: Type.Union(ATTACHMENT_STATUSES.map((status) => Type.Literal(status))),
    instance: nullable(Uuid),
    volume_id: Uuid,
  },
  { $id: 'AttachmentSummary' },
);
export const AttachmentBody = Type.Object(
  {
    ...AttachmentSummary.properties,
    attached_at: Type.String(),
    detached_at: Type.String(),
    attach_mode: nullable(Type.String()),
    connection_info: Type.Record(Type.String(), Type.Unknown()),
  },
  { $id: 'Attachment' },
);

export const CreateAttachmentBody = Type.Object(
  {
    attachment: Type.Object({
      volume_uuid: Uuid,
      instance_uuid: Type.Optional(nullable(Uuid)),
      connector: Type.Optional(nullable(Connector)),
      mode: Type.Optional(Type.String({ description: 'rw or ro, from 3.54' })),
    }),
  },
  { $id: 'CreateAttachment' },
);
export const UpdateAttachmentBody = Type.Object(
  { attachment: Type.Object({ connector: Connector }) },
  { $id: 'UpdateAttachment' },
);
export const AttachmentActionBody = Type.Object({ 'os-complete': Type.Unknown() }, { $id: 'AttachmentAction' });

export const AttachmentListQuery = Type.Object({
  ...PageQuery,
  volume_id: Type.Optional(Type.String()),
  instance_id: Type.Optional(Type.String()),
  status: Type.Optional(Type.String()),
  attach_status: Type.Optional(Type.String({ description: 'Another name of status' })),
  all_tenants: Type.Optional(Type.Boolean({ description: 'Admins; ignored from others' })),
  project_id: Type.Optional(Type.String({ description: 'Admins, with all_tenants' })),
});

/** What is no UUID is unknown. @throws ATTACHMENT_NOT_FOUND */
export function checkAttachmentId(text: string): AttachmentId {
  const attachmentId = parseUuid<AttachmentId>(text);
  if (attachmentId === undefined) throw new VbsError('ATTACHMENT_NOT_FOUND', { attachmentId: text.slice(0, 64) });
  return attachmentId;
}

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID */
export function checkCreateAttachment(body: ParsedBody, version: Microversion): CreateAttachmentInput {
  const attachment = requireEnvelope(body, 'attachment');
  const known = ['volume_uuid', 'instance_uuid', 'connector', ...(version >= MODE_VERSION ? ['mode'] : [])];
  refuseUnknownKeys(attachment, known, 'attachment');
  const text = readKey(attachment, 'volume_uuid');
  const volumeId = typeof text === 'string' ? parseUuid<VolumeId>(text) : undefined;
  if (volumeId === undefined) throw invalidField('volume_uuid', 'it is not a UUID');
  const connector = readConnector(attachment);
  // Some clients put the mode into the connector.
  const wish = readMode(attachment, 'mode') ?? (connector === null ? null : readMode(connector, 'mode'));
  return {
    volumeId,
    serverId: readServerId(attachment, 'instance_uuid'),
    connector,
    mode: wish,
    isComplete: isCompleteAtOnce(version),
  };
}

/** An empty one tells nothing: some clients always send it. @throws REQUEST_FIELD_INVALID */
function readConnector(attachment: JsonObject): JsonObject | null {
  const connector = readKey(attachment, 'connector') ?? null;
  if (connector === null) return null;
  if (!isJsonObject(connector)) throw invalidField('connector', 'it must be an object');
  return Object.keys(connector).length === 0 ? null : connector;
}

/** Before 3.44 there is no action to complete an attachment. */
export function isCompleteAtOnce(version: Microversion): boolean {
  return version < COMPLETE_VERSION;
}

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID */
export function checkUpdateAttachment(body: ParsedBody): JsonObject {
  const attachment = requireEnvelope(body, 'attachment');
  refuseUnknownKeys(attachment, ['connector'], 'attachment');
  const connector = readKey(attachment, 'connector');
  if (!isJsonObject(connector)) throw invalidField('connector', 'it must be an object');
  return connector;
}

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID */
export function checkAttachmentAction(body: ParsedBody): void {
  const { name } = requireAction(body);
  if (name !== 'os-complete') throw unknownAction(name);
}

export const ATTACHMENT_SORT_KEYS: SortKeys<AttachmentSortKey> = { id: 'id', created_at: 'createdAt' };

/** @throws REQUEST_FIELD_INVALID */
export function parseAttachmentFilter(query: QueryValues, isAdmin: boolean): AttachmentListFilter {
  const filters = {
    volumeId: queryText(query, 'volume_id')?.toLowerCase(),
    serverId: queryText(query, 'instance_id')?.toLowerCase(),
    status: queryText(query, 'status') ?? queryText(query, 'attach_status'),
  };
  return { ...dropUndefined(filters), ...parseScope(query, isAdmin) };
}
