// Writes log lines as JSON, one object a line. What looks like a secret is replaced whoever passes it: the last guard,
// not a licence.
import type { Clock, Logger } from './ports.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export type JsonLoggerDeps = {
  readonly level: LogLevel;
  readonly clock: Clock;
  /** Takes one line with its line feed. */
  readonly write: (line: string) => void;
};

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];
const SECRET_NAME = /password|passphrase|secret|token|authorization|cookie|^key$/i;
/** Causes of causes shown: deeper ones never said anything new. */
const CAUSE_DEPTH_MAX = 4;

export function createJsonLogger({ level, clock, write }: JsonLoggerDeps): Logger {
  const logger = (lineLevel: LogLevel) => {
    if (LEVELS.indexOf(lineLevel) < LEVELS.indexOf(level)) return () => undefined;
    return (fields: Record<string, unknown>, message: string): void => {
      const line = { time: new Date(clock.now()).toISOString(), level: lineLevel, message, ...fields };
      write(`${JSON.stringify(line, replaceValue)}\n`);
    };
  };
  return { debug: logger('debug'), info: logger('info'), warn: logger('warn'), error: logger('error') };
}

function replaceValue(this: Record<string, unknown>, name: string, value: unknown): unknown {
  if (name !== '' && SECRET_NAME.test(name)) return '[hidden]';
  if (value instanceof Error) return describeError(value, 0);
  // What JSON is given of a Buffer is an array of numbers already.
  const original = this[name];
  if (original instanceof Uint8Array) return `[${original.length} bytes]`;
  return typeof value === 'bigint' ? String(value) : value;
}

function describeError(error: Error, depth: number): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  const code = 'code' in error ? error.code : undefined;
  const inner = cause instanceof Error && depth < CAUSE_DEPTH_MAX ? describeError(cause, depth + 1) : undefined;
  return { name, message, code, stack, cause: inner };
}
