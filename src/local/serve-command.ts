// `openvbs serve`: starts the service, says how to use it, and closes it in order at the first signal.
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command, CommandContext } from '../cli/command.ts';
import { EXIT } from '../cli/exit-code.ts';
import type { LoadedConfig } from '../config.ts';
import { packageVersion } from '../core/package-version.ts';
import { addSampleVolume, SAMPLE_NAME } from './sample-volume.ts';
import { loadSettings, SETTING_OPTIONS, SETTINGS_DETAILS } from './setting-options.ts';
import { findDiskImage, renderStartText, type StartInfo } from './start-text.ts';

export const serve: Command = {
  path: ['serve'],
  summary: 'run the service: API, worker and catalog in one process',
  details:
    `${SETTINGS_DETAILS}\n\nThe first start makes the data folder, the passphrase file and the password of the user ` +
    'admin, and prints the password once. SIGINT or SIGTERM ends the service in order (unfinished jobs go on at the ' +
    'next start), a second one at once.\n\n--dev (OPENVBS_DEV=1) works in a temporary data folder that is removed at ' +
    `the end, unless --data is given, and adds a volume named ${SAMPLE_NAME} to try things on.`,
  args: [],
  options: SETTING_OPTIONS,
  isRemote: false,
  examples: [
    'serve',
    'serve --dev',
    'serve --data /var/lib/openvbs --volume-roots /srv/disks',
    'serve --listen 0.0.0.0:8776',
  ],
  run: async (context) => {
    const loaded = loadSettings(context);
    const isTemporary = loaded.config.isDevelopment && originOf(loaded, 'data') === 'default';
    if (!isTemporary) return await runService(context, loaded);
    const folder = await mkdtemp(join(tmpdir(), 'openvbs-dev-'));
    try {
      return await runService(context, withTemporaryFolder(context, loaded, folder));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

function originOf({ settings }: LoadedConfig, name: string): string {
  return settings.find((setting) => setting.name === name)?.origin ?? 'default';
}

/** Loaded anew, so that everything that depends on the data folder follows it. */
function withTemporaryFolder(context: CommandContext, { config }: LoadedConfig, folder: string): LoadedConfig {
  const roots = [...config.volumeRoots, join(folder, 'disks')].join(':');
  return loadSettings(context, { data: join(folder, 'data'), 'volume-roots': roots });
}

async function runService(context: CommandContext, { config }: LoadedConfig): Promise<0> {
  const { terminal, signal, program, isJson, clock } = context;
  // Loaded here: the commands that only talk HTTP start faster without the whole service.
  const { startApp } = await import('../app.ts');
  const app = await startApp(config);
  try {
    const hasSample = config.isDevelopment && (await addSampleVolume(app, signal));
    const info: StartInfo = {
      version: packageVersion(),
      program,
      url: app.url,
      metricsUrl: app.metricsUrl,
      config,
      generatedPassword: app.generatedPassword,
      generatedPassphrasePath: app.generatedPassphrasePath,
      diskImage: hasSample ? undefined : await findDiskImage(config.volumeRoots),
      sampleName: hasSample ? SAMPLE_NAME : undefined,
      nowAt: clock.now(),
    };
    terminal.stdout.write(isJson ? `${JSON.stringify(toJson(info))}\n` : renderStartText(info));
    if (!signal.aborted) await once(signal, 'abort');
    terminal.stderr.write('Stopping; once more stops at once.\n');
  } finally {
    await app.close();
  }
  return EXIT.OK;
}

function toJson({ version, url, metricsUrl, config, generatedPassword, generatedPassphrasePath }: StartInfo): unknown {
  return {
    version,
    url,
    metricsUrl: metricsUrl ?? null,
    user: 'admin',
    generatedPassword: generatedPassword ?? null,
    generatedPassphrasePath: generatedPassphrasePath ?? null,
    dataFolder: config.dataFolder,
  };
}
