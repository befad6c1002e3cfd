// Tries passwords and the secrets of application credentials: behind the throttle, and without paying for the hash
// again when the same right password comes once more, as it does hundreds of times from one run of a program.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { KNOWN_PASSWORD_MAX } from '../core/limits.ts';
import type { LoginAttempt, LoginThrottle } from './login-throttle.ts';
import { hashPassword, PASSWORD_COST, type PasswordCost, verifyPassword } from './password.ts';

export type PasswordCheckerDeps = {
  readonly throttle: LoginThrottle;
  /** Of new hashes; that of password.ts unless set. */
  readonly cost?: PasswordCost;
};

export class PasswordChecker {
  readonly #throttle: LoginThrottle;
  readonly #cost: PasswordCost;
  readonly #known = new KnownPasswords();

  constructor(deps: PasswordCheckerDeps) {
    this.#throttle = deps.throttle;
    this.#cost = deps.cost ?? PASSWORD_COST;
  }

  /** @throws SERVICE_BUSY */
  async hash(password: string): Promise<string> {
    return await hashPassword(password, this.#cost);
  }

  /** `stored` undefined (nobody of that name): false after the same work. @throws SERVICE_BUSY */
  async check(attempt: LoginAttempt, password: string, stored: string | undefined): Promise<boolean> {
    if (stored !== undefined && this.#known.has(stored, password)) {
      this.#throttle.noteSuccess(attempt);
      return true;
    }
    // Asked and told in the check's own turn: what waits behind a failure already sees it.
    const gate = {
      isOpen: () => !this.#throttle.isBlocked(attempt),
      settle: (isRight: boolean) =>
        isRight ? this.#throttle.noteSuccess(attempt) : this.#throttle.noteFailure(attempt),
    };
    const isRight = await verifyPassword(password, stored, this.#cost, gate);
    if (isRight && stored !== undefined) this.#known.add(stored, password);
    return isRight;
  }
}

/** Stored hashes with a MAC of the password that fits; the key of the MAC never leaves this process. */
class KnownPasswords {
  readonly #key = randomBytes(32);
  /** The least recent first. */
  readonly #macs = new Map<string, Buffer>();

  has(stored: string, password: string): boolean {
    const known = this.#macs.get(stored);
    return known !== undefined && timingSafeEqual(known, this.#mac(stored, password));
  }

  add(stored: string, password: string): void {
    this.#macs.delete(stored);
    this.#macs.set(stored, this.#mac(stored, password));
    const [oldest] = this.#macs.keys();
    if (this.#macs.size > KNOWN_PASSWORD_MAX && oldest !== undefined) this.#macs.delete(oldest);
  }

  #mac(stored: string, password: string): Buffer {
    return createHmac('sha256', this.#key).update(stored).update('\0').update(password.normalize('NFKC')).digest();
  }
}
