// What the rest of the program asks of its surroundings: time and a place to log. Everything gets them through `deps`.

export type Clock = {
  /** Milliseconds since the epoch. */
  now(): number;
};

export const systemClock: Clock = { now: () => Date.now() };

/** Structured logging; never pass tokens, passwords, keys or passphrases. */
export type Logger = {
  debug(fields: Record<string, unknown>, message: string): void;
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
};

function drop(): void {
  // A silent logger keeps nothing by definition.
}

export const silentLogger: Logger = { debug: drop, info: drop, warn: drop, error: drop };
