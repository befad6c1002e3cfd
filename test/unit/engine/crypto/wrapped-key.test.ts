import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { isVbsError } from '../../../../src/core/errors.ts';
import { newHexId, newUuid, type ProjectId, type RepositoryId } from '../../../../src/core/ids.ts';
import {
  createMasterKey,
  createProjectKey,
  macConfig,
  openMasterKey,
  openProjectKey,
} from '../../../../src/engine/crypto/wrapped-key.ts';
import { assertCorrupt, flipBit } from '../../../support/damage.ts';

const repositoryId = newUuid<RepositoryId>();
const projectId = newHexId<ProjectId>();

/** The code that opening ends with. */
async function refusalOf(passphrase: string, wrapped: Uint8Array): Promise<string> {
  try {
    await openMasterKey(passphrase, wrapped, 'keys/x');
    return 'none';
  } catch (error) {
    assert(isVbsError(error), `${error} is no VbsError`);
    return error.code;
  }
}

test('a master key opens with its passphrase, however its accents are composed, and with no other', async () => {
  const created = await createMasterKey('Schlüssel', repositoryId);
  const opened = await openMasterKey('Schlu\u0308ssel', created.wrapped, 'keys/x');
  assert.deepEqual(opened, { keyId: created.keyId, repositoryId, masterKey: created.masterKey });
  assert.equal(await refusalOf('Schlussel', created.wrapped), 'PASSPHRASE_WRONG');
});

test('a wrapped master key with any field altered, missing or of another type is refused with a code', async () => {
  const { wrapped } = await createMasterKey('p', repositoryId);
  const file = JSON.parse(wrapped.toString());
  const withField = (field: string, value: unknown) => Buffer.from(JSON.stringify({ ...file, [field]: value }));
  const withScrypt = (field: string, value: unknown) => withField('scrypt', { ...file.scrypt, [field]: value });
  // None of these may get as far as scrypt: a cost out of bounds is an attack on memory.
  const malformed = [
    ...Object.keys(file).flatMap((field) => [withField(field, undefined), withField(field, 5)]),
    ...Object.keys(file.scrypt).flatMap((field) => [withScrypt(field, undefined), withScrypt(field, {})]),
    ...[16_384, 65_537, 98_304, 2_097_152, -65_536, 65_536.5].map((cost) => withScrypt('cost', cost)),
    withScrypt('blockSize', 16),
    withScrypt('parallelization', 2),
    ...['', 'null', '[]', '7', '{'].map((text) => Buffer.from(text)),
  ];
  for (const bytes of malformed) assert.equal(await refusalOf('p', bytes), 'DATA_CORRUPT', bytes.toString());
  const altered = [
    withField('keyId', newUuid()),
    withField('projectId', projectId),
    withField('wrapped', 'AAAA'),
    withField('nonce', ''),
    withScrypt('cost', 32_768),
  ];
  const codes = await Promise.all(altered.map((bytes) => refusalOf('p', bytes)));
  assert.deepEqual(new Set(codes), new Set(['PASSPHRASE_WRONG']));
});

test('a bit flipped or bytes cut off a wrapped project key are always noticed', () => {
  const masterKey = randomBytes(32);
  const { wrapped, keyId, projectKey } = createProjectKey(masterKey, repositoryId, projectId);
  const place = { repositoryId, projectId, object: 'x' };
  const opened = openProjectKey(masterKey, wrapped, place);
  assert.deepEqual(opened, { keyId, projectKey });
  fc.assert(
    fc.property(fc.nat(wrapped.length * 8 - 1), fc.nat(wrapped.length - 2), (bit, cut) => {
      assertCorrupt(() => openProjectKey(masterKey, flipBit(wrapped, bit), place), 'x');
      assertCorrupt(() => openProjectKey(masterKey, wrapped.subarray(0, cut), place), 'x');
    }),
    { numRuns: 1000 },
  );
});

test('a project key opens for its own project, repository and master key only', () => {
  const masterKey = randomBytes(32);
  const { wrapped } = createProjectKey(masterKey, repositoryId, projectId);
  const place = { repositoryId, projectId, object: 'x' };
  assertCorrupt(() => openProjectKey(randomBytes(32), wrapped, place), 'x');
  assertCorrupt(() => openProjectKey(masterKey, wrapped, { ...place, projectId: newHexId<ProjectId>() }), 'x');
  assertCorrupt(() => openProjectKey(masterKey, wrapped, { ...place, repositoryId: newUuid<RepositoryId>() }), 'x');
});

test('the code that authenticates the config is bound to key, repository and version', () => {
  const masterKey = randomBytes(32);
  const macs = [
    macConfig(masterKey, repositoryId, 1),
    macConfig(masterKey, repositoryId, 2),
    macConfig(masterKey, newUuid<RepositoryId>(), 1),
    macConfig(randomBytes(32), repositoryId, 1),
  ];
  assert.equal(macs[0], macConfig(masterKey, repositoryId, 1));
  assert.equal(new Set(macs).size, 4);
});
