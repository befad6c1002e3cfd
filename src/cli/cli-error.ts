// Errors that the command line itself finds, with the exit code and what to do about them.
import type { ExitCode } from './exit-code.ts';

export class CliError extends Error {
  readonly exitCode: ExitCode;
  readonly code: string;
  readonly hint: string | undefined;

  constructor(exitCode: ExitCode, code: string, message: string, hint?: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'CliError';
    this.exitCode = exitCode;
    this.code = code;
    this.hint = hint;
  }
}

/** Wrong words on the command line; exit code 2. */
export function usageError(message: string, hint?: string): CliError {
  return new CliError(2, 'USAGE', message, hint);
}
