// The settings as options of commands, and back: `serve`, `config` and `repository` take all of them.
import type { CommandContext, OptionSpec } from '../cli/command.ts';
import { CONFIG_FILE, type LoadedConfig, loadConfig, SETTING_NAMES, SETTINGS, type SettingSpec } from '../config.ts';

export const SETTING_OPTIONS: readonly OptionSpec[] = [
  { flag: CONFIG_FILE.flag, kind: 'text', hint: 'FILE', doc: `JSON file with settings (${CONFIG_FILE.variable})` },
  ...SETTING_NAMES.map((name): OptionSpec => {
    const spec: SettingSpec = SETTINGS[name];
    const isBoolean = spec.kind === 'boolean';
    const doc = `${spec.doc} (${spec.variable})`;
    return isBoolean
      ? { flag: spec.flag, kind: 'boolean', doc }
      : { flag: spec.flag, kind: 'text', hint: spec.hint, doc };
  }),
];

export const SETTINGS_DETAILS =
  'Settings come from flags, then the environment, then the JSON file of --config or OPENVBS_CONFIG (keys as openvbs ' +
  'config shows them), then defaults. openvbs config shows each with where it came from.';

/** @throws CONFIG_INVALID */
export function loadSettings(
  { flags, terminal }: CommandContext,
  extra: Readonly<Record<string, string>> = {},
): LoadedConfig {
  return loadConfig({ flags: { ...flags.all, ...extra }, env: terminal.env, cwd: terminal.cwd });
}
