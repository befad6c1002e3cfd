// Slows down those who guess passwords: failed logins are counted for each user and for each address, and beyond a
// limit none is even tried until the window is over. Who logged in from an address before is counted apart there, so
// that nobody can lock the owner of a name out. Successful logins count nowhere. Memory is bounded: the least recent
// go.
import { LOGIN_TRACK_MAX } from '../core/limits.ts';
import type { Clock, Logger } from '../core/ports.ts';

export type LoginLimits = {
  /** Failures of one user within the window; 0: any number. */
  readonly perUser: number;
  /** Failures from one address within the window; 0: any number. */
  readonly perAddress: number;
  readonly windowMs: number;
};

/** Who is tried, in any spelling that is always the same, and from where. */
export type LoginAttempt = { readonly subject: string; readonly address: string };

type Counter = { count: number; readonly endsAt: number };

export class LoginThrottle {
  readonly #limits: LoginLimits;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** The least recent first, as in every map here. */
  readonly #counters = new Map<string, Counter>();
  readonly #trusted = new Map<string, true>();

  constructor(deps: { readonly limits: LoginLimits; readonly clock: Clock; readonly logger: Logger }) {
    this.#limits = deps.limits;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
  }

  isBlocked(attempt: LoginAttempt): boolean {
    const { perUser, perAddress } = this.#limits;
    return this.#isOver(addressKey(attempt), perAddress) || this.#isOver(this.#userKey(attempt), perUser);
  }

  noteFailure(attempt: LoginAttempt): void {
    const { perUser, perAddress } = this.#limits;
    const userCount = this.#raise(this.#userKey(attempt));
    const addressCount = this.#raise(addressKey(attempt));
    // Once for each limit that is reached. The name that was tried may be a password in the wrong field.
    if (userCount === perUser || addressCount === perAddress) {
      const reason = userCount === perUser ? 'one user' : 'one address';
      const { address } = attempt;
      this.#logger.warn({ address, reason, userCount, addressCount }, 'too many failed logins: refusing for a while');
    }
  }

  noteSuccess(attempt: LoginAttempt): void {
    const key = pairKey(attempt);
    this.#counters.delete(key);
    touch(this.#trusted, key, true);
  }

  /** Entries held, for tests of the bound. */
  get trackedCount(): number {
    return this.#counters.size + this.#trusted.size;
  }

  #userKey(attempt: LoginAttempt): string {
    const key = pairKey(attempt);
    return this.#trusted.has(key) ? key : `user ${attempt.subject}`;
  }

  #isOver(key: string, limit: number): boolean {
    if (limit === 0) return false;
    const counter = this.#counters.get(key);
    return counter !== undefined && counter.endsAt > this.#clock.now() && counter.count >= limit;
  }

  #raise(key: string): number {
    const nowAt = this.#clock.now();
    const known = this.#counters.get(key);
    const isCurrent = known !== undefined && known.endsAt > nowAt;
    const counter = isCurrent ? known : { count: 0, endsAt: nowAt + this.#limits.windowMs };
    counter.count += 1;
    touch(this.#counters, key, counter);
    return counter.count;
  }
}

function pairKey({ subject, address }: LoginAttempt): string {
  return `pair ${networkOf(address)} ${subject}`;
}

function addressKey({ address }: LoginAttempt): string {
  return `address ${networkOf(address)}`;
}

function touch<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > LOGIN_TRACK_MAX && oldest !== undefined) map.delete(oldest);
}

/** An IPv4 address; of an IPv6 address the /64 that one customer has. Anything else stays as it is. */
export function networkOf(address: string): string {
  const bare = address.replace(/%.*$/, '').toLowerCase();
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(bare);
  if (mapped !== null) return mapped[1] ?? bare;
  if (!bare.includes(':')) return bare;
  const [head = '', tail] = bare.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros =
    tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0');
  const groups = [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16).toString(16));
  return `${groups.slice(0, 4).join(':')}::/64`;
}
