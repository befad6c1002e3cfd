// Decides who goes on. Whatever an actor asks of the store or the catalog waits at a gate; at any moment every actor
// waits at one, has ended, or waits for another actor. Nothing else in a schedule takes time, so the order in which
// gates are opened is all that happens, and a seed or a script decides it.
import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import type { JobClaim } from '../../src/core/ledger.ts';

/** What is about to be done, or was done and is about to be answered. */
export type Call = {
  readonly target: 'store' | 'catalog';
  /** `put`, `commit`, `delete` ... of the store; name of the ledger's method, or `query`, of the catalog. */
  readonly operation: string;
  /** Object; empty for the catalog. */
  readonly name: string;
  readonly phase: 'before' | 'after';
};

/** What becomes of a call besides being carried out; each gate says which it knows. */
export type Fault = 'refuse' | 'timeout' | 'lost-answer' | 'misread';

export class Actor {
  readonly name: string;
  readonly processId: number;
  state: 'running' | 'done' | 'failed' | 'killed' = 'running';
  error: unknown;
  /** Of the job that it carries out. */
  claim: JobClaim | undefined;

  constructor(name: string, processId: number) {
    this.name = name;
    this.processId = processId;
  }

  get hasEnded(): boolean {
    return this.state !== 'running';
  }
}

export type Waiting = {
  readonly actor: Actor;
  readonly call: Call;
  open(fault: Fault | undefined): void;
};

type Context = { readonly actor: Actor; readonly operation: string | undefined };

/** Turns of the event loop that an actor may take between two gates; more means that it waits for something real. */
const TURN_MAX = 50;

export class Scheduler {
  readonly #context = new AsyncLocalStorage<Context>();
  readonly #waiting: Waiting[] = [];
  readonly actors: Actor[] = [];
  /** Gates opened so far. */
  stepCount = 0;

  /** Starts an actor; it runs up to its first gate when the next one is opened, or `settle` is called. */
  spawn(name: string, processId: number, work: (actor: Actor) => Promise<void>): Actor {
    const actor = new Actor(name, processId);
    this.actors.push(actor);
    const end = (state: 'done' | 'failed', error?: unknown): void => {
      if (actor.state !== 'running') return;
      actor.state = state;
      actor.error = error;
    };
    this.#context.run({ actor, operation: undefined }, () => {
      work(actor).then(
        () => end('done'),
        (error: unknown) => end('failed', error),
      );
    });
    return actor;
  }

  /** Who is asking; undefined for the world itself. */
  get current(): Actor | undefined {
    return this.#context.getStore()?.actor;
  }

  /** Names what the actor asks of the catalog meanwhile. */
  within<T>(operation: string, work: () => Promise<T>): Promise<T> {
    const context = this.#context.getStore();
    return context ? this.#context.run({ ...context, operation }, work) : work();
  }

  /** Work that nobody schedules: of the world itself, between two steps. */
  aside<T>(work: () => Promise<T>): Promise<T> {
    return this.#context.exit(work);
  }

  /** Waits until the scheduler opens the gate. Outside of any actor it is always open. */
  gate(call: Omit<Call, 'operation'> & { readonly operation?: string }): Promise<Fault | undefined> | undefined {
    const context = this.#context.getStore();
    if (!context) return undefined;
    const { actor } = context;
    const operation = call.operation ?? context.operation ?? 'query';
    return new Promise((resolve) => {
      // A dead process asks for nothing any more.
      if (actor.state === 'killed') return;
      this.#waiting.push({ actor, call: { ...call, operation }, open: resolve });
    });
  }

  get waiting(): readonly Waiting[] {
    return this.#waiting;
  }

  /** Lets one call go on, and runs its actor up to its next gates. */
  async open(waiting: Waiting, fault?: Fault): Promise<void> {
    this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
    this.stepCount += 1;
    waiting.open(fault);
    await this.settle(waiting.actor);
  }

  /** Returns when nothing moves any more, as far as `actor` is concerned. */
  async settle(actor?: Actor): Promise<void> {
    for (let turns = 0; turns < TURN_MAX; turns += 1) {
      await turn();
      if (!actor || actor.hasEnded || this.#waiting.some((each) => each.actor === actor)) return;
    }
  }

  /** Ends an actor where it stands. Returns the calls that it had under way. */
  kill(actor: Actor): Waiting[] {
    if (actor.hasEnded) return [];
    actor.state = 'killed';
    const own = this.#waiting.filter((each) => each.actor === actor);
    for (const each of own) this.#waiting.splice(this.#waiting.indexOf(each), 1);
    return own;
  }
}
