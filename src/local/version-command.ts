// `openvbs version`.
import type { Command } from '../cli/command.ts';
import { EXIT } from '../cli/exit-code.ts';
import { printResult } from '../cli/output.ts';
import { packageVersion } from '../core/package-version.ts';

export const showVersion: Command = {
  path: ['version'],
  summary: 'show the version',
  args: [],
  options: [],
  isRemote: false,
  examples: ['version'],
  run: async (context) => {
    const version = packageVersion();
    const text = `openvbs ${version} (Node ${process.versions.node}, ${process.platform} ${process.arch})`;
    printResult(
      context,
      { version, node: process.versions.node, platform: process.platform, arch: process.arch },
      text,
    );
    return EXIT.OK;
  },
};
