// Bodies of POST /volumes/{id}/action and of the metadata sub-resource (contract 3.25).
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import { RESETTABLE_STATUSES, type ResettableStatus } from '../../services/volume-rules.ts';
import { Metadata } from './common.ts';
import {
  invalidField,
  isJsonObject,
  type ParsedBody,
  parseInteger,
  parseMetadata,
  readKey,
  readWord,
  requireAction,
  requireEnvelope,
  unknownAction,
} from './parse.ts';

export const VolumeActionBody = Type.Union(
  [
    Type.Object({ 'os-extend': Type.Object({ new_size: Type.Integer({ description: 'GiB' }) }) }),
    Type.Object({ 'os-unmanage': Type.Unknown() }),
    Type.Object({
      'os-reset_status': Type.Object({ status: Type.String({ examples: ['available', 'in-use', 'error'] }) }),
    }),
    Type.Object({ 'os-force_delete': Type.Unknown() }),
  ],
  { $id: 'VolumeAction' },
);
export const MetadataBody = Type.Object({ metadata: Metadata }, { $id: 'Metadata' });
export const MetaBody = Type.Object({ meta: Metadata }, { $id: 'Meta' });

export type VolumeAction =
  | { readonly name: 'os-extend' | 'os-reset_status'; readonly parameters: unknown }
  | { readonly name: 'os-unmanage' | 'os-force_delete' };

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID for actions that are not offered */
export function checkVolumeAction(body: ParsedBody): VolumeAction {
  const { name, parameters } = requireAction(body);
  if (name === 'os-extend' || name === 'os-reset_status') return { name, parameters };
  if (name === 'os-unmanage' || name === 'os-force_delete') return { name };
  throw unknownAction(name);
}

/** Volumes have no attachments or migrations of which a state could be set. @throws REQUEST_FIELD_INVALID */
export function checkResetVolume(parameters: unknown): ResettableStatus {
  const reset = isJsonObject(parameters) ? parameters : {};
  for (const key of ['attach_status', 'migration_status']) {
    if ((readKey(reset, key) ?? null) !== null) throw invalidField(key, 'setting it is not offered');
  }
  const word = readWord(parameters, 'status');
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
