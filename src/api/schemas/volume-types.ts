// Requests of the volume type API (contract 3.27).
import { Type } from 'typebox';
import { type ProjectId, parseHexId } from '../../core/ids.ts';
import type { VolumeTypeSortKey } from '../../services/list-page.ts';
import type { CreateVolumeTypeInput, UpdateVolumeTypeInput } from '../../services/volume-type-service.ts';
import { BooleanWord, HexId, nullable, PageQuery, Uuid } from './common.ts';
import { type QueryValues, queryText, type SortKeys } from './list-query.ts';
import {
  dropUndefined,
  invalidField,
  isJsonObject,
  type JsonObject,
  type ParsedBody,
  parseBooleanWord,
  parseMetadata,
  readBoolean,
  readKey,
  readNullableText,
  refuseUnknownKeys,
  requireAction,
  requireEnvelope,
  requireJson,
  unknownAction,
} from './parse.ts';

const TEXT_MAX = 255;
const SPEC_KEY = /^[A-Za-z0-9_\-:. ]{1,255}$/;

const ExtraSpecs = Type.Record(Type.String({ pattern: SPEC_KEY.source }), Type.String({ maxLength: TEXT_MAX }));
const Text = nullable(Type.String({ maxLength: TEXT_MAX }));

export const VolumeTypeBody = Type.Object(
  {
    id: Uuid,
    name: Type.String(),
    description: nullable(Type.String()),
    is_public: Type.Boolean(),
    extra_specs: ExtraSpecs,
    'os-volume-type-access:is_public': Type.Optional(Type.Boolean()),
    qos_specs_id: Type.Optional(Type.Null({ description: 'Admins' })),
  },
  { $id: 'VolumeType' },
);
export const CreateVolumeTypeBody = Type.Object(
  {
    volume_type: Type.Object({
      name: Type.String({ minLength: 1, maxLength: TEXT_MAX }),
      description: Type.Optional(Text),
      'os-volume-type-access:is_public': Type.Optional(BooleanWord),
      extra_specs: Type.Optional(nullable(ExtraSpecs)),
    }),
  },
  { $id: 'CreateVolumeType' },
);
export const UpdateVolumeTypeBody = Type.Object(
  {
    volume_type: Type.Object({
      name: Type.Optional(Text),
      description: Type.Optional(Text),
      is_public: Type.Optional(BooleanWord),
    }),
  },
  { $id: 'UpdateVolumeType' },
);
export const ExtraSpecsBody = Type.Object({ extra_specs: ExtraSpecs }, { $id: 'ExtraSpecs' });
export const ExtraSpecBody = Type.Record(Type.String(), Type.String(), { $id: 'ExtraSpec' });
export const VolumeTypeAccess = Type.Array(Type.Object({ volume_type_id: Uuid, project_id: HexId }), {
  $id: 'VolumeTypeAccess',
});
const Access = Type.Object({ project: HexId });
export const VolumeTypeActionBody = Type.Union(
  [Type.Object({ addProjectAccess: Access }), Type.Object({ removeProjectAccess: Access })],
  { $id: 'VolumeTypeAction' },
);
export const VolumeTypeListQuery = Type.Object({
  ...PageQuery,
  is_public: Type.Optional(Type.String({ description: 'true, false or None for all; admins' })),
});

export const VOLUME_TYPE_SORT_KEYS: SortKeys<VolumeTypeSortKey> = {
  id: 'id',
  name: 'name',
  created_at: 'createdAt',
  updated_at: 'updatedAt',
};

/** Null for all. Absent means public ones, as in Cinder. @throws REQUEST_FIELD_INVALID */
export function parseIsPublic(query: QueryValues): boolean | null {
  const text = queryText(query, 'is_public');
  if (text === undefined) return true;
  return text.toLowerCase() === 'none' ? null : parseBooleanWord(text, 'is_public');
}

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID */
export function checkCreateVolumeType(body: ParsedBody): CreateVolumeTypeInput {
  const type = requireEnvelope(body, 'volume_type');
  const known = ['name', 'description', 'os-volume-type-access:is_public', 'is_public', 'extra_specs'];
  refuseUnknownKeys(type, known, 'volume_type');
  const name = readName(type);
  if (name === undefined) throw invalidField('name', 'it is required');
  const key = 'os-volume-type-access:is_public';
  const specs = readKey(type, 'extra_specs') ?? {};
  return {
    name,
    description: readNullableText(type, 'description', 'description', TEXT_MAX),
    isPublic: readBoolean(type, key, key, readBoolean(type, 'is_public', 'is_public', true)),
    extraSpecs: parseMetadata(specs, 'extra_specs', SPEC_KEY),
  };
}

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID */
export function checkUpdateVolumeType(body: ParsedBody): UpdateVolumeTypeInput {
  const type = requireEnvelope(body, 'volume_type');
  refuseUnknownKeys(type, ['name', 'description', 'is_public'], 'volume_type');
  const hasDescription = (readKey(type, 'description') ?? null) !== null;
  const changes = {
    name: readName(type),
    description: hasDescription ? readNullableText(type, 'description', 'description', TEXT_MAX) : undefined,
    isPublic: readKey(type, 'is_public') === undefined ? undefined : readBoolean(type, 'is_public', 'is_public', true),
  };
  const given = dropUndefined(changes);
  if (Object.keys(given).length === 0) {
    throw invalidField('volume_type', 'it needs one of name, description, is_public');
  }
  return given;
}

/** Undefined when it is absent or null. @throws REQUEST_FIELD_INVALID */
function readName(type: JsonObject): string | undefined {
  const text = readNullableText(type, 'name', 'name', TEXT_MAX);
  if (text === null) return undefined;
  const name = text.trim();
  if (name === '') throw invalidField('name', 'it is empty');
  return name;
}

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID */
export function checkExtraSpecs(body: ParsedBody): Record<string, string> {
  return parseMetadata(requireEnvelope(body, 'extra_specs'), 'extra_specs', SPEC_KEY);
}

/** `{"<key>": "<value>"}`, of the key in the path only. @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID */
export function checkExtraSpec(body: ParsedBody, key: string): Record<string, string> {
  const specs = parseMetadata(requireJson(body), 'body', SPEC_KEY);
  if (Object.keys(specs).length !== 1 || !Object.hasOwn(specs, key)) {
    throw invalidField('body', 'it holds the key of the path only');
  }
  return specs;
}

export type VolumeTypeAction = {
  readonly name: 'addProjectAccess' | 'removeProjectAccess';
  readonly projectId: ProjectId;
};

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID */
export function checkVolumeTypeAction(body: ParsedBody): VolumeTypeAction {
  const { name, parameters } = requireAction(body);
  if (name !== 'addProjectAccess' && name !== 'removeProjectAccess') throw unknownAction(name);
  const text = isJsonObject(parameters) ? readKey(parameters, 'project') : undefined;
  const projectId = typeof text === 'string' ? parseHexId<ProjectId>(text) : undefined;
  if (projectId === undefined) throw invalidField('project', 'it is not a project id');
  return { name, projectId };
}
