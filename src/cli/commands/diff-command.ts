// `openvbs backup diff`: where two backups of a volume differ.
import type { DiffRange } from '../../client/resources.ts';
import { usageError } from '../cli-error.ts';
import type { Command } from '../command.ts';
import { connect } from '../connection.ts';
import { EXIT } from '../exit-code.ts';
import { formatBytes, renderTable } from '../format.ts';
import { printResult } from '../output.ts';

export const diffBackups: Command = {
  path: ['backup', 'diff'],
  summary: 'show where two backups of a volume differ',
  details:
    'Prints byte ranges of the volume, in whole chunks of 64 KiB. The manifests are compared, no data is read. What ' +
    'lies beyond the end of the smaller backup differs.',
  args: [
    { name: 'FROM', doc: 'id or unique name of a backup' },
    { name: 'TO', doc: 'id or unique name of another backup of the same volume' },
  ],
  options: [],
  isRemote: true,
  examples: ['backup diff web-20260203-091500 web-20260204-091500', 'backup diff before after --json'],
  run: async (context) => {
    const { args, signal } = context;
    const client = await connect(context);
    const from = await client.findBackup(args[0] ?? '', signal);
    const to = await client.findBackup(args[1] ?? '', signal);
    if (from.volumeId !== to.volumeId) throw usageError('these are backups of different volumes');
    const ranges: DiffRange[] = [];
    for await (const range of client.diffBackups(from.id, to.id, signal)) ranges.push(range);
    const changedBytes = ranges.reduce((total, { lengthBytes }) => total + lengthBytes, 0);
    const table = renderTable<DiffRange>(
      [
        { title: 'OFFSET', isRight: true, cell: ({ offsetBytes }) => String(offsetBytes) },
        { title: 'LENGTH', isRight: true, cell: ({ lengthBytes }) => String(lengthBytes) },
      ],
      ranges,
      'No differences.',
    );
    const total = ranges.length === 0 ? '' : `\n${formatBytes(changedBytes)} differ.`;
    printResult(context, { from: from.id, to: to.id, changedBytes, ranges }, `${table}${total}`);
    return EXIT.OK;
  },
};
