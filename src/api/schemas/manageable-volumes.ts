// Paging of disks that could be adopted: they have no ids, so the marker is a reference.
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import { LIST_LIMIT_MAX } from '../../core/limits.ts';
import type { ManageableDisk } from '../../services/manageable-service.ts';
import { nullable, Uuid } from './common.ts';
import { type QueryValues, queryCount, queryText } from './list-query.ts';
import { invalidField } from './parse.ts';

export const ManageableSummary = Type.Object(
  {
    reference: Type.Object({ 'source-name': Type.String() }),
    size: Type.Integer({ description: 'GiB' }),
    safe_to_manage: Type.Boolean(),
  },
  { $id: 'ManageableVolumeSummary' },
);
export const Manageable = Type.Object(
  {
    ...ManageableSummary.properties,
    reason_not_safe: nullable(Type.String()),
    cinder_id: nullable(Uuid),
    extra_info: Type.Null(),
  },
  { $id: 'ManageableVolume' },
);

type Order = (one: ManageableDisk, other: ManageableDisk) => number;

/** What cuts the page out of all disks. @throws REQUEST_FIELD_INVALID; the cut throws MARKER_NOT_FOUND */
export function parseManageablePage(query: QueryValues): (disks: readonly ManageableDisk[]) => ManageableDisk[] {
  const limit = Math.min(queryCount(query, 'limit') ?? LIST_LIMIT_MAX, LIST_LIMIT_MAX);
  const offset = queryCount(query, 'offset') ?? 0;
  const marker = queryText(query, 'marker');
  const order = parseOrder(queryText(query, 'sort') ?? 'reference:asc');
  return (disks) => {
    const sorted = [...disks].sort(order);
    const at = marker === undefined ? -1 : sorted.findIndex(({ reference }) => reference === marker);
    if (marker !== undefined && at === -1) throw new VbsError('MARKER_NOT_FOUND', { marker: marker.slice(0, 255) });
    return sorted.slice(at + 1 + offset, at + 1 + offset + limit);
  };
}

function parseOrder(sort: string): Order {
  const [key, direction = 'desc', ...rest] = sort.split(':');
  const isKnown = (key === 'size' || key === 'reference') && rest.length === 0;
  if (!isKnown) throw invalidField('sort', 'it must be size or reference, with :asc or :desc');
  if (direction !== 'asc' && direction !== 'desc') throw invalidField('sort', 'the direction must be asc or desc');
  const sign = direction === 'asc' ? 1 : -1;
  const byReference: Order = (one, other) => (one.reference < other.reference ? -1 : 1);
  if (key === 'reference') return (one, other) => sign * byReference(one, other);
  return (one, other) => sign * (one.sizeBytes - other.sizeBytes) || byReference(one, other);
}
