// Long lists in short statements: a statement takes so many parameters, and a transaction should not last.

/** Rows in one statement: well below the parameters that SQLite (32,766) and PostgreSQL (65,535) take. */
export const ROW_BATCH_COUNT = 500;

export function* splitIntoBatches<T>(items: readonly T[], batchCount: number): Generator<T[]> {
  for (let index = 0; index < items.length; index += batchCount) {
    yield items.slice(index, index + batchCount);
  }
}
