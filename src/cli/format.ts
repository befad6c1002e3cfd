// Numbers, times and tables as people read them. Pure.
import { GIB, KIB, MIB } from '../core/bytes.ts';

const TIB = 1024 * GIB;
const UNITS = [
  [TIB, 'TiB'],
  [GIB, 'GiB'],
  [MIB, 'MiB'],
  [KIB, 'KiB'],
] as const;

/** `1.5 GiB`, `412 MiB`, `17 B`: three significant digits at least. */
export function formatBytes(bytes: number): string {
  for (const [unitBytes, unit] of UNITS) {
    // 1023.6 KiB would round to 1024 KiB; the next unit says it better.
    if (bytes < unitBytes * 0.9995) continue;
    const value = bytes / unitBytes;
    return `${value >= 99.95 ? Math.round(value) : value.toFixed(value >= 9.995 ? 1 : 2)} ${unit}`;
  }
  return `${Math.round(bytes)} B`;
}

export function formatRate(bytesPerS: number): string {
  return `${formatBytes(bytesPerS)}/s`;
}

/** `4 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`. */
export function formatDuration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}

/** `2026-02-03 09:15:00Z` from ISO 8601; `-` for null. */
export function formatTime(iso: string | null): string {
  if (iso === null) return '-';
  return iso.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?Z$/, '$1 $2Z');
}

export type Column<Row> = {
  readonly title: string;
  readonly isRight?: true;
  cell(row: Row): string;
};

/** Columns as wide as their widest cell, two blanks between them; `empty` when there are no rows. */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], empty: string): string {
  if (rows.length === 0) return empty;
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => columns.map(({ cell }) => clean(cell(row))))];
  const widths = columns.map((_column, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)));
  const lines = cells.map((line) => {
    const padded = line.map((text, index) => {
      const width = widths[index] ?? 0;
      return columns[index]?.isRight === true ? text.padStart(width) : text.padEnd(width);
    });
    return padded.join('  ').trimEnd();
  });
  return lines.join('\n');
}

/** `name: value` lines with the values below each other. */
export function renderFields(fields: readonly (readonly [string, string])[]): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `${`${name}:`.padEnd(width + 2)}${clean(value)}`).join('\n');
}

/** Names come from other people: control characters must not reach the terminal. */
export function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point.
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}
