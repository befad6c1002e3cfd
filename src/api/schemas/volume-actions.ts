// Bodies of POST /volumes/{id}/action and of the metadata sub-resource (contract 3.25).
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import { parseUuid } from '../../core/ids.ts';
import type { AttachInput } from '../../services/attachment-service.ts';
import type { ResetVolumeInput } from '../../services/volume-action-service.ts';
import { RESETTABLE_STATUSES } from '../../services/volume-rules.ts';
import type { Microversion } from '../plugins/microversion.ts';
import { BooleanWord, Metadata, nullable, Uuid } from './common.ts';
import {
  invalidField,
  isJsonObject,
  type JsonObject,
  type ParsedBody,
  parseBooleanWord,
  parseInteger,
  parseMetadata,
  readKey,
  readNullableText,
  readWord,
  requireAction,
  requireEnvelope,
  unknownAction,
} from './parse.ts';

const TEXT_MAX = 255;
const Mode = Type.Union([Type.Literal('rw'), Type.Literal('ro')]);
const Detach = Type.Object({ attachment_id: Type.Optional(nullable(Uuid)) });

export const VolumeActionBody = Type.Union(
  [
    Type.Object({ 'os-extend': Type.Object({ new_size: Type.Integer({ description: 'GiB' }) }) }),
    Type.Object({ 'os-unmanage': Type.Unknown() }),
    Type.Object({
      'os-reset_status': Type.Object({
        status: Type.Optional(Type.Union(RESETTABLE_STATUSES.map((status) => Type.Literal(status)))),
        attach_status: Type.Optional(
          nullable(Type.Union([Type.Literal('attached'), Type.Literal('detached')], { description: 'Checked only' })),
        ),
        migration_status: Type.Optional(nullable(Type.Literal('none'))),
      }),
    }),
    Type.Object({ 'os-force_delete': Type.Unknown() }),
    Type.Object({
      'os-attach': Type.Object({
        mountpoint: Type.String({ maxLength: TEXT_MAX }),
        instance_uuid: Type.Optional(nullable(Uuid)),
        host_name: Type.Optional(nullable(Type.String({ maxLength: TEXT_MAX }))),
        mode: Type.Optional(Mode),
      }),
    }),
    Type.Object({ 'os-detach': nullable(Detach) }),
    Type.Object({ 'os-force_detach': nullable(Detach) }),
    Type.Object({ 'os-reserve': Type.Unknown() }),
    Type.Object({ 'os-unreserve': Type.Unknown() }),
    Type.Object({ 'os-begin_detaching': Type.Unknown() }),
    Type.Object({ 'os-roll_detaching': Type.Unknown() }),
    Type.Object({
      'os-initialize_connection': Type.Object({ connector: Type.Record(Type.String(), Type.Unknown()) }),
    }),
    Type.Object({ 'os-terminate_connection': Type.Unknown() }),
    Type.Object({ 'os-set_bootable': Type.Object({ bootable: BooleanWord }) }),
    Type.Object({ 'os-update_readonly_flag': Type.Object({ readonly: BooleanWord }) }),
    Type.Object({
      'os-retype': Type.Object({
        new_type: Type.String({ description: 'Id or name' }),
        migration_policy: Type.Optional(Type.Union([Type.Literal('never'), Type.Literal('on-demand')])),
      }),
    }),
    Type.Object({ 'os-show_image_metadata': Type.Unknown() }),
    Type.Object({ 'os-set_image_metadata': Type.Object({ metadata: Metadata }) }),
    Type.Object({ 'os-unset_image_metadata': Type.Object({ key: Type.String() }) }),
    Type.Object({ revert: Type.Object({ snapshot_id: Uuid }) }, { description: 'From 3.40' }),
  ],
  { $id: 'VolumeAction' },
);
export const MetadataBody = Type.Object({ metadata: Metadata }, { $id: 'Metadata' });
export const MetaBody = Type.Object({ meta: Metadata }, { $id: 'Meta' });

/** Actions and the microversion from which they exist. */
const ACTIONS = {
  'os-extend': 0,
  'os-unmanage': 0,
  'os-reset_status': 0,
  'os-force_delete': 0,
  'os-attach': 0,
  'os-detach': 0,
  'os-force_detach': 0,
  'os-reserve': 0,
  'os-unreserve': 0,
  'os-begin_detaching': 0,
  'os-roll_detaching': 0,
  'os-initialize_connection': 0,
  'os-terminate_connection': 0,
  'os-set_bootable': 0,
  'os-update_readonly_flag': 0,
  'os-retype': 0,
  'os-show_image_metadata': 0,
  'os-set_image_metadata': 0,
  'os-unset_image_metadata': 0,
  revert: 40,
} as const satisfies Record<string, Microversion>;

export type VolumeActionName = keyof typeof ACTIONS;
export type VolumeAction = { readonly name: VolumeActionName; readonly parameters: unknown };

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID for actions that are not offered */
export function checkVolumeAction(body: ParsedBody, version: Microversion): VolumeAction {
  const { name, parameters } = requireAction(body);
  const isOffered = Object.hasOwn(ACTIONS, name) && version >= (ACTIONS[name as VolumeActionName] ?? 0);
  if (!isOffered) throw unknownAction(name);
  // The cast: it is a key of the table.
  return { name: name as VolumeActionName, parameters };
}

/** @throws REQUEST_FIELD_INVALID */
export function checkResetVolume(parameters: unknown): ResetVolumeInput {
  const reset = requireParameters(parameters, 'os-reset_status');
  // Nothing is ever migrated, so that is what can be said of it.
  const migration = readKey(reset, 'migration_status') ?? null;
  if (migration !== null && readWord(reset, 'migration_status') !== 'none') {
    throw invalidField('migration_status', 'volumes are never migrated: it can only be none');
  }
  const attachStatus = readWord(reset, 'attach_status');
  if ((readKey(reset, 'attach_status') ?? null) !== null && !['attached', 'detached'].includes(attachStatus)) {
    throw invalidField('attach_status', 'it must be attached or detached');
  }
  const isAttached = attachStatus === '' ? null : attachStatus === 'attached';
  const status = checkResetStatus(reset);
  if (status === null && isAttached === null && migration === null) {
    throw invalidField('os-reset_status', 'it needs one of status, attach_status, migration_status');
  }
  return { status, isAttached };
}

function checkResetStatus(reset: JsonObject): ResetVolumeInput['status'] {
  if ((readKey(reset, 'status') ?? null) === null) return null;
  const word = readWord(reset, 'status');
  const status = RESETTABLE_STATUSES.find((each) => each === word);
  if (status === undefined) throw invalidField('status', `it must be one of ${RESETTABLE_STATUSES.join(', ')}`);
  return status;
}

/** New size in GiB. @throws VOLUME_SIZE_INVALID */
export function checkExtend(parameters: unknown): number {
  const size = isJsonObject(parameters) ? parseInteger(readKey(parameters, 'new_size')) : undefined;
  if (size === undefined || size < 1) {
    throw new VbsError('VOLUME_SIZE_INVALID', { reason: 'new_size must be an integer from 1 on' });
  }
  return size;
}

/** @throws REQUEST_FIELD_INVALID */
export function checkAttach(parameters: unknown): AttachInput {
  const attach = requireParameters(parameters, 'os-attach');
  const device = readNullableText(attach, 'mountpoint', 'mountpoint', TEXT_MAX);
  if (device === null || device === '') throw invalidField('mountpoint', 'it is required');
  return {
    device,
    serverId: readServerId(attach, 'instance_uuid'),
    hostName: readNullableText(attach, 'host_name', 'host_name', TEXT_MAX),
    mode: readMode(attach, 'mode'),
  };
}

/** A UUID in lower case. @throws REQUEST_FIELD_INVALID */
export function readServerId(object: JsonObject, key: string): string | null {
  const value = readKey(object, key) ?? null;
  if (value === null) return null;
  const id = typeof value === 'string' ? parseUuid(value) : undefined;
  if (id === undefined) throw invalidField(key, 'it is not a UUID');
  return id;
}

/** @throws REQUEST_FIELD_INVALID */
export function readMode(object: JsonObject, key: string): 'rw' | 'ro' | null {
  const value = readKey(object, key) ?? null;
  if (value === null || value === 'rw' || value === 'ro') return value;
  throw invalidField(key, 'it must be rw or ro');
}

/** The attachment that is meant; null leaves it open. @throws REQUEST_FIELD_INVALID */
export function checkDetach(parameters: unknown): string | null {
  if (parameters === null || parameters === undefined || parameters === '') return null;
  const detach = requireParameters(parameters, 'os-detach');
  const text = readNullableText(detach, 'attachment_id', 'attachment_id', TEXT_MAX);
  return text === null ? null : text.toLowerCase();
}

/** @throws REQUEST_FIELD_INVALID */
export function checkConnector(parameters: unknown): JsonObject {
  const connector = readKey(requireParameters(parameters, 'os-initialize_connection'), 'connector');
  if (!isJsonObject(connector)) throw invalidField('connector', 'it must be an object');
  return connector;
}

/** The one flag that an action carries. @throws REQUEST_FIELD_INVALID */
export function checkFlag(parameters: unknown, key: 'bootable' | 'readonly'): boolean {
  const value = isJsonObject(parameters) ? readKey(parameters, key) : undefined;
  return parseBooleanWord(value, key);
}

/** Id or name of the new type. @throws REQUEST_FIELD_INVALID */
export function checkRetype(parameters: unknown): string {
  const retype = requireParameters(parameters, 'os-retype');
  const newType = readNullableText(retype, 'new_type', 'new_type', TEXT_MAX);
  if (newType === null || newType === '') throw invalidField('new_type', 'it is required');
  const policy = readKey(retype, 'migration_policy') ?? 'never';
  if (policy !== 'never' && policy !== 'on-demand') {
    throw invalidField('migration_policy', 'it must be never or on-demand');
  }
  return newType;
}

/** @throws REQUEST_FIELD_INVALID */
export function checkImageMetadata(parameters: unknown): Record<string, string> {
  const metadata = readKey(requireParameters(parameters, 'os-set_image_metadata'), 'metadata');
  return parseMetadata(metadata, 'metadata');
}

/** @throws REQUEST_FIELD_INVALID */
export function checkImageKey(parameters: unknown): string {
  const key = readNullableText(requireParameters(parameters, 'os-unset_image_metadata'), 'key', 'key', TEXT_MAX);
  if (key === null || key === '') throw invalidField('key', 'it is required');
  return key;
}

function requireParameters(parameters: unknown, action: string): JsonObject {
  if (!isJsonObject(parameters)) throw invalidField(action, 'it must be an object');
  return parameters;
}

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID */
export function checkMetadataBody(body: ParsedBody): Record<string, string> {
  return parseMetadata(requireEnvelope(body, 'metadata'), 'metadata');
}

/** The value for `key`, the only one in the body. @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID */
export function checkMetaBody(body: ParsedBody, key: string): string {
  const meta = parseMetadata(requireEnvelope(body, 'meta'), 'meta');
  const value = Object.hasOwn(meta, key) ? meta[key] : undefined;
  if (value === undefined || Object.keys(meta).length !== 1)
    throw invalidField('meta', 'it holds the key of the path only');
  return value;
}
