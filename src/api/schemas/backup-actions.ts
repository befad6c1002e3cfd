// Bodies of POST /backups/{id}/action (contract 3.24).
import { Type } from 'typebox';
import { invalidField, type ParsedBody, readWord, requireAction, unknownAction } from './parse.ts';

export const BackupActionBody = Type.Union(
  [
    Type.Object({ 'os-reset_status': Type.Object({ status: Type.String({ examples: ['available', 'error'] }) }) }),
    Type.Object({ 'os-force_delete': Type.Unknown() }),
  ],
  { $id: 'BackupAction' },
);

export type BackupAction =
  | { readonly name: 'os-reset_status'; readonly status: 'available' | 'error' }
  | { readonly name: 'os-force_delete' };

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID for actions and states that are not offered */
export function checkBackupAction(body: ParsedBody): BackupAction {
  const { name, parameters } = requireAction(body);
  if (name === 'os-force_delete') return { name };
  if (name !== 'os-reset_status') throw unknownAction(name);
  const status = readWord(parameters, 'status');
  if (status === 'available' || status === 'error') return { name, status };
  throw invalidField('status', 'it must be available or error');
}
