// `openvbs config`: every setting, its value and where it came from. Secrets show only that they are set.
import type { Command } from '../cli/command.ts';
import { EXIT } from '../cli/exit-code.ts';
import { renderTable } from '../cli/format.ts';
import { printResult } from '../cli/output.ts';
import type { ShownSetting } from '../config.ts';
import { loadSettings, SETTING_OPTIONS, SETTINGS_DETAILS } from './setting-options.ts';

export const showConfig: Command = {
  path: ['config'],
  summary: 'show every setting of the server, its value and where it came from',
  details: SETTINGS_DETAILS,
  args: [],
  options: SETTING_OPTIONS,
  isRemote: false,
  examples: ['config', 'config --config /etc/openvbs.json --json', 'config --listen 0.0.0.0:8776'],
  run: async (context) => {
    const { settings } = loadSettings(context);
    const table = renderTable<ShownSetting>(
      [
        { title: 'SETTING', cell: ({ name }) => name },
        { title: 'VALUE', cell: showValue },
        { title: 'FROM', cell: ({ origin }) => origin },
        { title: 'VARIABLE', cell: ({ variable }) => variable },
      ],
      settings,
      '',
    );
    printResult(context, { settings }, table);
    return EXIT.OK;
  },
};

function showValue({ value }: ShownSetting): string {
  if (value === null || value === '') return '-';
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.join(':');
  return String(value);
}
