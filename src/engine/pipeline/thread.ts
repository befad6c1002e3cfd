// Entry of a pipeline thread: takes requests in order and answers each.
import { getPriority, setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { VbsError } from '../../core/errors.ts';
import { openBlockDevice } from '../../volumes/block-device.ts';
import type { ReplyEnvelope, RequestEnvelope, WireFailure } from './messages.ts';
import { RequestHandler } from './request-handler.ts';

/** A third of the weight that the scheduler gives to the other threads, and to other programs. */
const NICENESS = 5;

const handler = new RequestHandler({ openDevice: (descriptor, mode) => openBlockDevice(descriptor, mode) });

function describeFailure(error: unknown): WireFailure {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  if (error instanceof VbsError) return { code: error.code, details: { ...error.details }, message, stack };
  return { code: undefined, details: {}, message, stack };
}

/** When cores are short, requests are answered first. Only on Linux is niceness a thread's own. */
function becomeNicer(): void {
  if (process.platform !== 'linux') return;
  try {
    // Never less nice than the program was started.
    if (getPriority() < NICENESS) setPriority(NICENESS);
  } catch {
    // A sandbox may forbid the call; requests then wait a little longer, and nothing else.
  }
}

becomeNicer();
const port = parentPort;
if (!port) throw new Error('thread.ts runs only as a worker thread');
port.on('message', ({ callId, request }: RequestEnvelope) => {
  try {
    const [reply, transfer] = handler.handle(request);
    port.postMessage({ callId, reply } satisfies ReplyEnvelope, transfer);
  } catch (error) {
    port.postMessage({ callId, failure: describeFailure(error) } satisfies ReplyEnvelope);
  }
});
