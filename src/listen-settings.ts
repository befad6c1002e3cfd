// The addresses that are listened on: a part of the table in config.ts.
import { Type } from 'typebox';

/** Port 0 takes any free port. */
export type ListenAddress = { readonly host: string; readonly port: number };

const addressSchema = Type.String({ pattern: '^(\\[[0-9a-fA-F:.]+\\]|[^:\\[\\]\\s/]+):[0-9]{1,5}$' });

export const LISTEN_SETTINGS = {
  listen: {
    variable: 'OPENVBS_LISTEN',
    flag: 'listen',
    kind: 'text',
    schema: addressSchema,
    hint: 'HOST:PORT',
    expected: 'host:port with a port of 0 to 65535, for example 127.0.0.1:8776 or [::1]:8776',
    doc: 'address the API listens on; port 0 takes any free port',
    default: '127.0.0.1:8776',
  },
  metricsListen: {
    variable: 'OPENVBS_METRICS_LISTEN',
    flag: 'metrics-listen',
    kind: 'text',
    schema: addressSchema,
    hint: 'HOST:PORT',
    expected: 'host:port with a port of 0 to 65535, for example 127.0.0.1:9776',
    doc: 'address that serves metrics for Prometheus, to everybody who reaches it; none by default',
  },
} as const;

/** Undefined when the port is none. `text` has matched the schema. */
export function parseListen(text: string): ListenAddress | undefined {
  const separator = text.lastIndexOf(':');
  const port = Number(text.slice(separator + 1));
  return port > 65_535 ? undefined : { host: text.slice(0, separator).replace(/^\[(.*)\]$/, '$1'), port };
}
