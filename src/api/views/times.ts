// Times as each family writes them (contract 1.1). All are UTC; the clients' parsers are exact about digits and zone.

/** `2026-02-03T09:15:00.120Z`: jobs, and backups that are written down. */
export function formatJobTime(at: number): string {
  return new Date(at).toISOString();
}

/** `2026-02-03T09:15:00.120000`, no zone: native API and sharings. */
export function formatNativeTime(at: number): string {
  return `${new Date(at).toISOString().slice(0, -1)}000`;
}

/** `2026-02-03T09:15:00.120`, no zone, always three digits: tasks and policies. */
export function formatTaskTime(at: number): string {
  return new Date(at).toISOString().slice(0, -1);
}

/** `2026-02-03T09:15:00.120000Z`: identity. */
export function formatIdentityTime(at: number): string {
  return `${new Date(at).toISOString().slice(0, -1)}000Z`;
}

export function formatOptional<Value>(value: Value | null, format: (value: Value) => string): string | null {
  return value === null ? null : format(value);
}
