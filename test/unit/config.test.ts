import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { type ConfigSources, loadConfig, SETTING_NAMES, SETTINGS } from '../../src/config.ts';
import { isVbsError } from '../../src/core/errors.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const CWD = '/srv/openvbs';

function load(sources: Partial<ConfigSources> = {}) {
  return loadConfig({ flags: {}, env: {}, cwd: CWD, ...sources });
}

function refused(sources: Partial<ConfigSources>, ...parts: readonly string[]): void {
  assert.throws(
    () => load(sources),
    (error) => {
      assert.ok(isVbsError(error, 'CONFIG_INVALID'), String(error));
      for (const part of parts) assert.ok(error.message.includes(part), `${error.message}\n  lacks: ${part}`);
      return true;
    },
  );
}

test('without any source the documented defaults hold', () => {
  const { config, settings } = load();
  assert.deepEqual(config.listen, { host: '127.0.0.1', port: 8776 });
  assert.equal(config.dataFolder, join(CWD, 'data'));
  assert.deepEqual(config.database, { kind: 'sqlite', path: join(CWD, 'data/catalog.sqlite') });
  assert.deepEqual(config.volumeRoots, []);
  assert.equal(config.region, 'region-1');
  assert.equal(config.availabilityZone, 'az-1');
  assert.equal(config.maxJobs, 2);
  assert.ok(config.workerCount >= 1 && config.workerCount <= 8);
  assert.equal(config.tokenLifeMs, 24 * 3600 * 1000);
  assert.equal(config.logLevel, 'info');
  assert.deepEqual(new Set(Object.values(config.quotas)), new Set([-1]));
  assert.equal(config.isDevelopment, false);
  assert.ok(!('adminPassword' in config) && !('passphrase' in config) && !('publicUrl' in config));
  assert.ok(settings.every(({ origin }) => origin === 'default'));
});

test('flags come before the environment, the environment before the file, the file before defaults', async () => {
  await using temporary = await makeTemporaryFolder();
  const folder = temporary.path;
  const path = join(folder, 'openvbs.json');
  const values = { listen: '127.0.0.1:1', region: 'from-file', maxJobs: 5, availabilityZone: 'from-file' };
  writeFileSync(path, JSON.stringify(values));
  const env = { OPENVBS_CONFIG: path, OPENVBS_LISTEN: '127.0.0.1:2', OPENVBS_REGION: 'from-environment' };
  const { config, settings } = load({ env, flags: { listen: '127.0.0.1:3' } });
  assert.equal(config.listen.port, 3);
  assert.equal(config.region, 'from-environment');
  assert.equal(config.availabilityZone, 'from-file');
  assert.equal(config.maxJobs, 5);
  const origins = Object.fromEntries(settings.map(({ name, origin }) => [name, origin]));
  assert.equal(origins.listen, 'flag --listen');
  assert.equal(origins.region, 'environment OPENVBS_REGION');
  assert.equal(origins.maxJobs, `file ${path}`);
  assert.equal(origins.logLevel, 'default');
});

test('paths of flags and variables start at the working folder, those of the file at its own folder', async () => {
  await using temporary = await makeTemporaryFolder();
  const folder = temporary.path;
  const path = join(folder, 'etc/openvbs.json');
  mkdirSync(dirname(path));
  writeFileSync(path, JSON.stringify({ data: '../var', volumeRoots: ['disks', '/dev/vg0'], database: 'c.sqlite' }));
  const { config } = load({ flags: { config: path } });
  assert.equal(config.dataFolder, join(folder, 'var'));
  assert.deepEqual(config.volumeRoots, [join(folder, 'etc/disks'), '/dev/vg0']);
  assert.deepEqual(config.database, { kind: 'sqlite', path: join(folder, 'etc/c.sqlite') });
  assert.deepEqual(load({ env: { OPENVBS_VOLUME_ROOTS: 'a:/b::' } }).config.volumeRoots, [join(CWD, 'a'), '/b']);
});

test('the catalog follows the data folder', () => {
  const { config } = load({ env: { OPENVBS_DATA: '/var/lib/openvbs' } });
  assert.deepEqual(config.database, { kind: 'sqlite', path: '/var/lib/openvbs/catalog.sqlite' });
});

test('an empty variable counts as unset', () => {
  assert.equal(load({ env: { OPENVBS_LISTEN: '', OPENVBS_ADMIN_PASSWORD: '' } }).config.listen.port, 8776);
});

test('metrics are served only where an address is set', () => {
  assert.equal(load({}).config.metricsListen, undefined);
  const { config } = load({ env: { OPENVBS_METRICS_LISTEN: '127.0.0.1:9776' } });
  assert.deepEqual(config.metricsListen, { host: '127.0.0.1', port: 9776 });
});

test('IPv6 addresses are given in brackets', () => {
  assert.deepEqual(load({ env: { OPENVBS_LISTEN: '[::1]:0' } }).config.listen, { host: '::1', port: 0 });
});

const BAD_VALUES: readonly (readonly [variable: string, values: readonly string[]])[] = [
  ['OPENVBS_LISTEN', ['8776', 'localhost', '127.0.0.1:', '127.0.0.1:65536', '::1:8776', 'http://a:1', 'a b:1']],
  ['OPENVBS_METRICS_LISTEN', ['9776', '127.0.0.1:65536', 'yes']],
  ['OPENVBS_DEV', ['2', 'maybe']],
  ['OPENVBS_REGION', ['a b', 'x'.repeat(256)]],
  ['OPENVBS_AVAILABILITY_ZONE', ['ä']],
  ['OPENVBS_MAX_JOBS', ['0', '65', '1.5', 'two', '0x2', ' 2']],
  ['OPENVBS_WORKERS', ['0', '9', '-1']],
  ['OPENVBS_TOKEN_LIFE', ['0', '1e3', '31536001']],
  ['OPENVBS_LOG_LEVEL', ['verbose', 'INFO']],
  ['OPENVBS_QUOTA_BACKUPS', ['-2', 'none', '1000000001']],
  ['OPENVBS_QUOTA_BACKUP_GIGABYTES', ['-2', '1.5']],
  [
    'OPENVBS_PUBLIC_URL',
    ['vbs.example.net', 'ftp://a', 'https://a/path', 'https://a?x=1', 'https://vbsv2.example.net'],
  ],
];

for (const [variable, values] of BAD_VALUES) {
  test(`a bad ${variable} is refused by name, with the value and where it came from`, () => {
    const name = SETTING_NAMES.find((candidate) => SETTINGS[candidate].variable === variable) ?? '';
    for (const value of values) {
      refused({ env: { [variable]: value } }, `Setting ${name}:`, JSON.stringify(value), `environment ${variable}`);
    }
  });
}

test('a bad flag is told as a flag', () => {
  refused({ flags: { 'max-jobs': 'many' } }, 'Setting maxJobs:', 'flag --max-jobs', 'a whole number from 1 to 64');
});

test('values of the file keep their JSON types', async () => {
  await using temporary = await makeTemporaryFolder();
  const folder = temporary.path;
  const path = join(folder, 'c.json');
  const check = (values: unknown, ...parts: readonly string[]): void => {
    writeFileSync(path, typeof values === 'string' ? values : JSON.stringify(values));
    refused({ flags: { config: path } }, ...parts);
  };
  check({ maxJobs: true }, 'Setting maxJobs', `file ${path}`);
  check({ volumeRoots: [1] }, 'Setting volumeRoots');
  check({ listen: 8776 }, 'Setting listen');
  check({ lissten: '127.0.0.1:1' }, 'Setting lissten', 'no such setting', path, 'Did you mean listen?');
  check([], 'Setting config', 'JSON object');
  check('{', 'Setting config', path);
  refused({ flags: { config: join(folder, 'missing.json') } }, 'Setting config', 'missing.json');
});

test('unknown variables of our name are refused with a suggestion; those of the client and of tests pass', () => {
  refused({ env: { OPENVBS_VOLUME_ROOT: '/x' } }, 'OPENVBS_VOLUME_ROOT', 'Did you mean OPENVBS_VOLUME_ROOTS?');
  load({ env: { OPENVBS_URL: 'x', OPENVBS_PASSWORD: 'y', OPENVBS_TEST_POSTGRES_URL: 'z', PATH: '/bin' } });
});

test('two passphrases at once are refused', () => {
  const env = { OPENVBS_PASSPHRASE: 'correct horse', OPENVBS_PASSPHRASE_FILE: '/x' };
  refused({ env }, 'Setting passphrase', 'passphraseFile');
});

test('secrets never show: neither as settings nor in an error', () => {
  const env = {
    OPENVBS_ADMIN_PASSWORD: 'hunter2hunter2',
    OPENVBS_PASSPHRASE: 'correct horse',
    OPENVBS_DATABASE: 'postgres://openvbs:s3cret@db.example.net/openvbs?password=t0psecret',
  };
  const { config, settings } = load({ env });
  assert.equal(config.adminPassword, 'hunter2hunter2');
  assert.deepEqual(config.database, { kind: 'postgres', url: env.OPENVBS_DATABASE });
  const shown = JSON.stringify(settings);
  for (const secret of ['hunter2', 'correct horse', 's3cret', 't0psecret']) assert.ok(!shown.includes(secret), secret);
  assert.equal(settings.find(({ name }) => name === 'passphrase')?.value, '(set)');
  const long = 'p'.repeat(1025);
  assert.throws(
    () => load({ env: { OPENVBS_ADMIN_PASSWORD: long } }),
    (error) => isVbsError(error, 'CONFIG_INVALID') && !error.message.includes('ppp'),
  );
});

test('limits are read as schedules of rates, and what is no schedule is refused with its origin', () => {
  const { config } = load({
    env: { OPENVBS_READ_LIMIT: '08:00-18:00 50MiB/s 200iops; unlimited', OPENVBS_MEMORY: '64' },
    flags: { compression: 'small', 'repository-write-limit': '10iops' },
  });
  const rates = { bytesPerSecond: 50 * 1024 * 1024, operationsPerSecond: 200 };
  assert.deepEqual(config.limits.readSchedule, [
    { fromMinute: 480, toMinute: 1080, rates },
    { fromMinute: 0, toMinute: 1440, rates: {} },
  ]);
  assert.deepEqual(config.limits.writeSchedule, []);
  assert.deepEqual(config.limits.repositoryReadSchedule, []);
  assert.deepEqual(config.limits.repositoryWriteSchedule, [
    { fromMinute: 0, toMinute: 1440, rates: { operationsPerSecond: 10 } },
  ]);
  assert.equal(config.limits.memoryBytes, 64 * 1024 * 1024);
  assert.ok(config.limits.compressionLevel > load().config.limits.compressionLevel);
  assert.ok(!('memoryBytes' in load().config.limits));
  refused({ env: { OPENVBS_READ_LIMIT: '50MB/s' } }, 'readLimit', '"50MB/s"', 'OPENVBS_READ_LIMIT', '50MiB/s');
  refused({ flags: { 'write-limit': '8:00-18:00 1MiB/s' } }, 'writeLimit', '--write-limit');
  refused({ flags: { 'repository-read-limit': '1' } }, 'repositoryReadLimit', '--repository-read-limit');
  refused({ flags: { compression: 'zstd' } }, 'compression', 'fast, default or small');
  refused({ flags: { memory: '15' } }, 'memory', '16 to 65536');
});

test('every setting has its own variable and flag', () => {
  const specs = SETTING_NAMES.map((name) => SETTINGS[name]);
  assert.equal(new Set(specs.map(({ variable }) => variable)).size, specs.length);
  assert.equal(new Set(specs.map(({ flag }) => flag)).size, specs.length);
});

test('the README lists every setting with its flag', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const listed = [...readme.matchAll(/^\| `(OPENVBS_\w+)` \| `--([\w-]+)` \|/gm)].map(([, ...pair]) => pair);
  assert.deepEqual(
    listed,
    SETTING_NAMES.map((name) => [SETTINGS[name].variable, SETTINGS[name].flag]),
  );
});

test('an external Keystone needs an address, user and password together, and roles with names', () => {
  const url = 'https://keystone.example.net:5000/';
  const { keystone } = load({ flags: { 'keystone-url': url } }).config.identity;
  assert.equal(keystone?.url, 'https://keystone.example.net:5000/v3');
  assert.equal(keystone?.login, undefined);
  assert.equal(keystone?.cacheMs, 300_000);
  assert.deepEqual(
    [...(keystone?.roles ?? [])],
    [
      ['reader', 'reader'],
      ['member', 'member'],
      ['_member_', 'member'],
      ['admin', 'admin'],
    ],
  );
  const env = { OPENVBS_KEYSTONE_USER: 'vbs', OPENVBS_KEYSTONE_PASSWORD: 'pw' };
  const flags = { 'keystone-url': `${url}identity/v3`, 'keystone-admin-roles': 'Admin,member', 'keystone-cache': '0' };
  const { config, settings } = load({ env, flags });
  assert.deepEqual(config.identity.keystone?.login, {
    ...{ user: 'vbs', userDomain: 'Default', password: 'pw', project: 'service', projectDomain: 'Default' },
  });
  assert.equal(config.identity.keystone?.url, 'https://keystone.example.net:5000/identity/v3');
  assert.equal(config.identity.keystone?.roles.get('member'), 'admin', 'the greater of two');
  assert.equal(settings.find(({ name }) => name === 'keystonePassword')?.value, '(set)');
  refused({ env }, 'keystoneUser', 'keystoneUrl');
  refused({ env: { OPENVBS_KEYSTONE_USER: 'vbs' }, flags: { 'keystone-url': url } }, 'keystonePassword');
  refused({ flags: { 'keystone-url': 'https://a:b@keystone' } }, 'keystoneUrl');
  refused({ flags: { 'keystone-url': url, 'keystone-reader-roles': 'a,,b' } }, 'keystoneReaderRoles');
});

test('limits of logins, rotation of keys and proxies are checked', () => {
  const { identity } = load({
    flags: { 'trusted-proxies': '127.0.0.1, 10.0.0.0/8,::1', 'token-key-rotation': '0' },
  }).config;
  assert.deepEqual(identity.trustedProxies, ['127.0.0.1', '10.0.0.0/8', '::1']);
  assert.equal(identity.tokenKeyRotationMs, 0);
  assert.deepEqual(load().config.identity, {
    tokenKeyRotationMs: 30 * 24 * 3600 * 1000,
    loginLimits: { perUser: 10, perAddress: 100, windowMs: 300_000 },
    trustedProxies: [],
  });
  for (const wrong of ['proxy.example.net', '10.0.0.0/33', '10.0.0.1/8/8', '::1/129', ',']) {
    refused({ flags: { 'trusted-proxies': wrong } }, 'trustedProxies');
  }
  refused({ flags: { 'token-key-rotation': '60' } }, 'tokenKeyRotation');
  refused({ flags: { 'login-failures-per-user': '-1' } }, 'loginFailuresPerUser');
});
