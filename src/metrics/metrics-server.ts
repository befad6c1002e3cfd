// Serves the figures on a listener of its own, so that who may see them is decided by an address and not by tokens.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Logger } from '../core/ports.ts';

export type MetricsSource = { readonly contentType: string; render(): Promise<string> };

/** Scrapers are few; more at once are a mistake. */
const CONNECTIONS_MAX = 16;
const REQUEST_TIMEOUT_MS = 10_000;

/** Answers `GET /metrics` and nothing else. The caller listens and closes. */
export function createMetricsServer(source: MetricsSource, logger: Logger): Server {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    void answer(source, logger, request, response);
  });
  server.maxConnections = CONNECTIONS_MAX;
  return server;
}

/** Never rejects. */
async function answer(
  source: MetricsSource,
  logger: Logger,
  { method, url }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = url?.split('?', 1)[0];
  if (path !== '/metrics') return send(response, 404, 'Only /metrics is here.\n');
  if (method !== 'GET' && method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    return send(response, 405, 'Only GET and HEAD.\n');
  }
  try {
    const text = await source.render();
    response.setHeader('content-type', source.contentType);
    send(response, 200, text);
  } catch (error) {
    logger.warn({ err: error }, 'metrics could not be read');
    send(response, 503, 'The figures cannot be read now.\n');
  }
}

function send(response: ServerResponse, status: number, text: string): void {
  response.setHeader('cache-control', 'no-store');
  response.statusCode = status;
  if (!response.hasHeader('content-type')) response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.end(text);
}
