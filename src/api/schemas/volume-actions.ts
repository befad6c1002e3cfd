// Bodies of POST /volumes/{id}/action and of the metadata sub-resource (contract 3.25).
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import { Metadata } from './common.ts';
import {
  invalidField,
  isJsonObject,
  type ParsedBody,
  parseInteger,
  parseMetadata,
  readKey,
  requireEnvelope,
  requireJson,
} from './parse.ts';

export const VolumeActionBody = Type.Union(
  [
    Type.Object({ 'os-extend': Type.Object({ new_size: Type.Integer({ description: 'GiB' }) }) }),
    Type.Object({ 'os-unmanage': Type.Unknown() }),
    Type.Object({ 'os-force_delete': Type.Unknown() }),
  ],
  { $id: 'VolumeAction' },
);
export const MetadataBody = Type.Object({ metadata: Metadata }, { $id: 'Metadata' });
export const MetaBody = Type.Object({ meta: Metadata }, { $id: 'Meta' });

export type VolumeAction =
  | { readonly name: 'os-extend'; readonly parameters: unknown }
  | { readonly name: 'os-unmanage' | 'os-force_delete' };

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID for actions that are not offered */
export function checkVolumeAction(body: ParsedBody): VolumeAction {
  const value = requireJson(body);
  const names = isJsonObject(value) ? Object.keys(value) : [];
  const [name] = names;
  if (!isJsonObject(value) || name === undefined || names.length > 1) {
    throw new VbsError('REQUEST_MALFORMED', { reason: 'the body names exactly one action' });
  }
  if (name === 'os-extend') return { name, parameters: value[name] };
  if (name === 'os-unmanage' || name === 'os-force_delete') return { name };
  throw invalidField('action', `${name.slice(0, 64)} is not offered`);
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
