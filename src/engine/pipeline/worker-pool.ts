// The pipeline threads of this process, shared by all backups and restores.
import { Worker } from 'node:worker_threads';
import { type ErrorCode, VbsError } from '../../core/errors.ts';
import type { Logger } from '../../core/ports.ts';
import type { PipelineReply, PipelineRequest, ReplyEnvelope, RequestEnvelope, WireFailure } from './messages.ts';

/** What the threads handle lies outside the heap of JavaScript; V8 would let each grow by tens of megabytes. */
const RESOURCE_LIMITS = { maxYoungGenerationSizeMb: 6 };

type PendingCall = { resolve: (reply: never) => void; reject: (error: unknown) => void };

/** Where volume data is handled. Calls are answered in order. */
export type PipelineThread = {
  /** Segments or reads that callers have given to this thread and not finished; they choose the least loaded. */
  loadCount: number;
  /** Memory in `transfer` is gone for the caller. @throws what the work threw */
  call<Request extends PipelineRequest>(request: Request, transfer?: ArrayBuffer[]): Promise<PipelineReply<Request>>;
};

/** The threads as the engine sees them. */
export type Pipeline = {
  readonly threads: readonly PipelineThread[];
  /** A number that no other device or segment of this process has. */
  nextId(): number;
};

/** One worker thread. */
export class WorkerThread implements PipelineThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, PendingCall>();
  #nextCallId = 1;
  #death: Error | undefined;
  loadCount = 0;

  constructor(deps: { readonly isStopping: () => boolean; readonly onDeath: (error: Error) => void }) {
    this.#worker = new Worker(new URL('./thread.ts', import.meta.url), { resourceLimits: RESOURCE_LIMITS });
    this.#worker.on('message', (envelope: ReplyEnvelope) => this.#settle(envelope));
    const die = (error: Error): void => {
      if (this.#death) return;
      this.#death = error;
      for (const call of this.#pending.values()) call.reject(error);
      this.#pending.clear();
      deps.onDeath(error);
    };
    this.#worker.on('error', (cause) => die(new VbsError('PIPELINE_THREAD_DIED', {}, { cause })));
    this.#worker.on('exit', () => die(new VbsError(deps.isStopping() ? 'SHUTTING_DOWN' : 'PIPELINE_THREAD_DIED')));
    // After the listeners: the one for messages makes the thread keep the process alive again.
    this.#worker.unref();
  }

  call<Request extends PipelineRequest>(
    request: Request,
    transfer: ArrayBuffer[] = [],
  ): Promise<PipelineReply<Request>> {
    if (this.#death) return Promise.reject(this.#death);
    const callId = this.#nextCallId;
    this.#nextCallId += 1;
    return new Promise((resolve, reject) => {
      this.#pending.set(callId, { resolve, reject });
      if (this.#pending.size === 1) this.#worker.ref();
      try {
        this.#worker.postMessage({ callId, request } satisfies RequestEnvelope, transfer);
      } catch (error) {
        // It was never sent, so no reply will take it off the list.
        this.#forget(callId);
        reject(error);
      }
    });
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(envelope: ReplyEnvelope): void {
    const call = this.#pending.get(envelope.callId);
    this.#forget(envelope.callId);
    if (!call) return;
    // The reply has the type that the request of this call id asked for.
    if ('failure' in envelope) call.reject(restoreError(envelope.failure));
    else call.resolve(envelope.reply as never);
  }

  #forget(callId: number): void {
    this.#pending.delete(callId);
    if (this.#pending.size === 0) this.#worker.unref();
  }
}

function restoreError(failure: WireFailure): Error {
  // Only this program's threads send failures: a code is one of the table.
  if (failure.code !== undefined) return new VbsError(failure.code as ErrorCode, failure.details);
  const error = new Error(failure.message);
  if (failure.stack !== undefined) error.stack = failure.stack;
  return error;
}

/** The thread with the fewest segments or reads under way; there is always one. */
export function pickLeastLoaded(threads: readonly PipelineThread[]): PipelineThread {
  return threads.reduce((least, other) => (other.loadCount < least.loadCount ? other : least));
}

export class WorkerPool implements Pipeline {
  readonly #threads: WorkerThread[] = [];
  readonly #logger: Logger;
  #nextId = 1;
  #isClosed = false;

  constructor(deps: { threadCount: number; logger: Logger }) {
    this.#logger = deps.logger;
    for (let i = 0; i < deps.threadCount; i += 1) this.#threads.push(this.#startThread(i));
  }

  get threads(): readonly WorkerThread[] {
    return this.#threads;
  }

  nextId(): number {
    this.#nextId += 1;
    return this.#nextId;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }

  /** A dead thread takes its unfinished work with it (the attempt fails and is run again) and is replaced. */
  #startThread(position: number): WorkerThread {
    const onDeath = (error: Error): void => {
      if (this.#isClosed) return;
      this.#logger.error({ err: error, thread: position }, 'a pipeline thread died and is replaced');
      this.#threads[position] = this.#startThread(position);
    };
    return new WorkerThread({ isStopping: () => this.#isClosed, onDeath });
  }
}
