// Names and descriptions of backups as the VBS reference wants them (contract 3.1).
import { VbsError } from '../../core/errors.ts';
import { countCodePoints, isStorableText } from './parse.ts';

const NAME_LENGTH_MAX = 64;
const DESCRIPTION_LENGTH_MAX = 64;

/** @throws BACKUP_NAME_TOO_SHORT, BACKUP_NAME_TOO_LONG, BACKUP_NAME_CHARACTERS, BACKUP_NAME_RESERVED */
export function checkVbsName(name: string): string {
  if (name === '') throw new VbsError('BACKUP_NAME_TOO_SHORT');
  if (countCodePoints(name) > NAME_LENGTH_MAX) throw new VbsError('BACKUP_NAME_TOO_LONG');
  if (!/^[A-Za-z0-9_-]+$/.test(name)) throw new VbsError('BACKUP_NAME_CHARACTERS');
  if (name.startsWith('auto')) throw new VbsError('BACKUP_NAME_RESERVED');
  return name;
}

/** Empty and null mean none. @throws BACKUP_DESCRIPTION_INVALID */
export function checkVbsDescription(value: unknown): string | null {
  if (value === undefined || value === null || value === '') return null;
  const isGood =
    typeof value === 'string' &&
    countCodePoints(value) <= DESCRIPTION_LENGTH_MAX &&
    isStorableText(value) &&
    !/[<>]/.test(value);
  if (!isGood) throw new VbsError('BACKUP_DESCRIPTION_INVALID');
  return value;
}
