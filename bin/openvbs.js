#!/usr/bin/env node
// Starts OpenVBS: the emitted program of an installed package, or the sources of a checkout. Plain JavaScript that old
// versions of Node understand, so that they can say what is wrong, or hand over to the Node that npm installed here.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const NODE_MAJOR_MIN = 24;
const isNodeOld = Number(process.versions.node.split('.')[0]) < NODE_MAJOR_MIN;
const localNode = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url));

if (!isNodeOld) {
  const emitted = new URL('../dist/main.js', import.meta.url);
  const sources = new URL('../src/main.ts', import.meta.url);
  // A checkout runs its sources, even when somebody has emitted them.
  await import(existsSync(sources) ? sources.href : emitted.href);
} else if (existsSync(localNode)) {
  const child = spawn(localNode, process.argv.slice(1), { stdio: 'inherit' });
  // A terminal sends Ctrl-C to both; the child takes signals that follow each other closely for one.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
} else {
  process.stderr.write(
    `openvbs needs Node ${NODE_MAJOR_MIN} or newer; this is ${process.version} (${process.execPath})\n`,
  );
  process.exit(1);
}
