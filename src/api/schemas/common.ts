// TypeBox pieces that several schemas share. For documentation only; parse.ts has the checks.
import { type TSchema, Type } from 'typebox';

export const Uuid = Type.String({ format: 'uuid' });
export const HexId = Type.String({ pattern: '^[0-9a-f]{32}$' });
export const NativeTime = Type.String({ examples: ['2026-02-03T09:15:00.120000'], description: 'UTC, no zone suffix' });

export function nullable<Schema extends TSchema>(schema: Schema) {
  return Type.Union([schema, Type.Null()]);
}

export const Links = Type.Array(Type.Object({ rel: Type.String(), href: Type.String() }), { $id: 'Links' });
export const Metadata = Type.Record(Type.String(), Type.String());
export const BooleanWord = Type.Union([Type.Boolean(), Type.String()], {
  description: 'true/1/yes/on/t/y or false/0/no/off/f/n, any case',
});
export const TagSchema = Type.Object({
  key: Type.String({ minLength: 1, maxLength: 36 }),
  value: Type.String({ maxLength: 43 }),
});

/** Paging and sorting of native lists (contract 1.8). */
export const PageQuery = {
  limit: Type.Optional(Type.Integer({ minimum: 0, description: 'At most 1000' })),
  offset: Type.Optional(Type.Integer({ minimum: 0 })),
  marker: Type.Optional(Type.String({ description: 'Id of the last item seen' })),
  sort: Type.Optional(Type.String({ examples: ['created_at:desc,id:asc'] })),
  sort_key: Type.Optional(Type.String()),
  sort_dir: Type.Optional(Type.Union([Type.Literal('asc'), Type.Literal('desc')])),
};
