// A folder on a file system with reflinks: the temporary folder if it is on one, else a small XFS in a file, mounted
// through a loop device. That takes root, mkfs.xfs and free loop devices; without them the tests say why they skip.
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, realpathSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSystemCalls } from '../../src/volumes/system-calls.ts';

/** A little more than the smallest size that mkfs.xfs accepts; the file is sparse. */
const IMAGE_SIZE_BYTES = 320 * 1024 * 1024;

export type ReflinkFolder = { readonly path: string; remove(): void } | { readonly skip: string };

export async function makeReflinkFolder(imageBytes = IMAGE_SIZE_BYTES): Promise<ReflinkFolder> {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'openvbs-reflink-')));
  const removeFolder = () => rmSync(path, { recursive: true, force: true });
  try {
    if (await canClone(path)) return { path, remove: removeFolder };
    const image = join(path, 'xfs.img');
    const mountPoint = join(path, 'mount');
    closeSync(openSync(image, 'w'));
    truncateSync(image, imageBytes);
    mkdirSync(mountPoint);
    run('mkfs.xfs', ['-q', '-m', 'reflink=1', image]);
    run('mount', ['-o', 'loop', image, mountPoint]);
    const remove = () => {
      run('umount', [mountPoint]);
      removeFolder();
    };
    return { path: mountPoint, remove };
  } catch (error) {
    removeFolder();
    const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    return { skip: `no file system with reflinks here, and none can be made: ${reason}` };
  }
}

async function canClone(folder: string): Promise<boolean> {
  const from = openSync(join(folder, 'from'), 'w+');
  const to = openSync(join(folder, 'to'), 'w');
  try {
    return await loadSystemCalls().cloneFile(from, to);
  } finally {
    closeSync(from);
    closeSync(to);
  }
}

function run(command: string, parameters: readonly string[]): void {
  execFileSync(command, parameters, { stdio: 'pipe' });
}
