// One HTTP exchange over fetch: JSON out, JSON in, every failure a ClientError. Knows the three error bodies of the
// API (contract 1.6) but no resource.
import { ANSWER_INVALID, ClientError, UNREACHABLE } from './client-error.ts';
import { isRecord, textOf } from './json.ts';

export type HttpRequest = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
};

export type JsonReply = { readonly status: number; readonly headers: Headers; readonly body: unknown };

/** Longest wait for an answer that is not a download: generous for a busy server, short enough for a dead one. */
const ANSWER_TIMEOUT_MS = 60_000;

/** @throws ClientError for every answer outside 200..299 and for no answer */
export async function requestJson(request: HttpRequest): Promise<JsonReply> {
  const timeout = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  const signal = request.signal === undefined ? timeout : AbortSignal.any([request.signal, timeout]);
  const response = await send({ ...request, signal });
  const text = await readText(response, request);
  if (text === '') return { status: response.status, headers: response.headers, body: undefined };
  return { status: response.status, headers: response.headers, body: parseJson(text, request, response.status) };
}

/** The answer with its body unread; the caller reads or cancels it. @throws ClientError as `requestJson` */
export async function requestStream(request: HttpRequest): Promise<Response> {
  return await send(request);
}

async function send(request: HttpRequest): Promise<Response> {
  const { method, url, body, signal } = request;
  const headers = new Headers({ accept: 'application/json', ...request.headers });
  if (body !== undefined) headers.set('content-type', 'application/json');
  let response: Response;
  try {
    const content = body === undefined ? {} : { body: JSON.stringify(body) };
    // A redirect could carry the token to another origin: refuse instead.
    response = await fetch(url, { method, headers, redirect: 'error', ...content, ...(signal ? { signal } : {}) });
  } catch (error) {
    throw unreachable(request, error);
  }
  if (response.status >= 200 && response.status < 300) return response;
  throw errorFromReply(response, await readText(response, request));
}

async function readText(response: Response, request: HttpRequest): Promise<string> {
  try {
    return await response.text();
  } catch (error) {
    throw unreachable(request, error);
  }
}

function parseJson(text: string, request: HttpRequest, status: number): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const message = `${new URL(request.url).origin} did not answer with JSON: is this the address of OpenVBS?`;
    throw new ClientError(message, { status, code: ANSWER_INVALID }, { cause: error });
  }
}

/** Turns a failure of fetch into a ClientError; an abort by the caller stays what it is. */
function unreachable(request: HttpRequest, error: unknown): unknown {
  if (error instanceof Error && error.name === 'AbortError') return error;
  const origin = new URL(request.url).origin;
  const message = `${origin} cannot be reached: ${describeCause(error)}`;
  return new ClientError(message, { status: 0, code: UNREACHABLE }, { cause: error });
}

/** fetch says only "fetch failed"; the reason a person needs is the innermost cause. */
export function describeCause(error: unknown): string {
  let current = error;
  while (current instanceof Error && current.cause instanceof Error) current = current.cause;
  if (!(current instanceof Error)) return String(current);
  if (current.name === 'TimeoutError') return `no answer within ${ANSWER_TIMEOUT_MS / 1000} s`;
  const code = 'code' in current && typeof current.code === 'string' ? current.code : '';
  return current.message === '' ? code : current.message;
}

/** Bodies: `{error:{code,message}}` (VBS, Keystone) or `{<fault>:{code,message,error_code?}}` (Cinder). */
function errorFromReply(response: Response, text: string): ClientError {
  const { status } = response;
  const requestId = response.headers.get('x-openstack-request-id') ?? undefined;
  const fault = findFault(text);
  const code = textOf(fault?.error_code) ?? textOf(fault?.code) ?? `HTTP_${status}`;
  const message = textOf(fault?.message) ?? `the server answered ${status} ${response.statusText}`.trim();
  return new ClientError(message, { status, code, ...(requestId === undefined ? {} : { requestId }) });
}

function findFault(text: string): Record<string, unknown> | undefined {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    // Not JSON: a proxy's own page. The status line says what there is to say.
    return undefined;
  }
  if (!isRecord(body)) return undefined;
  const first = Object.values(body)[0];
  return isRecord(first) ? first : undefined;
}
