// Reading values out of answers whose shape is not to be trusted.

export type JsonObject = Readonly<Record<string, unknown>>;

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A non-empty string; undefined for anything else. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** Member `key` when it is an object, else an empty one. */
export function objectAt(value: unknown, key: string): JsonObject {
  const member = isRecord(value) ? value[key] : undefined;
  return isRecord(member) ? member : {};
}

/** The objects of the array member `key`; none when there is no such array. */
export function objectsAt(value: unknown, key: string): readonly JsonObject[] {
  const member = isRecord(value) ? value[key] : undefined;
  return Array.isArray(member) ? member.filter(isRecord) : [];
}
