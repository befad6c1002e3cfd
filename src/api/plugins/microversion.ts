// Microversions of the native v3 API (contract 1.9). Pure.
import { VbsError } from '../../core/errors.ts';

/** Minor number of 3.N. */
export type Microversion = number;

export const MICROVERSION_MIN: Microversion = 0;
export const MICROVERSION_MAX: Microversion = 71;
/** What clients call the service: `volume` as documented, or its type in the catalog (gophercloud 0 and 1 do). */
const SERVICE_WORDS: ReadonlySet<string> = new Set(['volume', 'volumev3', 'block-storage', 'block-store']);

export function formatMicroversion(version: Microversion): string {
  return `3.${version}`;
}

/**
 * Reads `OpenStack-API-Version: volume 3.45[, compute 2.1]`. Absent: 3.0.
 * @throws MICROVERSION_INVALID, MICROVERSION_UNSUPPORTED
 */
export function negotiateMicroversion(header: string | undefined): Microversion {
  if (header === undefined) return MICROVERSION_MIN;
  const entries = header.split(',').map((entry) => entry.trim().split(/\s+/));
  // The service word alone decides; headers that name other services only are refused, as Cinder does.
  const entry = entries.find(([service = '']) => SERVICE_WORDS.has(service.toLowerCase()));
  const text = entry?.length === 2 ? (entry[1] ?? '') : '';
  if (text === 'latest') return MICROVERSION_MAX;
  const match = /^([1-9]\d{0,5})\.(0|[1-9]\d{0,5})$/.exec(text);
  if (match === null) throw new VbsError('MICROVERSION_INVALID', { version: text === '' ? header : text });
  const minor = Number(match[2]);
  if (match[1] !== '3' || minor > MICROVERSION_MAX) {
    throw new VbsError('MICROVERSION_UNSUPPORTED', {
      version: text,
      min: formatMicroversion(MICROVERSION_MIN),
      max: formatMicroversion(MICROVERSION_MAX),
    });
  }
  return minor;
}
