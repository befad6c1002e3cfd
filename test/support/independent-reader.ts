// Restores a backup from a folder, written from docs/repository-format.md alone: nothing of src, and all in memory.
import assert from 'node:assert/strict';
import { createDecipheriv, createHash, createHmac, hkdfSync, scryptSync } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';

const CHUNK = 65_536;
type Project = { folder: string; repositoryId: string; projectId: string; keys: Map<string, Buffer> };
/** `frame`: its 16 bytes in the trailer; `count`: slots present in it; `position`: of this slot among them. */
type Slot = { frame: Buffer; count: number; position: number; length: number; digest: Buffer };
type Pack = { bytes: Buffer; key: Buffer; slots: Map<number, Slot> };
type Scrypt = { cost: number; blockSize: number; parallelization: number; salt: string };
type KeyText = Record<'kind' | 'keyId' | 'repositoryId' | 'projectId' | 'nonce' | 'wrapped', string>;
type WrappedKey = KeyText & { scrypt: Scrypt | null };

const readJson = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
const dashed = (hex: string) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
const hkdf = (key: Buffer, salt: Buffer, info: string | Buffer) => Buffer.from(hkdfSync('sha256', key, salt, info, 32));

/** "L(a, b, ...)" of the document; what is joined here is ASCII. */
function joinStrings(...parts: string[]): Buffer {
  return Buffer.concat(parts.map((part) => Buffer.from(`${String.fromCharCode(part.length, 0)}${part}`, 'latin1')));
}

function open(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
  decipher.setAAD(aad).setAuthTag(sealed.subarray(-16));
  return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
}

function openPart(key: Buffer, ordinal: number, aad: Uint8Array[], sealed: Buffer): Buffer {
  return open(key, Buffer.from(Uint32Array.of(ordinal, 0, 0).buffer), Buffer.concat(aad), sealed);
}

function unwrapKey(file: WrappedKey, wrappingKey: Buffer): Buffer {
  const { cost = 0, blockSize = 0, parallelization = 0, salt = '' } = file.scrypt ?? {};
  const numbers = [cost, blockSize, parallelization].map(String);
  const aad = joinStrings(file.kind, '1', file.keyId, file.repositoryId, file.projectId ?? '', ...numbers, salt);
  return open(wrappingKey, Buffer.from(file.nonce, 'base64'), aad, Buffer.from(file.wrapped, 'base64'));
}

function openProject(root: string, passphrase: string, projectId: string): Project {
  const { kind, version, repositoryId, mac } = readJson(join(root, 'config'));
  assert(kind === 'openvbs-repository' && version === 1);
  const master: WrappedKey = readJson(join(root, 'keys', readdirSync(join(root, 'keys'))[0] ?? ''));
  assert(master.kind === 'openvbs-master-key' && master.repositoryId === repositoryId && master.scrypt);
  const { cost: N, blockSize: r, parallelization: p, salt } = master.scrypt;
  assert(N >= 32_768 && N <= 1_048_576 && r === 8 && p === 1);
  const options = { N, r, p, maxmem: 256 * N * r };
  const masterKey = unwrapKey(master, scryptSync(passphrase.normalize(), Buffer.from(salt, 'base64'), 32, options));
  const hmac = createHmac('sha256', hkdf(masterKey, Buffer.alloc(0), 'openvbs/1 config'));
  assert.equal(hmac.update(joinStrings('openvbs-repository', '1', repositoryId)).digest('hex'), mac);
  const folder = join(root, 'projects', projectId);
  const keys = new Map<string, Buffer>();
  for (const keyId of readdirSync(join(folder, 'keys'))) {
    const file: WrappedKey = readJson(join(folder, 'keys', keyId));
    assert(file.kind === 'openvbs-project-key' && file.projectId === projectId && file.repositoryId === repositoryId);
    keys.set(keyId, unwrapKey(file, masterKey));
  }
  return { folder, repositoryId, projectId, keys };
}

function objectKey(project: Project, header: Buffer, kind: number, logicalId: string, objectId: string): Buffer {
  assert.equal(header.toString('latin1', 0, 8), 'OpenVBS\n');
  assert(header.readUInt16LE(8) === 1 && header[10] === kind && header.readUIntLE(11, 5) === 0);
  const projectKey = project.keys.get(dashed(header.toString('hex', 16, 32)));
  assert(projectKey, 'the project has the key');
  const info = joinStrings('openvbs/1', `${kind}`, project.repositoryId, project.projectId, logicalId, objectId);
  return hkdf(projectKey, header.subarray(32, 64), info);
}

function openPack(project: Project, kind: 1 | 2, packId: string): Pack {
  const folder = join(project.folder, kind === 1 ? 'packs' : 'pages', packId.slice(0, 2));
  const names = readdirSync(folder).filter((name) => name.startsWith(`${packId}.`));
  const name = names.sort((a, b) => statSync(join(folder, b)).size - statSync(join(folder, a)).size)[0];
  assert(name, `pack ${packId} is there`);
  const bytes = readFileSync(join(folder, name));
  const [header, tail] = [bytes.subarray(0, 64), bytes.subarray(-32)];
  assert.equal(tail.toString('latin1', 0, 8), 'OVBSTAIL');
  const trailerAt = Number(tail.readBigUInt64LE(8));
  assert.equal(trailerAt + tail.readUInt32LE(16) + 32, bytes.length);
  const key = objectKey(project, header, kind, packId, name.slice(packId.length + 1));
  const trailer = openPart(key, tail.readUInt32LE(20), [header, tail], bytes.subarray(trailerAt, -32));
  const digestsAt = 8 + 16 * trailer.readUInt32LE(0);
  const lengthsAt = digestsAt + 32 * trailer.readUInt32LE(4);
  const slots = new Map<number, Slot>();
  for (let at = 8; at < digestsAt; at += 16) {
    const frame = trailer.subarray(at, at + 16);
    const bits = Array.from({ length: 16 }, (_, bit) => bit).filter((bit) => frame.readUInt16LE(10) & (1 << bit));
    bits.forEach((bit, position) => {
      const digest = trailer.subarray(digestsAt + 32 * slots.size, digestsAt + 32 * slots.size + 32);
      const length = kind === 2 ? trailer.readUInt32LE(lengthsAt + 4 * slots.size) : CHUNK;
      slots.set(frame.readUInt16LE(8) + bit, { frame, count: bits.length, position, length, digest });
    });
  }
  assert.equal(slots.size, trailer.readUInt32LE(4));
  assert.equal(trailer.length, lengthsAt + (kind === 2 ? 4 * slots.size : 0));
  return { bytes, key, slots };
}

/** The contents of one slot, checked against its digest. */
function readSlot(pack: Pack, slotNumber: number): Buffer {
  const slot = pack.slots.get(slotNumber);
  assert(slot, `slot ${slotNumber} is there`);
  const [offset, storedLength] = [slot.frame.readUInt32LE(0), slot.frame.readUInt32LE(4)];
  const header = pack.bytes.subarray(offset, offset + 16);
  assert(header.toString('latin1', 0, 2) === 'RF' && header.subarray(6, 11).equals(slot.frame.subarray(8, 13)));
  assert(header[11] === slot.count && header.readUInt32LE(12) === storedLength - 16);
  const sealed = pack.bytes.subarray(offset + 16, offset + storedLength);
  const payload = openPart(pack.key, header.readUInt32LE(2), [pack.bytes.subarray(0, 64), header], sealed);
  const maxOutputLength = slot.count * slot.length;
  const contents = header[10] === 1 ? zstdDecompressSync(payload, { maxOutputLength }) : payload;
  assert.equal(contents.length, maxOutputLength);
  const found = contents.subarray(slot.position * slot.length).subarray(0, slot.length);
  assert(createHash('sha256').update(found).digest().equals(slot.digest));
  return found;
}

/** All bytes of the backup's volume. @throws when anything does not fit, or a tag does not match */
export function readBackup(root: string, passphrase: string, projectId: string, backupId: string): Buffer {
  const project = openProject(root, passphrase, projectId);
  const folder = join(project.folder, 'backups');
  const name = readdirSync(folder).find((record) => record.startsWith(`${backupId}.`));
  assert(name, 'the backup has a record');
  const bytes = readFileSync(join(folder, name));
  const header = bytes.subarray(0, 64);
  const key = objectKey(project, header, 3, backupId, name.slice(backupId.length + 1));
  const plaintext = openPart(key, 0, [header], bytes.subarray(64));
  const pageAt = 4 + plaintext.readUInt32LE(0);
  const { sizeBytes, levels } = JSON.parse(plaintext.toString('utf8', 4, pageAt));
  const volume = Buffer.alloc(sizeBytes);
  const packs = new Map<string, Pack>();
  const walk = (page: Buffer, level: number, offset: number): void => {
    assert(page[0] === level && page.length === 4100 + 16 * page.readUInt16LE(2));
    for (let at = 4; at < 4100; at += 4) {
      if (page.readUInt32LE(at) === 0xffffffff) continue;
      const packAt = 4100 + 16 * page.readUInt16LE(at);
      const packId = dashed(page.toString('hex', packAt, packAt + 16));
      const pack = packs.get(packId) ?? openPack(project, level === 0 ? 1 : 2, packId);
      packs.set(packId, pack);
      const found = readSlot(pack, page.readUInt16LE(at + 2));
      const foundOffset = offset + ((at - 4) / 4) * CHUNK * 1024 ** level;
      if (level === 0) found.copy(volume, foundOffset);
      else walk(found, level - 1, foundOffset);
    }
  };
  walk(plaintext.subarray(pageAt), levels - 1, 0);
  return volume;
}
