// What is not part of any API family: health, the OpenAPI document, and the page where the console will be.
import { Type } from 'typebox';
import type { PublicRoute } from '../route.ts';

const TAG = 'site';
const CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

const CONSOLE_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>OpenVBS</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; color: #1b1f24; }
pre { background: #f3f4f6; padding: 1rem; overflow-x: auto; border-radius: 6px; }
@media (prefers-color-scheme: dark) {
  body { background: #14171a; color: #e6e8ea; }
  pre { background: #20252b; }
  a { color: #8ab4f8; }
}
</style>
</head>
<body>
<h1>OpenVBS is running</h1>
<p>The web console comes in a later version. Until then, the command line makes the first backup
(<code>bin/openvbs.js</code> in a checkout):</p>
<pre>openvbs login
openvbs volume add /path/to/disk.img --name my-disk
openvbs backup create my-disk --name first
openvbs backup list
openvbs restore first --file restored.img</pre>
<p>The service printed user and password when it first started. Disks are added from the folders in
<code>OPENVBS_VOLUME_ROOTS</code>.</p>
<p>The API is described in <a href="/openapi.json">openapi.json</a>; the health of the service is at
<a href="/healthz">healthz</a>.</p>
</body>
</html>
`;

export function siteRoutes(version: string, describeApi: () => unknown): PublicRoute[] {
  return [
    {
      method: 'GET',
      paths: ['/healthz'],
      access: { kind: 'public', accepts: 'anything' },
      doc: {
        summary: 'Health of the service',
        tag: TAG,
        ok: { status: 200, schema: Type.Object({ status: Type.String(), version: Type.String() }) },
      },
      handle: () => ({ status: 'ok', version }),
    },
    {
      method: 'GET',
      paths: ['/openapi.json'],
      access: { kind: 'public', accepts: 'anything' },
      doc: { summary: 'This description, OpenAPI 3.1', tag: TAG, ok: { status: 200, schema: Type.Unknown() } },
      handle: describeApi,
    },
    {
      method: 'GET',
      paths: ['/console', '/console/'],
      access: { kind: 'public', accepts: 'anything' },
      doc: { summary: 'Console', tag: TAG, ok: { status: 200, schema: Type.String(), mediaType: 'text/html' } },
      handle: ({ reply }) => {
        reply.type('text/html; charset=utf-8').header('Content-Security-Policy', CONTENT_SECURITY_POLICY);
        return CONSOLE_PAGE;
      },
    },
  ];
}
