// The sample disk of development mode: a sparse image with some text and some noise, adopted through the API like any
// other disk.
import { randomBytes } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { OpenVbsClient } from '../client/openvbs-client.ts';
import type { Config } from '../config.ts';
import { MIB } from '../core/bytes.ts';

export const SAMPLE_NAME = 'sample';
const SIZE_BYTES = 256 * MIB;
const TEXT_BYTES = 24 * MIB;
const NOISE_BYTES = 8 * MIB;
const NOISE_OFFSET_BYTES = 128 * MIB;

export type SampleHost = {
  readonly url: string;
  readonly config: Config;
  readonly generatedPassword?: string | undefined;
};

/** False when there can be none: no password to log in with (a later start), or no root of ours to put it into. */
export async function addSampleVolume(
  { url, config, generatedPassword }: SampleHost,
  signal: AbortSignal,
): Promise<boolean> {
  const password = generatedPassword ?? config.adminPassword;
  const root = config.volumeRoots.at(-1);
  if (password === undefined || root === undefined || config.identity.keystone !== undefined) return false;
  const login = { user: 'admin', userDomain: 'Default', password, project: 'admin', projectDomain: 'Default' };
  const client = new OpenVbsClient({ authUrl: `${url}/identity/v3`, serviceUrl: url, login });
  if ((await client.listVolumes({ name: SAMPLE_NAME }, signal)).length > 0) return true;
  const path = join(root, `${SAMPLE_NAME}.img`);
  await writeSampleDisk(root, path);
  const [host = ''] = await client.listVolumeHosts(signal);
  await client.adoptVolume({ host, path, name: SAMPLE_NAME }, signal);
  return true;
}

async function writeSampleDisk(root: string, path: string): Promise<void> {
  await mkdir(root, { recursive: true });
  // `wx`: never over somebody's disk that happens to have this name.
  await using file = await open(path, 'wx', 0o600);
  let text = '';
  for (let line = 0; text.length < TEXT_BYTES; line++) {
    text += `Line ${line} of the sample disk of OpenVBS: it compresses well and repeats little.\n`;
  }
  await file.write(Buffer.from(text), 0, TEXT_BYTES, 0);
  await file.write(randomBytes(NOISE_BYTES), 0, NOISE_BYTES, NOISE_OFFSET_BYTES);
  await file.truncate(SIZE_BYTES);
}
