// /v1/dev: what only a development server has (OPENVBS_DEV=1); on any other these paths do not exist.
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import type { ApiDeps, TokenRoute } from '../route.ts';
import { invalidField, isJsonObject, readKey, requireJson } from '../schemas/parse.ts';

/** Ten years: a server of development has no more to show. */
const ADVANCE_MAX_S = 10 * 366 * 24 * 3600;

export function devRoutes({ devClock }: ApiDeps): TokenRoute[] {
  if (devClock === undefined) return [];
  return [
    {
      method: 'POST',
      paths: ['/v1/dev/clock'],
      access: { kind: 'token', role: 'admin' },
      doc: {
        summary: 'Move the clock of the server ahead',
        description:
          'Development only. Answers once the policy runs due by then have been handed to workers, in order.',
        tag: 'development',
        body: Type.Object({ advance_s: Type.Integer({ minimum: 0, maximum: ADVANCE_MAX_S }) }),
        ok: { status: 200, schema: Type.Object({ now: Type.String() }) },
      },
      handle: async ({ caller, body, request }) => {
        const value = requireJson(body);
        if (!isJsonObject(value)) throw new VbsError('REQUEST_MALFORMED', { reason: 'the body is not an object' });
        const advanceS = readKey(value, 'advance_s');
        if (typeof advanceS !== 'number' || !Number.isInteger(advanceS) || advanceS < 0 || advanceS > ADVANCE_MAX_S) {
          throw invalidField('advance_s', `it must be an integer from 0 to ${ADVANCE_MAX_S}`);
        }
        const nowAt = await devClock.advance(caller, advanceS * 1000, request.signal);
        return { now: new Date(nowAt).toISOString() };
      },
    },
  ];
}
