// The Range header (RFC 9110, section 14), for one range of bytes. Pure.
import { VbsError } from '../../core/errors.ts';

export type ByteRange = { readonly offsetBytes: number; readonly lengthBytes: number };

/**
 * The part that is asked for; undefined for all of it. Several ranges and other units are answered with everything, as
 * the RFC permits. @throws RANGE_NOT_SATISFIABLE
 */
export function parseByteRange(header: string | undefined, sizeBytes: number): ByteRange | undefined {
  const match = /^bytes\s*=\s*(\d{0,16})\s*-\s*(\d{0,16})$/i.exec(header?.trim() ?? '');
  if (match === null) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return undefined;
  if (first === '') return takeSuffix(Math.min(Number(last), sizeBytes), sizeBytes);
  const start = Number(first);
  const end = last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  if (last !== '' && Number(last) < start) return undefined;
  if (start >= sizeBytes) throw new VbsError('RANGE_NOT_SATISFIABLE', { sizeBytes });
  return { offsetBytes: start, lengthBytes: end - start + 1 };
}

function takeSuffix(lengthBytes: number, sizeBytes: number): ByteRange {
  if (lengthBytes === 0) throw new VbsError('RANGE_NOT_SATISFIABLE', { sizeBytes });
  return { offsetBytes: sizeBytes - lengthBytes, lengthBytes };
}
