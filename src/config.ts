// The settings of the server: one table (name, variable, flag, schema, default), and how they are put together from
// flags, the environment, a JSON file and defaults. Reads the settings file and nothing else; changes nothing.
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { type Static, type TSchema, Type } from 'typebox';
import { Value } from 'typebox/value';
import { VbsError } from './core/errors.ts';
import { TOKEN_LIFE_MS } from './core/limits.ts';
import type { QuotaLimits } from './core/model.ts';
import type { NativeRules } from './core/native-rules.ts';
import { didYouMean } from './core/suggest.ts';
import { IDENTITY_SETTINGS, type IdentityConfig, toIdentityConfig } from './identity-settings.ts';
import { LIMIT_SETTINGS, type LimitConfig, toLimitConfig } from './limit-settings.ts';
import { LISTEN_SETTINGS, type ListenAddress, parseListen } from './listen-settings.ts';
import { NATIVE_SETTINGS, toNativeRules } from './native-settings.ts';
import { POLICY_SETTINGS, type PolicyConfig, toPolicyConfig } from './policy-settings.ts';
import { PRUNE_SETTINGS, type PruneConfig, toPruneConfig } from './prune-settings.ts';
import { QUOTA_SETTINGS, toQuotaLimits } from './quota-settings.ts';
import { SCRUB_SETTINGS, type ScrubConfig, toScrubConfig } from './scrub-settings.ts';

export type DatabaseConfig =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly url: string };

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Everything that can be set, checked and typed. Paths are absolute. */
export type Config = {
  readonly listen: ListenAddress;
  /** Absent: no metrics are served. */
  readonly metricsListen?: ListenAddress;
  readonly dataFolder: string;
  readonly volumeRoots: readonly string[];
  /** False: every backup reads all of its disk, and no snapshot is kept between backups. */
  readonly keepsBaselines: boolean;
  readonly adminPassword?: string;
  readonly passphrase?: string;
  readonly passphraseFile?: string;
  readonly isDevelopment: boolean;
  readonly database: DatabaseConfig;
  readonly region: string;
  readonly availabilityZone: string;
  /** Backups and restores that run at once on this host. */
  readonly maxJobs: number;
  /** Worker threads that read, hash, compress and seal. */
  readonly workerCount: number;
  readonly tokenLifeMs: number;
  readonly identity: IdentityConfig;
  readonly logLevel: LogLevel;
  /** -1 is unlimited. */
  readonly quotas: QuotaLimits;
  /** Settings of policies (contract 6.2). */
  readonly policies: PolicyConfig;
  /** 0 is unlimited. */
  readonly backupsPerVolume: number;
  readonly native: NativeRules;
  readonly prune: PruneConfig;
  readonly scrub: ScrubConfig;
  readonly limits: LimitConfig;
  /** Origin that clients see when it is not the address listened on, without a trailing slash. */
  readonly publicUrl?: string;
};

type SettingKind = 'text' | 'path' | 'paths' | 'integer' | 'boolean';

export type SettingSpec = {
  readonly variable: string;
  /** Without the leading dashes. */
  readonly flag: string;
  readonly kind: SettingKind;
  readonly schema: TSchema;
  /** What stands for the value in help texts. */
  readonly hint: string;
  /** Completes "must be ..." when a value is refused. */
  readonly expected: string;
  readonly doc: string;
  readonly isSecret?: true;
  /** Of the schema's type; absent where the default depends on other settings or there is none. */
  readonly default?: string | number | boolean | readonly string[];
};

const WORKER_COUNT_MAX = 8;
const SECRET_FLAG_NOTE = ' (everybody on the machine can see flags: prefer the variable)';
const nonEmpty = Type.String({ minLength: 1 });

export const SETTINGS = {
  ...LISTEN_SETTINGS,
  data: {
    variable: 'OPENVBS_DATA',
    flag: 'data',
    kind: 'path',
    schema: nonEmpty,
    hint: 'FOLDER',
    expected: 'the path of a folder',
    doc: 'folder for catalog, repository and volumes',
    default: './data',
  },
  volumeRoots: {
    variable: 'OPENVBS_VOLUME_ROOTS',
    flag: 'volume-roots',
    kind: 'paths',
    schema: Type.Array(nonEmpty),
    hint: 'FOLDER[:FOLDER...]',
    expected: 'folders separated by ":" (in the file: an array of strings)',
    doc: 'folders from which disk images and block devices may be adopted; none by default',
    default: [],
  },
  fullScan: {
    variable: 'OPENVBS_FULL_SCAN',
    flag: 'full-scan',
    kind: 'boolean',
    schema: Type.Boolean(),
    hint: '0|1',
    expected: '0 or 1',
    doc: 'read all of a disk at every backup, and keep no snapshot of it between backups',
    default: false,
  },
  adminPassword: {
    variable: 'OPENVBS_ADMIN_PASSWORD',
    flag: 'admin-password',
    kind: 'text',
    schema: Type.String({ minLength: 1, maxLength: 1024 }),
    hint: 'PASSWORD',
    expected: '1 to 1024 characters',
    doc: `password of the user admin; generated and printed once when absent${SECRET_FLAG_NOTE}`,
    isSecret: true,
  },
  passphrase: {
    variable: 'OPENVBS_PASSPHRASE',
    flag: 'passphrase',
    kind: 'text',
    schema: Type.String({ minLength: 1, maxLength: 1024 }),
    hint: 'PASSPHRASE',
    expected: '1 to 1024 characters',
    doc: `opens the repository; see also passphraseFile${SECRET_FLAG_NOTE}`,
    isSecret: true,
  },
  passphraseFile: {
    variable: 'OPENVBS_PASSPHRASE_FILE',
    flag: 'passphrase-file',
    kind: 'path',
    schema: nonEmpty,
    hint: 'FILE',
    expected: 'the path of a file',
    doc: 'file that holds the passphrase; by default DATA/passphrase, made on the first start: keep a copy elsewhere',
  },
  dev: {
    variable: 'OPENVBS_DEV',
    flag: 'dev',
    kind: 'boolean',
    schema: Type.Boolean(),
    hint: '0|1',
    expected: '0 or 1',
    doc: 'development mode: temporary data folder (unless data is set) and a sample volume, removed at the end',
    default: false,
  },
  database: {
    variable: 'OPENVBS_DATABASE',
    flag: 'database',
    kind: 'text',
    schema: nonEmpty,
    hint: 'FILE|URL',
    expected: 'the path of an SQLite file or a postgres:// URL',
    doc: 'catalog: a file (SQLite) or a postgres:// URL; by default DATA/catalog.sqlite',
  },
  region: {
    variable: 'OPENVBS_REGION',
    flag: 'region',
    kind: 'text',
    schema: Type.String({ pattern: '^[A-Za-z0-9._-]{1,255}$' }),
    hint: 'NAME',
    expected: '1 to 255 letters, digits, ".", "_" or "-"',
    doc: 'region name in the service catalog',
    default: 'region-1',
  },
  availabilityZone: {
    variable: 'OPENVBS_AVAILABILITY_ZONE',
    flag: 'availability-zone',
    kind: 'text',
    schema: Type.String({ pattern: '^[A-Za-z0-9._-]{1,255}$' }),
    hint: 'NAME',
    expected: '1 to 255 letters, digits, ".", "_" or "-"',
    doc: 'availability zone of volumes and backups',
    default: 'az-1',
  },
  maxJobs: {
    variable: 'OPENVBS_MAX_JOBS',
    flag: 'max-jobs',
    kind: 'integer',
    schema: Type.Integer({ minimum: 1, maximum: 64 }),
    hint: 'COUNT',
    expected: 'a whole number from 1 to 64',
    doc: 'backups and restores that run at once on this host',
    default: 2,
  },
  workers: {
    variable: 'OPENVBS_WORKERS',
    flag: 'workers',
    kind: 'integer',
    schema: Type.Integer({ minimum: 1, maximum: WORKER_COUNT_MAX }),
    hint: 'COUNT',
    expected: `a whole number from 1 to ${WORKER_COUNT_MAX}`,
    doc: `worker threads; by default one a core, at most ${WORKER_COUNT_MAX}`,
    default: Math.min(WORKER_COUNT_MAX, Math.max(1, availableParallelism())),
  },
  tokenLife: {
    variable: 'OPENVBS_TOKEN_LIFE',
    flag: 'token-life',
    kind: 'integer',
    schema: Type.Integer({ minimum: 1, maximum: 31_536_000 }),
    hint: 'SECONDS',
    expected: 'seconds from 1 to 31536000 (a year)',
    doc: 'life of an identity token',
    default: TOKEN_LIFE_MS / 1000,
  },
  ...IDENTITY_SETTINGS,
  logLevel: {
    variable: 'OPENVBS_LOG_LEVEL',
    flag: 'log-level',
    kind: 'text',
    schema: Type.Union([Type.Literal('debug'), Type.Literal('info'), Type.Literal('warn'), Type.Literal('error')]),
    hint: 'LEVEL',
    expected: 'debug, info, warn or error',
    doc: 'least severe messages that are logged',
    default: 'info',
  },
  ...QUOTA_SETTINGS,
  ...POLICY_SETTINGS,
  ...NATIVE_SETTINGS,
  ...PRUNE_SETTINGS,
  ...SCRUB_SETTINGS,
  ...LIMIT_SETTINGS,
  publicUrl: {
    variable: 'OPENVBS_PUBLIC_URL',
    flag: 'public-url',
    kind: 'text',
    schema: Type.String({ pattern: '^https?://' }),
    hint: 'URL',
    // Clients replace the first "v2" of an endpoint to find the others (contract 1.1), so the host must not hold one.
    expected: 'an http:// or https:// origin without path, whose host name does not contain "v2"',
    doc: 'origin that clients see, when it is not the address listened on (reverse proxy)',
  },
} as const satisfies Record<string, SettingSpec>;

export type SettingName = keyof typeof SETTINGS;
export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

/** The settings file itself cannot be set in the file. */
export const CONFIG_FILE = { variable: 'OPENVBS_CONFIG', flag: 'config' } as const;

/** Variables of our name that are not settings of the server: the client's, and those of tests and benchmarks. */
const FOREIGN_VARIABLES = /^OPENVBS_(URL|USER|PASSWORD|PASSWORD_FILE|PROJECT|TEST_.*|BENCH_.*)$/;

type RawValue = string | number | boolean | readonly string[];
type Values = { -readonly [Name in SettingName]?: Static<(typeof SETTINGS)[Name]['schema']> };
type Found = { readonly value: unknown; readonly origin: string; readonly folder: string };

export type ConfigSources = {
  /** Values by flag name, without dashes; what the command line held. */
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Relative paths of flags and variables start here; those of the file start at its folder. */
  readonly cwd: string;
};

/** One setting as `openvbs config` shows it; a secret's value is never here. */
export type ShownSetting = {
  readonly name: SettingName;
  readonly variable: string;
  readonly flag: string;
  readonly value: RawValue | null;
  readonly isSecret: boolean;
  /** `flag --listen`, `environment OPENVBS_LISTEN`, `file /etc/openvbs.json` or `default`. */
  readonly origin: string;
  readonly doc: string;
};

export type LoadedConfig = {
  readonly config: Config;
  readonly settings: readonly ShownSetting[];
};

/** Puts the settings together and checks them. @throws CONFIG_INVALID naming the setting and where it came from */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  refuseUnknownVariables(sources.env);
  const file = readSettingsFile(sources);
  const values: Values = {};
  const origins = new Map<SettingName, string>();
  for (const name of SETTING_NAMES) {
    const found = findValue(name, sources, file);
    if (found !== undefined) {
      origins.set(name, found.origin);
      assignValue(values, name, checkValue(name, found));
    }
  }
  const describeOrigin = (name: SettingName): string => origins.get(name) ?? 'default';
  const config = toConfig(values, describeOrigin);
  const settings = SETTING_NAMES.map((name) => showSetting(name, config, values, describeOrigin(name)));
  return { config, settings };
}

function assignValue(values: Values, name: SettingName, value: unknown): void {
  // checkValue has checked the value against the schema of this name; TypeScript cannot follow that through the loop.
  (values as Record<SettingName, unknown>)[name] = value;
}

function refuseUnknownVariables(env: ConfigSources['env']): void {
  const known: string[] = [CONFIG_FILE.variable, ...SETTING_NAMES.map((name) => SETTINGS[name].variable)];
  for (const variable of Object.keys(env)) {
    if (!variable.startsWith('OPENVBS_') || known.includes(variable) || FOREIGN_VARIABLES.test(variable)) continue;
    throw invalid(variable, `no such environment variable.${didYouMean(variable, known)}`);
  }
}

type SettingsFile = { readonly path: string; readonly values: Readonly<Record<string, unknown>> };

function readSettingsFile({ flags, env, cwd }: ConfigSources): SettingsFile | undefined {
  const flag = flags[CONFIG_FILE.flag];
  const given = typeof flag === 'string' ? flag : env[CONFIG_FILE.variable];
  if (given === undefined || given === '') return undefined;
  const path = resolve(cwd, given);
  let values: unknown;
  try {
    values = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new VbsError('CONFIG_INVALID', { setting: CONFIG_FILE.flag, reason: `${path}: ${reason}` }, { cause: error });
  }
  if (!isRecord(values)) throw invalid(CONFIG_FILE.flag, `${path} must hold a JSON object`);
  for (const key of Object.keys(values)) {
    if (SETTING_NAMES.includes(key as SettingName) || key === '$schema') continue;
    throw invalid(key, `no such setting (in file ${path}).${didYouMean(key, SETTING_NAMES)}`);
  }
  return { path, values };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function findValue(name: SettingName, sources: ConfigSources, file: SettingsFile | undefined): Found | undefined {
  const spec: SettingSpec = SETTINGS[name];
  const flag = sources.flags[spec.flag];
  if (flag !== undefined) return { value: flag, origin: `flag --${spec.flag}`, folder: sources.cwd };
  const variable = sources.env[spec.variable];
  // An empty variable counts as unset: compose files and unit files write `NAME=` for "nothing".
  if (variable !== undefined && variable !== '') {
    return { value: variable, origin: `environment ${spec.variable}`, folder: sources.cwd };
  }
  const value = file?.values[name];
  if (file !== undefined && value !== undefined) {
    return { value, origin: `file ${file.path}`, folder: dirname(file.path) };
  }
  if (spec.default === undefined) return undefined;
  return { value: spec.default, origin: 'default', folder: sources.cwd };
}

/** The value with its type and absolute paths. @throws CONFIG_INVALID */
function checkValue(name: SettingName, found: Found): unknown {
  const spec: SettingSpec = SETTINGS[name];
  const value = typeof found.value === 'string' ? fromText(spec.kind, found.value) : found.value;
  if (!Value.Check(spec.schema, value)) {
    const shown = spec.isSecret ? 'the value' : JSON.stringify(found.value);
    throw invalid(name, `${shown} (from ${found.origin}) must be ${spec.expected}`);
  }
  if (spec.kind === 'path') return resolve(found.folder, value as string);
  if (spec.kind === 'paths') return (value as string[]).map((path) => resolve(found.folder, path));
  if (name === 'database' && !isPostgresUrl(value as string)) return resolve(found.folder, value as string);
  return value;
}

/** A text of the right form becomes a value of the kind; any other stays as it is and fails the schema. */
function fromText(kind: SettingKind, text: string): unknown {
  if (kind === 'integer') return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
  if (kind === 'paths') return text.split(':').filter((path) => path !== '');
  if (kind !== 'boolean') return text;
  if (/^(1|true|yes|on)$/i.test(text)) return true;
  return /^(0|false|no|off)$/i.test(text) ? false : text;
}

function isPostgresUrl(text: string): boolean {
  return /^postgres(ql)?:\/\//.test(text);
}

function toConfig(values: Values, originOf: (name: SettingName) => string): Config {
  const dataFolder = values.data ?? '';
  const { adminPassword, passphrase, passphraseFile, publicUrl, metricsListen } = values;
  if (passphrase !== undefined && passphraseFile !== undefined) {
    throw invalid('passphrase', `set (${originOf('passphrase')}) together with passphraseFile; give only one of them`);
  }
  return {
    listen: toListen('listen', values.listen ?? '', originOf('listen')),
    ...(metricsListen === undefined
      ? {}
      : { metricsListen: toListen('metricsListen', metricsListen, originOf('metricsListen')) }),
    dataFolder,
    volumeRoots: values.volumeRoots ?? [],
    keepsBaselines: !(values.fullScan ?? false),
    ...(adminPassword === undefined ? {} : { adminPassword }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(passphraseFile === undefined ? {} : { passphraseFile }),
    isDevelopment: values.dev ?? false,
    database: parseDatabase(values.database ?? join(dataFolder, 'catalog.sqlite'), originOf('database')),
    region: values.region ?? '',
    availabilityZone: values.availabilityZone ?? '',
    maxJobs: values.maxJobs ?? 1,
    workerCount: values.workers ?? 1,
    tokenLifeMs: (values.tokenLife ?? 0) * 1000,
    identity: toIdentityConfig(values, originOf),
    logLevel: values.logLevel ?? 'info',
    quotas: toQuotaLimits(values),
    policies: toPolicyConfig(values),
    backupsPerVolume: values.backupMaxPerVolume ?? 0,
    native: toNativeRules(values),
    prune: toPruneConfig(values),
    scrub: toScrubConfig(values),
    limits: toLimitConfig(values, (setting, text, expected) =>
      invalid(setting, `${JSON.stringify(text)} (from ${originOf(setting)}) must be ${expected}`),
    ),
    ...(publicUrl === undefined ? {} : { publicUrl: parsePublicUrl(publicUrl, originOf('publicUrl')) }),
  };
}

function toListen(name: 'listen' | 'metricsListen', text: string, origin: string): ListenAddress {
  const address = parseListen(text);
  if (address !== undefined) return address;
  throw invalid(name, `${JSON.stringify(text)} (from ${origin}) must be ${SETTINGS[name].expected}`);
}

function parseDatabase(text: string, origin: string): DatabaseConfig {
  if (!isPostgresUrl(text)) return { kind: 'sqlite', path: text };
  // The URL may hold a password, so it is not quoted.
  if (!URL.canParse(text))
    throw invalid('database', `the value (from ${origin}) must be ${SETTINGS.database.expected}`);
  return { kind: 'postgres', url: text };
}

function parsePublicUrl(text: string, origin: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isOrigin = url !== undefined && `${url.pathname}${url.search}${url.hash}${url.username}` === '/';
  if (!isOrigin || url.hostname.includes('v2')) {
    throw invalid('publicUrl', `${JSON.stringify(text)} (from ${origin}) must be ${SETTINGS.publicUrl.expected}`);
  }
  return url.origin;
}

function showSetting(name: SettingName, config: Config, values: Values, origin: string): ShownSetting {
  const spec: SettingSpec = SETTINGS[name];
  const isSecret = spec.isSecret === true;
  const common = { name, variable: spec.variable, flag: `--${spec.flag}`, isSecret, origin, doc: spec.doc };
  if (isSecret) return { ...common, value: values[name] === undefined ? null : '(set)' };
  if (name === 'database') return { ...common, value: showDatabase(config.database) };
  return { ...common, value: values[name] ?? null };
}

function showDatabase(database: DatabaseConfig): string {
  if (database.kind === 'sqlite') return database.path;
  const url = new URL(database.url);
  if (url.password !== '') url.password = '***';
  if (url.searchParams.has('password')) url.searchParams.set('password', '***');
  return url.href;
}

function invalid(setting: string, reason: string): VbsError {
  return new VbsError('CONFIG_INVALID', { setting, reason });
}

/** Where the repository lies while it is a folder. */
export function repositoryFolder(config: Pick<Config, 'dataFolder'>): string {
  return join(config.dataFolder, 'repository');
}
