// Keys as they lie in the repository and in the catalog: the master key wrapped by a passphrase, project keys wrapped
// by the master key. JSON, so that a person can see what it is. Source: docs/repository-format.md, "Keys".
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, scrypt } from 'node:crypto';
import { VbsError } from '../../core/errors.ts';
import { type KeyId, newUuid, type ProjectId, type RepositoryId } from '../../core/ids.ts';
import { joinWithLengths, TAG_SIZE_BYTES } from './sealing.ts';

export const KEY_SIZE_BYTES = 32;
const NONCE_SIZE_BYTES = 12;
/** scrypt N=2^16, r=8, p=1: 64 MiB and about 0.2 s. Bounds keep an altered file from costing more or less than that. */
const SCRYPT = { cost: 65_536, blockSize: 8, parallelization: 1 } as const;
const SCRYPT_COST_MIN = 32_768;
const SCRYPT_COST_MAX = 1_048_576;

type ScryptParameters = { cost: number; blockSize: number; parallelization: number; salt: string };

/** Common to both kinds: what the key is for, and AES-256-GCM of the key under the wrapping key. */
type WrappedKey = {
  readonly kind: 'openvbs-master-key' | 'openvbs-project-key';
  readonly format: 1;
  readonly keyId: KeyId;
  readonly repositoryId: RepositoryId;
  readonly projectId: ProjectId | null;
  readonly scrypt: ScryptParameters | null;
  readonly nonce: string;
  readonly wrapped: string;
};

/** Everything but the ciphertext is authenticated with it. */
function associatedData(key: Omit<WrappedKey, 'wrapped' | 'nonce'>): Buffer {
  const { cost = 0, blockSize = 0, parallelization = 0, salt = '' } = key.scrypt ?? {};
  const numbers = [cost, blockSize, parallelization].map(String);
  return joinWithLengths([key.kind, '1', key.keyId, key.repositoryId, key.projectId ?? '', ...numbers, salt]);
}

function wrap(key: Uint8Array, wrappingKey: Uint8Array, about: Omit<WrappedKey, 'wrapped' | 'nonce'>): Buffer {
  const nonce = randomBytes(NONCE_SIZE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', wrappingKey, nonce).setAAD(associatedData(about));
  const wrapped = Buffer.concat([cipher.update(key), cipher.final(), cipher.getAuthTag()]);
  const file: WrappedKey = { ...about, nonce: nonce.toString('base64'), wrapped: wrapped.toString('base64') };
  return Buffer.from(`${JSON.stringify(file, null, 2)}\n`, 'utf8');
}

/** Undefined when the tag does not match: a wrong wrapping key, or an altered file. */
function unwrap(file: WrappedKey, wrappingKey: Uint8Array): Buffer | undefined {
  const sealed = Buffer.from(file.wrapped, 'base64');
  const nonce = Buffer.from(file.nonce, 'base64');
  if (sealed.length !== KEY_SIZE_BYTES + TAG_SIZE_BYTES || nonce.length !== NONCE_SIZE_BYTES) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', wrappingKey, nonce, { authTagLength: TAG_SIZE_BYTES });
  decipher.setAAD(associatedData(file)).setAuthTag(sealed.subarray(KEY_SIZE_BYTES));
  const key = decipher.update(sealed.subarray(0, KEY_SIZE_BYTES));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return key;
}

function deriveFromPassphrase(passphrase: string, parameters: ScryptParameters): Promise<Buffer> {
  const { cost, blockSize, parallelization } = parameters;
  const options = { cost, blockSize, parallelization, maxmem: 256 * cost * blockSize };
  return new Promise((resolve, reject) => {
    scrypt(
      passphrase.normalize('NFC'),
      Buffer.from(parameters.salt, 'base64'),
      KEY_SIZE_BYTES,
      options,
      (error, key) => (error ? reject(error) : resolve(key)),
    );
  });
}

/** A new master key and its wrapped form. */
export async function createMasterKey(
  passphrase: string,
  repositoryId: RepositoryId,
): Promise<{ keyId: KeyId; masterKey: Buffer; wrapped: Buffer }> {
  const masterKey = randomBytes(KEY_SIZE_BYTES);
  return { masterKey, ...(await wrapMasterKey(masterKey, passphrase, repositoryId)) };
}

/** One more wrapping of a master key, with an id of its own. */
export async function wrapMasterKey(
  masterKey: Uint8Array,
  passphrase: string,
  repositoryId: RepositoryId,
): Promise<{ keyId: KeyId; wrapped: Buffer }> {
  const keyId = newUuid<KeyId>();
  const parameters = { ...SCRYPT, salt: randomBytes(32).toString('base64') };
  const about = {
    kind: 'openvbs-master-key',
    format: 1,
    keyId,
    repositoryId,
    projectId: null,
    scrypt: parameters,
  } as const;
  return { keyId, wrapped: wrap(masterKey, await deriveFromPassphrase(passphrase, parameters), about) };
}

function areBounded({ cost, blockSize, parallelization, salt }: ScryptParameters): boolean {
  return (
    Number.isSafeInteger(cost) &&
    cost >= SCRYPT_COST_MIN &&
    cost <= SCRYPT_COST_MAX &&
    // scrypt is defined for powers of two only.
    Number.isInteger(Math.log2(cost)) &&
    blockSize === SCRYPT.blockSize &&
    parallelization === SCRYPT.parallelization &&
    typeof salt === 'string'
  );
}

/** @throws PASSPHRASE_WRONG; DATA_CORRUPT when the file is none of ours or its parameters are out of bounds */
export async function openMasterKey(
  passphrase: string,
  wrapped: Uint8Array,
  object: string,
): Promise<{ keyId: KeyId; repositoryId: RepositoryId; masterKey: Buffer }> {
  const file = parseWrappedKey(wrapped, 'openvbs-master-key', object);
  const parameters = file.scrypt;
  if (!parameters || !areBounded(parameters)) {
    throw new VbsError('DATA_CORRUPT', { object, offsetBytes: 0, reason: 'scrypt parameters are out of bounds' });
  }
  const masterKey = unwrap(file, await deriveFromPassphrase(passphrase, parameters));
  if (!masterKey) throw new VbsError('PASSPHRASE_WRONG');
  return { keyId: file.keyId, repositoryId: file.repositoryId, masterKey };
}

/** A new project key and its wrapped form. */
export function createProjectKey(
  masterKey: Uint8Array,
  repositoryId: RepositoryId,
  projectId: ProjectId,
): { keyId: KeyId; projectKey: Buffer; wrapped: Buffer } {
  const keyId = newUuid<KeyId>();
  const projectKey = randomBytes(KEY_SIZE_BYTES);
  return { keyId, projectKey, wrapped: wrapProjectKey(projectKey, masterKey, { keyId, repositoryId, projectId }) };
}

export function wrapProjectKey(
  projectKey: Uint8Array,
  masterKey: Uint8Array,
  place: { keyId: KeyId; repositoryId: RepositoryId; projectId: ProjectId },
): Buffer {
  return wrap(projectKey, masterKey, { kind: 'openvbs-project-key', format: 1, ...place, scrypt: null });
}

/** @throws DATA_CORRUPT unless it is the key of this project of this repository */
export function openProjectKey(
  masterKey: Uint8Array,
  wrapped: Uint8Array,
  place: { repositoryId: RepositoryId; projectId: ProjectId; object: string },
): { keyId: KeyId; projectKey: Buffer } {
  const { object } = place;
  const file = parseWrappedKey(wrapped, 'openvbs-project-key', object);
  const belongsHere = file.repositoryId === place.repositoryId && file.projectId === place.projectId;
  const projectKey = belongsHere ? unwrap(file, masterKey) : undefined;
  if (!projectKey)
    throw new VbsError('DATA_CORRUPT', { object, offsetBytes: 0, reason: 'the project key does not open' });
  return { keyId: file.keyId, projectKey };
}

function parseWrappedKey(bytes: Uint8Array, kind: WrappedKey['kind'], object: string): WrappedKey {
  const refuse = (reason: string, cause?: unknown) =>
    new VbsError('DATA_CORRUPT', { object, offsetBytes: 0, reason }, { cause });
  let file: WrappedKey | null;
  try {
    // Its form is checked below; what it says is authenticated when the key is unwrapped.
    file = JSON.parse(Buffer.from(bytes).toString('utf8')) as WrappedKey | null;
  } catch (cause) {
    throw refuse('the wrapped key is not JSON', cause);
  }
  if (file?.kind !== kind || file.format !== 1) throw refuse(`the object is no ${kind}`);
  const { keyId, repositoryId, projectId, scrypt, nonce, wrapped } = file;
  const areTexts = [keyId, repositoryId, nonce, wrapped].every((text) => typeof text === 'string');
  const isWhole = areTexts && (projectId === null || typeof projectId === 'string') && typeof scrypt === 'object';
  if (!isWhole) throw refuse('the wrapped key lacks a field');
  return file;
}

/** Key for the hooks of a project, so that a reader of the catalog cannot test for known content. */
export function deriveHookKey(projectKey: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', projectKey, new Uint8Array(), 'openvbs/1 hook', KEY_SIZE_BYTES));
}

/** MAC of the repository's config under the master key, lower-case hex. */
export function macConfig(masterKey: Uint8Array, repositoryId: RepositoryId, version: number): string {
  const key = Buffer.from(hkdfSync('sha256', masterKey, new Uint8Array(), 'openvbs/1 config', KEY_SIZE_BYTES));
  return createHmac('sha256', key)
    .update(joinWithLengths(['openvbs-repository', String(version), repositoryId]))
    .digest('hex');
}
