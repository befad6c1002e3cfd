// GET /v1/{project_id}/backups/{backup_id}/data, an extension: the bytes of a backup, all or one range of them. They
// are read as fast as the client takes them, and nothing is held for a client that has gone.
import { Readable } from 'node:stream';
import { Type } from 'typebox';
import { MIB } from '../../../core/bytes.ts';
import { VbsError } from '../../../core/errors.ts';
import type { Logger } from '../../../core/ports.ts';
import type { ApiDeps, ProjectCall, ProjectRoute } from '../../route.ts';
import { type ByteRange, parseByteRange } from '../../schemas/byte-range.ts';
import { checkNativeBackupId } from '../../schemas/native-backups.ts';

/** One read of the engine's segment size: enough to keep the workers busy, little to hold for each client. */
const READ_SIZE_BYTES = 4 * MIB;

/** What is needed of an open backup. */
export type ExportReader = {
  readonly sizeBytes: number;
  read(offsetBytes: number, lengthBytes: number): Promise<Buffer>;
  close(): Promise<void>;
};

export function backupDataRoutes({ backups, logger }: ApiDeps): ProjectRoute[] {
  return [
    {
      method: 'GET',
      paths: ['/v1/:project_id/backups/:backup_id/data'],
      // More than looking: whoever has the bytes has the disk.
      access: { kind: 'project', role: 'member', accepts: 'anything' },
      doc: {
        summary: 'Read the bytes of a backup',
        description: 'The whole volume as it was, holes as zeros; one range of it with a Range header.',
        tag: 'extensions',
        headers: Type.Object({ range: Type.Optional(Type.String({ examples: ['bytes=0-65535'] })) }),
        ok: {
          status: 200,
          schema: Type.String({ format: 'binary' }),
          mediaType: 'application/octet-stream',
        },
        alternatives: { 206: 'The range that was asked for', 416: 'The range begins beyond the end' },
      },
      handle: async (call) => {
        const ended = new AbortController();
        call.reply.raw.once('close', () => ended.abort());
        const backupId = checkNativeBackupId(call.param('backup_id'));
        const reader = await backups.openExport(call.caller, call.projectId, backupId, ended.signal);
        try {
          if (ended.signal.aborted) throw new VbsError('REQUEST_MALFORMED', { reason: 'the client has gone' });
          const range = startReply(call, reader, `"${reader.backup.attemptId ?? backupId}"`);
          return streamExport(reader, range, logger);
        } catch (error) {
          await reader.close();
          throw error;
        }
      },
    },
  ];
}

/** Sets status and headers. @throws RANGE_NOT_SATISFIABLE */
function startReply({ request, reply }: ProjectCall, { sizeBytes }: ExportReader, etag: string): ByteRange {
  // A committed backup never changes, so its attempt identifies its bytes.
  const isSame = (request.headers['if-range'] ?? etag) === etag;
  reply.header('Content-Range', `bytes */${sizeBytes}`);
  const part = isSame ? parseByteRange(request.headers.range, sizeBytes) : undefined;
  const range = part ?? { offsetBytes: 0, lengthBytes: sizeBytes };
  reply.removeHeader('Content-Range');
  if (part !== undefined) {
    const last = part.offsetBytes + part.lengthBytes - 1;
    reply.code(206).header('Content-Range', `bytes ${part.offsetBytes}-${last}/${sizeBytes}`);
  }
  reply.type('application/octet-stream');
  reply.header('Accept-Ranges', 'bytes').header('ETag', etag).header('Content-Length', range.lengthBytes);
  return range;
}

/** The stream owns the reader: it is closed when the stream is, however that came about. */
export function streamExport(reader: ExportReader, range: ByteRange, logger: Logger): Readable {
  const stream = Readable.from(readRange(reader, range), { objectMode: false, highWaterMark: READ_SIZE_BYTES });
  // Once bytes are out no error can be answered: the connection is cut, and the length tells the client.
  stream.once('error', (error) => logger.error({ err: error }, 'reading a backup for a client failed'));
  stream.once('close', () => {
    reader.close().catch((error: unknown) => logger.error({ err: error }, 'an export could not be ended'));
  });
  return stream;
}

async function* readRange(reader: ExportReader, { offsetBytes, lengthBytes }: ByteRange): AsyncGenerator<Buffer> {
  const endBytes = offsetBytes + lengthBytes;
  for (let at = offsetBytes; at < endBytes; at += READ_SIZE_BYTES) {
    yield await reader.read(at, Math.min(READ_SIZE_BYTES, endBytes - at));
  }
}
