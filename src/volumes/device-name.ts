// Which name of a block device a volume keeps. The kernel numbers disks in the order in which it finds them: after a
// start of the machine /dev/sdb may be another disk than before, and a restore would write over it.
import { lstat, readdir, readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { errnoOf } from '../core/errno.ts';

/** Below the folder of devices, where names are looked for that last; the first that fits is taken. */
const SEARCHED_FOLDERS = ['mapper', 'disk/by-id'] as const;
/** Whoever sets a loop device up chooses its number. */
const LOOP_PATTERN = /^loop\d+(p\d+)?$/;

/**
 * The name given when it lasts, else one that does and leads to the same device; undefined when there is none.
 * `givenName` is free of symbolic links up to its last part, `path` altogether.
 */
export async function chooseDeviceName(
  givenName: string,
  path: string,
  deviceFolder: string,
): Promise<string | undefined> {
  if (LOOP_PATTERN.test(basename(path)) || (await isLasting(givenName, deviceFolder))) return givenName;
  const { rdev } = await stat(path);
  for (const folder of SEARCHED_FOLDERS) {
    for (const name of await listNames(join(deviceFolder, folder))) {
      const found = join(deviceFolder, folder, name);
      if (isLastingLink(`${folder}/${name}`) && (await readDevice(found)) === rdev) return found;
    }
  }
  return undefined;
}

async function isLasting(name: string, deviceFolder: string): Promise<boolean> {
  const inside = name.startsWith(deviceFolder + sep) ? relative(deviceFolder, name) : undefined;
  // Where links are not made by udev, /dev/mapper holds the devices themselves.
  if (inside?.startsWith('mapper/')) return true;
  if (!(await lstat(name)).isSymbolicLink()) return false;
  if (inside !== undefined) return isLastingLink(inside);
  // A link elsewhere lasts as what it leads to.
  const target = resolve(dirname(name), await readlink(name));
  return await isLasting(join(await realpath(dirname(target)), basename(target)), deviceFolder);
}

/** `link` is relative to the folder of devices. Names made from what a disk holds change with a restore. */
function isLastingLink(link: string): boolean {
  if (link.startsWith('disk/by-id/')) return !link.startsWith('disk/by-id/lvm-pv-uuid-');
  if (link.startsWith('disk/')) return link.startsWith('disk/by-path/');
  // Elsewhere they are by number (/dev/block/8:16), or made by somebody who chose the name: LVM, udev rules.
  return !link.startsWith('block/');
}

async function listNames(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).toSorted();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** The number of the block device that a name leads to; undefined when it leads to none. */
async function readDevice(name: string): Promise<number | undefined> {
  try {
    const stats = await stat(name);
    return stats.isBlockDevice() ? stats.rdev : undefined;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
