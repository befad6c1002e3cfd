// The thread that owns the writing connection. node:sqlite is synchronous and the fsync of a commit can take more than
// half a second while packs are being written: here it blocks nobody but the transaction that waits for it.
import { parentPort, workerData } from 'node:worker_threads';
import { SqliteConnection } from './sqlite-connection.ts';
import { describeFault, type SqliteFault } from './sqlite-errors.ts';

export type WriterRequest =
  | { readonly id: number; readonly kind: 'run'; readonly text: string; readonly parameters: readonly unknown[] }
  | { readonly id: number; readonly kind: 'begin' | 'commit' | 'rollback' | 'close' };

export type WriterReply =
  | { readonly id: number; readonly rows: unknown[]; readonly changedCount: number }
  | { readonly id: number; readonly fault: SqliteFault };

/** The reply to opening the file has this id; requests count up from 1. */
export const OPENED_ID = 0;

if (parentPort !== null) {
  // The cast: the only one who starts this thread is node-sqlite.ts.
  serve(parentPort, (workerData as { path: string }).path);
}

function serve(port: NonNullable<typeof parentPort>, path: string): void {
  let connection: SqliteConnection;
  try {
    connection = new SqliteConnection(path, 'write');
  } catch (error) {
    port.postMessage({ id: OPENED_ID, fault: describeFault(error) } satisfies WriterReply);
    port.close();
    return;
  }
  port.on('message', (request: WriterRequest) => {
    port.postMessage(answer(connection, request));
    if (request.kind === 'close') {
      port.close();
    }
  });
  port.postMessage({ id: OPENED_ID, rows: [], changedCount: 0 } satisfies WriterReply);
}

function answer(connection: SqliteConnection, request: WriterRequest): WriterReply {
  try {
    if (request.kind === 'run') {
      return { id: request.id, ...connection.run(request.text, request.parameters) };
    }
    connection[request.kind]();
    return { id: request.id, rows: [], changedCount: 0 };
  } catch (error) {
    return { id: request.id, fault: describeFault(error) };
  }
}
