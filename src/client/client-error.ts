// The one error that the client throws: what the server answered, or why it could not be asked.

export type ClientErrorDetails = {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** The server's code (`VolumeBackup.0012`, `common.0011`, ...), `HTTP_<status>`, or one of our own below. */
  readonly code: string;
  readonly requestId?: string;
};

/** No answer at all: connection refused, name unknown, time-out, answer cut short. */
export const UNREACHABLE = 'UNREACHABLE';
/** Something answered, but it does not speak this API. */
export const ANSWER_INVALID = 'ANSWER_INVALID';
/** There is neither a valid token nor a password to get one with. */
export const LOGIN_NEEDED = 'LOGIN_NEEDED';
/** A name that no resource has, or that several have. */
export const NAME_NOT_FOUND = 'NAME_NOT_FOUND';
export const NAME_AMBIGUOUS = 'NAME_AMBIGUOUS';

export class ClientError extends Error {
  readonly status: number;
  readonly code: string;
  readonly requestId: string | undefined;

  constructor(message: string, details: ClientErrorDetails, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'ClientError';
    this.status = details.status;
    this.code = details.code;
    this.requestId = details.requestId;
  }
}

export function isClientError(error: unknown, code?: string): error is ClientError {
  return error instanceof ClientError && (code === undefined || error.code === code);
}
