// Collects request bodies without judging them: the contract wants authentication, project and role checked first, and
// the code for a broken body depends on the endpoint. An empty body with a JSON content type is simply absent.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ParsedBody } from '../schemas/parse.ts';

const JSON_TYPE = /^application\/json\s*(;.*)?$/i;
const ABSENT: ParsedBody = { kind: 'absent' };

export function installBodyParser(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer | string) =>
    parseBody(request.headers['content-type'] ?? '', Buffer.from(body)),
  );
}

/** The body of a request as the parser left it. */
export function bodyOf(request: FastifyRequest): ParsedBody {
  // The cast states what installBodyParser puts there; a request that has no body leaves undefined.
  return (request.body as ParsedBody | undefined | null) ?? ABSENT;
}

export function parseBody(contentType: string, bytes: Buffer): ParsedBody {
  if (bytes.length === 0) return ABSENT;
  if (!JSON_TYPE.test(contentType.trim())) return { kind: 'unsupported', contentType: contentType.slice(0, 100) };
  try {
    return { kind: 'json', value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return { kind: 'broken' };
    throw error;
  }
}
