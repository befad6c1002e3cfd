// The settings of prune: a part of the table in config.ts.
import { Type } from 'typebox';
import { MIB } from './core/bytes.ts';

export type PruneConfig = {
  /** 0: only when asked. */
  readonly intervalMs: number;
  /** Dead part of a pack at which it is written anew. */
  readonly compactShare: number;
  /** 0: no reserve is kept. */
  readonly reserveBytes: number;
};

export const PRUNE_SETTINGS = {
  pruneInterval: {
    variable: 'OPENVBS_PRUNE_INTERVAL',
    flag: 'prune-interval',
    kind: 'integer',
    schema: Type.Integer({ minimum: 0, maximum: 525_600 }),
    hint: 'MINUTES',
    expected: 'minutes from 0 (never by itself) to 525600 (a year)',
    doc: 'how often space that only deleted backups used is given back; 0 leaves it to `openvbs prune`',
    default: 60,
  },
  pruneShare: {
    variable: 'OPENVBS_PRUNE_SHARE',
    flag: 'prune-share',
    kind: 'integer',
    schema: Type.Integer({ minimum: 1, maximum: 99 }),
    hint: 'PERCENT',
    expected: 'a whole number from 1 to 99',
    doc: 'dead part of a pack at which it is written anew; less gives back more and writes more',
    default: 50,
  },
  reserve: {
    variable: 'OPENVBS_RESERVE',
    flag: 'reserve',
    kind: 'integer',
    schema: Type.Integer({ minimum: 0, maximum: 65_536 }),
    hint: 'MIB',
    expected: 'MiB from 0 (none) to 65536',
    doc: 'size of a file beside the catalog that is given up when the disk is full, so that deleting still works',
    default: 256,
  },
} as const;

/** Values that were checked; each has a default. */
export function toPruneConfig(values: {
  readonly pruneInterval?: number | undefined;
  readonly pruneShare?: number | undefined;
  readonly reserve?: number | undefined;
}): PruneConfig {
  const { pruneInterval = 0, pruneShare = 50, reserve = 0 } = values;
  return { intervalMs: pruneInterval * 60_000, compactShare: pruneShare / 100, reserveBytes: reserve * MIB };
}
