// This thread's end of the writer: requests in, promises out, one transaction at a time.
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { VbsError } from '../core/errors.ts';
import { CATALOG_WRITER_WAIT_MS } from '../core/limits.ts';
import type { SqliteResult } from './sqlite-connection.ts';
import { toCatalogError } from './sqlite-errors.ts';
import type { WriterReply, WriterRequest } from './sqlite-writer-thread.ts';

type Pending = { resolve(result: SqliteResult): void; reject(error: unknown): void };
type RequestBody =
  | { readonly kind: 'run'; readonly text: string; readonly parameters: readonly unknown[] }
  | { readonly kind: 'begin' | 'commit' | 'rollback' | 'close' };

export class SqliteWriter {
  readonly #path: string;
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #waiting: (() => void)[] = [];
  /** Why no more requests are taken. */
  #lost: unknown;
  #isHeld = false;
  /** Requests count up from here: 0 is the reply to opening the file. */
  #lastId = 0;

  private constructor(path: string) {
    this.#path = path;
    // The same file is .ts in the sources and .js in the published package.
    const file = new URL(`./sqlite-writer-thread${extname(import.meta.url)}`, import.meta.url);
    // What it handles lies in SQLite's own memory; V8 would let its heap grow by tens of megabytes.
    const resourceLimits = { maxYoungGenerationSizeMb: 6 };
    this.#worker = new Worker(file, { workerData: { path }, resourceLimits });
    this.#worker.on('message', (reply: WriterReply) => this.#settle(reply));
    this.#worker.on('error', (error) => this.#lose(error));
    this.#worker.on('exit', (code) => this.#lose(new Error(`the thread ended with code ${code}`)));
  }

  /** Opens the file, making it when it is missing. @throws CATALOG_UNAVAILABLE, DATA_CORRUPT */
  static async open(path: string): Promise<SqliteWriter> {
    const writer = new SqliteWriter(path);
    await new Promise<SqliteResult>((resolve, reject) => {
      writer.#pending.set(0, { resolve, reject });
    });
    // An idle writer keeps no process alive; requests under way do.
    writer.#worker.unref();
    return writer;
  }

  /**
   * Waits until nobody else writes. Whoever gets it calls `release` when done.
   * @throws CATALOG_UNAVAILABLE after CATALOG_WRITER_WAIT_MS: somebody holds a transaction open, or waits inside one
   * for a write outside it.
   */
  async acquire(): Promise<void> {
    if (!this.#isHeld) {
      this.#isHeld = true;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const take = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(take), 1);
        const reason = `a transaction was open for more than ${CATALOG_WRITER_WAIT_MS / 1000} s`;
        reject(new VbsError('CATALOG_UNAVAILABLE', { reason }));
      }, CATALOG_WRITER_WAIT_MS);
      this.#waiting.push(take);
    });
  }

  release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) {
      this.#isHeld = false;
    } else {
      next();
    }
  }

  async run(text: string, parameters: readonly unknown[]): Promise<SqliteResult> {
    return await this.#request({ kind: 'run', text, parameters: parameters.map(toMessage) });
  }

  async begin(): Promise<void> {
    await this.#request({ kind: 'begin' });
  }

  async commit(): Promise<void> {
    await this.#request({ kind: 'commit' });
  }

  async rollback(): Promise<void> {
    await this.#request({ kind: 'rollback' });
  }

  async close(): Promise<void> {
    if (this.#lost === undefined) {
      const hasEnded = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()));
      await this.#request({ kind: 'close' });
      this.#lost = new Error('the catalog is closed');
      this.#worker.ref();
      await hasEnded;
    }
  }

  async #request(body: RequestBody): Promise<SqliteResult> {
    if (this.#lost !== undefined) {
      throw this.#unavailable(this.#lost);
    }
    this.#lastId += 1;
    const id = this.#lastId;
    return await new Promise<SqliteResult>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker.ref();
      this.#worker.postMessage({ id, ...body } satisfies WriterRequest);
    });
  }

  #settle(reply: WriterReply): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if (this.#pending.size === 0) {
      this.#worker.unref();
    }
    if ('fault' in reply) {
      pending?.reject(toCatalogError(reply.fault, this.#path));
    } else {
      pending?.resolve(reply);
    }
  }

  #lose(cause: unknown): void {
    this.#lost ??= cause;
    for (const pending of this.#pending.values()) {
      pending.reject(this.#unavailable(cause));
    }
    this.#pending.clear();
  }

  #unavailable(cause: unknown): VbsError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new VbsError('CATALOG_UNAVAILABLE', { reason: `${this.#path}: ${reason}` }, { cause });
  }
}

/** A view of a large buffer would drag all of it along into the message. */
function toMessage(value: unknown): unknown {
  return value instanceof Uint8Array ? new Uint8Array(value) : value;
}
